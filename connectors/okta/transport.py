"""The SDK's request executor, made strict: its authentication and request shape, our time-outs, size limit and session.

The stock HTTP client of the SDK has no time-out, follows redirects, logs request headers at DEBUG, and decodes each
body twice. The executor takes another client class; this one sends what the executor prepared and returns bytes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from okta.cache.no_op_cache import NoOpCache
from okta.config.config_setter import ConfigSetter
from okta.config.config_validator import ConfigValidator
from okta.http_client import HTTPClient
from okta.request_executor import RequestExecutor
from reconciler.sdk.errors import ConfigurationError
from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.secrets import conceal, reveal

from .settings import Settings

MAX_BYTES = 64 * 1024 * 1024
"""Size of one answer, after decompression."""
_JWK_PARTS = ("kty", "kid", "n", "e", "d", "p", "q", "dp", "dq", "qi")


class TooLargeError(aiohttp.ClientError):
    """An answer is larger than ``MAX_BYTES``."""


class StrictHttpClient(HTTPClient):
    """Send one prepared request over our own session; never follow a redirect."""

    def __init__(self, http_config: dict[str, Any], proxy: tuple[str | None, dict[str, str] | None]) -> None:
        """Take what the executor gives, and the proxy with the headers that it wants."""
        super().__init__(http_config)  # type: ignore[no-untyped-call] # the SDK is untyped
        self._by_way_of, self._proxy_headers = proxy

    async def send_request(self, request: dict[str, Any]) -> tuple[Any, Any, bytes | None, Exception | None]:
        """Return (request info, response, body, None), or (None, None, None, error) where no whole answer came."""
        session: Any = self._session
        headers = {**self._default_headers, **request["headers"]}
        try:
            async with session.request(
                request["method"],
                request["url"],
                headers=headers,
                data=request["form"] or None,
                allow_redirects=False,
                proxy=self._by_way_of,
                proxy_headers=self._proxy_headers,
            ) as response:
                body = await _read(response)
                return response.request_info, response, body, None
        except (aiohttp.ClientError, TimeoutError) as error:
            return None, None, None, error


async def _read(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > MAX_BYTES:
            raise TooLargeError
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def open_session(settings: Settings, ca_file: Path | None) -> aiohttp.ClientSession:
    """Make the session; TLS is always verified. Needs a running loop."""
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"ca_file: cannot read the certificates in {ca_file}: {error}", advice="Give a file of PEM certificates."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context, limit=settings.parallel_calls * 4),
        timeout=aiohttp.ClientTimeout(total=settings.request_timeout_seconds, connect=settings.connect_timeout_seconds),
        # Trusting the environment would take a password out of ~/.netrc too, and refuse our own header for it.
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def proxy_for(org_url: str) -> tuple[str | None, dict[str, str] | None]:
    """Return the proxy that the environment names for ``org_url``, and the headers it wants; None: none.

    No proxy stands between this machine and itself.
    """
    parts = urlsplit(org_url)
    host = parts.hostname or ""
    named = None if is_loopback(host) or proxy_bypass(host) else getproxies().get(parts.scheme)
    if not named:
        return None, None
    way = urlsplit(named if "://" in named else f"http://{named}")
    bare = f"{way.scheme}://{way.netloc.rpartition('@')[2]}"
    if way.username is None:
        return bare, None
    conceal(unquote(way.password or ""))
    words = aiohttp.encode_basic_auth(unquote(way.username), unquote(way.password or ""))
    conceal(words.partition(" ")[2])
    return bare, {"Proxy-Authorization": words}


def make_executor(settings: Settings, session: aiohttp.ClientSession, scopes: list[str]) -> Any:
    """Make the SDK's executor for these credentials; raise ``ConfigurationError`` where they cannot be used.

    Its own retries are off (``maxRetries`` 0): it would sleep without a limit and hold up what else is under way.
    """
    # At DEBUG the SDK logs whole requests with their Authorization header.
    logging.getLogger("okta-sdk-python").setLevel(logging.WARNING)
    client: dict[str, Any] = {
        "orgUrl": settings.org_url,
        "requestTimeout": int(settings.request_timeout_seconds) or 1,
        "rateLimit": {"maxRetries": 0},
        "cache": {"enabled": False},
        "logging": {"enabled": False},
        "dpopEnabled": False,
    }
    if settings.api_token is not None:
        client |= {"authorizationMode": "SSWS", "token": _header(reveal(settings.api_token))}
    elif settings.private_key is not None:
        client |= {
            "authorizationMode": "PrivateKey",
            "clientId": settings.client_id,
            "scopes": scopes,
            "privateKey": _key(reveal(settings.private_key)),
            # A minute before its end; one that Okta ends sooner is renewed when it is refused.
            "oauthTokenRenewalOffset": 1,
        }
        if settings.key_id is not None:
            client["kid"] = settings.key_id
    setter: Any = ConfigSetter()  # type: ignore[no-untyped-call] # the SDK is untyped
    # Nothing of the environment or of a YAML file of the SDK's own may say where to go or as whom.
    setter._config["client"] = {"userAgent": "reconciler", "connectionTimeout": 30}  # noqa: SLF001 - see README, Decisions
    setter._apply_config(  # noqa: SLF001 - the SDK has no public way to its executor alone; 3.4.6 is pinned
        {"client": client, "testing": {"testingDisableHttpsCheck": settings.org_url.startswith("http:")}}
    )
    config = setter._prune_config(setter.get_config())  # noqa: SLF001 - see above
    try:
        ConfigValidator(config)  # type: ignore[no-untyped-call] # the SDK is untyped
        make: Any = RequestExecutor
        cache: Any = NoOpCache
        executor: Any = make(config, cache(), partial(StrictHttpClient, proxy=proxy_for(settings.org_url)))
    except ValueError:
        # The SDK's message may repeat what it was given.
        raise ConfigurationError(
            "the SDK refuses org_url or the credentials",
            advice="Check org_url, client_id and what api_token or private_key refers to.",
        ) from None
    executor.set_session(session)
    return executor


def _header(token: str) -> str:
    if not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigurationError(
            "api_token holds characters that no HTTP header can carry", advice="Look for a line break in the secret."
        )
    return token


def _key(text: str) -> str | dict[str, str]:
    """Return a PEM as it is, and of a JWK what the SDK understands; the parts of the key are concealed."""
    if not text.lstrip().startswith("{"):
        if "PRIVATE KEY-----" not in text:
            raise ConfigurationError(
                "private_key is neither a PEM private key nor a JWK", advice="Give the RSA private key of client_id."
            )
        return text
    try:
        parts = json.loads(text)
    except ValueError:
        raise ConfigurationError("private_key is no valid JSON", advice="Give the JWK as Okta shows it.") from None
    if parts.get("kty") != "RSA" or not isinstance(parts.get("d"), str):
        raise ConfigurationError(
            "private_key is no private RSA key", advice="Make an RSA key for the service app: others are not supported."
        )
    for name in ("d", "p", "q", "dp", "dq", "qi"):
        conceal(str(parts.get(name, "")))
    return {name: parts[name] for name in _JWK_PARTS if isinstance(parts.get(name), str)}


async def settle(session: aiohttp.ClientSession) -> None:
    """Close the session and let its TLS connections say good-bye."""
    await session.close()
    await asyncio.sleep(0)
