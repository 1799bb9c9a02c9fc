"""The AWS endpoints this connector reads; one method is one call, one page where the call has pages.

Blocking, as boto3 is: the source runs these methods in threads. An answer is taken only with an explicit end:
``IsTruncated`` must be there, and true only with a marker.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.loaders import create_loader

from reconciler.sdk.errors import Misbehaved, Refused, Unreachable
from reconciler.sdk.secrets import SecretRef, reveal

from .failures import CREDENTIALS_ADVICE, EXPIRED, GONE, UNDERSTOOD, NotOffered, code_of, translate
from .fields import Item
from .settings import AccountEntry, Settings

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
_MODELS = create_loader()
"""The API models, read once: they are large, and every AWS account has a client of its own."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of a list; ``marker`` is None only where AWS said that the list ends here."""

    items: Sequence[Item]
    marker: str | None


class Connection:
    """The caller's credentials, and one IAM client per AWS account reached with them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._clients: dict[str, IamClient] = {}
        self._own: tuple[str, str] | None = None
        self._config = Config(
            connect_timeout=settings.connect_timeout_seconds,
            read_timeout=settings.read_timeout_seconds,
            retries={"mode": "adaptive", "total_max_attempts": settings.max_attempts},
            max_pool_connections=settings.parallel_calls,
        )

    def caller(self) -> tuple[str, str]:
        """Return the AWS account id and the ARN of whoever holds the credentials."""
        with self._lock:
            return self._caller()

    def iam(self, account_id: str) -> IamClient:
        """Return the client of one account, assuming its role where one is configured."""
        with self._lock:
            if account_id not in self._clients:
                entry = next((one for one in self._settings.accounts if one.account_id == account_id), None)
                role = self._role(account_id, entry)
                if role is None and self._caller()[0] != account_id:
                    raise Refused(
                        f"the credentials belong to AWS account {self._caller()[0]}, not to {account_id}",
                        advice=f"Set role_arn for account {account_id}, or role_name for all accounts.",
                    )
                self._clients[account_id] = IamClient(self, account_id, role, entry.external_id if entry else None)
            return self._clients[account_id]

    def open_iam(self, account_id: str, role: str | None, external_id: str | None) -> Any:
        """Return a new boto3 IAM client, with the credentials of ``role`` where one is given."""
        session = self._session()
        if role is None:
            return self._client(session, "iam")
        wanted = {"RoleArn": role, "RoleSessionName": self._settings.session_name}
        if external_id is not None:
            wanted["ExternalId"] = external_id
        sts = self._client(session, "sts")
        try:
            keys = sts.assume_role(**wanted)["Credentials"]
            assumed = boto3.Session(
                botocore_session=self._core(),
                aws_access_key_id=keys["AccessKeyId"],
                aws_secret_access_key=keys["SecretAccessKey"],
                aws_session_token=keys["SessionToken"],
                region_name=self._settings.region,
            )
            return self._client(assumed, "iam")
        except UNDERSTOOD as error:
            raise translate(error, "sts", "AssumeRole", f"account {account_id}, role {role}") from error
        finally:
            sts.close()

    @property
    def settings(self) -> Settings:
        """The settings of the source."""
        return self._settings

    def close(self) -> None:
        """Close every connection; safe to call twice."""
        with self._lock:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _caller(self) -> tuple[str, str]:
        if self._own is None:
            sts = self._client(self._session(), "sts")
            try:
                answer = sts.get_caller_identity()
                self._own = (str(answer["Account"]), str(answer["Arn"]))
            except UNDERSTOOD as error:
                where = self._settings.endpoint_url or "STS"
                raise translate(error, "sts", "GetCallerIdentity", f"at {where}") from error
            finally:
                sts.close()
        return self._own

    def _role(self, account_id: str, entry: AccountEntry | None) -> str | None:
        if entry is None or entry.role_arn is not None or self._settings.role_name is None:
            return entry.role_arn if entry else None
        partition = self._session().get_partition_for_region(self._settings.region)
        return f"arn:{partition}:iam::{account_id}:role/{self._settings.role_name.strip('/')}"

    def _session(self) -> boto3.Session:
        settings = self._settings
        try:
            session = boto3.Session(
                botocore_session=self._core(),
                profile_name=settings.profile,
                region_name=settings.region,
                aws_access_key_id=_secret(settings.access_key_id),
                aws_secret_access_key=_secret(settings.secret_access_key),
                aws_session_token=_secret(settings.session_token),
            )
            found = session.get_credentials()
        except UNDERSTOOD as error:
            raise translate(error, "sts", "credentials", "on this machine") from error
        if found is None:
            raise Refused("no AWS credentials were found on this machine", advice=CREDENTIALS_ADVICE)
        return session

    def _core(self) -> botocore.session.Session:
        """Return a session over the shared API models."""
        core = botocore.session.Session()
        core.register_component("data_loader", _MODELS)
        return core

    def _client(self, session: boto3.Session, service: Literal["iam", "sts"]) -> Any:
        try:
            return session.client(service, endpoint_url=self._settings.endpoint_url, config=self._config)
        except UNDERSTOOD as error:
            raise translate(error, service, "client", "on this machine") from error


class IamClient:
    """IAM of one AWS account; every method may be called from several threads at once."""

    def __init__(self, connection: Connection, account_id: str, role: str | None, external_id: str | None) -> None:
        self.account_id = account_id
        self._connection = connection
        self._role = role
        self._external_id = external_id
        self._page_size = connection.settings.page_size
        self._lock = threading.Lock()
        self._probing = threading.Lock()
        self._client: Any = None
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
        host = urlsplit(self._opened().meta.endpoint_url).hostname or ""
        if not host.endswith(_AWS_HOSTS):
            with self._probing:
                if self._offers is None:
                    self._offers = self._probe_service_credentials(user)
            if not self._offers:
                raise NotOffered(f"{self._what('ListServiceSpecificCredentials')} is not offered by {host}")
        return self._all("ListServiceSpecificCredentials", "ServiceSpecificCredentials", user)

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

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
        truncated = answer.get("IsTruncated") if answer is not None else None
        following = answer.get("Marker") if answer is not None else None
        if truncated is None and not (ended and following is None):
            raise Misbehaved(
                f"{self._what(operation)} does not say whether its list ends here (no IsTruncated)",
                advice="Check what stands at endpoint_url; AWS always says so.",
            )
        if truncated and not following:
            raise Misbehaved(f"{self._what(operation)} says that its list goes on and gives no marker to go on with")
        if truncated and following == marker:
            raise Misbehaved(f"{self._what(operation)} gave the marker {marker!r} twice: its pages go in a circle")
        return Answer(items, str(following) if truncated else None)

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
        for renewed in (False, True):
            client = self._opened()
            try:
                answer: Mapping[str, Any] = getattr(client, xform_name(operation))(**params)
            except UNDERSTOOD as error:
                code = code_of(error)
                if absent and code == GONE:
                    return None
                if code in EXPIRED and self._role is not None and not renewed:
                    self._renew(client)
                    continue
                raise translate(error, "iam", operation, f"account {self.account_id}") from error
            else:
                return answer
        raise AssertionError(operation)  # pragma: no cover -- the second round returns or raises

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._connection.open_iam(self.account_id, self._role, self._external_id)
            return self._client

    def _renew(self, stale: Any) -> None:
        """Assume the role anew, once, whichever thread sees first that its session has expired."""
        with self._lock:
            if self._client is stale:
                self._client = None

    def _what(self, operation: str) -> str:
        return f"AWS account {self.account_id}: {operation}"


def _secret(reference: SecretRef | None) -> str | None:
    return None if reference is None else reveal(reference)
