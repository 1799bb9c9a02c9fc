"""What a delivery starts: its record is read again by interface, live; and a kill loses nothing."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import ldap3
import pytest
from aiohttp import web

from reconciler import clock, connectors, run
from reconciler.database import Database
from reconciler.database.filing import TicketRow
from reconciler.errors import StoreError
from reconciler.findings import FindingStore
from reconciler.sdk.errors import Unreachable
from reconciler.settings import Settings
from reconciler.web.api import endpoints, prepare, tickets
from reconciler.web.api import work as working
from reconciler.web.api.deliveries import ATTEMPTS, LATER, Deliveries
from reconciler.web.api.work import Worker, work
from tests.filing import desk
from tests.servers.slapd import READER, READER_PASSWORD, SUFFIX, Slapd
from tests.simulators.http_server import LoopbackServer
from tests.web.api.serving import STANDARD, body, post, standard
from tests.web.api.worlds import (
    AT,
    CONTRACTS,
    DIRECTORY,
    EXCEPTIONS,
    INBOUND,
    OVER_HTTP,
    PEOPLE,
    looked,
    none_of_ours,
    said,
    world,
)


def test_what_is_named_and_not_looked_at_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"))
    monkeypatch.setattr(endpoints, "_MOST_SUBJECTS", 2)
    found = looked(settings, body(subject=["C1", "C2", "C3", {}, "C\x004", "x" * 201]))
    assert found.state == "failed"
    assert said(found) == (
        "qms contracts C1: status active, ends_on 2026-02-15; qms was read whole and has no record C2; "
        "4 more that it names were not looked at"
    )


def test_expressions_that_do_not_fit_a_body_are_said(tmp_path: Path) -> None:
    more = INBOUND + "subject = \"join('-', data.id)\"\n"
    found = looked(world(tmp_path, more, contracts=CONTRACTS.format(status="active")), body(subject=7))
    assert found.state == "failed"
    assert said(found).startswith("the expressions do not fit the body: ")


def test_an_events_name_moves_no_terminal(tmp_path: Path) -> None:
    more = INBOUND + 'checks = { "contract.terminated" = "reread" }\n'
    settings = world(tmp_path, more, contracts=CONTRACTS.format(status="active"))
    assert said(looked(settings, body("\x1b[2Jgone\r\n\u202e"))) == "no check is configured for [2Jgone"


def test_an_event_without_a_check_is_kept_and_no_more(tmp_path: Path) -> None:
    more = INBOUND + 'checks = { "contract.terminated" = "reread" }\n'
    settings = world(tmp_path, more, contracts=CONTRACTS.format(status="active"))
    assert said(looked(settings, body("other"))) == "no check is configured for other"
    assert said(looked(settings, b'{"data": {"id": "C1"}}', delivery="d-2")) == (
        "no check is configured for an event without a name"
    )
    assert said(looked(settings, body(), delivery="d-3")).startswith("qms contracts C1: status active")


def test_an_event_that_names_nothing_cannot_be_told(tmp_path: Path) -> None:
    settings = world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"))
    found = looked(settings, body(subject=None))
    assert (found.state, said(found)) == ("failed", "nothing is named at data.id")


def account_id(directory: Slapd) -> str:
    with ldap3.Connection(ldap3.Server(directory.url), READER, READER_PASSWORD) as connection:
        connection.search(f"ou=people,{SUFFIX}", "(uid=ada)", attributes=["entryUUID"])
        return str(connection.entries[0].entryUUID)


class TestPeople:
    @pytest.fixture
    def directory(self, tmp_path: Path) -> Iterator[Slapd]:
        ou: dict[str, Any] = {"objectClass": ["organizationalUnit"], "ou": ["people"]}
        entries = {f"ou=people,{SUFFIX}": ou} | {
            f"uid={uid},ou=people,{SUFFIX}": {
                "objectClass": ["inetOrgPerson"],
                "uid": [uid],
                "cn": [uid],
                "sn": [uid],
                "mail": [f"{uid}@acme.test"],
            }
            for uid in ("dirk", "ada")
        }
        with Slapd(tmp_path / "slapd", entries) as server:
            yield server

    @pytest.fixture
    def settings(self, tmp_path: Path, directory: Slapd) -> Settings:
        checks = 'checks = { "contract.terminated" = "reread", "person.left" = "person" }\n'
        more = DIRECTORY.format(url=directory.url, reader=READER, suffix=SUFFIX) + INBOUND + checks
        made = world(
            tmp_path,
            more,
            people=PEOPLE + "P4,Dirk,dirk@acme.test,,,C1,\nP5,Eve,,eve,,C1,\nP6,Nobody,,,,,\n",
            contracts=CONTRACTS.format(status="terminated"),
            exceptions=EXCEPTIONS.format(row="E1,corp,{ada},,active,2027-01-01T00:00:00Z"),
        )
        run.pull(made, FindingStore.open(made.database_url), as_of=AT, progress=lambda _: None)
        return made

    def test_who_leaves_is_looked_for_live_in_every_source(self, settings: Settings) -> None:
        found = looked(settings, body("person.left", "P4"))
        assert found.state == "done"
        assert said(found).startswith("person P4; corp account ")
        assert said(found).endswith(": PRESENT")
        assert found.outcome is not None
        (fact,) = found.outcome.facts
        assert fact["presence"] == "PRESENT"
        assert len(fact["digest"]) == 64

    def test_who_has_no_account_has_none_where_every_source_looked(self, settings: Settings) -> None:
        found = looked(settings, body("person.left", "P5"))
        assert (found.state, said(found)) == ("done", "person P5; no account in corp")
        nothing = looked(settings, body("person.left", "P6"), delivery="d-2")
        assert (nothing.state, said(nothing)) == ("failed", "person P6; nothing is known to look with")
        stranger = looked(settings, body("person.left", "P99"), delivery="d-3")
        assert stranger.state == "failed"
        assert said(stranger) == "person P99; nobody in the newest snapshot is P99, so only that number was looked for"

    def test_a_contract_that_ended_has_the_people_under_it_looked_at(self, settings: Settings) -> None:
        found = looked(settings, body())
        assert found.state == "done"
        told = said(found)
        assert told.startswith("qms contracts C1: status terminated, ends_on 2026-02-15; person P4; corp account ")
        assert "PRESENT; person P5; no account in corp" in told

    def test_an_exception_that_changed_has_the_account_it_covers_looked_at(
        self, tmp_path: Path, directory: Slapd, settings: Settings
    ) -> None:
        account = account_id(directory)
        row = EXCEPTIONS.format(row=f"E1,corp,{account},,revoked,2026-01-01T00:00:00Z")
        (tmp_path / "qms" / "exceptions.csv").write_text(row)
        found = looked(settings, body("contract.terminated", "E1"))
        assert f"corp account {account}: PRESENT" in said(found)
        row = EXCEPTIONS.format(row="E2,,,P5,active,2027-01-01T00:00:00Z")
        (tmp_path / "qms" / "exceptions.csv").write_text(row)
        assert "person P5; no account in corp" in said(looked(settings, body(subject="E2"), delivery="d-2"))

    def test_a_source_that_cannot_be_asked_is_no_answer(self, directory: Slapd, settings: Settings) -> None:
        directory.stop()
        try:
            found = looked(settings, body("person.left", "P4"))
        finally:
            directory.start()
        assert found.state == "waiting"
        assert "corp could not look" in said(found)

    def test_the_account_of_an_identity_source_is_read_alone(self, tmp_path: Path, directory: Slapd) -> None:
        more = DIRECTORY.format(url=directory.url, reader=READER, suffix=SUFFIX) + INBOUND.replace(
            '"qms"\n', '"corp"\n'
        )
        settings = world(tmp_path, more, contracts=CONTRACTS.format(status="active"))
        account = account_id(directory)
        found = looked(settings, body(subject=account))
        assert (found.state, said(found)) == ("done", f"corp account {account}: PRESENT")
        made_up = looked(settings, body(subject="00000000-0000-0000-0000-000000000000"), delivery="d-2")
        assert made_up.state == "waiting"
        assert "NOT_EVALUABLE" in said(made_up)


def test_without_a_source_of_accounts_nobody_is_said_to_have_none(tmp_path: Path) -> None:
    more = INBOUND.replace('source = "qms"', 'checks = { "person.left" = "person" }')
    settings = world(tmp_path, more, people=PEOPLE + "P4,Dirk,dirk@acme.test,,,,\n")
    run.pull(settings, FindingStore.open(settings.database_url), as_of=AT, progress=lambda _: None)
    found = looked(settings, body("person.left", "P4"))
    assert (found.state, said(found)) == ("failed", "person P4; no configured source can be asked for accounts")


class TestTickets:
    SYSTEM = """\
