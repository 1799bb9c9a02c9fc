"""Requests to Microsoft Graph over the SDK's own adapter: its auth and transport, raw bytes, no hidden waits."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
import msgspec
from kiota_abstractions.authentication import BaseBearerTokenAuthenticationProvider
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from kiota_abstractions.response_handler import ResponseHandler
from kiota_http.middleware.options import RedirectHandlerOption, ResponseHandlerOption, RetryHandlerOption
from msgraph.graph_request_adapter import GraphRequestAdapter, options
from msgraph_core import GraphClientFactory  # type: ignore[import-untyped] # it ships no types

from reconciler.sdk.answers import clean
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.pace import Sleep

from .auth import Tokens, origin
from .failures import judge, throttled
from .limits import RateLimits
from .settings import Settings

BATCH = 20
"""Requests that one ``$batch`` may hold."""
EVENTUAL = {"ConsistencyLevel": "eventual"}
_MAX_BYTES = 64 * 1024 * 1024
_LOGS = "/auditLogs/"
_VERSION = "/v1.0"


class _Item(msgspec.Struct):
    id: str
    status: int
    headers: dict[str, str] = {}
    body: msgspec.Raw = msgspec.Raw(b"")


class _Batch(msgspec.Struct):
    responses: list[_Item]


_decode_batch = msgspec.json.Decoder(_Batch).decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Ask:
    """One GET: a path below the version (or a next link), and the permission it needs.

    ``eventual`` asks the index that counts. ``plain`` is the path to ask instead where Graph does not count here.
    """

    url: str
    permission: str = ""
    eventual: bool = False
    plain: str = ""

    def without_count(self) -> Ask:
        """Return the plain request."""
        return Ask(self.plain, self.permission)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request of a batch: its bytes, or why there are none."""

    ask: Ask
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> bytes:
        """Return the JSON of a 200; raise by remedy for anything else."""
        judge(self.status, self.headers, self.body, shown(self.ask.url), self.ask.permission)
        return self.body


class _Whole(ResponseHandler):
    """Hand out the response as it is, so that status, type and emptiness are all judged here."""

    async def handle_response_async(self, response: Any, error_map: Any = None) -> Any:
        del error_map
        return response


