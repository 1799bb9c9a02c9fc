"""The one HTTP client of connectors: it answers with JSON that arrived whole, or raises by remedy.

A page that is empty, cut short, not JSON or from somewhere else is never data. What a message says about a
request is its origin and path: query strings may carry tokens, and so may what a provider echoes, so its own
words pass through ``redact``.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self, runtime_checkable
from urllib.parse import urlencode

import httpx
import msgspec
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential, wait_random

from reconciler import clock
from reconciler.sdk.answers import (
    ErrorHook,
    ResetHook,
    check_type,
    clean,
    leniently,
    next_link,
    parse,
    reset_at,
    retry_after,
    words_of,
)
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Throttled, Unreachable
from reconciler.sdk.fence import at_the_wire
from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.secrets import SecretRef, conceal, redact, reveal

Authorize = Callable[[], Awaitable[str]]
"""Gives the ``Authorization`` header of one request; may fetch or renew a token first."""


@runtime_checkable
class Renewable(Protocol):
    """An ``Authorize`` that keeps a token: told that one was not accepted, it fetches another."""

    async def __call__(self) -> str:
        """Return the header, with a token that is fetched where none is kept."""
        ...

    def forget(self, header: str) -> None:
        """Drop the token of ``header``, unless it was replaced already."""
        ...


Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
Params = Mapping[str, str | int | bool]
Sleep = Callable[[float], Awaitable[None]]

_OK = frozenset({200})
_UNKNOWN = "It is not known whether the request was carried out: look for its result before you send it again."
_UNCLEAN = re.compile(r"[\s\\\x00-\x20]")
_BACKOFF = wait_exponential(multiplier=0.5, max=30.0) + wait_random(0.0, 0.5)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one request may take; times in seconds. No limit can be switched off."""

    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    request_seconds: float = 300.0
    """From the first byte sent to the last byte read, for servers that drip."""
    max_bytes: int = 64 * 1024 * 1024
    """Size of one answer, after decompression."""
    concurrency: int = 8
    attempts: int = 4
    retry_seconds: float = 60.0
    """Between the first try of a request and the start of its last."""


@dataclass(frozen=True, slots=True)
class _Call:
    """One request, made ready to be sent several times."""

    method: Method
    url: httpx.URL
    content: bytes | None
    headers: dict[str, str]
    accept: frozenset[int]
    again: bool
    """Whether to send it twice does no more than to send it once."""
    any_answer: bool = False

    @property
    def shown(self) -> str:
        return _shown(self.url)


