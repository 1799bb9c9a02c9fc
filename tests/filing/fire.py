"""Tickets under fire: workers are killed at every named point, servers are busy, and answers are lost on the way.

``under_fire`` asks for tickets in a database and lets several worker processes send them to a simulator of some ticket
system, through a proxy that does harm. A worker dies by SIGKILL: before its attempt is written down, after that, after
its request was sent, after the answer, and after that was written down. What counts is what the simulator holds then.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web
from sqlmodel import col, select

from reconciler.database import Database, opened
from reconciler.database.filing import OperationRow, TicketRow
from reconciler.filing import outbox, sending
from reconciler.filing.keys import key
from reconciler.filing.sending import Pace
from reconciler.sdk.tickets import Ticket
from tests.simulators.http_server import LoopbackServer

ROOT = Path(__file__).parents[2]
POINTS = ("claimed", "begun", "sent", "answered", "done")
"""claimed: before the attempt is written down; begun: after; sent: the request is; answered; done: all is written."""
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "content-encoding"}


@dataclass(frozen=True, slots=True)
class Harm:
    """How much goes wrong: shares of the requests that create, and how often a worker dies at each point."""

    busy: float = 0.15
    lost: float = 0.20
    deaths: int = 4
    seed: int = 5


@dataclass(slots=True)
class Fire:
    """What happened, and what was left."""

    held: Mapping[str, int]
    """Key -> how many tickets of it the remote system holds."""
    states: Counter[str]
    """How the ledger's tickets and operations stand."""
    remote_ids: int
    """Distinct ids in the ledger."""
    deaths: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def check(self, tickets: int) -> None:
        """Assert that nothing was filed twice, nothing was lost, and that it was a fire at all."""
        assert {k: n for k, n in self.held.items() if n != 1} == {}
        assert len(self.held) == tickets
        assert self.states == {"ticket filed": tickets, "operation done": tickets}
        assert self.remote_ids == tickets
        assert all(self.deaths[point] for point in POINTS), self.deaths
        assert self.faults["busy"], self.faults
        assert self.faults["lost"], self.faults


def under_fire(
    url: str,
    *,
    simulator: str,
    open_tickets: str,
    held: Callable[[], Mapping[str, int]],
    creates: Callable[[str, str], bool] = lambda method, _path: method == "POST",
    tickets: int = 40,
    workers: int = 3,
    harm: Harm | None = None,
    pace: Pace | None = None,
    fields: Mapping[str, Any] | None = None,
    upstream_ca: Path | None = None,
    seconds: float = 240.0,
) -> Fire:
    """File tickets in the database ``url`` while everything fails, until all are done; return what was left.

    ``simulator`` is the URL of the ticket system; workers reach it through a proxy. ``open_tickets`` names a function
    ``module:name`` that takes the proxy's URL and returns a ``TicketSystem`` called "desk"; it is imported by the
    workers. ``creates`` tells by method and path which requests make a ticket. ``held`` asks the simulator what it
    holds. ``pace.least_settle`` must be longer than the simulator takes to show a ticket in a search.
    """
    harm = harm or Harm()
    pace = pace or Pace(call=6.0, lease=8.0, least_settle=1.5, first_wait=0.05, longest_wait=0.5, tries=60)
    database = opened(url)
    at = datetime.now(UTC)  # noqa: TID251 - workers in other processes go by the real clock
    with database.writing() as session:
        for number in range(1, tickets + 1):
            about = f"NC-{number:06}"
            ticket = Ticket(
                key=key("acme", about),
                title=f"{about}: a leaver can sign in",
                body="Rule IG-LVR-001 does not hold in ldap.\n\n- F-1: u-1001\n",
                severity="high",
                due_at=at,
                fields=dict(fields or {}),
            )
            assert outbox.ask(session, system="desk", ticket=ticket, about=about, at=at)
    every = max(2, int(tickets * 0.7) // harm.deaths)
    with ExitStack() as stack:
        proxies = [
            stack.enter_context(
                _Proxy(simulator, creates, harm, every=every * (n + 1), seed=harm.seed * 100 + n, ca=upstream_ca)
            )
            for n in range(workers)
        ]
        crew = {
            "url": url,
            "endpoints": [proxy.url for proxy in proxies],
            "open_tickets": open_tickets,
            "every": every,
            "most": int(tickets * 0.7),
            "pace": {name: getattr(pace, name) for name in pace.__struct_fields__},
        }
        done = subprocess.run(
            [sys.executable, "-m", "tests.filing.fire", json.dumps(crew)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=True,
        )
        deaths = Counter(json.loads(done.stdout.splitlines()[-1]))
        faults: Counter[str] = Counter()
        for proxy in proxies:
            faults.update(proxy.faults)
        deaths["sent"] = faults.pop("sent", 0)
    return Fire(held=held(), deaths=deaths, faults=faults, **_ledger(database))


def _ledger(database: Database) -> dict[str, Any]:
    with database.reading() as session:
        states = Counter(f"ticket {state}" for state in session.exec(select(TicketRow.state)))
        states.update(f"operation {state}" for state in session.exec(select(OperationRow.state)))
        ids = set(session.exec(select(TicketRow.remote_id).where(col(TicketRow.remote_id).is_not(None))))
    return {"states": states, "remote_ids": len(ids)}


class _Proxy:
    """Pass requests of one worker on, and do harm to those that create."""

    def __init__(
        self, upstream: str, creates: Callable[[str, str], bool], harm: Harm, *, every: int, seed: int, ca: Path | None
    ) -> None:
        self.faults: Counter[str] = Counter()
        self._upstream, self._creates, self._harm, self._every = upstream.rstrip("/"), creates, harm, every
        self._random = random.Random(seed)
        self._pid: int | None = None
        self._count = 0
        self._ca = ca
        self._session: aiohttp.ClientSession | None = None
        self._server = LoopbackServer(self._make, tls=False)

    @property
    def url(self) -> str:
        return self._server.url

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def _make(self) -> web.Application:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("PUT", "/worker/{pid}", self._worker)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        app.on_cleanup.append(self._close)
        return app

    async def _close(self, _app: web.Application) -> None:
        if self._session is not None:
            await self._session.close()

    async def _worker(self, request: web.Request) -> web.Response:
        self._pid = int(request.match_info["pid"])
        return web.Response()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        creates = self._creates(request.method, request.path)
        body = await request.read()
        if creates and self._random.random() < self._harm.busy:
            self.faults["busy"] += 1
            return web.json_response({"error": "busy"}, status=503)
        # What a client that dies or goes away has sent is carried out all the same: it is not cancelled with it.
        status, headers, answer = await asyncio.shield(asyncio.ensure_future(self._ask(request, body)))
        if creates:
            self._count += 1
            if self._count % self._every == 0 and self._pid is not None:
                self.faults["sent"] += 1
                os.kill(self._pid, signal.SIGKILL)
                self._pid = None
                self._drop(request)
            elif self._random.random() < self._harm.lost:
                self.faults["lost"] += 1
                self._drop(request)
        return web.Response(status=status, headers=headers, body=answer)

    async def _ask(self, request: web.Request, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=True, connector=self._connector())
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP]
        headers.append(("Accept-Encoding", "identity"))
        async with self._session.request(
            request.method, self._upstream + request.raw_path, data=body, headers=headers, allow_redirects=False
        ) as answer:
            kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in _HOP | {"date", "server"}]
            return answer.status, kept, await answer.read()

    def _connector(self) -> aiohttp.TCPConnector:
        if self._ca is None:
            return aiohttp.TCPConnector()
        import ssl

        return aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=self._ca))

    @staticmethod
    def _drop(request: web.Request) -> None:
        if request.transport is not None:
            request.transport.abort()


