"""Tickets under fire: workers are killed at every named point, servers are busy, and answers are lost on the way.

``under_fire`` asks for 400 tickets in a database and lets three worker processes send them to some ticket system, real
or simulated, through proxies that do harm. A worker dies by SIGKILL: before its attempt is written down, after that,
after its request was sent, after the answer, and after that was written down. Of the answers that are lost, half are
to requests that are carried out only afterwards, as by a slow server. What counts is what the system holds at the end.

A system says how soon a look shows what was sent. No busy machine may break that word: the proxies let a look wait
until what was sent so long ago can be seen.
"""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import functools
import importlib
import itertools
import json
import mmap
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
import threading
import time
import traceback
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import aiohttp
from aiohttp import web
from msgspec.structs import asdict
from sqlalchemy import make_url
from sqlmodel import col, select
from tenacity import wait_combine

from reconciler.database import Database, opened
from reconciler.database.filing import AttemptRow, OperationRow, TicketRow
from reconciler.filing import outbox, queue, sending
from reconciler.filing.keys import key
from reconciler.filing.sending import Pace
from reconciler.sdk import http
from reconciler.sdk.tickets import Change, Ticket, TicketSystem
from tests.effort import QUICK
from tests.simulators.http_server import LoopbackServer

ROOT = Path(__file__).parents[2]
TICKETS = 60 if QUICK else 400
"""How many tickets a fire is about."""
DATABASES = ("postgresql",) if QUICK else ("sqlite", "postgresql")
"""Where the outbox of a connector lies; what differs between them is the outbox's own matter, and seen in its fire."""
POINTS = ("claimed", "begun", "sent", "answered", "done")
"""claimed: before the attempt is written down; begun: after; sent: the request is; answered; done: all is written."""
WORKERS = 3
LAG = 0.6
"""Seconds until a simulator's search shows a ticket, where the search of its system lags."""
LATE = 0.4
"""Seconds after which a request is carried out whose client was cut off before."""
SETTLE = 3.0
"""What systems under fire say of their search: longer than LATE and LAG together, with room for a busy machine."""
PACE = Pace(call=5.0, lease=9.0, least_settle=0.0, first_wait=0.05, longest_wait=0.5, tries=60, patience=900.0)
"""Waits short, and in the order of those in use; that nothing is believed too early hangs on ``settle_seconds``."""
_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "content-encoding"}


@dataclass(frozen=True, slots=True)
class Harm:
    """How much goes wrong: shares of the requests that create, and how often a worker dies at each point."""

    busy: float = 0.15
    lost: float = 0.20
    late: float = 0.50
    """Share of the lost answers whose request is carried out only after the client was cut off."""
    deaths: int = 4
    seed: int = 5


