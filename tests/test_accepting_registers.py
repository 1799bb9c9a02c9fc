"""Accepted risks are written to each register once they are decided, and a register that fails holds up no other."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reconciler import accepting, connectors
from reconciler.errors import ConfigurationError
from reconciler.findings.store import FindingStore
from reconciler.nonconformity.risks import Asked, Register, unwritten
from reconciler.sdk.errors import Refused, Unreachable
from reconciler.sdk.tickets import TicketSettings
from reconciler.settings import Settings, load
from tests.filing.paper import Clock, Paper
from tests.findings.nights import record, result, verdict

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Book(Paper):
    """A register of exceptions; ``fails`` is raised, and ``during`` done, at each writing."""

    holds_exceptions = True

    def __init__(self, name: str) -> None:
        super().__init__(Clock(), name=name)
        self.held: dict[str, str] = {}
        self.fails: Exception | None = None

    async def put(self, exception_id: str, fields: Mapping[str, Any]) -> str:
        self.calls.append(f"put {exception_id}")
        self.during()
        if self.fails is not None:
            raise self.fails
        self.held[exception_id] = fields["status"]
        return f"record of {exception_id}"


@pytest.fixture
def books(monkeypatch: pytest.MonkeyPatch) -> dict[str, Book]:
    books = {name: Book(name) for name in ("qms", "grc")}
    module = SimpleNamespace(TicketSettings=TicketSettings, open_tickets=lambda name, _section, _base: books[name])
    original, names = connectors._module, connectors.names
    monkeypatch.setattr(connectors, "_module", lambda name: module if name == "book" else original(name))
    monkeypatch.setattr(connectors, "names", lambda: [*names(), "book"])
    return books


@pytest.fixture
def settings(tmp_path: Path, books: dict[str, Book]) -> Settings:
    (tmp_path / "hr").mkdir()
    path = tmp_path / "reconciler.toml"
    text = '[estate]\nname = "acme"\n[sources.hr]\nconnector = "files"\npath = "hr"\n[filing]\nenabled = true\n'
    path.write_text(text + "".join(f'[filing.systems.{name}]\nconnector = "book"\n' for name in books))
    return load(path)


@pytest.fixture
def register(settings: Settings) -> Register:
    """Three risks that were approved."""
    store = FindingStore.open(settings.database_url)
    record(store, 0, result(*map(verdict, "abc")))
    register = Register.open(settings.database_url)
    asked = Asked(
        reason="Until April.",
        compensating_control="Reviewed weekly.",
        review_owner="P9",
        expires_at=NOW + timedelta(days=30),
    )
    for finding in store.findings():
        risk = register.request(finding, asked, by="P1", at=NOW, longest=timedelta(days=366))
        register.decide(risk.risk_id, approve=True, by="P2", at=NOW, why="Agreed.")
    return register


def test_what_was_decided_stands_in_every_register(settings: Settings, register: Register) -> None:
    assert [one.problem for one in accepting.write(settings, register)] == [""] * 6
    assert unwritten(register.listed()) == []
    assert register.show("1").written_to == "qms: record of RA-000001; grc: record of RA-000001"
    assert accepting.write(settings, register) == []


@pytest.mark.parametrize(
    ("fails", "calls"), [(Unreachable("no answer"), 1), (TimeoutError(), 1), (Refused("no such field"), 3)]
)
def test_a_register_that_fails_holds_up_no_other(
    settings: Settings, register: Register, books: dict[str, Book], fails: Exception, calls: int
) -> None:
    """One that gave no answer is not asked again for each risk; one that refuses one may take another."""
    books["qms"].fails = fails
    written = accepting.write(settings, register)
    assert [one.register for one in written if one.problem] == ["qms"] * 3
    assert sum(call.startswith("put") for call in books["qms"].calls) == calls
    assert set(books["grc"].held) == {"RA-000001", "RA-000002", "RA-000003"}
    assert len(unwritten(register.listed())) == 3
    books["qms"].fails = None
    accepting.write(settings, register)
    assert unwritten(register.listed()) == []
    assert all("close" in book.calls for book in books.values())


def test_an_end_that_is_written_meanwhile_is_written_again(
    settings: Settings, register: Register, books: dict[str, Book]
) -> None:
    """Two write at once: what says approved may arrive after what says ended."""

    def meanwhile() -> None:
        books["qms"].during = lambda: None
        ended = register.end("1", by="P3", at=NOW, why="No longer needed.")
        register.written(ended, "qms: another process")

    books["qms"].during = meanwhile
    accepting.write(settings, register)
    assert books["qms"].held["RA-000001"] == "approved"
    assert [one.risk_id for one in unwritten(register.listed())] == ["RA-000001"]
    accepting.write(settings, register)
    assert books["qms"].held["RA-000001"] == "ended"
    assert unwritten(register.listed()) == []


def test_a_day_after_which_there_is_none_is_refused(settings: Settings) -> None:
    with pytest.raises(ConfigurationError, match="no calendar has a day after 9999-12-31"):
        accepting.end_of(settings, date.max)


def test_nothing_is_written_while_filing_is_not_enabled(
    settings: Settings, register: Register, books: dict[str, Book]
) -> None:
    settings.path.write_text(settings.path.read_text().replace("enabled = true", "enabled = false"))
    assert accepting.write(load(settings.path), register) == []
    assert [book.calls for book in books.values()] == [[], []]