[filing.systems.desk]
connector = "request_tracker"
url = "https://desk.acme.test"
token = "env:HOOK"
queue = "General"
[inbound.desk]
kind = "standard"
secrets = ["env:HOOK"]
system = "desk"
"""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        return world(tmp_path, self.SYSTEM, contracts=CONTRACTS.format(status="active"))

    def test_the_ticket_is_read_back(self, settings: Settings) -> None:
        asked: list[tuple[str, str]] = []

        def read(_: Settings, system: str, ticket: str) -> str | None:
            asked.append((system, ticket))
            return "NC-000001 acme-nc-000001 is closed there (resolved)"

        found = looked(settings, body(subject=17), read, endpoint="desk")
        assert asked == [("desk", "17")]
        assert (found.state, said(found)) == ("done", "desk 17: NC-000001 acme-nc-000001 is closed there (resolved)")

    def test_a_ticket_that_is_not_ours_is_left_alone(self, settings: Settings) -> None:
        found = looked(settings, body(subject="17"), endpoint="desk")
        assert (found.state, said(found)) == ("done", "desk has no ticket of ours with id 17")

    def test_a_system_that_does_not_answer_is_asked_again_later_and_at_last_given_up(self, settings: Settings) -> None:
        def fails(*_: object) -> str | None:
            raise Unreachable("desk: no answer in time", advice="Try again later.")

        found = looked(settings, body(subject="17"), fails, endpoint="desk")
        deliveries = Deliveries(settings.database_url)
        assert (found.state, said(found)) == ("waiting", "desk: no answer in time. Try again later.")
        assert found.next_at - found.received_at >= LATER[0]
        for day in range(1, ATTEMPTS):
            begun = deliveries.take(clock.now() + timedelta(days=day))
            assert begun is not None
            found = work(settings, prepare(settings), deliveries, begun, fails)
        assert (found.state, found.attempts) == ("failed", ATTEMPTS)
        assert found.outcome is not None
        assert len(found.outcome.history) == ATTEMPTS

    def test_a_database_that_fails_is_asked_again_later(self, settings: Settings) -> None:
        def fails(*_: object) -> str | None:
            raise StoreError("the database is locked", advice="wait")

        found = looked(settings, body(subject="17"), fails, endpoint="desk")
        assert (found.state, said(found)) == ("waiting", "the database is locked. wait")

    def test_a_defect_keeps_no_other_waiting(self, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
        def fails(*_: object) -> str | None:
            raise ZeroDivisionError(STANDARD)

        found = looked(settings, body(subject="17"), fails, endpoint="desk")
        assert (found.state, said(found)) == ("waiting", "defect: ZeroDivisionError: [redacted]")
        assert STANDARD not in caplog.text


def test_what_ends_the_process_each_time_is_given_up(tmp_path: Path) -> None:
    settings = world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"))
    deliveries = Deliveries(settings.database_url)
    deliveries.keep(endpoint="qms", delivery_id="d", digest="", body=body(), headers={}, at=AT)
    for _ in range(ATTEMPTS):
        assert deliveries.take(AT + timedelta(days=1)) is not None
        deliveries.resume(AT)
    assert working._next(deliveries, AT) is None
    assert said(deliveries.show("qms", "d")) == "begun 5 times and never ended: see whether it ends the process"


def test_an_endpoint_that_is_gone_is_said(tmp_path: Path) -> None:
    settings = world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"))
    found = looked(settings, body(), endpoint="other")
    assert (found.state, said(found)) == ("failed", "[inbound.other] is no longer configured")


class Register:
    """A register over HTTP that answers once it is let go."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.free = threading.Event()

    def make(self) -> web.Application:
        async def contracts(_: web.Request) -> web.Response:
            self.asked.set()
            await asyncio.to_thread(self.free.wait)
            return web.json_response({"items": [{"id": "C1", "state": "terminated"}]})

        application = web.Application()
        application.router.add_get("/contracts", contracts)
        return application


