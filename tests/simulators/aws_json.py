"""The AWS services that speak JSON, as far as moto lacks them or cannot fail: Identity Center and its identity store
(with AWS's 20 calls a second), Organizations, CloudTrail's event history, Secrets Manager.

Spoken to at the same address as ``aws_iam``, by the header ``X-Amz-Target``. Pages as AWS does: by ``MaxResults``, with
a token that says where the next page starts.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

STORE = "d-1234567890"
INSTANCE = "arn:aws:sso:::instance/ssoins-1234567890abcdef"
_LARGEST = {"ListAccounts": 20, "LookupEvents": 50}
_LISTS = {
    "ListUsers": "Users",
    "ListGroups": "Groups",
    "ListGroupMemberships": "GroupMemberships",
    "ListInstances": "Instances",
    "ListPermissionSets": "PermissionSets",
    "ListManagedPoliciesInPermissionSet": "AttachedManagedPolicies",
    "ListCustomerManagedPolicyReferencesInPermissionSet": "CustomerManagedPolicyReferences",
    "ListAccountAssignmentsForPrincipal": "AccountAssignments",
    "LookupEvents": "Events",
    "ListSecrets": "SecretList",
    "ListAccounts": "Accounts",
    "ListTagsForResource": "Tags",
}
_PACED = ("SWBExternalService", "AWSIdentityStore")


@dataclass
class Cloud:
    """What these services hold; every object is a mapping in the API's own field names."""

    instances: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"InstanceArn": INSTANCE, "IdentityStoreId": STORE, "OwnerAccountId": "111122223333", "Status": "ACTIVE"}
        ]
    )
    users: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    members: dict[str, list[str]] = field(default_factory=dict)
    sets: list[dict[str, Any]] = field(default_factory=list)
    assignments: list[dict[str, str]] = field(default_factory=list)
    accounts: list[dict[str, Any]] = field(default_factory=list)
    tags: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    events: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    """By account id and region, newest first."""
    secrets: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    per_second: int | None = None
    """Calls a second that Identity Center answers; more are throttled."""
    throttled: int = 0
    answered: list[float] = field(default_factory=list)
    """When each call within that limit was answered, by a monotonic clock."""
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _lately: deque[float] = field(default_factory=deque)

    def add_user(self, number: int, **fields: Any) -> dict[str, Any]:
        """Add a user of the identity store."""
        user_id = f"90670f8c-0000-4000-8000-{number:012}"
        user = {
            "IdentityStoreId": STORE,
            "UserId": user_id,
            "UserArn": f"arn:aws:identitystore:::user/{user_id}",
            "UserName": f"user{number}@acme.test",
            "DisplayName": f"User {number}",
            "Emails": [{"Value": f"user{number}@acme.test", "Primary": True}],
            "UserStatus": "ENABLED",
            "CreatedAt": 1_750_000_000.5,
        }
        self.users.append(user | fields)
        return self.users[-1]

    def add_group(self, number: int, members: list[str]) -> dict[str, Any]:
        """Add a group with the users of these ids."""
        group = {
            "IdentityStoreId": STORE,
            "GroupId": f"a0670f8c-0000-4000-8000-{number:012}",
            "DisplayName": f"Group {number}",
        }
        self.groups.append(group)
        self.members[group["GroupId"]] = members
        return group

    def add_set(self, name: str, **parts: Any) -> str:
        """Add a permission set; ``managed``, ``customer`` and ``inline`` are its policies."""
        arn = f"arn:aws:sso:::permissionSet/ssoins-1234567890abcdef/ps-{len(self.sets):016x}"
        self.sets.append({"PermissionSetArn": arn, "Name": name, "SessionDuration": "PT8H"} | parts)
        return arn

    def assign(self, kind: str, principal: str, arn: str, account: str) -> None:
        """Assign a permission set in an account."""
        given = {"PrincipalType": kind, "PrincipalId": principal, "PermissionSetArn": arn, "AccountId": account}
        self.assignments.append(given)

    def too_fast(self, service: str) -> bool:
        """Count a call, and say whether it is one too many within a second."""
        if self.per_second is None or service not in _PACED:
            return False
        now = time.monotonic()
        while self._lately and now - self._lately[0] > 1.0:
            self._lately.popleft()
        if len(self._lately) >= self.per_second:
            self.throttled += 1
            return True
        self._lately.append(now)
        self.answered.append(now)
        return False