@dataclass(slots=True)
class Fire:
    """What happened, and what was left."""

    tickets: int
    """How many were asked for."""
    changes: int
    """How many to each of them."""
    held: Mapping[str, int]
    """Key -> how many tickets of it the remote system holds."""
    behind: int | None
    """How many searches did not show a ticket that was there; None where a search shows everything."""
    states: Counter[str]
    """How the ledger's tickets and operations stand, and attempts of which nothing was written down."""
    remote_ids: int
    """Distinct ids in the ledger."""
    deaths: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def check(self) -> None:
        """Assert that nothing was filed twice, nothing was lost, and that it was a fire at all."""
        assert {k: n for k, n in self.held.items() if n != 1} == {}
        assert len(self.held) == self.tickets
        assert self.states == {"ticket filed": self.tickets, "operation done": self.tickets * (1 + self.changes)}
        assert self.remote_ids == self.tickets
        assert all(self.deaths[point] for point in POINTS), self.deaths
        assert all(self.faults[fault] >= self.tickets // 20 for fault in ("busy", "lost", "late")), self.faults
        assert self.behind is None or self.behind > 0


def under_fire(
    url: str,
    *,
    system: str,
    opens: Callable[[str], TicketSystem],
    held: Callable[[], Mapping[str, int]],
    creates: Callable[[str, str], bool] = lambda method, _path: method == "POST",
    behind: Callable[[], int] | None = None,
    estate: str = "acme",
    tickets: int = TICKETS,
    changes: Sequence[Change] = (),
    harm: Harm | None = None,
    pace: Pace = PACE,
    fields: Mapping[str, Any] | None = None,
) -> Fire:
    """File tickets in the database ``url`` while everything fails, until all are done; return what was left.

    ``system`` is the URL of the ticket system; each worker reaches it through a proxy. ``opens`` takes the proxy's URL
    and returns the system, called "desk"; workers import it by its name. ``creates`` tells by method and path which
    requests make a ticket, or a change of ``changes``, which are asked for to each. ``held`` asks the system what it
    holds, and ``behind`` how many of its searches did not show a ticket that was there.
    """
    harm = harm or Harm()
    database = opened(url)
    at = datetime.now(UTC)  # noqa: TID251 - workers in other processes go by the real clock
    with database.writing() as session:
        for number in range(1, tickets + 1):
            about = f"NC-{number:06}"
            ticket = Ticket(
                key=key(estate, about),
                title=f"{about}: a leaver can sign in",
                body="Rule IG-LVR-001 does not hold in ldap.\n\n- F-1: u-1001\n",
                severity="high",
                due_at=at,
                fields=dict(fields or {}),
            )
            assert outbox.ask(session, system="desk", ticket=ticket, about=about, at=at)
            for change in changes:
                assert outbox.ask_change(session, system="desk", key=ticket.key, change=change, at=at)
    every = max(2, int(tickets * 0.7) // harm.deaths)
    faults, word, answers = _Faults(harm), _Word(), itertools.count(1)

    def dies() -> bool:
        return next(answers) % every == 0

    with ExitStack() as stack:
        proxies = [stack.enter_context(_Proxy(system, creates, faults, word, dies)) for _ in range(WORKERS)]
        crew = {
            "url": url,
            "endpoints": [proxy.url for proxy in proxies],
            "opens": f"{opens.__module__}:{opens.__qualname__}",
            "every": every,
            "most": int(tickets * 0.7),
            "pace": asdict(pace),
            "environment": dict(os.environ),
        }
        with _kept_open(url):
            deaths = Counter(_foreman().lead(crew))
        met: Counter[str] = Counter()
        for proxy in proxies:
            met.update(proxy.faults)
        deaths["sent"] = met.pop("sent", 0)
    found = behind() if behind is not None else None
    return Fire(
        tickets=tickets,
        changes=len(changes),
        held=held(),
        behind=found,
        deaths=deaths,
        faults=met,
        **_ledger(database),
    )


@contextmanager
def _kept_open(url: str) -> Iterator[None]:
    """Keep an SQLite file open: else each transaction is the last to close it, and SQLite clears up each time."""
    kept = sqlite3.connect(make_url(url).database or "") if url.startswith("sqlite") else None
    try:
        if kept is not None:
            kept.execute("SELECT count(*) FROM tickets")
        yield
    finally:
        if kept is not None:
            kept.close()


def _ledger(database: Database) -> dict[str, Any]:
    with database.reading() as session:
        states = Counter(f"ticket {state}" for state in session.exec(select(TicketRow.state)))
        states.update(f"operation {state}" for state in session.exec(select(OperationRow.state)))
        ends = session.exec(select(AttemptRow.outcome)).all()
        states.update("attempt without an end" for outcome in ends if outcome is None)
        ids = set(session.exec(select(TicketRow.remote_id).where(col(TicketRow.remote_id).is_not(None))))
    return {"states": states, "remote_ids": len(ids)}


class _Faults:
    """Deal out what goes wrong: in any order, but so many of each in every twenty; proxies share them."""

    def __init__(self, harm: Harm) -> None:
        busy = round(20 * harm.busy)
        lost = round((20 - busy) * harm.lost)
        late = round(lost * harm.late)
        self._cards = ["busy"] * busy + ["late"] * late + ["lost"] * (lost - late)
        self._cards += [""] * (20 - len(self._cards))
        self._random = random.Random(harm.seed)
        self._left: list[str] = []
        self._one_at_a_time = threading.Lock()

    def next(self) -> str:
        """Return the fault of the next request that creates, empty where it goes well."""
        with self._one_at_a_time:
            if not self._left:
                self._left = self._random.sample(self._cards, len(self._cards))
            return self._left.pop()


class _Word:
    """What a system says of its looks, kept: proxies share one, each in a thread of its own."""

    def __init__(self) -> None:
        self._sent: dict[object, float] = {}

    def sent(self, request: asyncio.Task[web.Response]) -> None:
        """Note a request that creates, until a look shows what it made."""
        self._sent[request] = time.monotonic()
        loop = asyncio.get_running_loop()
        request.add_done_callback(lambda _: loop.call_later(LAG, self._sent.pop, request))

    async def kept(self) -> None:
        """Wait until a look shows whatever was sent longer ago than the system says."""
        before = time.monotonic() - SETTLE
        while any(sent <= before for sent in tuple(self._sent.values())):  # noqa: ASYNC110 - an event is of one loop
            await asyncio.sleep(0.02)


class _Proxy:
    """Pass requests of one worker on, and do harm to those that create."""

    def __init__(
        self,
        upstream: str,
        creates: Callable[[str, str], bool],
        faults: _Faults,
        word: _Word,
        dies: Callable[[], bool],
    ) -> None:
        self.faults: Counter[str] = Counter()
        self._upstream, self._creates, self._fault, self._word = upstream.rstrip("/"), creates, faults.next, word
        self._dies = dies
        self._pid: int | None = None
        self._session: aiohttp.ClientSession | None = None
        self._asked: set[asyncio.Task[web.Response]] = set()
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
        await asyncio.gather(*self._asked)  # what was sent is carried out before anybody counts
        if self._session is not None:
            await self._session.close()

    async def _worker(self, request: web.Request) -> web.Response:
        self._pid = int(request.match_info["pid"])
        return web.Response()

    async def _pass_on(self, request: web.Request) -> web.Response:
        body = await request.read()
        if not self._creates(request.method, request.path):
            await self._word.kept()
            return await asyncio.shield(self._ask(request, body))
        fault = self._fault()
        if fault == "busy":
            self.faults["busy"] += 1
            return web.json_response({"error": "busy"}, status=503)
        if fault == "late":
            self.faults["late"] += 1
            self._word.sent(self._ask(request, body, after=LATE))
            return _drop(request)
        asked = self._ask(request, body)
        self._word.sent(asked)
        answer = await asyncio.shield(asked)
        if not fault and self._dies() and self._pid is not None:
            self.faults["sent"] += 1
            os.kill(self._pid, signal.SIGKILL)
            self._pid = None
            return _drop(request)
        if fault == "lost":
            self.faults["lost"] += 1
            return _drop(request)
        return answer

    def _ask(self, request: web.Request, body: bytes, *, after: float = 0.0) -> asyncio.Task[web.Response]:
        """Ask in a task of its own: what a client that dies or goes away has sent is carried out all the same."""
        task = asyncio.create_task(self._answer(request, body, after))
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        return task

    async def _answer(self, request: web.Request, body: bytes, after: float) -> web.Response:
        if self._session is None:
            self._session = aiohttp.ClientSession(auto_decompress=True)
        await asyncio.sleep(after)
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in _HOP]
        headers.append(("Accept-Encoding", "identity"))
        async with self._session.request(
            request.method, self._upstream + request.raw_path, data=body, headers=headers, allow_redirects=False
        ) as answer:
            kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in _HOP | {"date", "server"}]
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


