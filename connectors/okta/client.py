"""The calls to Okta: one method, one page, either whole and of the expected shape or an error by remedy."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from reconciler.sdk.answers import check_type
from reconciler.sdk.errors import Misbehaved, Refused, Unreachable
from reconciler.sdk.pace import Pacer, Sleep
from reconciler.sdk.secrets import conceal

from .failures import LONGEST_PAUSE, judge, no_answer, pause, resets_in, token_failure
from .settings import Settings
from .shapes import Decoder, Problem
from .transport import make_executor, open_session, settle

T = TypeVar("T")
_TOKEN_PATH = "/oauth2/v1/token"  # noqa: S105 - a path
_RENEW, _THROTTLED = 401, 429
_PATIENT = 3
"""Times that one call waits out a limit by itself, before the pull as a whole is told of it."""
_BROKEN = (ValueError, TypeError, KeyError, AttributeError)
"""What the SDK raises, rather than returns, over a key or an answer of the token endpoint that it cannot read."""


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """One page: its objects, what was wrong in them, and the URL of the next page (None: Okta gave none)."""

    items: list[T]
    problems: Sequence[Problem]
    next: str | None
    body: bytes


class OktaClient:
    """Asks one organisation, over the SDK's request executor."""

    def __init__(self, settings: Settings, ca_file: Path | None, *, sleep: Sleep = asyncio.sleep) -> None:
        """Take the settings; no network yet."""
        self._settings = settings
        self._ca_file = ca_file
        self._pacer = Pacer(concurrency=settings.parallel_calls, sleep=sleep)
        self._session: aiohttp.ClientSession | None = None
        self._executor: Any = None
        self._opening = asyncio.Lock()
        self.refused_scopes: tuple[str, ...] = ()
        """Scopes that the token endpoint would not give; known once the first call was made."""

    async def list(
        self, path: str, decoder: Decoder[T], scope: str, /, link: str | None = None, **params: str | int
    ) -> Answer[T]:
        """Read a page of an array, at ``link`` or at ``path``; the next page is in the ``Link`` header."""
        response, body = await self._get(link or self._url(path, params), path, scope)
        items, problems = decoder.array(body, self._shown(path))
        return Answer(items, problems, self._next(response, path), body)

    async def raw(self, path: str, scope: str, /, link: str | None = None, **params: str | int) -> Answer[None]:
        """Read a page as its bytes, for a caller that decodes them itself."""
        response, body = await self._get(link or self._url(path, params), path, scope)
        return Answer([], (), self._next(response, path), body)

    async def wrapped(
        self, path: str, decoder: Decoder[T], scope: str, key: str, /, link: str | None = None
    ) -> Answer[T]:
        """Read a page of the array under ``key``; the next page is in the body's ``_links``."""
        _, body = await self._get(link or self._url(path, {}), path, scope)
        items, problems, following = decoder.wrapped(body, key, self._shown(path))
        return Answer(items, problems, None if following is None else self._own(following, path), body)

    async def surely(self, ask: Callable[[], Awaitable[Answer[T]]], *, ends: bool = True) -> Answer[T]:
        """Ask, and where nothing came, or (``ends``) the list ends here, ask once more.

        A page without its objects, or without its link to the next, is so seen unless it comes twice. Raises
        ``Unreachable`` where two answers differ, so that the page is read again.
        """
        answer = await ask()
        doubtful = not answer.items or (ends and answer.next is None)
        if not doubtful or not self._settings.confirm_ends:
            return answer
        again = await ask()
        if (again.next is None) != (answer.next is None) or _named(again) != _named(answer):
            raise Unreachable(
                "a page was asked for twice and came differently: one of the two was cut short, or the data moved",
                advice="Pull again.",
            )
        return again

    async def one(self, path: str, decoder: Decoder[T], scope: str) -> Answer[T]:
        """Read one object."""
        _, body = await self._get(self._url(path, {}), path, scope)
        items, problems = decoder.single(body, self._shown(path))
        return Answer(items, problems, None, body)

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        session, self._session, self._executor = self._session, None, None
        if session is not None:
            await settle(session)

    async def _get(self, url: str, path: str, scope: str) -> tuple[Any, bytes]:
        executor = await self._opened()
        shown, bucket = self._shown(path), _bucket(path)
        renewed, throttled = False, 0
        while True:
            try:
                request, error = await executor.create_request("GET", url)
            except _BROKEN as broken:
                request, error = None, broken
            if error is not None:
                raise token_failure(error, self._shown(_TOKEN_PATH)) from None
            conceal(request["headers"]["Authorization"].partition(" ")[2])
            async with self._pacer.turn(bucket):
                # The helper below `fire_request`, which would decode each body once more for a cache that is off.
                _, response, body, error = await executor.fire_request_helper(request, 0, math.inf)
                if response is not None:
                    self._learn(bucket, response)
            if error is not None or response is None or body is None:
                raise no_answer(error or aiohttp.ClientError(), shown) from None
            if response.status == _RENEW and not renewed and self._renew(executor, request):
                renewed = True
                continue
            wait = pause(response.headers) if response.status == _THROTTLED else None
            if wait is None or throttled == _PATIENT:
                break
            # Paths that share one of Okta's limits do not know of each other: one is told to wait now and then. That
            # is keeping to the rate, so it does not use up the patience that is kept for failures.
            throttled += 1
            self._pacer.hold(bucket, wait)
        if response.status != 200:  # noqa: PLR2004 - OK
            if response.status == _THROTTLED:
                self._pacer.hold(bucket, pause(response.headers) or 1.0)
            raise judge(response.status, response.headers, body, shown=shown, scope=scope)
        check_type(response.headers.get("Content-Type", ""), body, shown)
        return response, body

    def _renew(self, executor: Any, request: dict[str, Any]) -> bool:
        """Drop the access token that was refused, unless another call has replaced it; False for an API token."""
        oauth = executor._oauth  # noqa: SLF001 - the executor renews only what has expired by its own clock
        if oauth is None:
            return False
        token, kind = oauth.get_current_token()
        if request["headers"]["Authorization"] == f"{kind} {token}":
            oauth.clear_access_token()
        return True

    async def _opened(self) -> Any:
        async with self._opening:
            if self._executor is None:
                session = open_session(self._settings, self._ca_file)
                try:
                    self._executor = await self._authorised(session)
                except BaseException:
                    await settle(session)
                    raise
                self._session = session
            return self._executor

    async def _authorised(self, session: aiohttp.ClientSession) -> Any:
        """Return an executor with a token; where scopes are refused, one with those that are granted."""
        wanted = list(dict.fromkeys(self._settings.scopes))
        executor = make_executor(self._settings, session, wanted)
        if self._settings.private_key is None:
            return executor
        try:
            await self._token(executor)
        except Refused as refusal:
            if "invalid_scope" not in refusal.message:
                raise
            granted = []
            for scope in wanted:
                try:
                    await self._token(make_executor(self._settings, session, [scope]))
                    granted.append(scope)
                except Refused as one:
                    if "invalid_scope" not in one.message:
                        raise
            self.refused_scopes = tuple(scope for scope in wanted if scope not in granted)
            if not granted:
                raise Refused(
                    refusal.message,
                    advice="Grant the app the scopes of `scopes`.",
                    missing_permission=", ".join(wanted),
                ) from None
            executor = make_executor(self._settings, session, granted)
            await self._token(executor)
        return executor

    async def _token(self, executor: Any) -> None:
        try:
            token, _, error = await executor._oauth.get_oauth_token()  # noqa: SLF001 - the only way to ask for it alone
        except _BROKEN as broken:
            error, token = broken, None
        if error is not None:
            raise token_failure(error, self._shown(_TOKEN_PATH)) from None
        conceal(str(token))

    def _learn(self, bucket: str, response: Any) -> None:
        headers = response.headers
        remaining, left = headers.get("X-Rate-Limit-Remaining", ""), resets_in(headers)
        counted = remaining.isascii() and remaining.isdigit() and headers.get("X-Rate-Limit-Limit") != "0"
        # A window is a minute long: an end that lies far off is nobody's to wait for.
        if counted and left is not None and left <= LONGEST_PAUSE:
            self._pacer.learn(bucket, remaining=int(remaining), resets_in=left)

    def _next(self, response: Any, path: str) -> str | None:
        try:
            found = response.links.get("next")
        except ValueError:
            raise Misbehaved(f"{self._shown(path)}: the Link header holds no URL") from None
        return None if found is None else self._own(str(found["url"]), path)

    def _own(self, link: str, path: str) -> str:
        """Return a next link that stays with the organisation; the token goes there or nowhere."""
        try:
            there, here = urlsplit(link), urlsplit(self._settings.org_url)
            same = (there.scheme, there.hostname, there.port or _port(there.scheme)) == (
                here.scheme,
                here.hostname,
                here.port or _port(here.scheme),
            )
        except ValueError:
            there, same = urlsplit(""), False
        if not same or there.username is not None or "\\" in link or any(char.isspace() for char in link):
            raise Misbehaved(
                f"{self._shown(path)}: the next link leads to another origin ({there.hostname or 'no URL'})",
                advice="The credentials would go there too, so it is not followed: check any proxy on the way.",
            )
        return self._settings.org_url + there.path + (f"?{there.query}" if there.query else "")

    def _url(self, path: str, params: dict[str, Any]) -> str:
        query = urlencode(params, quote_via=quote)
        return self._settings.org_url + path + (f"?{query}" if query else "")

    def _shown(self, path: str) -> str:
        return f"{self._settings.org_url}{path}"


def _named(answer: Answer[Any]) -> list[str]:
    return sorted(str(_name(item)) for item in answer.items)


def _name(item: Any) -> object:
    return getattr(item, "id", None) or getattr(item, "event_id", None) or getattr(item, "kid", None)


def _port(scheme: str) -> int | None:
    return {"http": 80, "https": 443}.get(scheme)


def _bucket(path: str) -> str:
    """Name what Okta counts together: the path, with its ids left out."""
    parts = path.split("/")
    return "/".join("*" if _is_id(parts, place) else part for place, part in enumerate(parts))


def _is_id(parts: Sequence[str], place: int) -> bool:
    collections = {"users", "groups", "apps", "clients", "roles", "resource-sets", "bindings"}
    return place > 0 and parts[place - 1] in collections and bool(parts[place]) and parts[place] != "rules"
