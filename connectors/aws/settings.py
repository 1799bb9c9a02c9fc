"""What ``[sources.NAME]`` may say for the AWS connector."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.secrets import SecretRef
from reconciler.sdk.settings import SourceSettings

from .areas import IdentityCenterSettings, OrganizationSettings, RegionName

_ACCOUNT_IN_ARN = 4


class AccountEntry(BaseModel):
    """One AWS account to read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account_id: Annotated[str, Field(pattern=r"^\d{12}$", description="AWS account id, twelve digits, as text.")]
    role_arn: Annotated[
        str | None,
        Field(
            pattern=r"^arn:aws[\w-]*:iam::\d{12}:role/.+$",
            description="Role to assume in that account; left out: role_name, or the caller's own credentials.",
        ),
    ] = None
    external_id: Annotated[str | None, Field(description="External id that the role's trust policy asks for.")] = None
    name: Annotated[str | None, Field(description="What people call the account; shown in descriptions.")] = None
    environment: Annotated[
        str | None, Field(description="Environment of everything in the account, such as production.")
    ] = None


class Settings(SourceSettings):
    """Settings of an AWS source; with none set, the caller's own account is read over the standard chain."""

    endpoint_url: Annotated[
        str | None, Field(description="API endpoint other than AWS's own, for every service; left out: AWS.")
    ] = None
    ca_file: Annotated[
        str | None,
        Field(
            min_length=1,
            description="PEM file of the certificate authorities to trust, such as a proxy's, relative to this file; "
            "left out: botocore's own, or AWS_CA_BUNDLE.",
        ),
    ] = None
    region: Annotated[str, Field(min_length=1, description="Region that signs requests; IAM itself is global.")] = (
        "us-east-1"
    )
    profile: Annotated[str | None, Field(description="Profile of the AWS configuration files to use.")] = None
    access_key_id: Annotated[
        SecretRef | None,
        Field(
            description="Access key id, by reference; left out: the standard AWS chain (environment, profile, role)."
        ),
    ] = None
    secret_access_key: Annotated[SecretRef | None, Field(description="Secret access key, by reference.")] = None
    session_token: Annotated[SecretRef | None, Field(description="Session token of temporary keys, by reference.")] = (
        None
    )
    accounts: list[AccountEntry] = Field(
        default_factory=list, description="AWS accounts to read; left out: the caller's own account."
    )
    role_name: Annotated[
        str | None,
        Field(
            pattern=r"^[\w+=,.@/-]+$",
            description="Role (with its path) to assume in each account of accounts or organization that has no "
            "role_arn of its own.",
        ),
    ] = None
    session_name: Annotated[
        str, Field(pattern=r"^[\w+=,.@-]{2,64}$", description="Session name that CloudTrail shows for assumed roles.")
    ] = "reconciler"
    include_root: Annotated[
        bool,
        Field(description="Report each account's root user as a shared account; declare it in special_accounts."),
    ] = False
    employee_id_tag: Annotated[str, Field(description="Tag of a user that holds the personnel number.")] = "employee_id"
    email_tag: Annotated[str, Field(description="Tag of a user that holds the mail address.")] = "email"
    display_name_tag: Annotated[str, Field(description="Tag of a user that holds the name.")] = "name"
    owner_tag: Annotated[str, Field(description="Tag of a user or role that names its owner.")] = "owner"
    attribute_tags: list[str] = Field(
        default_factory=list, description="Further user tags to keep in attributes; every other tag is dropped."
    )
    privileged_policies: list[str] = Field(
        default_factory=lambda: ["AdministratorAccess", "IAMFullAccess", "PowerUserAccess"],
        description="Names or ARNs (* and ?) of policies that count as privileged.",
    )
    organization: Annotated[
        OrganizationSettings | None,
        Field(description="Read every active account of the AWS organization; left out: accounts alone."),
    ] = None
    identity_center: Annotated[
        IdentityCenterSettings | None, Field(description="Read IAM Identity Center; left out: not read.")
    ] = None
    last_accessed: Annotated[
        Literal["off", "services", "actions"],
        Field(
            description="Whether to ask IAM for each user's last access to any service, or action; slow: a job a user."
        ),
    ] = "off"
    last_accessed_wait_seconds: Annotated[
        float, Field(gt=0, le=600, description="Longest wait for one such job; one that takes longer is a gap.")
    ] = 60.0
    events_days: Annotated[
        float | None,
        Field(gt=0, le=90, description="Days of CloudTrail management events to read; left out: no events are read."),
    ] = None
    events_regions: list[RegionName] = Field(
        default_factory=list,
        description="Regions to look events up in, besides those in which AWS records IAM and Identity Center.",
    )
    events_role_sessions: Annotated[
        bool,
        Field(description="Read AssumeRole events too: who took a role when. Services take roles all day: many rows."),
    ] = False
    secrets_regions: list[RegionName] = Field(
        default_factory=list,
        description="Regions to list the secrets of Secrets Manager in, never their values; left out: none are read.",
    )
    page_size: Annotated[int, Field(ge=1, le=1000, description="Objects asked for in one page.")] = 100
    parallel_calls: Annotated[int, Field(ge=1, le=32, description="API calls under way at once.")] = 8
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=600, description="Longest wait for a connection.")] = 10.0
    read_timeout_seconds: Annotated[float, Field(gt=0, le=3600, description="Longest wait for an answer.")] = 60.0
    max_attempts: Annotated[
        int, Field(ge=1, le=20, description="Attempts of one call inside the SDK, before the pull's own retries.")
    ] = 5

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.access_key_id is None) != (self.secret_access_key is None):
            message = "access_key_id and secret_access_key belong together: set both or neither"
            raise ValueError(message)
        if self.session_token is not None and self.access_key_id is None:
            message = "session_token needs access_key_id and secret_access_key"
            raise ValueError(message)
        if self.profile is not None and self.access_key_id is not None:
            message = "set either profile or access_key_id, not both"
            raise ValueError(message)
        if self.endpoint_url is not None:
            parts = urlsplit(self.endpoint_url)
            if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
                message = "endpoint_url must be http://host:port or https://host:port, without a user or password"
                raise ValueError(message)
            if not encrypted_or_local(self.endpoint_url):
                message = "endpoint_url is unencrypted: use https; http is for this machine (loopback) only"
                raise ValueError(message)
        if self.events_days is None and (self.events_regions or self.events_role_sessions):
            message = "events_regions and events_role_sessions do nothing without events_days"
            raise ValueError(message)
        for key in ("events_regions", "secrets_regions"):
            named = getattr(self, key)
            if len(set(named)) != len(named):
                message = f"{key} names a region twice"
                raise ValueError(message)
        self._check_accounts()
        return self

    def _check_accounts(self) -> None:
        ids = [entry.account_id for entry in self.accounts]
        twice = sorted({one for one in ids if ids.count(one) > 1})
        if twice:
            message = f"accounts names {', '.join(twice)} twice"
            raise ValueError(message)
        if self.role_name is not None and not self.accounts and self.organization is None:
            message = "role_name does nothing without accounts: list the accounts to read, or set organization"
            raise ValueError(message)
        if self.organization is not None and self.role_name is None:
            message = "organization needs role_name: the role to assume in each account"
            raise ValueError(message)
        own = [entry.account_id for entry in self.accounts if entry.role_arn is None and self.role_name is None]
        if len(own) > 1:
            message = f"accounts {', '.join(own)} have no role_arn: the caller's own credentials open one account only"
            raise ValueError(message)
        for entry in self.accounts:
            if entry.role_arn is not None and entry.role_arn.split(":")[_ACCOUNT_IN_ARN] != entry.account_id:
                message = f"role_arn {entry.role_arn} is not in account {entry.account_id}"
                raise ValueError(message)
            if entry.external_id is not None and entry.role_arn is None and self.role_name is None:
                message = f"account {entry.account_id} has an external_id but no role to assume"
                raise ValueError(message)


def encrypted_or_local(url: str) -> bool:
    """Say whether what is sent to ``url`` stays unread on the way: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_loopback(parts.hostname or "")