def _drop(request: web.Request) -> web.Response:
    """Cut the client off."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


class _Foreman:
    """A process that has imported everything, and forks a crew for each fire: imports take longer than 50 tickets."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.filing.fire"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        atexit.register(self._process.communicate)  # which closes its input, and so ends it

    def lead(self, crew: Mapping[str, Any]) -> dict[str, int]:
        """Let a crew work until everything is done; return how many died at each point."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(crew) + "\n")
        self._process.stdin.flush()
        deaths: dict[str, int] = json.loads(self._process.stdout.readline())
        assert deaths, "a worker failed: see what it wrote"
        return deaths


_foreman = functools.cache(_Foreman)


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


def _work(crew: Mapping[str, Any], opens: Callable[[str], TicketSystem], endpoint: str, deaths: _Deaths) -> None:
    """Be one worker until nothing is left to do."""
    request = urllib.request.Request(f"{endpoint}/worker/{os.getpid()}", method="PUT")  # noqa: S310 - loopback
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - loopback

    async def run() -> None:
        system = opens(endpoint)
        pace = Pace(**crew["pace"])
        try:
            await sending.send(Database(crew["url"]), {"desk": system}, workers=1, pace=pace, reached=deaths.reached)
        finally:
            await system.close()

    asyncio.run(run())


def _lead(crew: Mapping[str, Any]) -> dict[str, int]:
    """Start a worker for each endpoint, another for each that is killed, until every one of them came to its end."""
    os.environ.clear()
    os.environ.update(crew["environment"])
    module, _, name = crew["opens"].partition(":")
    opens = getattr(importlib.import_module(module), name)
    asyncio.run(opens(crew["endpoints"][0]).close())  # what it imports when it is made, each worker need not
    queue.next_due(Database(crew["url"]), ["desk"])
    deaths = _Deaths(crew["every"], crew["most"])
    assert threading.active_count() == 1
    working: dict[int, str] = {}
    failed = False

    def start(endpoint: str) -> None:
        working[_forked(lambda: _work(crew, opens, endpoint, deaths))] = endpoint

    for endpoint in crew["endpoints"]:
        start(endpoint)
    while working:
        pid, status = os.wait()
        endpoint = working.pop(pid)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            start(endpoint)
        else:
            failed = failed or status != 0
    return {} if failed else deaths.counts()


def _forked(work: Callable[[], None]) -> int:
    """Do ``work`` in a child process; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        _die_with_parent()
        work()
        code = 0
    except BaseException:  # noqa: BLE001 - a forked child must not go on as its parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _die_with_parent() -> None:
    """Be killed when the process that started this one ends, whatever ends it: nobody files on after the tests."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def _serve() -> None:
    """Lead the crew of each line that is read, in a process of its own: its imports and settings end with it."""
    _die_with_parent()
    http._BACKOFF = wait_combine()  # an answer that is lost is lost at once: to wait before asking again proves nothing
    for line in sys.stdin:
        pid = _forked(functools.partial(_answer, line))
        if os.waitpid(pid, 0)[1]:
            sys.stdout.write("{}\n")
            sys.stdout.flush()


def _answer(line: str) -> None:
    """Lead one crew and write how many died."""
    sys.stdout.write(json.dumps(_lead(json.loads(line))) + "\n")


if __name__ == "__main__":
    _serve()
