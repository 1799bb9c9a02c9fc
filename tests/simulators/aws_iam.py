"""An IAM and STS endpoint with real paging and the faults of real ones, where moto has neither.

Speaks the AWS query protocol: form-encoded ``Action``, XML answers in the shape of the IAM API reference.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, quote
from xml.sax.saxutils import escape

from tests.simulators import aws_json

CREATED = "2025-03-01T08:00:00Z"
FaultKind = Literal[
    "denied",
    "error",
    "html_500",
    "html_200",
    "truncated",
    "empty",
    "reset",
    "hang",
    "no_flag",
    "no_marker",
    "same_marker",
    "no_list",
    "no_token",
    "same_token",
    "short_json",
    "odd_Emails",
]


@dataclass
class Fault:
    """What goes wrong with one operation; ``times`` counts down, ``after`` calls pass first."""

    kind: FaultKind
    code: str = ""
    status: int = 400
    times: int = 1_000_000
    after: int = 0
    user: str = ""


@dataclass
class Account:
    """The content of one AWS account; every object is a mapping in the API's own field names."""

    account_id: str
    users: list[dict[str, Any]] = field(default_factory=list)
    groups: list[dict[str, Any]] = field(default_factory=list)
    roles: list[dict[str, Any]] = field(default_factory=list)
    policies: list[dict[str, Any]] = field(default_factory=list)
    aws_policies: list[dict[str, Any]] = field(default_factory=list)
    of_user: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    last_used: dict[str, dict[str, Any]] = field(default_factory=dict)
    summary: dict[str, int] = field(default_factory=dict)
    last_access: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Services by user name."""
    job_status: dict[str, list[str]] = field(default_factory=dict)
    """What a user's job answers before it is COMPLETED."""

    def add_user(self, name: str, **parts: Any) -> dict[str, Any]:
        """Add a user; ``parts`` are tags, access_keys and so on, other keywords are fields of the user."""
        number = len(self.users)
        user = {
            "Path": "/",
            "UserName": name,
            "UserId": f"AIDA{self.account_id}{number:05}",
            "Arn": f"arn:aws:iam::{self.account_id}:user/{name}",
            "CreateDate": CREATED,
            "GroupList": parts.pop("groups", []),
            "UserPolicyList": parts.pop("inline", []),
            "AttachedManagedPolicies": parts.pop("attached", []),
        }
        lists = {key: parts.pop(key) for key in list(parts) if key in _USER_LISTS}
        self.of_user[name] = lists
        self.users.append(user | parts)
        return self.users[-1]

    def add_role(self, name: str, trust: Any, **fields: Any) -> dict[str, Any]:
        """Add a role that ``trust`` (a statement list, or text) may assume."""
        document = trust if isinstance(trust, str) else json.dumps({"Version": "2012-10-17", "Statement": trust})
        role = {
            "Path": "/",
            "RoleName": name,
            "RoleId": f"AROA{self.account_id}{len(self.roles):05}",
            "Arn": f"arn:aws:iam::{self.account_id}:role/{name}",
            "CreateDate": CREATED,
            "AssumeRolePolicyDocument": quote(document),
            "RolePolicyList": [],
            "AttachedManagedPolicies": [],
        }
        self.roles.append(role | fields)
        return self.roles[-1]

    def add_group(self, name: str, **fields: Any) -> dict[str, Any]:
        """Add a group."""
        group = {
            "Path": "/",
            "GroupName": name,
            "GroupId": f"AGPA{self.account_id}{len(self.groups):05}",
            "Arn": f"arn:aws:iam::{self.account_id}:group/{name}",
            "CreateDate": CREATED,
            "GroupPolicyList": [],
            "AttachedManagedPolicies": [],
        }
        self.groups.append(group | fields)
        return self.groups[-1]

    def add_policy(self, name: str, document: Any, *, of_aws: bool = False) -> dict[str, str]:
        """Add a managed policy; returns how it is attached."""
        owner = "aws" if of_aws else self.account_id
        arn = f"arn:aws:iam::{owner}:policy/{name}"
        text = document if isinstance(document, str) else json.dumps(document)
        versions = [
            {"VersionId": "v2", "IsDefaultVersion": True, "CreateDate": CREATED, "Document": quote(text)},
            {"VersionId": "v1", "IsDefaultVersion": False, "CreateDate": CREATED, "Document": quote("{}")},
        ]
        policy = {
            "PolicyName": name,
            "PolicyId": f"ANPA{owner}{len(self.policies):05}",
            "Arn": arn,
            "Path": "/",
            "DefaultVersionId": "v2",
            "AttachmentCount": 1,
            "PolicyVersionList": versions,
        }
        (self.aws_policies if of_aws else self.policies).append(policy)
        return {"PolicyName": name, "PolicyArn": arn}

    def counters(self) -> dict[str, int]:
        """Return IAM's own counters, with those overridden that a test set."""
        return {
            "Users": len(self.users),
            "Groups": len(self.groups),
            "Roles": len(self.roles),
            "Policies": len(self.policies),
            "AccountMFAEnabled": 1,
            "AccountAccessKeysPresent": 0,
            "AccountPasswordPresent": 1,
        } | self.summary


