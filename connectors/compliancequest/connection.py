"""Which org is asked, and as whom: what a source and a ticket system say alike."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, model_validator

from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.secrets import SecretRef


class Connection(BaseModel):
    """The org, the external client app, and what one request may take."""

    domain: Annotated[str, Field(description="My Domain of the org, such as https://acme.my.salesforce.com.")]
    flow: Annotated[
        Literal["client_credentials", "jwt_bearer"], Field(description="OAuth flow of the external client app.")
    ] = "client_credentials"
    client_id: Annotated[str, Field(min_length=1, description="Consumer key of the external client app.")]
    client_secret: Annotated[
        SecretRef | None, Field(description="Consumer secret, by reference; for client_credentials.")
    ] = None
    private_key: Annotated[
        SecretRef | None, Field(description="RSA key (PEM) of the app's certificate, by reference; for jwt_bearer.")
    ] = None
    user: Annotated[str | None, Field(min_length=1, description="Username of the reader; for jwt_bearer.")] = None
    audience: Annotated[
        str, Field(description="Audience of the assertion; https://test.salesforce.com for a sandbox.")
    ] = "https://login.salesforce.com"
    api_version: Annotated[str, Field(pattern=r"^\d{2,3}\.0$", description="Version of the REST API.")] = "62.0"
    ca_file: Annotated[
        str | None, Field(description="PEM file of the authority to trust, relative to the configuration's folder.")
    ] = None
    connect_timeout_seconds: Annotated[float, Field(gt=0, le=600, description="Longest wait for a connection.")] = 10.0
    read_timeout_seconds: Annotated[float, Field(gt=0, le=3600, description="Longest wait for the next bytes.")] = 120.0
    request_timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Longest time that one request may take, to its last byte.")
    ] = 300.0
    max_attempts: Annotated[
        int, Field(ge=1, le=20, description="Attempts of one request, before the pull's own retries.")
    ] = 3

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        needed = {"client_credentials": ("client_secret",), "jwt_bearer": ("private_key", "user")}[self.flow]
        for key in ("client_secret", "private_key", "user"):
            if (getattr(self, key) is None) == (key in needed):
                message = f"{key} {'is needed' if key in needed else 'does nothing'} with flow = {self.flow!r}"
                raise ValueError(message)
        for key in ("domain", "audience"):
            parts = urlsplit(getattr(self, key))
            plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
            if not (plain or parts.scheme == "https") or not parts.hostname or parts.username or parts.query:
                message = f"{key} must be https://HOST, without user, password and query"
                raise ValueError(message)
        if urlsplit(self.domain).path.strip("/"):
            message = "domain must be https://HOST alone, without a path"
            raise ValueError(message)
        return self
