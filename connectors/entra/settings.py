"""What ``[sources.NAME]`` may say for the Entra connector."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.secrets import SecretRef
from reconciler.sdk.settings import SourceSettings

SELECT_LENGTH = 1_500
"""Characters that ``$select`` of users may have: a longer one is answered with 400."""
_PROPERTY = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,127}")
_TENANT = r"^[0-9A-Za-z][0-9A-Za-z.-]*$"
_SECRET = frozenset({"passwordprofile"})
_COLUMNS = frozenset({"manager", "signinactivity", "deleteddatetime"})
"""Properties that fill columns of their own and are read where the settings want them."""


class Settings(SourceSettings):
    """Settings of an Entra source: one tenant, read by one application with a secret or a certificate."""

    tenant_id: Annotated[str, Field(pattern=_TENANT, description="Directory (tenant) id, or one of its domains.")]
    client_id: Annotated[str, Field(min_length=1, description="Application (client) id of the reader.")]
    client_secret: Annotated[SecretRef | None, Field(description="Client secret of the reader, by reference.")] = None
    client_certificate: Annotated[
        SecretRef | None,
        Field(description="Certificate with its private key in PEM, by reference; instead of client_secret."),
    ] = None
    certificate_password: Annotated[
        SecretRef | None, Field(description="Password of the private key in client_certificate, by reference.")
    ] = None
    authority_url: Annotated[
        str,
        Field(
            description="Where tokens come from; national clouds: https://login.microsoftonline.us, "
            "https://login.partner.microsoftonline.cn."
        ),
    ] = "https://login.microsoftonline.com"
    endpoint_url: Annotated[
        str,
        Field(
            description="Microsoft Graph itself; national clouds: https://graph.microsoft.us, "
            "https://dod-graph.microsoft.us, https://microsoftgraph.chinacloudapi.cn."
        ),
    ] = "https://graph.microsoft.com"
    scope: Annotated[
        str | None,
        Field(description="Scope that tokens are asked for; left out: endpoint_url and /.default."),
    ] = None
    ca_file: Annotated[
        str | None,
        Field(description="PEM file of authorities that sign the servers' certificates; left out: the system's."),
    ] = None
    attributes: list[str] = Field(
        default_factory=list,
        description="Further properties of users to keep in attributes, such as extension_..._badge; "
        "what the connector reads anyway is kept there already.",
    )
    microsoft_service_principals: Annotated[
        bool,
        Field(
            description="Make accounts of the service principals of Microsoft's own services too: hundreds a tenant."
        ),
    ] = False
    sign_in_activity: Annotated[
        bool, Field(description="Read each user's last sign-in (needs Entra ID P1 and AuditLog.Read.All).")
    ] = True
    authentication_methods: Annotated[
        bool, Field(description="Read each user's registered methods: one request a user, twenty a batch.")
    ] = True
    group_pim: Annotated[
        bool, Field(description="Read who is eligible for groups by Privileged Identity Management.")
    ] = True
    sign_ins: Annotated[bool, Field(description="Read sign-ins as events (needs Entra ID P1).")] = True
    events_days: Annotated[float, Field(gt=0, le=30, description="Days that events are read back over.")] = 2.0
    page_size: Annotated[int, Field(ge=1, le=999, description="Objects asked for in one page.")] = 999
    parallel_calls: Annotated[int, Field(ge=1, le=32, description="Requests under way at once.")] = 8
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=600, description="Longest wait for a connection.")] = 10.0
    read_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Longest wait for the next bytes of an answer.")
    ] = 60.0
    request_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Longest time for one request, from first byte to last.")
    ] = 300.0

    @field_validator("endpoint_url", "authority_url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        # The URL is not repeated in any message: people put passwords into it.
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            message = f"is no URL: {error}"
            raise ValueError(message) from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
            message = "must be https://host, such as https://graph.microsoft.com"
            raise ValueError(message)
        if parts.username or parts.password or parts.query or parts.fragment or parts.path.strip("/"):
            message = "must be scheme, host and port only: no path, version, user or query"
            raise ValueError(message)
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            message = "would carry credentials unencrypted: use https; http is for this machine only"
            raise ValueError(message)
        return url.rstrip("/")

    @field_validator("authority_url")
    @classmethod
    def _check_authority(cls, url: str) -> str:
        if not url.startswith("https://"):
            message = "must be https: secrets are sent there"
            raise ValueError(message)
        return url

    @field_validator("attributes")
    @classmethod
    def _check_attributes(cls, names: list[str]) -> list[str]:
        if wrong := [name for name in names if not _PROPERTY.fullmatch(name)]:
            message = f"{', '.join(wrong)}: not the name of a property"
            raise ValueError(message)
        if secret := [name for name in names if name.lower() in _SECRET]:
            message = f"{', '.join(secret)} holds a secret and is never read"
            raise ValueError(message)
        if known := [name for name in names if name.lower() in _COLUMNS]:
            message = f"{', '.join(known)} has a column of its own and is read anyway"
            raise ValueError(message)
        if len(",".join(names)) > SELECT_LENGTH // 2:
            message = f"its names are longer than {SELECT_LENGTH // 2} characters: Graph refuses so long a $select"
            raise ValueError(message)
        return names

    @model_validator(mode="after")
    def _check_credentials(self) -> Self:
        if (self.client_secret is None) == (self.client_certificate is None):
            message = "set either client_secret or client_certificate"
            raise ValueError(message)
        if self.certificate_password is not None and self.client_certificate is None:
            message = "certificate_password belongs to client_certificate, which is not set"
            raise ValueError(message)
        return self