class HttpClient:
    """Ask one origin for JSON, with every limit set."""

    def __init__(
        self,
        base_url: str,
        *,
        authorize: Authorize | None = None,
        credential_header: str = "Authorization",
        secret: bool = False,
        ca_file: Path | None = None,
        headers: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        reset: ResetHook | None = None,
        errors: ErrorHook | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        """Make a client; no network yet.

        ``base_url`` ends in the path that relative paths are added to. Raises ``ConfigurationError`` for a URL
        that holds credentials or a query, one that would send credentials unencrypted to another machine, and
        for a ``ca_file`` that cannot be read. What ``authorize`` gives is sent as ``credential_header``; where it is
        ``Renewable``, one answer 401 to each request makes it fetch another token. ``secret`` says that the requests
        carry credentials in other places, such as a form.
        """
        self._base = _base(base_url, secret=secret or authorize is not None)
        self._authorize = authorize
        self._credential_header = credential_header
        self._limits = limits = limits or Limits()
        self._reset = reset
        self._errors = errors
        self._sleep = sleep
        self._slots = asyncio.Semaphore(limits.concurrency)
        # At INFO httpx logs whole URLs, at DEBUG httpcore logs headers: neither may reach a log.
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._client = httpx.AsyncClient(
            headers={"Accept": "application/json", **(headers or {})},
            verify=_trust(ca_file),
            follow_redirects=False,
            # No proxy of the environment stands between this machine and itself.
            trust_env=not is_loopback(self._base.host),
            timeout=httpx.Timeout(limits.read_seconds, connect=limits.connect_seconds),
            limits=httpx.Limits(max_connections=limits.concurrency),
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port: what ``Source.endpoint`` should say."""
        return _origin(self._base)

    async def get_json(
        self, path_or_url: str, params: Params | None = None, *, expect: type[Any] = dict
    ) -> tuple[Any, httpx.Headers]:
        """Return the JSON at ``path_or_url``, of the top-level type ``expect``, and the headers of the answer.

        ``params`` are added to the query that the URL has. Raises ``Throttled`` and ``Unreachable`` once the
        attempts or seconds are used up, ``Refused`` with the provider's own words, and ``Misbehaved`` for an
        answer that is not whole JSON of that type, for any redirect, and for a URL of another origin.
        """
        return await self.request("GET", path_or_url, params, expect=expect)

    async def request(
        self,
        method: Method,
        path_or_url: str,
        params: Params | None = None,
        *,
        json: object = None,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = _OK,
        again: bool | None = None,
        expect: type[Any] | None = dict,
        any_answer: bool = False,
    ) -> tuple[Any, httpx.Headers]:
        """Send a request with a body of ``json`` or ``form`` fields, and return what ``get_json`` does.

        ``accept`` are the statuses that mean success; ``expect`` None takes an answer of any JSON, or without body
        (then None). ``any_answer`` takes a success whatever it says, as receivers of webhooks answer: what is no JSON
        is None. ``again`` says whether to send it twice does no more than to send it once: true for GET; for any
        other method only where the caller says so, as for a search by POST or an upsert. Without it a request that
        may have been carried out is not sent again: it raises ``Unreachable``, and the advice says to look first.
        What surely was not carried out (no connection, 429, 503 with ``Retry-After``) is tried again in any case.
        Raises as ``get_json`` does.
        """
        url = self._resolve(path_or_url)
        if params:
            url = url.copy_merge_params(dict(params))
        content, kind = _content(json, form)
        again = method == "GET" if again is None else again
        call = _Call(method, url, content, {**kind, **(headers or {})}, accept, again, any_answer)
        retrying = AsyncRetrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, _TryAgainError) and not (error.done and not call.again)
            ),
            wait=self._wait,
            stop=self._patience(),
            sleep=self._sleep,
            reraise=True,
        )
        answer: tuple[bytes, httpx.Headers]
        try:
            answer = await retrying(self._fetch, call)
        except _TryAgainError as error:
            if error.done and not call.again:
                error.reason.advice = _UNKNOWN
            raise error.reason from None
        body, answered = answer
        if any_answer:
            return leniently(body), answered
        if expect is None and not body.strip():
            return None, answered
        return parse(body, expect or object, call.shown), answered

    def linked(self, link: str, page: str) -> str:
        """Return the absolute URL of a link found in the answer of ``page`` (a path or URL that was asked for).

        A relative link starts where its page is, not at ``base_url``. Raises ``Misbehaved`` for one to another origin.
        """
        return str(self._resolve(link, self._resolve(page)))

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _resolve(self, path_or_url: str, page: httpx.URL | None = None) -> httpx.URL:
        """Return the absolute URL; the credentials go to the configured origin or nowhere."""
        if _UNCLEAN.search(path_or_url):
            raise Misbehaved("a link holds blanks or backslashes", advice="Report this as a defect of the source.")
        try:
            url = (page or self._base).join(path_or_url)
        except httpx.InvalidURL:
            raise Misbehaved("a link is no URL", advice="Report this as a defect of the source.") from None
        if _origin(url) != self.origin or url.userinfo:
            raise Misbehaved(
                f"a link leads to {_origin(url)}, not to {self.origin}",
                advice="The credentials would go there too, so it is not followed: check the URL in the configuration "
                "and any proxy that rewrites links.",
            )
        return url

    async def _fetch(self, call: _Call) -> tuple[bytes, httpx.Headers]:
        """Send one request, with a new token where the first is not accepted; ``_TryAgainError`` is what may pass."""
        header = None if self._authorize is None else _header(await self._authorize())
        response, body = await self._send(call, header)
        kept: object = self._authorize
        if response.status_code == httpx.codes.UNAUTHORIZED and header and isinstance(kept, Renewable):
            kept.forget(header)
            response, body = await self._send(call, _header(await kept()))
        self._judge(response, body, call)
        return body, response.headers

    async def _send(self, call: _Call, header: str | None) -> tuple[httpx.Response, bytes]:
        shown = call.shown
        headers = call.headers if header is None else call.headers | {self._credential_header: header}
        advice = "Check the network, then try again; what was read so far of this page is not used."
        try:
            async with (
                self._slots,
                asyncio.timeout(self._limits.request_seconds),
                self._client.stream(
                    call.method,
                    call.url,
                    content=call.content,
                    headers=headers,
                    extensions={"trace": at_the_wire},
                ) as response,
            ):
                return response, await self._body(response, shown)
        # Causes are left out: their texts and the requests they hold may carry the token or the query.
        except (TimeoutError, httpx.TimeoutException) as error:
            done = not isinstance(error, httpx.ConnectTimeout)
            raise _TryAgainError(Unreachable(f"{shown}: {_name(error)}", advice=advice), done=done) from None
        except httpx.TransportError as error:
            if (distrust := _distrust(error)) is not None:
                raise Refused(
                    f"{shown}: its certificate is not trusted: {distrust}",
                    advice="Set ca_file to the certificate of the authority that signed it; checks are never skipped.",
                ) from None
            reason = Unreachable(f"{shown}: {_name(error)}: {clean(str(error))}", advice=advice)
            raise _TryAgainError(reason, done=not isinstance(error, httpx.ConnectError)) from None
        except httpx.DecodingError:
            raise Misbehaved(f"{shown}: the compression is damaged", advice="Check any proxy on the way.") from None

    async def _body(self, response: httpx.Response, shown: str) -> bytes:
        parts = bytearray()
        async for part in response.aiter_bytes():
            parts += part
            if len(parts) > self._limits.max_bytes:
                raise Misbehaved(
                    f"{shown}: the answer is larger than {self._limits.max_bytes} bytes",
                    advice="Ask for smaller pages.",
                )
        return bytes(parts)

    def _judge(self, response: httpx.Response, body: bytes, call: _Call) -> None:
        """Raise for every status that does not mean success."""
        status, shown = response.status_code, call.shown
        if status in call.accept:
            if (status == httpx.codes.OK or body.strip()) and not call.any_answer:
                check_type(response.headers.get("content-type", ""), body, shown)
            return
        if self._errors is not None and (meant := self._errors(status, body, shown)) is not None:
            if isinstance(meant, Throttled | Unreachable) and not meant.restart:
                raise _TryAgainError(meant, done=isinstance(meant, Unreachable))
            raise meant
        if response.is_redirect:
            there = response.headers.get("location", "")
            raise Misbehaved(
                f"{shown}: HTTP {status}, a redirect to {_place(self._base, there)}",
                advice="Redirects are not followed, since credentials would go along: configure the final URL.",
            )
        said = f"{shown}: HTTP {status}{words_of(body)}"
        wait = self._asked(response.headers)
        if status == httpx.codes.TOO_MANY_REQUESTS or (status == httpx.codes.SERVICE_UNAVAILABLE and wait is not None):
            reason = Throttled(said, advice="Try again later, or lower concurrency.", retry_after=wait)
            raise _TryAgainError(reason, done=False)
        if status in {408, 502, 503, 504}:
            raise _TryAgainError(Unreachable(said, advice="Try again later."), done=True)
        raise _refusal(status, said, again=call.again)

    def _asked(self, headers: httpx.Headers) -> float | None:
        """Return the seconds the provider asks us to wait, None where it does not say."""
        asked = retry_after(headers)
        return self._reset(headers) if asked is None and self._reset is not None else asked

    def _wait(self, state: RetryCallState) -> float:
        reason = _reason(state)
        if isinstance(reason, Throttled) and reason.retry_after is not None:
            return max(0.0, reason.retry_after)
        return _BACKOFF(state)

    def _patience(self) -> Callable[[RetryCallState], bool]:
        begun, limits = clock.monotonic(), self._limits

        def used_up(state: RetryCallState) -> bool:
            # Slept seconds are counted beside the clock's own, so that an injected sleep spends the budget too.
            spent = max(clock.monotonic() - begun, state.idle_for)
            return state.attempt_number >= limits.attempts or spent + state.upcoming_sleep > limits.retry_seconds

        return used_up


class _TryAgainError(Exception):
    """Carries an error that may pass to the retry loop, and no further."""

    def __init__(self, reason: Throttled | Unreachable, *, done: bool) -> None:
        super().__init__(reason.message)
        self.reason = reason
        self.done = done
        """Whether the request may have been carried out all the same."""


def _refusal(status: int, said: str, *, again: bool) -> SourceError:
    """Return the error of a status that no second try mends."""
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Unreachable(said, advice="Try again later; where it stays, ask the provider." if again else _UNKNOWN)
    if status == httpx.codes.UNAUTHORIZED:
        return Refused(said, advice="Check the credentials: they are wrong, expired or revoked.")
    if status == httpx.codes.FORBIDDEN:
        return Refused(said, advice="Grant these credentials the right to read this.")
    if status >= httpx.codes.BAD_REQUEST:
        return Refused(said, advice="Check the URL and what these credentials may read.")
    return Misbehaved(said, advice="Only HTTP 200 carries a page.")


def _content(json: object, form: Mapping[str, str] | None) -> tuple[bytes | None, dict[str, str]]:
    """Return the body and the header that says what it is."""
    if form is not None:
        return urlencode(form).encode(), {"Content-Type": "application/x-www-form-urlencoded"}
    if json is not None:
        return msgspec.json.encode(json), {"Content-Type": "application/json"}
    return None, {}


def bearer(reference: SecretRef, scheme: str = "Bearer") -> Authorize:
    """Authorize with a token kept at ``reference`` (``env:`` or ``file:``), read anew for each request."""

    async def authorize() -> str:
        return f"{scheme} {reveal(reference)}"

    return authorize


def basic(user: str, reference: SecretRef) -> Authorize:
    """Authorize with a user and a password kept at ``reference``."""

    async def authorize() -> str:
        return f"Basic {conceal(base64.b64encode(f'{user}:{reveal(reference)}'.encode()).decode())}"

    return authorize


def check_url(text: str, *, secret: bool) -> str:
    """Return the URL of a service as it is; raise ``ValueError`` for one that ``HttpClient`` would refuse."""
    try:
        _base(text, secret=secret)
    except ConfigurationError as error:
        message = f"{error.message}; {error.advice}"
        raise ValueError(message) from None
    return text


def _base(text: str, *, secret: bool) -> httpx.URL:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in _PORTS or not url.host or "%" in url.host or url.userinfo or url.query or url.fragment:
        raise ConfigurationError(
            f"not the URL of a service: {_origin(url)}",
            advice="Write for example https://host/path, without user, password and query.",
        )
    if secret and url.scheme == "http" and not is_loopback(url.host):
        raise ConfigurationError(
            f"{_origin(url)} would carry the credentials unencrypted",
            advice="Use https; http is for this machine only.",
        )
    return url.copy_with(path=url.path if url.path.endswith("/") else url.path + "/")


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"cannot read the certificates in {ca_file}: {error}", advice="Give a file of PEM certificates."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _header(value: str) -> str:
    if not value.isascii() or not value.isprintable():
        raise ConfigurationError(
            "the credentials hold characters that no HTTP header can carry",
            advice="Look for a line break or an accented letter in the secret.",
        )
    conceal(value.partition(" ")[2])
    return value


def _origin(url: httpx.URL) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    port = url.port or _PORTS.get(url.scheme)
    return f"{url.scheme}://{host}" + ("" if port in {None, _PORTS.get(url.scheme)} else f":{port}")


def _shown(url: httpx.URL) -> str:
    return redact(f"{_origin(url)}{url.path}")


def _place(base: httpx.URL, location: str) -> str:
    try:
        return _shown(base.join(location))
    except httpx.InvalidURL:
        return "no URL"


def _name(error: Exception) -> str:
    names = {
        "ConnectTimeout": "no connection in time",
        "ReadTimeout": "no answer in time",
        "TimeoutError": "the answer took too long",
        "ConnectError": "no connection",
        "RemoteProtocolError": "the answer was cut short or broken",
        "ReadError": "the connection was reset",
    }
    return names.get(type(error).__name__, type(error).__name__)


def _distrust(error: BaseException) -> str | None:
    """Return why a certificate was not trusted, None where the failure was another."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message
        seen = seen.__cause__ or seen.__context__
    return None


def _reason(state: RetryCallState) -> Throttled | Unreachable | None:
    error = state.outcome.exception() if state.outcome else None
    return error.reason if isinstance(error, _TryAgainError) else None


__all__ = [
    "Authorize",
    "ErrorHook",
    "HttpClient",
    "Limits",
    "Method",
    "Params",
    "Renewable",
    "ResetHook",
    "basic",
    "bearer",
    "check_url",
    "next_link",
    "reset_at",
]
