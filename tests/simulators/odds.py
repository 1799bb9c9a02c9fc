"""Writes that fail by chance: refused before they are done, or done and their answer lost."""

from __future__ import annotations

import random
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Middleware

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Odds:
    """Shares of all writes, drawn from one seed; searches by POST are no writes: ``writes`` tells them apart."""

    busy: float = 0.0
    """Answered 503 and not done."""
    lost: float = 0.0
    """Done, and the connection reset before the answer."""
    seed: int = 7
    writes: Callable[[web.Request], bool] = lambda request: request.method in {"POST", "PUT", "PATCH"}
    refused: int = 0
    forgotten: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self._random.seed(self.seed)

    def middleware(self) -> Middleware:
        """Return the middleware that draws for each write."""

        @web.middleware
        async def draw(request: web.Request, handler: _Handler) -> web.StreamResponse:
            if not self.writes(request):
                return await handler(request)
            drawn = self._random.random()
            if drawn < self.busy:
                self.refused += 1
                return web.Response(status=503, text="<html>busy</html>", content_type="text/html")
            answer = await handler(request)
            if drawn < self.busy + self.lost:
                self.forgotten += 1
                reset(request)
            return answer

        return draw


def reset(request: web.Request) -> None:
    """Drop the connection of a request without an answer."""
    if request.transport is not None:
        sock: socket.socket = request.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