class NotFoundError(Exception):
    """No such thing; ``args[0]`` says of which type."""


def respond(handler: Any, target: str, body: bytes) -> None:
    """Answer one call, rightly or as a fault asks."""
    service, _, operation = target.rpartition(".")
    simulator = handler.simulator
    cloud: Cloud = simulator.cloud
    asked = json.loads(body or b"{}")
    scope = handler.headers.get("Authorization", "").partition("Credential=")[2].split("/")
    region = scope[2] if len(scope) > 2 else "us-east-1"
    account = simulator.whose(handler.headers.get("X-Amz-Security-Token", "")).account_id
    fault = simulator.fault_of(permission(target), {})
    cloud.asked.append((operation, asked | {"region": region, "account": account}))
    if cloud.too_fast(service.rpartition(".")[2] or service):
        _send(handler, 400, {"__type": "ThrottlingException", "message": "Rate exceeded"})
    elif fault is not None and _spoil(handler, operation, fault, service):
        return
    else:
        try:
            answer = _answer(cloud, operation, asked, account, region)
        except NotFoundError as missing:
            about = {"ResourceType": missing.args[0], "Message": "not found"}
            _send(handler, 400, {"__type": "ResourceNotFoundException"} | about)
            return
        if fault is not None:
            answer = _bent(answer, fault.kind, operation, asked)
        _send(handler, 200, answer)


def _answer(cloud: Cloud, operation: str, asked: Mapping[str, Any], account: str, region: str) -> dict[str, Any]:
    if operation in _ONES:
        return _ONES[operation](cloud, asked)
    key = _LISTS[operation]
    items = _listed(cloud, operation, asked, account, region)
    start = int(str(asked.get("NextToken", "t0"))[1:])
    size = min(int(asked.get("MaxResults", 100)), _LARGEST.get(operation, 100))
    end = start + size
    return {key: items[start:end]} | ({"NextToken": f"t{end}"} if end < len(items) else {})


def _listed(cloud: Cloud, operation: str, asked: Mapping[str, Any], account: str, region: str) -> list[Any]:
    found: dict[str, Callable[[], list[Any]]] = {
        "ListUsers": lambda: _users(cloud, asked),
        "ListGroups": lambda: cloud.groups,
        "ListGroupMemberships": lambda: _members(cloud, asked["GroupId"]),
        "ListInstances": lambda: cloud.instances,
        "ListPermissionSets": lambda: [one["PermissionSetArn"] for one in cloud.sets],
        "ListManagedPoliciesInPermissionSet": lambda: [
            {"Name": arn.rpartition("/")[2], "Arn": arn} for arn in _set(cloud, asked).get("managed", [])
        ],
        "ListCustomerManagedPolicyReferencesInPermissionSet": lambda: [
            {"Name": name, "Path": "/"} for name in _set(cloud, asked).get("customer", [])
        ],
        "ListAccountAssignmentsForPrincipal": lambda: _assigned(cloud, asked["PrincipalType"], asked["PrincipalId"]),
        "LookupEvents": lambda: _events(cloud.events.get((account, region), []), asked),
        "ListSecrets": lambda: cloud.secrets.get((account, region), []),
        "ListAccounts": lambda: cloud.accounts,
        "ListTagsForResource": lambda: cloud.tags.get(asked["ResourceId"], []),
    }
    return found[operation]()


def _users(cloud: Cloud, asked: Mapping[str, Any]) -> list[Any]:
    wanted = [one["AttributeValue"] for one in asked.get("Filters", [])]
    return [user for user in cloud.users if not wanted or user["UserName"] in wanted]


def _members(cloud: Cloud, group: str) -> list[Any]:
    return [
        {"IdentityStoreId": STORE, "MembershipId": f"m-{group[-4:]}-{n}", "GroupId": group, "MemberId": {"UserId": one}}
        for n, one in enumerate(cloud.members[group])
    ]


def _assigned(cloud: Cloud, kind: str, principal: str) -> list[dict[str, str]]:
    """Return a principal's assignments; a user's come with those of his groups, as AWS gives them."""
    groups = {group for group, members in cloud.members.items() if principal in members}
    return [
        one
        for one in cloud.assignments
        if (one["PrincipalType"], one["PrincipalId"]) == (kind, principal)
        or (kind == "USER" and one["PrincipalType"] == "GROUP" and one["PrincipalId"] in groups)
    ]