_USER_LISTS = {
    "tags": ("ListUserTags", "Tags"),
    "access_keys": ("ListAccessKeys", "AccessKeyMetadata"),
    "mfa_devices": ("ListMFADevices", "MFADevices"),
    "ssh_keys": ("ListSSHPublicKeys", "SSHPublicKeys"),
    "service_credentials": ("ListServiceSpecificCredentials", "ServiceSpecificCredentials"),
    "signing_certificates": ("ListSigningCertificates", "Certificates"),
    "login_profile": ("GetLoginProfile", ""),
}
_BY_OPERATION = {operation: (part, key) for part, (operation, key) in _USER_LISTS.items()}
_USER_FIELDS = ("Path", "UserName", "UserId", "Arn", "CreateDate", "PasswordLastUsed")
_POLICY_FIELDS = ("PolicyName", "PolicyId", "Arn", "Path", "DefaultVersionId", "AttachmentCount")


class Simulator:
    """Accounts behind one endpoint; the first is the caller's own, the others open by AssumeRole."""

    def __init__(self) -> None:
        self.url = ""
        self.accounts: dict[str, Account] = {}
        self.faults: dict[str, Fault] = {}
        self.calls: Counter[str] = Counter()
        self.expired: set[str] = set()
        self.external_ids: dict[str, str] = {}
        self.page_limit = 1000
        self.cloud = aws_json.Cloud()
        self.targets: set[str] = set()
        """Calls of the services that speak JSON, as the header names them."""
        self._tokens: dict[str, str] = {}
        self._lock = threading.Lock()

    def account(self, account_id: str = "111122223333") -> Account:
        """Return an account, making it where it is new."""
        return self.accounts.setdefault(account_id, Account(account_id))

    def fail(self, operation: str, kind: FaultKind, **more: Any) -> None:
        """Let an operation go wrong from now on."""
        self.faults[operation] = Fault(kind, **more)

    def fault_of(self, operation: str, form: Mapping[str, str]) -> Fault | None:
        """Return the fault that hits this call, and count it."""
        with self._lock:
            self.calls[operation] += 1
            fault = self.faults.get(operation)
            if fault is None or (fault.user and fault.user != form.get("UserName")):
                return None
            if fault.after:
                fault.after -= 1
                return None
            if not fault.times:
                return None
            fault.times -= 1
            return fault

    def issue(self, account_id: str) -> str:
        """Make a session token for an account."""
        with self._lock:
            token = f"token-{len(self._tokens)}-{account_id}"
            self._tokens[token] = account_id
            return token

    def expire_all(self) -> None:
        """Let every session issued so far end."""
        self.expired |= set(self._tokens)

    def whose(self, token: str) -> Account:
        """Return the account that a session token opens; none: the caller's own."""
        return self.accounts[self._tokens[token]] if token in self._tokens else next(iter(self.accounts.values()))