class _Deaths:
    """Count passes of each point across processes; every so many, the process that passes dies."""

    def __init__(self, every: int, most: int) -> None:
        self._memory = mmap.mmap(-1, 8 * len(POINTS))
        self._every, self._most = every, most

    def reached(self, point: str) -> None:
        place = POINTS.index(point) * 8
        passed, died = struct.unpack_from("ii", self._memory, place)
        passed += 1
        dies = passed % self._every == 0 and passed <= self._most
        struct.pack_into("ii", self._memory, place, passed, died + dies)
        if dies:
            os.kill(os.getpid(), signal.SIGKILL)

    def counts(self) -> dict[str, int]:
        return {point: struct.unpack_from("ii", self._memory, 8 * n)[1] for n, point in enumerate(POINTS)}


def _work(crew: Mapping[str, Any], endpoint: str, deaths: _Deaths) -> None:
    """Be one worker until nothing is left to do."""
    module, _, name = crew["open_tickets"].partition(":")
    factory = getattr(importlib.import_module(module), name)
    request = urllib.request.Request(f"{endpoint}/worker/{os.getpid()}", method="PUT")  # noqa: S310 - loopback
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - loopback

    async def run() -> None:
        system = factory(endpoint)
        pace = Pace(**(crew["pace"] | {"patience": 120.0}))
        try:
            await sending.send(Database(crew["url"]), {"desk": system}, workers=1, pace=pace, reached=deaths.reached)
        finally:
            await system.close()

    asyncio.run(run())


def _lead(crew: Mapping[str, Any]) -> None:
    """Start a worker for each endpoint, another for each that is killed, until every one of them came to its end."""
    importlib.import_module(crew["open_tickets"].partition(":")[0])  # before the fork: once for all
    deaths = _Deaths(crew["every"], crew["most"])
    assert threading.active_count() == 1
    working: dict[int, str] = {}

    def start(endpoint: str) -> None:
        pid = os.fork()
        if pid:
            working[pid] = endpoint
            return
        code = 1
        try:
            _work(crew, endpoint, deaths)
            code = 0
        except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent
            import traceback

            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)

    for endpoint in crew["endpoints"]:
        start(endpoint)
    failed = 0
    while working:
        pid, status = os.wait()
        endpoint = working.pop(pid)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            start(endpoint)
        elif status:
            failed += 1
    sys.stdout.write(json.dumps(deaths.counts()) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    _lead(json.loads(sys.argv[1]))
