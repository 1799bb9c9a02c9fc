"""The server around the application: what a connection may take, and how it ends."""

from __future__ import annotations

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

_SECONDS = 10.0
"""How long a connection may be open without a request that has all of its headers."""
_CONNECTIONS = 200
_GRACE = 10
"""Seconds that requests under way may take when the server stops."""


class Impatient(H11Protocol):
    """HTTP/1.1 that hangs up on whoever does not come to the point.

    The server knows no limit for headers: so many connections that say nothing, or drip, would keep everybody out.
    """

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as the class above has it
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def on_response_complete(self) -> None:
        """Begin to wait for the next one."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._stop()
        self._deadline = self.loop.call_later(_SECONDS, self._hang_up)

    def _stop(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()

    def _hang_up(self) -> None:
        # A body under way has a limit of its own. Nothing is said: there is no request that it would answer.
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr] # None before the first
            self.transport.close()


def server(application: FastAPI) -> uvicorn.Server:
    """Return the server of an application; it listens on the sockets that it is run with."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            http=Impatient,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # nobody is believed for where they say that they come from
            limit_concurrency=_CONNECTIONS,
            timeout_graceful_shutdown=_GRACE,
        )
    )
