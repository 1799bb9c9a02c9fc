"""What ``[sources.NAME]`` may say for the Okta connector."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.secrets import SecretRef
from reconciler.sdk.settings import SourceSettings

SCOPES = (
    "okta.users.read",
    "okta.groups.read",
    "okta.apps.read",
    "okta.roles.read",
    "okta.appGrants.read",
    "okta.apiTokens.read",
    "okta.logs.read",
)
"""Every scope that reading everything takes; all of them only read."""

FULL_VIEW = ("SUPER_ADMIN", "ORG_ADMIN", "READ_ONLY_ADMIN")
"""Standard admin roles that see every user, group and app of the organisation."""

Kind = Literal["human", "guest", "service", "shared", "agent", "unknown"]


class Settings(SourceSettings):
    """Settings of an Okta source: an API token, or an OAuth 2.0 service app with a private key."""

    org_url: Annotated[str, Field(description="URL of the Okta organisation, https://NAME.okta.com (never -admin).")]
    api_token: Annotated[
        SecretRef | None, Field(description="API token (SSWS), by reference; it can do what its owner can.")
    ] = None
    client_id: Annotated[
        str | None, Field(pattern=r"^\S+$", description="Client id of an API service app, instead of api_token.")
    ] = None
    private_key: Annotated[
        SecretRef | None,
        Field(description="RSA private key of the service app, by reference: PEM, or a JWK as JSON."),
    ] = None
    key_id: Annotated[
        str | None, Field(min_length=1, description="Key id (kid) of private_key; a JWK may carry its own.")
    ] = None
    scopes: list[str] = Field(
        default_factory=lambda: list(SCOPES),
        min_length=1,
        description="OAuth scopes to ask for; what a scope that is left out or not granted hides is reported.",
    )
    ca_file: Annotated[
        str | None, Field(description="PEM file of the authority that signs the server's certificate.")
    ] = None
    full_view_roles: list[str] = Field(
        default_factory=lambda: list(FULL_VIEW),
        description="Admin roles (type, or id of a custom role) with which these credentials see everything; holding "
        "none of them is reported as a gap.",
    )
    attributes: list[str] = Field(
        default_factory=list, description="Profile attributes of users to keep in attributes; all others are dropped."
    )
    employee_id_attribute: Annotated[
        str, Field(min_length=1, description="Profile attribute that holds the personnel number.")
    ] = "employeeNumber"
    manager_attribute: Annotated[str, Field(min_length=1, description="Profile attribute that names the manager.")] = (
        "managerId"
    )
    kind_attribute: Annotated[
        str, Field(min_length=1, description="Profile attribute whose value tells, by kinds, what uses an account.")
    ] = "userType"
    kinds: dict[str, Kind] = Field(
        default_factory=dict,
        description="Value of kind_attribute (in any case) -> kind of account; others are unknown.",
    )
    privileged: list[str] = Field(
        default_factory=list, description="Ids or names of groups and apps that count as privileged."
    )
    ordinary: list[str] = Field(
        default_factory=list,
        description="Ids or names of groups and apps that somebody looked at and found without administrative power.",
    )
    factors: Annotated[
        bool, Field(description="Read each user's factors and whether any is enrolled: one call a user.")
    ] = True
    member_counts: Annotated[
        bool, Field(description="Ask Okta for the number of members of each group and compare what came with it.")
    ] = True
    confirm_ends: Annotated[
        bool,
        Field(
            description="Ask once more for each empty page, and for the last page of each list that has no other "
            "proof of its end; off: objects or links that are lost on the way go unseen there."
        ),
    ] = True
    events_days: Annotated[
        float, Field(gt=0, le=90, description="Days of the System Log to read; Okta keeps ninety.")
    ] = 7.0
    event_filter: Annotated[
        str | None,
        Field(min_length=1, description='Filter over the System Log in Okta\'s terms, such as eventType sw "user.".'),
    ] = None
    approval_path: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Where an event names its approval, as a path: debugContext.debugData.ticket.",
        ),
    ] = None
    page_size: Annotated[int, Field(ge=1, le=200, description="Objects asked for in one page.")] = 200
    event_page_size: Annotated[int, Field(ge=1, le=1000, description="Events asked for in one page.")] = 1000
    parallel_calls: Annotated[
        int, Field(ge=1, le=50, description="Calls under way at once for each rate limit of Okta's.")
    ] = 8
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=600, description="Longest wait for a connection.")] = 10.0
    request_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Longest wait for one answer, to its last byte.")
    ] = 60.0

    @field_validator("org_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        """Return ``scheme://host[:port]``; https, or http to this machine alone."""
        parts = urlsplit(value)
        try:
            port = parts.port
        except ValueError:
            port = -1
        host = parts.hostname or ""
        if (
            parts.scheme not in {"http", "https"}
            or not host
            or parts.username is not None
            or parts.path.strip("/")
            or parts.query
            or parts.fragment
            or port == -1
        ):
            message = "must be https://host without a path, query, user or password"
            raise ValueError(message)
        if parts.scheme == "http" and not is_loopback(host):
            message = "must be https: http would carry the credentials unencrypted"
            raise ValueError(message)
        if host.partition(".")[0].endswith("-admin"):
            message = "is the admin console's URL; leave -admin out of the host"
            raise ValueError(message)
        shown = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{shown}" + (
            f":{port}" if port not in {None, 443 if parts.scheme == "https" else 80} else ""
        )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.api_token is None) == (self.client_id is None):
            message = "set either api_token, or client_id with private_key"
            raise ValueError(message)
        if (self.client_id is None) != (self.private_key is None):
            message = "client_id and private_key belong together: set both or neither"
            raise ValueError(message)
        if self.private_key is None and self.key_id is not None:
            message = "key_id does nothing without private_key"
            raise ValueError(message)
        if self.private_key is None and "scopes" in self.model_fields_set:
            message = "scopes does nothing with api_token: a token can do what its owner can"
            raise ValueError(message)
        return self
