"""OAuth 2.0 without a person: client credentials, and a signed assertion (RFC 6749, RFC 7523).

A token is fetched when first needed, kept until shortly before it expires, and fetched anew once where the service no
longer accepts it. It is concealed from every message and log the moment it arrives.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote_plus

import httpx

from reconciler import clock
from reconciler.sdk.answers import words_of
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError
from reconciler.sdk.http import HttpClient, Limits, Sleep
from reconciler.sdk.secrets import SecretRef, conceal, reveal

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ASSERTION_SECONDS = 180
"""Salesforce refuses an assertion that lives longer."""
_EARLY_SECONDS = 60.0


Inspect = Callable[[Mapping[str, Any]], None]
"""Looks at what came with a token, and raises where it is not what was configured (Salesforce's ``instance_url``)."""


@dataclass(frozen=True, slots=True)
class _Ask:
    """What goes to the token endpoint: the fields of the form, and the header that proves the client, if any."""

    fields: Mapping[str, str]
    headers: Mapping[str, str]


class TokenSource:
    """Gives ``Authorization: Bearer ...``: an ``Authorize`` that is ``Renewable``."""

    def __init__(
        self,
        token_url: str,
        ask: Callable[[], _Ask],
        *,
        ca_file: Path | None = None,
        limits: Limits | None = None,
        inspect: Inspect | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._path = token_url
        self._ask = ask
        self._inspect = inspect
        self._client = HttpClient(
            token_url.partition("?")[0],
            secret=True,
            ca_file=ca_file,
            limits=limits,
            errors=_explain,
            sleep=sleep,
        )
        self._turn = asyncio.Lock()
        self._header = ""
        self._until = 0.0

    async def __call__(self) -> str:
        """Return the header, fetching a token where none is kept or it is about to expire.

        Raises what ``HttpClient.request`` does, ``Refused`` naming what the service said of these credentials.
        """
        async with self._turn:
            if not self._header or clock.monotonic() >= self._until:
                self._header, self._until = await self._fetch()
            return self._header

    def forget(self, header: str) -> None:
        """Drop the token of ``header``, unless another has taken its place."""
        if header == self._header:
            self._header = ""

    async def close(self) -> None:
        """Close the connection to the token endpoint; safe to call twice."""
        await self._client.close()

    async def _fetch(self) -> tuple[str, float]:
        ask = self._ask()
        found, _ = await self._client.request(
            "POST", self._path, form=ask.fields, headers=ask.headers, again=True, expect=dict
        )
        token, kind = found.get("access_token"), found.get("token_type", "Bearer")
        if not isinstance(token, str) or not token:
            raise Misbehaved(f"{self._client.origin}: the answer holds no access_token", advice="Check token_url.")
        conceal(token)
        if not token.isascii() or not token.isprintable() or " " in token:
            raise Misbehaved(
                f"{self._client.origin}: the access_token is none: it holds blanks or signs that no header can carry",
                advice="Check token_url, or report it to the provider.",
            )
        if not isinstance(kind, str) or kind.casefold() != "bearer":
            raise Misbehaved(
                f"{self._client.origin}: the token is of a type that is not known here",
                advice="Have the service issue bearer tokens to this client.",
            )
        if self._inspect is not None:
            self._inspect(found)
        return f"Bearer {token}", clock.monotonic() + _lifetime(found.get("expires_in"))


def client_credentials(
    token_url: str,
    *,
    client_id: str,
    secret: SecretRef,
    style: Literal["basic", "post"] = "basic",
    scope: str = "",
    audience: str = "",
    ca_file: Path | None = None,
    limits: Limits | None = None,
    inspect: Inspect | None = None,
    sleep: Sleep = asyncio.sleep,
) -> TokenSource:
    """Get tokens for a client id and its secret, sent in a header (``basic``) or in the form (``post``).

    Raises ``ConfigurationError`` for a ``token_url`` that is none or would carry the secret unencrypted.
    """

    def ask() -> _Ask:
        fields = {"grant_type": "client_credentials", "scope": scope, "audience": audience}
        word = reveal(secret)
        if style == "post":
            return _Ask(_said(fields) | {"client_id": client_id, "client_secret": word}, {})
        # RFC 6749, 2.3.1: both parts are form-encoded before they are joined.
        pair = base64.b64encode(f"{quote_plus(client_id)}:{quote_plus(word)}".encode()).decode()
        return _Ask(_said(fields), {"Authorization": f"Basic {conceal(pair)}"})

    return TokenSource(token_url, ask, ca_file=ca_file, limits=limits, inspect=inspect, sleep=sleep)


def jwt_assertion(
    token_url: str,
    *,
    client_id: str,
    private_key: SecretRef,
    subject: str,
    audience: str,
    key_id: str = "",
    scope: str = "",
    ca_file: Path | None = None,
    limits: Limits | None = None,
    inspect: Inspect | None = None,
    sleep: Sleep = asyncio.sleep,
) -> TokenSource:
    """Get tokens for an assertion signed with an RSA key (PEM) kept at ``private_key``: RS256, valid for 3 minutes.

    Raises ``ConfigurationError`` for a ``token_url`` that is none, and when a token is first needed for a key that
    cannot be used.
    """

    def ask() -> _Ask:
        import jwt  # noqa: PLC0415 - loads the whole of cryptography, which few sources need

        now = clock.now()
        claims = {"iss": client_id, "sub": subject, "aud": audience, "iat": now}
        claims["exp"] = now + timedelta(seconds=_ASSERTION_SECONDS)
        try:
            signed = jwt.encode(
                claims, reveal(private_key), algorithm="RS256", headers={"kid": key_id} if key_id else None
            )
        except (jwt.PyJWTError, ValueError, TypeError):
            # The cause may hold parts of the key.
            raise ConfigurationError(
                f"the key at {private_key} cannot sign", advice="Give an RSA private key in PEM, without a passphrase."
            ) from None
        return _Ask(_said({"grant_type": JWT_BEARER, "assertion": conceal(signed), "scope": scope}), {})

    return TokenSource(token_url, ask, ca_file=ca_file, limits=limits, inspect=inspect, sleep=sleep)


def _said(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in fields.items() if value}


def _lifetime(seconds: object) -> float:
    """Return for how many seconds a token is used; one whose life is not told, until it is refused."""
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():
        seconds = int(seconds)
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return float("inf")
    return max(0.0, seconds - min(_EARLY_SECONDS, seconds / 10))


def _explain(status: int, body: bytes, shown: str) -> SourceError | None:
    """Return what a refused token means (RFC 6749, 5.2); None for what HTTP alone tells."""
    if status not in {httpx.codes.BAD_REQUEST, httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return None
    said = words_of(body)
    if b"invalid_scope" in body:
        return Refused(
            f"{shown}: no token: the scope is not granted{said}", advice="Grant the client its scope, or correct it."
        )
    return Refused(
        f"{shown}: no token: HTTP {status}{said}",
        advice="Check client_id and its secret or key: they are wrong, expired or revoked, or the client may not use "
        "this grant.",
    )
