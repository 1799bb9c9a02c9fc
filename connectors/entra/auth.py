"""Tokens for one origin: by client secret or certificate, over azure-identity, given to nobody else."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity.aio import CertificateCredential, ClientSecretCredential
from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator
from kiota_authentication_azure.azure_identity_access_token_provider import AzureIdentityAccessTokenProvider

from reconciler.sdk.answers import clean
from reconciler.sdk.errors import ConfigurationError, Refused, Unreachable
from reconciler.sdk.secrets import conceal, reveal

from .settings import Settings

PORTS = {"http": 80, "https": 443}
_ADVICE = "Check tenant_id, client_id, the secret or certificate and its expiry, and authority_url."


class _Claims(msgspec.Struct):
    roles: list[str] = []
    tid: str = ""


class Tokens(AccessTokenProvider):
    """Give the token to requests of one origin only; one that was rejected can be forgotten, and is asked for anew."""

    def __init__(self, settings: Settings, ca_file: Path | None) -> None:
        """Take the settings; neither network nor secrets yet."""
        self._settings = settings
        self._ca_file = ca_file
        self._origin = origin(settings.endpoint_url)
        self._host = urlsplit(settings.endpoint_url).hostname or ""
        self._credential: Any = None
        self._provider: AzureIdentityAccessTokenProvider | None = None
        self._lock = asyncio.Lock()
        """Held while a token is fetched or forgotten: closing a credential would cancel whoever waits for it."""
        self.latest = ""
        """The token given last."""

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        """Return the one host that may be asked."""
        return AllowedHostsValidator([self._host])

    async def get_authorization_token(
        self, uri: str, additional_authentication_context: dict[str, Any] | None = None
    ) -> str:
        """Return the token for ``uri``, empty where it is of another origin.

        Raises ``Refused`` where the authority does not accept the credential, ``Unreachable`` where it does not
        answer, ``ConfigurationError`` for a certificate that cannot be used.
        """
        if origin(uri) != self._origin:
            return ""
        async with self._lock:
            self.latest = await self._fetch(uri, additional_authentication_context or {})
            return self.latest

    async def _fetch(self, uri: str, context: dict[str, Any]) -> str:
        if self._provider is None:
            self._credential = _credential(self._settings, self._ca_file)
            scope = self._settings.scope or f"{self._settings.endpoint_url}/.default"
            self._provider = AzureIdentityAccessTokenProvider(
                self._credential, None, scopes=[scope], allowed_hosts=[self._host]
            )
        try:
            return conceal(await self._provider.get_authorization_token(uri, context))
        except ClientAuthenticationError as error:
            raise _refused(error) from None
        except AzureError as error:
            raise Unreachable(
                f"{self._settings.authority_url}: no token: {clean(str(error.message))}",
                advice="Check authority_url, DNS, proxy and firewall from this machine.",
            ) from None

    async def roles(self) -> frozenset[str]:
        """Return the application permissions that the token itself names; empty where it names none."""
        token = await self.get_authorization_token(self._settings.endpoint_url)
        part = token.split(".")[1] if token.count(".") == 2 else ""  # noqa: PLR2004 -- the three parts of a JWT
        try:
            claims = msgspec.json.decode(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)), type=_Claims)
        except (msgspec.DecodeError, binascii.Error, ValueError):
            return frozenset()
        return frozenset(claims.roles)

    async def forget(self, token: str) -> None:
        """Drop ``token``, which was not accepted, and the credential that gave it; the secret is read anew.

        Does nothing where another request has already had it replaced.
        """
        async with self._lock:
            if token == self.latest:
                await self._drop()

    async def close(self) -> None:
        """Drop whatever there is."""
        async with self._lock:
            await self._drop()

    async def _drop(self) -> None:
        credential, self._credential, self._provider, self.latest = self._credential, None, None, ""
        if credential is not None:
            await credential.close()


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of ``url``; empty ones, which equal no origin, where it is no clean URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None
    clean_text = not any(c.isspace() or c == "\\" or ord(c) < 32 for c in url)  # noqa: PLR2004 -- control characters
    if not clean_text or parts.username is not None or parts.password is not None:
        return "", "", None
    return parts.scheme, (parts.hostname or "").lower(), port


def _credential(settings: Settings, ca_file: Path | None) -> AsyncTokenCredential:
    options: dict[str, Any] = {
        "authority": settings.authority_url,
        "connection_timeout": settings.connect_timeout_seconds,
        "read_timeout": settings.read_timeout_seconds,
        "connection_verify": True if ca_file is None else str(ca_file),
        "retry_total": 0,  # the pull retries; a wait inside the credential would be hidden from it
        "disable_instance_discovery": True,
    }
    make: Callable[..., AsyncTokenCredential]
    if settings.client_secret is not None:
        secret = reveal(settings.client_secret)
        return ClientSecretCredential(settings.tenant_id, settings.client_id, secret, **options)
    assert settings.client_certificate is not None  # noqa: S101 -- the settings hold one of the two
    make = CertificateCredential
    password = None if settings.certificate_password is None else reveal(settings.certificate_password)
    try:
        return make(
            settings.tenant_id,
            settings.client_id,
            certificate_data=reveal(settings.client_certificate).encode(),
            password=password,
            **options,
        )
    except (ValueError, TypeError):
        # The error may carry parts of the key.
        raise ConfigurationError(
            f"client_certificate ({settings.client_certificate}) holds no usable certificate with its private key",
            advice="Give PEM text with both, and certificate_password where the key has one.",
        ) from None


def _refused(error: ClientAuthenticationError) -> Refused | Unreachable:
    said = f"no token: {clean(str(error.message))}"
    status = getattr(error.response, "status_code", None)
    if status is not None and status >= 500:  # noqa: PLR2004 -- the server's own failure
        return Unreachable(said, advice="Try again later.")
    return Refused(said, advice=_ADVICE)
