"""The application: one way in for each ``[inbound.NAME]``, and a word on health."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reconciler import clock
from reconciler.errors import ConfigurationError, ReconcilerError
from reconciler.log import redact
from reconciler.sdk.errors import Unreachable
from reconciler.settings import Settings
from reconciler.web.api import signatures
from reconciler.web.api.certificates import Certificates
from reconciler.web.api.checks import ReadTicket
from reconciler.web.api.deliveries import Deliveries
from reconciler.web.api.endpoints import Endpoint, digest, parsed, prepare
from reconciler.web.api.signatures import Headers, NotGenuineError
from reconciler.web.api.tickets import read_back
from reconciler.web.api.work import Worker

_LOG = logging.getLogger(__name__)
_SECONDS = 30.0
"""How long a sender may take to send a body."""
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
_LATER = {"Retry-After": "60"}


def app(settings: Settings, *, read_ticket: ReadTicket = read_back) -> FastAPI:
    """Return the application; its worker runs from start-up to shutdown.

    Raises ``ConfigurationError`` for endpoints that could not work, and ``StoreError`` for a database that cannot
    be written to.
    """
    endpoints = prepare(settings)
    if not endpoints:
        raise ConfigurationError(
            f"{settings.path} has no section [inbound.NAME]: there is nothing to listen for",
            advice="Write one for each system that may send.",
        )
    deliveries = Deliveries(settings.database_url)
    worker = Worker(settings, endpoints, deliveries, read_ticket)
    inbox = _Inbox(endpoints, deliveries, worker)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        worker.start()
        yield
        await run_in_threadpool(worker.stop)

    made = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    made.add_exception_handler(HTTPException, _refused)
    made.add_middleware(_Guard)
    made.add_api_route("/hooks/{name}", inbox.receive, methods=["POST"], response_model=None)
    made.add_api_route("/healthz", _health(deliveries, worker), methods=["GET"], response_model=None)
    return made


class _Inbox:
    """Takes deliveries: refuses, or keeps and answers; never works on them."""

    def __init__(self, endpoints: Mapping[str, Endpoint], deliveries: Deliveries, worker: Worker) -> None:
        self._endpoints = endpoints
        self._deliveries = deliveries
        self._worker = worker
        self._certificates = {
            name: Certificates(endpoint.section.certificate_url)
            for name, endpoint in endpoints.items()
            if endpoint.section.certificate_url is not None
        }

    async def receive(self, name: str, request: Request) -> JSONResponse:
        """Answer 202 once a new delivery is kept, 200 for one that was kept before."""
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            raise HTTPException(404, "there is no such endpoint")
        _refuse_other_kinds(request)
        body = await _whole(request, endpoint.section.max_bytes)
        headers = [(key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in request.headers.raw]
        try:
            signed = await self._genuine(endpoint, headers, body)
        except NotGenuineError as error:
            _LOG.warning("%s: refused a delivery: %s", name, error)
            raise HTTPException(401, "the delivery is not known to be genuine") from None
        except (ConfigurationError, Unreachable) as error:
            _LOG.error("%s: a delivery could not be verified: %s %s", name, error.message, error.advice)
            raise HTTPException(503, "it cannot be verified now; send it again later", _LATER) from None
        return await self._keep(endpoint, signed, headers, body)

    async def _genuine(self, endpoint: Endpoint, headers: Headers, body: bytes) -> str | None:
        now = clock.now()
        if endpoint.section.kind != "veeva":
            return endpoint.genuine(headers, body, now=now)
        message = signatures.spark(headers, body, vault_ids=endpoint.section.vault_ids, path=endpoint.path, now=now)
        certificate = await self._certificates[endpoint.name].get(message.certificate_id, now)
        signatures.verify_spark(message, certificate, now=now)
        return None

    async def _keep(self, endpoint: Endpoint, signed: str | None, headers: Headers, body: bytes) -> JSONResponse:
        try:
            delivery_id = endpoint.delivery_id(signed, headers, parsed(body))
        except ValueError as error:
            _LOG.warning("%s: refused a delivery that is genuine: %s", endpoint.name, error)
            raise HTTPException(400, str(error)) from None
        unsigned = endpoint.section.kind == "github"
        kept = await run_in_threadpool(
            self._deliveries.keep,
            endpoint=endpoint.name,
            delivery_id=delivery_id,
            digest=digest(body),
            body=body,
            headers=endpoint.kept(headers),
            at=clock.now(),
            replay=timedelta(seconds=endpoint.section.tolerance_seconds) if unsigned else None,
            essence=endpoint.essence,
        )
        if kept.how == "conflict":
            _LOG.warning("%s: delivery %s came again with another body; the first is kept", endpoint.name, delivery_id)
            raise HTTPException(409, f"delivery {delivery_id} came before with another body, which is kept")
        if kept.how == "new":
            self._worker.wake()
        state = "accepted" if kept.how == "new" else "known already"
        told = {"delivery": kept.delivery_id, "sha256": digest(body), "state": state}
        return JSONResponse(told, 202 if kept.how == "new" else 200)


def _refuse_other_kinds(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, "only JSON is accepted: Content-Type: application/json")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "compressed bodies are not accepted")


async def _whole(request: Request, most: int) -> bytes:
    """Read the body, no more of it than may be, and no longer than a sender may take."""
    too_large = HTTPException(413, f"a delivery may hold {most} bytes at most", {"Connection": "close"})
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise too_large
    except ClientDisconnect:
        raise HTTPException(400, "the body ended early") from None
    except TimeoutError:
        raise HTTPException(408, "the body took too long", {"Connection": "close"}) from None
    return bytes(body)


def _health(deliveries: Deliveries, worker: Worker) -> Callable[[], Awaitable[JSONResponse]]:
    async def health() -> JSONResponse:
        """Answer 200 where deliveries can be kept and looked at, 503 where not."""
        if not worker.alive:
            return JSONResponse({"status": "nobody looks at deliveries"}, 503)
        try:
            await run_in_threadpool(deliveries.answer)
        except ReconcilerError as error:
            _LOG.error("not healthy: %s %s", error.message, error.advice)
            return JSONResponse({"status": "the database does not answer"}, 503)
        return JSONResponse({"status": "ok"})

    return health


async def _refused(_: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, dict(error.headers or {}))


class _Guard:
    """Adds headers to every answer, and answers what nobody expected without a word on what it was."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except Exception as error:  # noqa: BLE001 - whatever it is, its text and trace stay here
            answer = _answer(error)
            if not begun:
                await answer(scope, receive, guarded)


def _answer(error: Exception) -> JSONResponse:
    if isinstance(error, ReconcilerError):
        _LOG.error("a delivery could not be kept: %s %s", error.message, error.advice)
        return JSONResponse({"error": "it cannot be kept now; send it again later"}, 503, _LATER)
    _LOG.debug("defect", exc_info=error)
    _LOG.error("defect: %s", redact(f"{type(error).__name__}: {error}"))
    told: dict[str, Any] = {"error": "something went wrong here; send it again later"}
    return JSONResponse(told, 500)
