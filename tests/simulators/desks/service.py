"""What the ticket systems of other vendors have alike: a running server, faults, a clock that tests move."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.simulators.http_injection import Injector
from tests.simulators.http_server import LoopbackServer

Row = dict[str, Any]


@dataclass
class Service(ABC):
    """One vendor's API on a loopback port; ``tickets`` by id. ``lag`` are seconds until a search sees a ticket."""

    lag: float = 0.0
    tickets: dict[str, Row] = field(default_factory=dict)
    faults: Injector = field(default_factory=Injector)
    requests: list[tuple[str, str]] = field(default_factory=list)
    later: float = 0.0
    """Seconds by which a test has moved the clock."""
    behind: int = 0
    """Searches that did not see every ticket."""
    _made: dict[str, float] = field(default_factory=dict)
    _server: LoopbackServer | None = None

    def __enter__(self) -> Self:
        self._server = LoopbackServer(self._application, tls=False)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.stop()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        assert self._server is not None
        return self._server.url

    @property
    def now(self) -> float:
        """Seconds of this service's clock."""
        return time.monotonic() + self.later

    def add(self, **row: Any) -> Row:
        """Keep a ticket under the next id."""
        number = self.number(len(self._made) + 1)
        self._made[number] = self.now
        self.tickets[number] = {"id": int(number) if number.isdigit() else number, **row}
        return self.tickets[number]

    def number(self, count: int) -> str:
        """Return the id of the ticket that is made as the ``count``th."""
        return str(count)

    def searchable(self) -> list[Row]:
        """Return the tickets that a search sees by now."""
        rows = [row for number, row in self.tickets.items() if self.now - self._made[number] >= self.lag]
        self.behind += len(rows) < len(self.tickets)
        return rows

    def held(self) -> Counter[str]:
        """Return how many tickets there are of each key."""
        return Counter(self.key(row) for row in self.tickets.values())

    @abstractmethod
    def key(self, row: Row) -> str:
        """Return our key of a ticket."""

    @abstractmethod
    def routes(self, app: web.Application) -> None:
        """Add the vendor's endpoints."""

    @abstractmethod
    def refused(self, request: web.Request) -> web.Response | None:
        """Return the answer to wrong credentials, None where they are right."""

    @abstractmethod
    def refusal(self, status: int, *, announced: bool) -> web.Response:
        """Return the vendor's error answer for a status."""

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(self.refusal), self._admit])
        self.routes(app)
        return app

    @web.middleware
    async def _admit(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.method, str(request.rel_url)))
        refused = self.refused(request)
        answer: web.StreamResponse = refused if refused is not None else await handler(request)
        return answer
