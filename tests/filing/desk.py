"""A small ticket system over HTTP, run by ``python -m tests.filing.desk``, and the connector that files in it.

Nothing about a key is unique there, and its search lags behind what was written, as in the systems it stands for.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Refused
from reconciler.sdk.http import HttpClient, Limits
from reconciler.sdk.tickets import (
    Change,
    Comment,
    Request,
    Status,
    Ticket,
    TicketRef,
    TicketView,
)
from reconciler.sdk.tickets import TicketSettings as Common

ROOT = Path(__file__).parents[2]
_CREATED = frozenset({200, 201, 204})


class DeskSystem:
    """File at the desk. ``settle_seconds`` is what it says of its own search."""

    version = "1"
    idempotent = False
    readable = True

    def __init__(self, name: str, url: str, *, settle_seconds: float = 1.5) -> None:
        self.name = name
        self.endpoint = url
        self.settle_seconds = settle_seconds
        self._http = HttpClient(url + "/", limits=Limits(attempts=2, retry_seconds=2.0))

    async def check(self) -> Sequence[Gap]:
        await self._http.get_json("tickets", {"key": "none"})
        return ()

    def preview(self, ticket: Ticket) -> Request:
        return Request("POST", f"{self.endpoint}/tickets", {"Authorization": "***"}, json.dumps(self._fields(ticket)))

    def _fields(self, ticket: Ticket) -> dict[str, Any]:
        return {"key": ticket.key, "title": ticket.title, "body": ticket.body, **ticket.fields}

    async def find(self, key: str) -> Sequence[TicketRef]:
        found, _ = await self._http.get_json("tickets", {"key": key})
        return [_ref(ticket) for ticket in found["tickets"]]

    async def create(self, ticket: Ticket) -> TicketRef:
        made, _ = await self._http.request("POST", "tickets", json=self._fields(ticket), accept=_CREATED)
        return _ref(made)

    async def read(self, ref: TicketRef) -> TicketView:
        try:
            found, _ = await self._http.get_json(f"tickets/{ref.id}")
        except Refused as error:
            if "HTTP 404" in error.message:
                return TicketView(ref=ref, status=Status.GONE, raw_status="")
            raise
        return TicketView(
            ref=_ref(found),
            status=Status(found["status"]),
            raw_status=found["status"].title(),
            key=found["key"],
            assignee=found.get("assignee"),
            resolution=found.get("resolution"),
            comments=tuple(Comment(str(n), c["author"], None, c["text"]) for n, c in enumerate(found["comments"])),
        )

    async def change(self, ref: TicketRef, change: Change) -> None:
        body = {"comment": change.comment, "status": change.status, "fields": dict(change.fields)}
        await self._http.request("POST", f"tickets/{ref.id}", json=body, accept=_CREATED)

    async def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        found, _ = await self._http.get_json("tickets", {"prefix": prefix})
        for ticket in found["tickets"]:
            yield ticket["key"], _ref(ticket)

    async def close(self) -> None:
        await self._http.close()


def _ref(ticket: dict[str, Any]) -> TicketRef:
    return TicketRef(ticket["id"], f"T{ticket['id']}", f"https://desk.acme.test/T{ticket['id']}")


class DeskSettings(Common):
    """Settings of the desk."""

    url: str


TicketSettings = DeskSettings


def open_tickets(name: str, settings: DeskSettings, _base: Path) -> DeskSystem:
    """Make the system of a section of the configuration: this module is a connector."""
    return DeskSystem(name, settings.url, settle_seconds=settings.settle_seconds or 0.0)


class Desk:
    """The simulator: tickets, a search that lags, and nothing unique."""

    def __init__(self, lag: float) -> None:
        self._lag = lag
        self._ids = itertools.count(1)
        self._tickets: dict[str, dict[str, Any]] = {}
        self._made: dict[str, float] = {}
        self._behind = 0

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/tickets", self.search)
        app.router.add_post("/tickets", self.create)
        app.router.add_get("/tickets/{id}", self.read)
        app.router.add_post("/tickets/{id}", self.change)
        app.router.add_delete("/tickets/{id}", self.delete)
        app.router.add_get("/held", self.held)
        app.router.add_get("/behind", self.behind)
        return app

    async def create(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if wanted.get("colour", "blue") != "blue":
            return web.json_response({"error": "the field colour takes blue only"}, status=400)
        number = str(next(self._ids))
        self._tickets[number] = {"status": "open", "comments": [], **wanted, "id": number}
        self._made[number] = time.monotonic()
        return web.json_response(self._tickets[number], status=201)

    async def search(self, request: web.Request) -> web.Response:
        shown = [t for n, t in self._tickets.items() if time.monotonic() - self._made[n] >= self._lag]
        self._behind += len(shown) < len(self._tickets)
        if (key := request.query.get("key")) is not None:
            shown = [t for t in shown if t["key"] == key]
        prefix = request.query.get("prefix", "")
        return web.json_response({"tickets": [t for t in shown if t["key"].startswith(prefix)]})

    async def read(self, request: web.Request) -> web.Response:
        ticket = self._tickets.get(request.match_info["id"])
        return web.json_response(ticket or {"error": "no such ticket"}, status=200 if ticket else 404)

    async def change(self, request: web.Request) -> web.Response:
        ticket, wanted = self._tickets[request.match_info["id"]], await request.json()
        if wanted.get("comment"):
            ticket["comments"].append({"author": wanted.get("author", "reconciler"), "text": wanted["comment"]})
        if wanted.get("status"):
            ticket["status"] = wanted["status"]
        ticket.update(wanted.get("fields", {}))
        return web.json_response(ticket)

    async def delete(self, request: web.Request) -> web.Response:
        self._tickets.pop(request.match_info["id"])
        return web.Response(status=204)

    async def held(self, _request: web.Request) -> web.Response:
        return web.json_response(Counter(ticket["key"] for ticket in self._tickets.values()))

    async def behind(self, _request: web.Request) -> web.Response:
        return web.json_response(self._behind)


@contextmanager
def desk(lag: float = 0.0) -> Iterator[str]:
    """Run the simulator as a process of its own for as long as the block lasts; yields its URL."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.filing.desk", "--lag", str(lag)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def held(url: str) -> dict[str, int]:
    """Return how many tickets the desk holds by key."""
    found: dict[str, int] = _asked(f"{url}/held")
    return found


def behind(url: str) -> int:
    """Return how many searches did not show a ticket that was there."""
    return int(_asked(f"{url}/behind"))


def _asked(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310 - loopback
        return json.load(answer)


async def _serve(lag: float) -> None:
    runner = web.AppRunner(Desk(lag).application(), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined] # asyncio's, not abstract
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lag", type=float, default=0.0)
    asyncio.run(_serve(parser.parse_args().lag))