def serve(settings: Settings) -> tuple[subprocess.Popen[str], str]:
    """Start ``reconciler serve`` in a process of its own; return it and its URL."""
    command = [sys.executable, "-m", "reconciler", "serve", "--port", "0", "--config", str(settings.path)]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("listening on http://127.0.0.1:"), first + process.stdout.read()
    return process, first.removeprefix("listening on ").strip()


def test_a_kill_between_the_answer_and_the_work_loses_nothing(tmp_path: Path) -> None:
    register = Register()
    with LoopbackServer(register.make, tls=False) as server:
        settings = world(tmp_path, OVER_HTTP.format(url=server.url), contracts=CONTRACTS.format(status="x"))
        register.free.set()
        run.pull(settings, FindingStore.open(settings.database_url), as_of=AT, progress=lambda _: None)
        register.free.clear()
        register.asked.clear()
        process, url = serve(settings)
        try:
            for delivery in ("first", "second"):
                content = body()
                assert post(url, "/hooks/register", content, standard(content, delivery=delivery))[0] == 202
            assert register.asked.wait(30)
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate()
        deliveries = Deliveries(settings.database_url)
        assert {one.delivery_id: (one.state, one.attempts) for one in deliveries.all()} == {
            "first": ("waiting", 1),
            "second": ("waiting", 0),
        }
        register.free.set()
        process, url = serve(settings)
        try:
            until = clock.monotonic() + 120
            while any(one.state == "waiting" for one in deliveries.all()) and clock.monotonic() < until:
                threading.Event().wait(0.05)
        finally:
            process.send_signal(signal.SIGTERM)
            out, _ = process.communicate(timeout=60)
        assert {(one.state, said(one)) for one in deliveries.all()} == {
            ("done", "register contracts C1: status terminated")
        }
        assert "Traceback" not in out
        assert out.endswith("stopped; what was kept and not looked at waits for the next start\n")
        assert process.returncode == 0


