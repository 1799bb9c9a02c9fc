"""The IAM endpoints this connector reads; one method is one call, one page where the call has pages.

Blocking, as boto3 is: the source runs these methods in threads. An answer is taken only with an explicit end:
``IsTruncated`` must be there, and true only with a marker.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from reconciler.sdk.errors import Misbehaved, Refused, Unreachable

from .connection import ABSENT, Calls, Connection, Reach
from .failures import NotOffered
from .fields import Item

Section = Literal["Group", "Role", "User", "LocalManagedPolicy"]
_SECTION_LISTS: dict[Section, str] = {
    "Group": "GroupDetailList",
    "Role": "RoleDetailList",
    "User": "UserDetailList",
    "LocalManagedPolicy": "Policies",
}
_NAMED: Mapping[str, tuple[str, ...]] = {
    "ListUsers": ("UserId", "UserName", "Arn"),
    "ListRoles": ("RoleId", "RoleName", "Arn"),
    "ListPolicies": ("PolicyId", "PolicyName", "Arn", "DefaultVersionId"),
    "GetAccountAuthorizationDetails": ("Arn",),
    "ListAccessKeys": ("AccessKeyId",),
}
"""What every object of a list must carry: it is referred to by these."""
_AWS_HOSTS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
_PROBES = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of a list; ``marker`` is None only where AWS said that the list ends here."""

    items: Sequence[Item]
    marker: str | None