def _events(events: list[dict[str, Any]], asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    named = [one["AttributeValue"] for one in asked.get("LookupAttributes", [])]
    return [
        one
        for one in events
        if asked["StartTime"] <= one["EventTime"] <= asked["EndTime"] and (not named or one["EventName"] in named)
    ]


def _set(cloud: Cloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    return next(one for one in cloud.sets if one["PermissionSetArn"] == asked["PermissionSetArn"])


def _described_set(cloud: Cloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    fields = ("PermissionSetArn", "Name", "SessionDuration", "Description")
    return {"PermissionSet": {key: one for key, one in _set(cloud, asked).items() if key in fields}}


def _inline(cloud: Cloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"InlinePolicy": _set(cloud, asked).get("inline", "")}


def _user(cloud: Cloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    found = [user for user in cloud.users if user["UserId"] == asked["UserId"]]
    if not found:
        raise NotFoundError("USER")
    return found[0]


def _user_id(cloud: Cloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    wanted = asked["AlternateIdentifier"]
    for user in cloud.users:
        mails = [mail["Value"] for mail in user.get("Emails", [])]
        given = [(one["Issuer"], one["Id"]) for one in user.get("ExternalIds", [])]
        by_mail = wanted.get("UniqueAttribute", {}).get("AttributeValue") in mails
        external = wanted.get("ExternalId", {})
        if by_mail or (external.get("Issuer"), external.get("Id")) in given:
            return {"IdentityStoreId": STORE, "UserId": user["UserId"]}
    raise NotFoundError("USER")


_ONES: dict[str, Callable[[Cloud, Mapping[str, Any]], dict[str, Any]]] = {
    "DescribePermissionSet": _described_set,
    "GetInlinePolicyForPermissionSet": _inline,
    "DescribeUser": _user,
    "GetUserId": _user_id,
}
_PERMISSIONS = {
    "SWBExternalService": "sso",
    "AWSIdentityStore": "identitystore",
    "CloudTrail_20131101": "cloudtrail",
    "secretsmanager": "secretsmanager",
    "AWSOrganizationsV20161128": "organizations",
}


def permission(target: str) -> str:
    """Return the IAM action of a call."""
    service, _, operation = target.rpartition(".")
    return f"{_PERMISSIONS[service.rpartition('.')[2] or service]}:{operation}"


def _spoil(handler: Any, operation: str, fault: Any, service: str) -> bool:
    """Answer wrongly; False: the answer itself is to be bent."""
    if fault.kind == "denied":
        who = "User: arn:aws:iam::111122223333:user/reader is not authorized to perform"
        text = f"{who}: {permission(f'{service}.{operation}')} because no policy allows it"
        _send(handler, 400, {"__type": "AccessDeniedException", "Message": text})
    elif fault.kind == "error":
        _send(handler, fault.status, {"__type": fault.code, "message": "as the test asked"})
    elif fault.kind in {"html_500", "html_200"}:
        handler._send(int(fault.kind[-3:]), "<!doctype html><title>Proxy</title>", "text/html")
    elif fault.kind == "empty":
        handler._send(200, "", "application/x-amz-json-1.1")
    elif fault.kind == "short_json":
        handler._send(200, '{"Users": [{"Us', "application/x-amz-json-1.1")
    elif fault.kind in {"reset", "hang"}:
        time.sleep(2 if fault.kind == "hang" else 0)
        handler.close_connection = True
    else:
        return False
    return True


def _bent(answer: dict[str, Any], kind: str, operation: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    if kind == "no_token":
        return {key: one for key, one in answer.items() if key != "NextToken"}
    if kind == "same_token":
        return answer | {"NextToken": asked.get("NextToken", "t0")}
    key = _LISTS.get(operation, "")
    if kind == "no_list":
        return {name: one for name, one in answer.items() if name != key}
    return answer | {key: [{**one, kind.removeprefix("odd_"): {"odd": 1}} for one in answer[key]]}


def _send(handler: Any, status: int, answer: Any) -> None:
    handler._send(status, json.dumps(answer), "application/x-amz-json-1.1")