@pytest.mark.parametrize("error", [StoreError("the database is locked", advice="wait"), ZeroDivisionError("odd")])
def test_whatever_fails_ends_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    settings = world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"))
    monkeypatch.setattr(working, "_LOOK_AGAIN", 0.01)
    deliveries = Deliveries(settings.database_url)
    deliveries.keep(endpoint="qms", delivery_id="d", digest="", body=body(), headers={}, at=AT)
    tried = threading.Event()
    resume = Deliveries.resume

    def once(self: Deliveries, at: datetime) -> None:
        if not tried.is_set():
            tried.set()
            raise error
        resume(self, at)

    monkeypatch.setattr(Deliveries, "resume", once)
    worker = Worker(settings, prepare(settings), deliveries, none_of_ours)
    worker.start()
    until = clock.monotonic() + 120
    while deliveries.show("qms", "d").state == "waiting" and clock.monotonic() < until:
        threading.Event().wait(0.02)
    worker.stop()
    assert deliveries.show("qms", "d").state == "done"
    assert re.search(r"deliveries wait: (the database is locked wait|defect: ZeroDivisionError: odd)", caplog.text)


def test_a_ticket_is_read_back_into_the_ledger_by_its_id_number_or_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, names = connectors._module, connectors.names
    monkeypatch.setattr(connectors, "_module", lambda name: desk if name == "desk" else original(name))
    monkeypatch.setattr(connectors, "names", lambda: [*names(), "desk"])
    with LoopbackServer(lambda: desk.Desk(0.0).application(), tls=False) as server:
        more = f'[filing.systems.desk]\nconnector = "desk"\nurl = "{server.url}"\n'
        settings = world(tmp_path, more, contracts=CONTRACTS.format(status="active"))
        made = httpx.post(f"{server.url}/tickets", json={"key": "rec-acme-nc-000001"}, trust_env=False).json()
        Deliveries(settings.database_url)
        database = Database(settings.database_url)
        row: dict[str, Any] = dict.fromkeys(TicketRow.model_fields)
        row |= {"system": "desk", "key": "rec-acme-nc-000001", "about": "NC-000001", "state": "filed"}
        row |= {"remote_id": made["id"], "remote_number": f"T{made['id']}"}
        with database.writing() as session:
            session.add(TicketRow(**row))
        httpx.post(f"{server.url}/tickets/{made['id']}", json={"status": "closed", "comment": "done"}, trust_env=False)
        for name in (made["id"], f"T{made['id']}", "rec-acme-nc-000001"):
            said = tickets.read_back(settings, "desk", name)
            assert said == "NC-000001 rec-acme-nc-000001 is closed there (Closed)"
        assert tickets.read_back(settings, "desk", "made-up") is None
        with database.reading() as session:
            kept = session.get_one(TicketRow, ("desk", "rec-acme-nc-000001"))
            assert (kept.status, kept.state) == ("closed", "filed")
        monkeypatch.setattr(desk.DeskSystem, "readable", False)
        assert tickets.read_back(settings, "desk", "rec-acme-nc-000001") == "it cannot be read back from there"