class IamClient:
    """IAM of one AWS account; every method may be called from several threads at once."""

    def __init__(self, connection: Connection, reach: Reach) -> None:
        self.account_id = reach.account_id
        self.calls = Calls(connection, reach, "iam", connection.settings.region)
        self._page_size = connection.settings.page_size
        self._probing = threading.Lock()
        self._offers: bool | None = None

    def users(self, marker: str | None) -> Answer:
        """Return one page of users: ids, names and last console sign-in; no tags."""
        return self._page("ListUsers", "Users", marker)

    def roles(self, marker: str | None) -> Answer:
        """Return one page of roles."""
        return self._page("ListRoles", "Roles", marker)

    def own_policies(self, marker: str | None) -> Answer:
        """Return one page of customer managed policies, without documents."""
        return self._page("ListPolicies", "Policies", marker, Scope="Local")

    def attached_aws_policies(self, marker: str | None) -> Answer:
        """Return one page of the AWS managed policies that are attached to something here."""
        return self._page(
            "ListPolicies", "Policies", marker, Scope="AWS", OnlyAttached=True, PolicyUsageFilter="PermissionsPolicy"
        )

    def details(self, section: Section, marker: str | None) -> Answer:
        """Return one page of one section of the account's authorization details."""
        return self._page("GetAccountAuthorizationDetails", _SECTION_LISTS[section], marker, Filter=[section])

    def policy_document(self, arn: str, version: str) -> Any:
        """Return one version of a managed policy."""
        answer = self._call("GetPolicyVersion", PolicyArn=arn, VersionId=version)
        return self._taken(answer, "GetPolicyVersion", "PolicyVersion", dict).get("Document")

    def default_document(self, arn: str) -> Any:
        """Return the default version of a managed policy, None where IAM knows no such policy."""
        answer = self._call("GetPolicy", absent=True, PolicyArn=arn)
        if answer is None:
            return None
        version = self._taken(answer, "GetPolicy", "Policy", dict).get("DefaultVersionId")
        return self.policy_document(arn, str(version))

    def summary(self) -> Mapping[str, int]:
        """Return IAM's own counters of the account."""
        found: Mapping[str, int] = self._taken(self._call("GetAccountSummary"), "GetAccountSummary", "SummaryMap", dict)
        return found

    def tags(self, user: str) -> list[Item]:
        """Return the tags of a user."""
        return self._all("ListUserTags", "Tags", user)

    def login_profile(self, user: str) -> list[Item]:
        """Return the login profile of a user as a list of one, empty where IAM says that there is none."""
        answer = self._call("GetLoginProfile", absent=True, UserName=user)
        return [] if answer is None else [self._taken(answer, "GetLoginProfile", "LoginProfile", dict)]

    def access_keys(self, user: str) -> list[Item]:
        """Return the access keys of a user, without secrets."""
        return self._all("ListAccessKeys", "AccessKeyMetadata", user)

    def access_key_last_used(self, key: str) -> Item:
        """Return when, where and for which service an access key was last used."""
        answer = self._call("GetAccessKeyLastUsed", AccessKeyId=key)
        found: Item = self._taken(answer, "GetAccessKeyLastUsed", "AccessKeyLastUsed", dict)
        return found

    def start_last_access(self, arn: str, granularity: str) -> str:
        """Start the job that tells when a user last called which service; return its id."""
        answer = self._call("GenerateServiceLastAccessedDetails", Arn=arn, Granularity=granularity)
        return str(self._taken(answer, "GenerateServiceLastAccessedDetails", "JobId", str))

    def last_access(self, job: str) -> tuple[str, list[Item]]:
        """Return a job's status in AWS's words, and its services, to the end, where it is COMPLETED."""
        operation = "GetServiceLastAccessedDetails"
        found: list[Item] = []
        seen: set[str] = set()
        marker: str | None = None
        while True:
            more: dict[str, Any] = {} if marker is None else {"Marker": marker}
            answer = self._call(operation, JobId=job, **more) or {}
            status = str(self._taken(answer, operation, "JobStatus", str))
            if status != "COMPLETED":
                return status, []
            found.extend(self._taken(answer, operation, "ServicesLastAccessed", list))
            marker = self._following(operation, answer, marker, ended=False)
            if marker is None:
                return status, found
            if marker in seen:
                raise Misbehaved(f"{self._what(operation)} gave the marker {marker!r} twice")
            seen.add(marker)

    def mfa_devices(self, user: str) -> list[Item]:
        """Return the second factors of a user."""
        return self._all("ListMFADevices", "MFADevices", user)

    def ssh_keys(self, user: str) -> list[Item]:
        """Return the SSH public keys of a user (CodeCommit)."""
        return self._all("ListSSHPublicKeys", "SSHPublicKeys", user)

    def signing_certificates(self, user: str) -> list[Item]:
        """Return the X.509 signing certificates of a user."""
        return self._all("ListSigningCertificates", "Certificates", user)

    def service_credentials(self, user: str) -> list[Item]:
        """Return the service-specific credentials of a user, without passwords.

        Raises ``NotOffered`` where an AWS-compatible server has no such credentials. It is believed only where it
        says so in words, or where it fails this one call three times and answers the sister call about SSH keys
        properly in between. AWS itself always offers them, and an answer otherwise is a failure.
        """
        host = urlsplit(self.calls.opened().meta.endpoint_url).hostname or ""
        if not host.endswith(_AWS_HOSTS):
            with self._probing:
                if self._offers is None:
                    self._offers = self._probe_service_credentials(user)
            if not self._offers:
                raise NotOffered(f"{self._what('ListServiceSpecificCredentials')} is not offered by {host}")
        return self._all("ListServiceSpecificCredentials", "ServiceSpecificCredentials", user)

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self.calls.close()

    def _probe_service_credentials(self, user: str) -> bool:
        for _ in range(_PROBES):
            try:
                self._call("ListServiceSpecificCredentials", UserName=user)
            except NotOffered:
                return False
            except Refused:
                return True
            except Unreachable as error:
                if error.restart:
                    raise
                self._all("ListSSHPublicKeys", "SSHPublicKeys", user)
            else:
                return True
        return False

    def _all(self, operation: str, key: str, user: str) -> list[Item]:
        """Read every page of a list about one user, to its end.

        IAM's quotas keep each of these lists below one page, so an answer of an AWS-compatible server that leaves
        ``IsTruncated`` out is taken as whole; one that says true is followed.
        """
        items: list[Item] = []
        seen: set[str] = set()
        marker: str | None = None
        while True:
            answer = self._page(operation, key, marker, ended=True, UserName=user)
            items.extend(answer.items)
            marker = answer.marker
            if marker is None:
                return items
            if marker in seen:
                raise Misbehaved(f"{self._what(operation)} for {user} gave the marker {marker!r} twice")
            seen.add(marker)

    def _page(self, operation: str, key: str, marker: str | None, *, ended: bool = False, **params: Any) -> Answer:
        """Read one page; ``ended`` says what an answer without ``IsTruncated`` means."""
        if marker is not None:
            params["Marker"] = marker
        if "UserName" not in params:
            params["MaxItems"] = self._page_size
        answer = self._call(operation, **params)
        items: list[Item] = self._taken(answer, operation, key, list)
        for name in _NAMED.get(operation, ()):
            if not all(item.get(name) for item in items):
                raise Misbehaved(f"{self._what(operation)} gave an object without {name}")
        return Answer(items, self._following(operation, answer or {}, marker, ended=ended))

    def _following(self, operation: str, answer: Mapping[str, Any], marker: str | None, *, ended: bool) -> str | None:
        """Return the next marker, None only where the answer says that the list ends."""
        truncated = answer.get("IsTruncated")
        following = answer.get("Marker")
        if truncated is None and not (ended and following is None):
            raise Misbehaved(
                f"{self._what(operation)} does not say whether its list ends here (no IsTruncated)",
                advice="Check what stands at endpoint_url; AWS always says so.",
            )
        if truncated and not following:
            raise Misbehaved(f"{self._what(operation)} says that its list goes on and gives no marker to go on with")
        if truncated and following == marker:
            raise Misbehaved(f"{self._what(operation)} gave the marker {marker!r} twice: its pages go in a circle")
        return str(following) if truncated else None

    def _taken(self, answer: Mapping[str, Any] | None, operation: str, key: str, kind: type) -> Any:
        value = None if answer is None else answer.get(key)
        if not isinstance(value, kind):
            raise Misbehaved(
                f"{self._what(operation)} gave an answer without {key}",
                advice="Check what stands at endpoint_url; AWS sends it even where it is empty.",
            )
        return value

    def _call(self, operation: str, *, absent: bool = False, **params: Any) -> Mapping[str, Any] | None:
        """Make one call; with ``absent``, None says that IAM answered that the thing does not exist."""
        return self.calls.call(operation, absent=ABSENT if absent else frozenset(), **params)

    def _what(self, operation: str) -> str:
        return f"AWS account {self.account_id}: {operation}"
