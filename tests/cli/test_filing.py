"""``reconciler filing``, from a nonconformity in the database to a ticket in a system and back."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from reconciler import connectors, filing
from reconciler.cli.commands import config
from reconciler.cli.commands import filing as commands
from reconciler.cli.main import reconciler
from reconciler.database import Database
from reconciler.database.nonconformities import AttachedRow, NonconformityRow
from reconciler.errors import ConfigurationError, FilingError
from reconciler.estate.results import Outcome
from reconciler.filing import night, reading, sending
from reconciler.filing.comparison import Comparison
from reconciler.findings import FindingStore
from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Refused
from reconciler.settings import Settings, load
from tests.filing import desk
from tests.findings.nights import START, record, result, verdict
from tests.findings.nights import blocked as unread
from tests.simulators.http_server import LoopbackServer

KEY = "rec-acme-nc-000001"
CONFIG = """\
[estate]
name = "acme"
[sources.hr]
connector = "files"
path = "hr"
[filing]
enabled = true
[filing.systems.desk]
connector = "desk"
url = "{url}"
fields.colour = "blue"
"""
needs_a_night = pytest.mark.usefixtures("database")
BY = ("--by", "ada", "--reason", "put right")
Ask = Callable[..., Result]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackServer]:
    original, names = connectors._module, connectors.names
    monkeypatch.setattr(connectors, "_module", lambda name: desk if name == "desk" else original(name))
    monkeypatch.setattr(connectors, "names", lambda: [*names(), "desk"])
    with LoopbackServer(lambda: desk.Desk(0.0).application(), tls=False) as running:
        yield running


@pytest.fixture
def settings(tmp_path: Path, server: LoopbackServer) -> Settings:
    path = tmp_path / "reconciler.toml"
    path.write_text(CONFIG.format(url=server.url))
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "people.csv").write_text("person_id\nP1\n")
    return load(path)


@pytest.fixture
def database(settings: Settings) -> Database:
    """A recorded night with two findings that are one nonconformity."""
    store = FindingStore.open(settings.database_url)
    record(store, 0, result(verdict("u-1", reason="Ada Byron left"), verdict("u-2")))
    database = Database(settings.database_url)
    with database.writing() as session:
        session.add(_nonconformity())
        session.flush()
        for finding in store.findings():
            session.add(
                AttachedRow(
                    nonconformity=1,
                    finding_id=finding.finding_id,
                    attached_run=1,
                    detached_run=None,
                    detached_why=None,
                )
            )
    return database


def _nonconformity() -> NonconformityRow:
    given: dict[str, Any] = {
        "number": 1,
        "cause_key": "{}",
        "rule_id": "IG-LVR-001",
        "source": "ldap",
        "title": "A leaver can sign in, in ldap",
        "statement": "Ada Byron can sign in.",
        "requirement": '{"controls": ["PS-4"], "clauses": {"iso27001": ["A.5.18"]}}',
        "severity": "high",
        "grade": "minor",
        "grade_reason": "few",
        "state": "open",
        "detected_at": START,
        "detected_run": 1,
        "owner_role": "ciso",
        "owner": "P-17",
        "due_at": START + timedelta(days=7),
        "times_reopened": 0,
    }
    values: dict[str, Any] = dict.fromkeys(NonconformityRow.model_fields) | given
    return NonconformityRow(**values)


@pytest.fixture
def ask(settings: Settings) -> Ask:
    def run_command(name: str, *arguments: str) -> Result:
        asked = [name, "--config", str(settings.path), *arguments]
        return CliRunner().invoke(commands.command, asked, catch_exceptions=False)

    return run_command


def alter(settings: Settings, old: str, new: str) -> None:
    text = settings.path.read_text()
    assert old in text
    settings.path.write_text(text.replace(old, new))


def at_the_desk(server: LoopbackServer, number: int, method: str = "GET", **change: Any) -> Any:
    data = json.dumps(change).encode() if change else None
    request = urllib.request.Request(f"{server.url}/tickets/{number}", data=data, method=method)  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read() or b"null")


def test_facts_are_read_as_the_last_run_left_them(database: Database, settings: Settings) -> None:
    (facts,) = filing.known(database)
    assert (facts.about, facts.controls, facts.run_id, facts.last_run) == ("NC-000001", ("PS-4",), "run-0", "run-0")
    assert sorted(named.account for named in facts.findings) == ["u-1", "u-2"]
    assert (facts.seen, facts.verified_run, facts.closed) == (2, None, False)
    store = FindingStore.open(settings.database_url)
    record(store, 1, result(scopes=[unread()]))
    assert reading.one(database, "nc-1").seen == 0
    record(store, 2, result(verdict("u-1"), verdict("u-2", Outcome.NOT_EVALUABLE)))
    assert reading.one(database, "NC-000001").seen == 1
    with pytest.raises(ConfigurationError, match="no nonconformity NC-2"):
        reading.one(database, "NC-2")


def test_a_closed_one_is_known_while_its_ticket_is_open(database: Database, ask: Ask) -> None:
    assert "1 ticket filed" in ask("send").output
    with database.writing() as session:
        connection = session.connection()  # the gates are others' concern: they are taken away here
        for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'trigger'").all():
            connection.exec_driver_sql(f'DROP TRIGGER "{name}"')
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = 1")
        connection.exec_driver_sql("UPDATE nonconformities SET state = 'closed', verified_run = 1")
    (facts,) = filing.known(database)
    assert (facts.closed, facts.verified_run) == (True, "run-0")
    with database.writing() as session:
        session.connection().exec_driver_sql("UPDATE tickets SET status = 'closed'")
    assert filing.known(database) == []


def test_a_preview_prints_what_would_be_sent_and_sends_nothing(
    database: Database, ask: Ask, settings: Settings, server: LoopbackServer
) -> None:
    alter(settings, "enabled = true", "enabled = false")
    shown = ask("preview", "NC-000001").output
    assert f"POST {server.url}/tickets\nAuthorization: ***" in shown
    assert "NC-000001: A leaver can sign in, in ldap" in shown
    assert "u-1" in shown
    assert "Ada" not in shown
    assert "Not sent while filing.enabled is false" in shown
    (request,) = json.loads(ask("preview", "--json").output).values()
    assert json.loads(request["body"])["key"] == "rec-acme-nc-000000"
    assert filing.status(database) == []
    assert desk.held(server.url) == {}


def test_nothing_is_sent_while_filing_is_not_enabled(database: Database, ask: Ask, settings: Settings) -> None:
    alter(settings, "enabled = true", "enabled = false")
    with pytest.raises(ConfigurationError, match=r"toml:7: filing.enabled is false: nothing is sent"):
        ask("send")
    assert filing.enqueue(load(settings.path), database, filing.known(database), at=START) == night.Asked()
    assert filing.status(database) == []


async def test_a_run_files_nothing_while_filing_is_not_enabled(database: Database, settings: Settings) -> None:
    alter(settings, "enabled = true", "enabled = false")
    assert await filing.after_run(load(settings.path), database) == filing.Exchanged()
    assert await filing.exchange(load(settings.path), database, []) == filing.Exchanged()


async def test_a_run_files_and_compares(database: Database, settings: Settings, server: LoopbackServer) -> None:
    exchanged = await filing.after_run(settings, database)
    assert exchanged.sent.filed == 1
    assert exchanged.compared[0].there == 1
    assert exchanged.complete
    again = await filing.after_run(settings, database)
    assert (again.sent.filed, again.followed.read) == (0, 1)
    assert desk.held(server.url) == {KEY: 1}


async def test_what_cannot_be_filled_in_keeps_nothing_else_from_being_filed(
    database: Database, settings: Settings, server: LoopbackServer
) -> None:
    (facts,) = filing.known(database)
    other = msgspec.structs.replace(facts, about="NC-000002", findings=())
    body = "{{ 1 // findings_count }}"
    odd = replace(settings, systems={"desk": settings.systems["desk"].model_copy(update={"body": body})})
    asked = filing.enqueue(odd, database, [other, facts], at=START)
    assert asked.new == (f"desk {KEY}",)
    assert "desk.body cannot be filled in for NC-000002: " in asked.unfilled[0]
    exchanged = await filing.exchange(odd, database, [facts])
    assert (exchanged.sent.filed, desk.held(server.url)) == (1, {KEY: 1})
    again = filing.enqueue(odd, database, [msgspec.structs.replace(facts, findings=())], at=START)
    assert again == night.Asked()


async def test_what_cannot_be_filled_in_is_said_of_the_night(database: Database, settings: Settings) -> None:
    broken = replace(settings, systems={"desk": settings.systems["desk"].model_copy(update={"body": "{{ 1 // 0 }}"})})
    exchanged = await filing.after_run(broken, database)
    assert "cannot be filled in for NC-000001" in exchanged.undone[0]
    assert not exchanged.complete


async def test_an_estate_that_is_renamed_files_nothing_anew(
    database: Database, settings: Settings, server: LoopbackServer
) -> None:
    await filing.after_run(settings, database)
    alter(settings, 'name = "acme"', 'name = "acme-europe"')
    await filing.after_run(load(settings.path), database)
    assert desk.held(server.url) == {KEY: 1}


async def test_while_filing_is_not_enabled_tickets_are_read_and_nothing_is_asked_for(
    database: Database, settings: Settings, server: LoopbackServer
) -> None:
    await filing.after_run(settings, database)
    at_the_desk(server, 1, "POST", status="closed")
    alter(settings, "enabled = true", "enabled = false")
    found = await night.reconcile(load(settings.path), database)
    assert (found.followed.read, found.followed.asked) == (1, ())
    assert (await night.reconcile(settings, database)).followed.asked != ()


@needs_a_night
def test_send_files_what_is_open_once(ask: Ask, server: LoopbackServer) -> None:
    assert "1 ticket filed" in ask("send").output
    assert json.loads(ask("send", "--json").output)["sent"]["filed"] == 0
    assert desk.held(server.url) == {KEY: 1}
    (entry,) = json.loads(ask("status", "--json").output)
    assert (entry["key"], entry["state"], entry["remote_number"]) == (KEY, "filed", "T1")
    assert "T1" in ask("status", "NC-000001", "--system", "desk").output
    assert "No tickets match" in ask("status", "--state", "failed").output
    with pytest.raises(ConfigurationError, match="nope is no ticket system"):
        ask("status", "--system", "nope")


@needs_a_night
def test_what_is_refused_is_said_and_tried_again_with_the_fields_put_right(
    ask: Ask, settings: Settings, server: LoopbackServer
) -> None:
    alter(settings, '"blue"', '"red"')
    with pytest.raises(FilingError, match="the field colour takes blue only"):
        ask("send")
    with pytest.raises(FilingError, match=f"{KEY} create failed: "):
        ask("send", "--json")
    assert "create failed: " in ask("status").output
    alter(settings, '"red"', '"blue"')
    assert f"will be tried again: desk {KEY} create" in ask("retry", "NC-000001", *BY).output
    assert "1 ticket filed" in ask("send").output
    assert desk.held(server.url) == {KEY: 1}
    assert json.loads(ask("retry", "--all", "--json", *BY).output) == []
    assert "name a ticket, or give --all" in ask("retry", *BY).output


@needs_a_night
def test_a_server_that_cannot_be_reached_leaves_it_waiting(
    ask: Ask, server: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "Pace", lambda: filing.Pace(patience=1.0))
    server.stop()
    with pytest.raises(FilingError, match=f"not everything is filed:\ndesk {KEY} create waiting: "):
        ask("send")
    assert "create waiting" in ask("status").output


@needs_a_night
def test_reconcile_reads_back_and_names_what_differs(ask: Ask, server: LoopbackServer) -> None:
    ask("send")
    at_the_desk(server, 1, "POST", comment="On it.", author="Grace", fields={"assignee": "Grace"})
    output = ask("reconcile").output
    assert "1 ticket read." in output
    assert "desk: 1 ticket of ours, all as in the ledger" in output
    shown = ask("status", KEY).output
    assert "Grace: On it." in shown
    at_the_desk(server, 1, "POST", status="closed")
    assert f"to be done by the next send: desk {KEY} still-found-" in ask("reconcile").output
    assert "1 change made" in ask("send").output
    assert at_the_desk(server, 1)["status"] == "open"
    at_the_desk(server, 1, "DELETE")
    with pytest.raises(FilingError, match="do not agree"):
        ask("reconcile", "--json")
    assert "gone" in ask("status").output
    assert "1 operation to send" in ask("retry", KEY, "--recreate", *BY).output
    assert "1 ticket filed" in ask("send").output
    assert desk.held(server.url) == {KEY: 1}


def test_reconcile_says_what_it_could_not_read(
    database: Database, ask: Ask, server: LoopbackServer, settings: Settings
) -> None:
    ask("send")
    server.stop()
    result = CliRunner().invoke(commands.command, ["reconcile", "--config", str(settings.path)])
    assert isinstance(result.exception, FilingError)
    assert f"not read: desk {KEY}: " in result.output
    assert "desk: not compared, nothing is concluded: " in result.output
    assert filing.status(database)[0].state == "filed"


@needs_a_night
def test_extra_tickets_are_listed(ask: Ask, server: LoopbackServer, settings: Settings) -> None:
    ask("send")
    data = json.dumps({"key": "rec-acme-nc-000077", "title": "t"}).encode()
    urllib.request.urlopen(urllib.request.Request(f"{server.url}/tickets", data=data), timeout=30).close()  # noqa: S310 - loopback
    result = CliRunner().invoke(commands.command, ["reconcile", "--config", str(settings.path)])
    assert isinstance(result.exception, FilingError)
    assert "there, but not in the ledger: rec-acme-nc-000077: T2" in result.output


@needs_a_night
def test_who_decides_has_one_name_however_it_is_written(ask: Ask, settings: Settings) -> None:
    people = settings.path.parent / "hr" / "people.csv"
    people.write_text("person_id,full_name\nP1,Ada Byron\n", encoding="utf-8")
    pulled = CliRunner().invoke(reconciler, ["pull", "-c", str(settings.path)], standalone_mode=False)
    assert pulled.exception is None
    ask("send")
    ask("abandon", KEY, "--by", "ada byron", "--reason", "by hand")
    assert "given up by P1: by hand" in ask("status").output
    assert "1 operation to send" in ask("retry", KEY, "--recreate", "--by", "Ada Byron", "--reason", "after all").output
    assert "filed again by P1: after all" in ask("status").output


@needs_a_night
def test_a_ticket_is_given_up_by_a_named_person(ask: Ask) -> None:
    ask("send")
    assert f"given up: desk {KEY}" in ask("abandon", KEY, *BY).output
    assert json.loads(ask("abandon", KEY, "--json", *BY).output) == [f"desk {KEY}"]
    assert "given up by ada: put right" in ask("status").output
    assert "Missing option '--by'" in ask("abandon", KEY).output


def test_check_says_what_credentials_cannot_do(ask: Ask, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("check").output == "desk: ready\n"

    async def refuse(_self: object) -> None:
        raise Refused("desk: HTTP 401", advice="Check the token.")

    monkeypatch.setattr(desk.DeskSystem, "check", refuse)
    result = CliRunner().invoke(commands.command, ["check", "--config", str(settings.path)])
    assert isinstance(result.exception, FilingError)
    assert "desk:\n  desk: HTTP 401. Check the token.\n" in result.output
    with pytest.raises(FilingError):
        ask("check", "--json")
    with pytest.raises(ConfigurationError, match="no system nowhere"):
        ask("check", "nowhere")


def test_check_names_what_is_missing_and_closes_whatever_happens(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    async def gaps(_self: object) -> list[Gap]:
        return [Gap("incident", "delete", "may not be done", missing_permission="itil"), Gap("", "", "no comments")]

    async def fail(_self: object) -> None:
        raise OSError("already gone")

    monkeypatch.setattr(desk.DeskSystem, "check", gaps)
    monkeypatch.setattr(desk.DeskSystem, "close", fail)
    said = ask("check").output
    assert "desk could not be closed: OSError: already gone" in said
    assert said.endswith("desk:\n  incident delete: may not be done; it needs itil\n  no comments\n")


def test_what_differs_is_named_by_kind(capsys: pytest.CaptureFixture[str]) -> None:
    commands._compared(
        [Comparison(system="desk", missing=("k1",), unlisted=("k2",), duplicates=("k3: T1, T2",), linked=("k4",))]
    )
    assert capsys.readouterr().out == (
        "desk: 0 tickets of ours, but\n  gone there: k1\n  there, but not listed under its key: k2\n"
        "  several under one key: k3: T1, T2\n  linked to the ledger: k4\n"
    )


def test_a_ticket_of_something_else_keeps_what_was_asked_for(database: Database, settings: Settings) -> None:
    anew = night.refill(settings, database)
    assert anew("elsewhere", "NC-000001") is None
    assert anew("desk", "RA-000001") is None
    made = anew("desk", "NC-000001")
    assert made is not None
    assert made.key == KEY


def test_where_nothing_is_open_nothing_is_asked_for(database: Database, settings: Settings) -> None:
    assert filing.enqueue(settings, database, [], at=START) == night.Asked()


def test_config_check_counts_systems_and_shows_them(settings: Settings) -> None:
    asked = ["--config", str(settings.path)]
    said = CliRunner().invoke(config.command, ["check", *asked], catch_exceptions=False).output
    assert "1 source, 1 ticket system, 0 secrets present" in said
    shown = CliRunner().invoke(config.command, ["show", *asked, "--json"], catch_exceptions=False).output
    assert json.loads(shown)["filing"]["systems"]["desk"]["fields"] == {"colour": "blue"}


def test_without_a_system_there_is_nothing_to_preview_or_send(settings: Settings, ask: Ask) -> None:
    text = settings.path.read_text()
    settings.path.write_text(text[: text.index("[filing]")])
    for name in ("preview", "send", "reconcile"):
        with pytest.raises(ConfigurationError, match="names no ticket system"):
            ask(name)