def answer(account: Account, operation: str, form: Mapping[str, str], limit: int) -> dict[str, Any] | None:
    """Return the result of one operation; None: no such entity."""
    if operation in _BY_OPERATION:
        return _about_user(account, operation, form, limit)
    if "ServiceLastAccessed" in operation:
        return _last_access(account, operation, form, limit)
    if operation in {"GetPolicy", "GetPolicyVersion"}:
        return _aws_policy(account, operation, form["PolicyArn"])
    if operation == "GetAccessKeyLastUsed":
        used = account.last_used.get(form["AccessKeyId"], {"ServiceName": "N/A", "Region": "N/A"})
        return {"UserName": "x", "AccessKeyLastUsed": used}
    if operation == "GetAccountAuthorizationDetails":
        return _details(account, form, limit)
    policies = account.aws_policies if form.get("Scope") == "AWS" else account.policies
    key, items = {
        "ListUsers": ("Users", [{key: one[key] for key in _USER_FIELDS if key in one} for one in account.users]),
        "ListRoles": ("Roles", account.roles),
        "ListPolicies": ("Policies", [{key: one[key] for key in _POLICY_FIELDS} for one in policies]),
    }[operation]
    return _slice(key, items, form, limit)


def _about_user(account: Account, operation: str, form: Mapping[str, str], limit: int) -> dict[str, Any] | None:
    parts = account.of_user.get(form["UserName"])
    if parts is None:
        return None
    part, key = _BY_OPERATION[operation]
    items = parts.get(part, [])
    if operation == "GetLoginProfile":
        return {"LoginProfile": items[0]} if items else None
    return _slice(key, items, form, limit)


def _aws_policy(account: Account, operation: str, arn: str) -> dict[str, Any] | None:
    for one in account.aws_policies:
        if one["Arn"] == arn:
            described = {key: one[key] for key in _POLICY_FIELDS}
            return {"Policy": described} if operation == "GetPolicy" else {"PolicyVersion": one["PolicyVersionList"][0]}
    return None


def _last_access(account: Account, operation: str, form: Mapping[str, str], limit: int) -> dict[str, Any]:
    if operation.startswith("Generate"):
        return {"JobId": form["Arn"].rpartition("/")[2].rjust(36, "-")}
    user = form["JobId"].lstrip("-")
    ahead = account.job_status.get(user, [])
    dates = {"JobCreationDate": CREATED, "JobCompletionDate": CREATED}
    if ahead:
        return {"JobStatus": ahead.pop(0) if len(ahead) > 1 else ahead[0], "ServicesLastAccessed": []} | dates
    services = account.last_access.get(user, [])
    return {"JobStatus": "COMPLETED"} | dates | _slice("ServicesLastAccessed", services, form, limit)


def _details(account: Account, form: Mapping[str, str], limit: int) -> dict[str, Any]:
    section = form["Filter.member.1"]
    lists: dict[str, Any] = {"UserDetailList": [], "GroupDetailList": [], "RoleDetailList": [], "Policies": []}
    key, items = {
        "User": ("UserDetailList", account.users),
        "Group": ("GroupDetailList", account.groups),
        "Role": ("RoleDetailList", account.roles),
        "LocalManagedPolicy": ("Policies", account.policies),
    }[section]
    return lists | _slice(key, items, form, limit)


def _slice(key: str, items: list[Any], form: Mapping[str, str], limit: int) -> dict[str, Any]:
    start = int(form.get("Marker", "m0")[1:])
    end = start + min(limit, int(form.get("MaxItems", "100")))
    found: dict[str, Any] = {key: items[start:end], "IsTruncated": end < len(items)}
    return found | ({"Marker": f"m{end}"} if end < len(items) else {})