class GraphClient:
    """Asks one Graph endpoint; everybody waits when Graph asks one of us to."""

    def __init__(self, settings: Settings, base: Path, *, sleep: Sleep = asyncio.sleep) -> None:
        """Make the client; no network yet. Raises ``ConfigurationError`` for a ``ca_file`` that cannot be read."""
        self._settings = settings
        self._root = settings.endpoint_url + _VERSION
        ca_file = None if settings.ca_file is None else base / settings.ca_file
        trust = _trust(ca_file)
        self.tokens = Tokens(settings, ca_file)
        self._limits = RateLimits(concurrency=settings.parallel_calls, sleep=sleep)
        # At INFO httpx logs whole URLs, at DEBUG others log headers; azure warns with bodies of what is raised anyway.
        for name in ("httpx", "httpcore", "kiota_http", "msal"):
            logging.getLogger(name).setLevel(logging.WARNING)
        logging.getLogger("azure").setLevel(logging.ERROR)
        host = urlsplit(settings.endpoint_url).hostname or ""
        client = httpx.AsyncClient(
            verify=trust,
            trust_env=not is_loopback(host),
            follow_redirects=False,
            timeout=httpx.Timeout(settings.read_timeout_seconds, connect=settings.connect_timeout_seconds),
            limits=httpx.Limits(max_connections=settings.parallel_calls),
            event_hooks={"response": [_bounded]},
        )
        client.base_url = httpx.URL(self._root)
        chosen = {
            **options,
            RetryHandlerOption.get_key(): RetryHandlerOption(max_retries=0, should_retry=False),
            RedirectHandlerOption.get_key(): RedirectHandlerOption(max_redirect=0, should_redirect=False),
        }
        # The SDK's own transports never close those that they wrap, and a client closes only the outermost.
        inner = [client._transport, *client._mounts.values()]  # noqa: SLF001 -- httpx gives them by no other name
        self._transports = [transport for transport in inner if transport is not None]
        self._http = GraphClientFactory.create_with_default_middleware(client=client, options=chosen)
        self._adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(self.tokens), self._http)
        self._adapter.base_url = self._root
        self._handler = ResponseHandlerOption(_Whole())

    def follow(self, link: str) -> str:
        """Return ``link`` where it stays on the configured origin and version; raise ``Misbehaved`` otherwise."""
        if origin(link) != origin(self._root) or not urlsplit(link).path.startswith(f"{_VERSION}/"):
            scheme, host, port = origin(link)
            there = f"{scheme}://{host}:{port}" if host else "no clean URL"
            raise Misbehaved(
                f"a next link leads to {there}, not to {self._root}",
                advice="The token would go there too, so it is not followed: check endpoint_url and any proxy that "
                "rewrites links.",
            )
        return link

    async def get(self, ask: Ask) -> bytes:
        """Return the JSON that one request is answered with; raise by remedy."""
        response, _ = await self._send(Method.GET, self._absolute(ask.url), EVENTUAL if ask.eventual else {})
        if response.status_code == httpx.codes.BAD_REQUEST and ask.plain:
            return await self.get(ask.without_count())
        judge(response.status_code, response.headers, response.content, shown(ask.url), ask.permission)
        return response.content

    async def count(self, ask: Ask) -> int:
        """Return a ``/$count``, which is bare text."""
        response, _ = await self._send(Method.GET, self._absolute(ask.url), EVENTUAL, accept="text/plain")
        if response.status_code != httpx.codes.OK:
            judge(response.status_code, response.headers, response.content, shown(ask.url), ask.permission)
        text = response.content.decode("utf-8-sig", "replace").strip()
        if not text.isdecimal():
            raise Misbehaved(
                f"{shown(ask.url)}: {clean(text)[:40]!r} is no count", advice="Check any proxy on the way."
            )
        return int(text)

    async def batch(self, asks: Sequence[Ask]) -> list[Answer]:
        """Ask up to twenty requests at once and return each one's own answer, in their order.

        Those that Graph throttles are asked again, and only those, once everybody has waited as long as it said;
        raises ``Throttled`` where that is absurdly long or does not end. Other failures stand in their answers.
        """
        found: dict[int, Answer] = {}
        asks = list(asks)
        while True:
            open_ = [number for number in range(len(asks)) if number not in found]
            answers, round_ = await self._batch([asks[number] for number in open_])
            waits: list[Throttled] = []
            for answer, number in zip(answers, open_, strict=True):
                wait = throttled(answer.status, answer.headers, answer.body, shown(answer.ask.url))
                if wait is not None:
                    waits.append(wait)
                elif answer.status == httpx.codes.BAD_REQUEST and answer.ask.plain:
                    asks[number] = answer.ask.without_count()
                else:
                    found[number] = answer
            if len(waits) < len(answers):
                self._limits.answered("")
            if waits:
                self._limits.refused("", round_, max(waits, key=lambda wait: wait.retry_after or 0))
            if len(found) == len(asks):
                return [found[number] for number in range(len(asks))]

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self.tokens.close()
        await self._http.aclose()
        for transport in self._transports:
            await transport.aclose()

    async def _batch(self, asks: Sequence[Ask]) -> tuple[list[Answer], int]:
        """Return the answers to one batch, good and bad, and the round of rate limits that it belonged to."""
        requests = [
            {
                "id": str(number),
                "method": "GET",
                "url": self._absolute(ask.url).removeprefix(self._root),
                "headers": {"Accept": "application/json", **(EVENTUAL if ask.eventual else {})},
            }
            for number, ask in enumerate(asks)
        ]
        where = f"{self._root}/$batch"
        response, round_ = await self._send(Method.POST, where, {}, content=_encode({"requests": requests}))
        judge(response.status_code, response.headers, response.content, "/$batch")
        try:
            responses = _decode_batch(response.content).responses
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Misbehaved(f"/$batch: not the answer of a batch: {clean(str(error))}") from None
        items = {item.id: item for item in responses}
        asked = {request["id"] for request in requests}
        if len(items) < len(responses) or not set(items) <= asked:
            raise Misbehaved(
                "/$batch: answers to what was not asked, or several to one request",
                advice="Report this to Microsoft; nothing of the batch is used.",
            )
        if len(items) < len(asked):
            raise Unreachable(
                f"/$batch: {len(asked)} requests and answers to {len(items)} of them",
                advice="Try again; nothing of the batch is used.",
            )
        return [_answer(ask, items[str(number)]) for number, ask in enumerate(asks)], round_

    async def _send(
        self,
        method: Method,
        url: str,
        headers: Mapping[str, str],
        *,
        content: bytes = b"",
        accept: str = "application/json",
    ) -> tuple[httpx.Response, int]:
        """Send one request in its turn, again for as long as Graph says "wait"; with the round of its answer.

        A token that is not accepted is replaced once.
        """
        limit = "logs" if shown(url).startswith(_LOGS) else ""
        renewed = False
        while True:
            async with self._limits.turn(limit) as round_:
                response = await self._once(method, url, headers, content, accept)
            if response.status_code == httpx.codes.UNAUTHORIZED and not renewed:
                renewed = True
                await self.tokens.forget(response.request.headers.get("authorization", "").removeprefix("Bearer "))
                continue
            wait = throttled(response.status_code, response.headers, response.content, shown(url))
            if wait is not None:
                self._limits.refused(limit, round_, wait)
                continue
            if method is Method.GET:  # a batch was answered where one of its items was
                self._limits.answered(limit)
            return response, round_

    async def _once(
        self, method: Method, url: str, headers: Mapping[str, str], content: bytes, accept: str
    ) -> httpx.Response:
        request = RequestInformation()
        request.http_method = method
        request.url = url
        for name, value in {"Accept": accept, **headers}.items():
            request.headers.try_add(name, value)
        if content:
            request.set_stream_content(content, "application/json")
        request.add_request_options([self._handler])
        place = shown(url)
        advice = "Check the network, then try again; what was read so far of this page is not used."
        try:
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                sent = await self._adapter.send_primitive_async(request, "bytes", {})
        # Causes are left out: the requests they hold carry the token.
        except (TimeoutError, httpx.TimeoutException):
            raise Unreachable(f"{place}: no answer in time", advice=advice) from None
        except httpx.TransportError as error:
            if (distrust := _distrust(error)) is not None:
                raise Refused(
                    f"{place}: its certificate is not trusted: {distrust}",
                    advice="Set ca_file to the certificate of its authority; checks are never skipped.",
                ) from None
            raise Unreachable(f"{place}: {type(error).__name__}: {clean(str(error))}", advice=advice) from None
        except httpx.DecodingError:
            raise Misbehaved(f"{place}: the compression is damaged", advice="Check any proxy on the way.") from None
        return cast("httpx.Response", sent)

    def _absolute(self, url: str) -> str:
        return self.follow(url if "://" in url else self._root + url)


def shown(url: str) -> str:
    """Return what a message may say of a request: its path, without host, version and query."""
    return clean(urlsplit(url).path.removeprefix(_VERSION))


def _answer(ask: Ask, item: _Item) -> Answer:
    """Return a batch's item like an answer of its own; items leave out the type of their JSON now and then."""
    headers = {name.lower(): value for name, value in item.headers.items()}
    body = bytes(item.body)
    if body[:1] in {b"{", b"["}:
        headers.setdefault("content-type", "application/json")
    return Answer(ask, item.status, headers, b"" if body == b"null" else body)


async def _bounded(response: httpx.Response) -> None:
    """Read an answer before the SDK does, and refuse one with more bytes than any page has, packed or not."""
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MAX_BYTES:
            raise Misbehaved(f"the answer is larger than {_MAX_BYTES} bytes", advice="Lower page_size.")
    response._content = bytes(body)  # noqa: SLF001 -- httpx keeps what it read itself there, and no other way in


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"ca_file: cannot read the certificates in {ca_file}: {error}", advice="Give a file of PEM certificates."
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _distrust(error: BaseException) -> str | None:
    """Return why a certificate was not trusted, None where the failure was another."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return seen.verify_message
        seen = seen.__cause__ or seen.__context__
    return None