def xml(value: Any) -> str:
    """Render a result the way the query protocol does."""
    if isinstance(value, dict):
        return "".join(f"<{key}>{xml(one)}</{key}>" for key, one in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{xml(one)}</member>" for one in value)
    return escape(str(value).lower() if isinstance(value, bool) else str(value))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one write an answer: head and body apart would wait for each other's acknowledgement
    simulator: Simulator

    def log_message(self, *_args: Any) -> None:
        """Stay quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        target = self.headers.get("X-Amz-Target")
        if target is not None:
            self.simulator.targets.add(target)
            aws_json.respond(self, target, body.encode())
            return
        form = {key: values[0] for key, values in parse_qs(body, keep_blank_values=True).items()}
        operation = form["Action"]
        token = self.headers.get("X-Amz-Security-Token", "")
        fault = self.simulator.fault_of(operation, form)
        if token in self.simulator.expired:
            self._error(403, "ExpiredToken", "The security token included in the request is expired")
        elif fault is not None and self._spoil(operation, fault, token):
            return
        elif operation == "GetCallerIdentity":
            own = self.simulator.whose(token).account_id
            self._result(operation, {"Account": own, "Arn": f"arn:aws:iam::{own}:user/reader", "UserId": "AIDAREADER"})
        elif operation == "AssumeRole":
            self._assume(form)
        elif operation == "GetAccountSummary":
            counters = self.simulator.whose(token).counters()
            entries = "".join(
                f"<entry><key>{key}</key><value>{count}</value></entry>" for key, count in counters.items()
            )
            self._send(200, _wrap(operation, f"<SummaryMap>{entries}</SummaryMap>"))
        else:
            self._answer(operation, form, self.simulator.whose(token), fault)

    def _answer(self, operation: str, form: Mapping[str, str], account: Account, fault: Fault | None) -> None:
        result = answer(account, operation, form, self.simulator.page_limit)
        if result is None:
            self._error(404, "NoSuchEntity", f"{form.get('UserName')} cannot be found.")
            return
        if fault is not None:
            result = _bent(result, fault.kind, form)
        self._result(operation, result)

    def _assume(self, form: Mapping[str, str]) -> None:
        account_id = form["RoleArn"].split(":")[4]
        wanted = self.simulator.external_ids.get(account_id)
        if account_id not in self.simulator.accounts or (wanted is not None and form.get("ExternalId") != wanted):
            who = "User: arn:aws:iam::111122223333:user/reader"
            self._error(403, "AccessDenied", f"{who} is not authorized to perform: sts:AssumeRole on {form['RoleArn']}")
            return
        token = self.simulator.issue(account_id)
        keys = {"AccessKeyId": "ASIAX", "SecretAccessKey": "s", "SessionToken": token, "Expiration": CREATED}
        self._result("AssumeRole", {"Credentials": keys})

    def _spoil(self, operation: str, fault: Fault, token: str) -> bool:
        """Answer wrongly; False: the answer itself is to be bent."""
        if fault.kind == "denied":
            account = self.simulator.whose(token).account_id
            who = f"User: arn:aws:iam::{account}:user/reader is not authorized to perform"
            self._error(403, "AccessDenied", f"{who}: iam:{operation} on resource: * because no policy allows it")
        elif fault.kind == "error":
            self._error(fault.status, fault.code, "as the test asked")
        elif fault.kind in {"html_500", "html_200"}:
            page = "<!doctype html>\n<html><title>Proxy</title><p>Sorry<br>no</html>"
            self._send(int(fault.kind[-3:]), page, "text/html")
        elif fault.kind == "empty":
            self._send(200, "")
        elif fault.kind == "truncated":
            text = _wrap(operation, "<Users><member>")
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[: len(text) // 2].encode())
            self.close_connection = True
        elif fault.kind == "reset":
            self.close_connection = True
        elif fault.kind == "hang":
            time.sleep(2)
            self.close_connection = True
        else:
            return False
        return True

    def _result(self, operation: str, result: dict[str, Any]) -> None:
        self._send(200, _wrap(operation, xml(result)))

    def _error(self, status: int, code: str, message: str) -> None:
        text = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        self._send(status, f"<ErrorResponse>{text}<RequestId>r-1</RequestId></ErrorResponse>")

    def _send(self, status: int, text: str, kind: str = "text/xml") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _wrap(operation: str, inner: str) -> str:
    result = f"<{operation}Result>{inner}</{operation}Result>"
    metadata = "<ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata>"
    return f"<{operation}Response>{result}{metadata}</{operation}Response>"


def _bent(result: dict[str, Any], kind: FaultKind, form: Mapping[str, str]) -> dict[str, Any]:
    bends: dict[str, Callable[[], dict[str, Any]]] = {
        "no_flag": lambda: {key: one for key, one in result.items() if key != "IsTruncated"},
        "no_marker": lambda: {key: one for key, one in result.items() if key != "Marker"} | {"IsTruncated": True},
        "same_marker": lambda: result | {"IsTruncated": True, "Marker": form.get("Marker", "m0")},
        "no_list": lambda: {key: one for key, one in result.items() if not isinstance(one, list | dict)},
    }
    return bends[kind]()


@contextmanager
def serve() -> Iterator[Simulator]:
    """Serve IAM and STS on a free loopback port until the block ends."""
    simulator = Simulator()
    handler = type("Handler", (_Handler,), {"simulator": simulator})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    simulator.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield simulator
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
