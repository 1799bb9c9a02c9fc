"""A database with its tables, a clock and a ticket system for each test; made once, copied for each."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import select

from reconciler import connectors
from reconciler.database import Database, opened
from reconciler.database.filing import AttemptRow, OperationRow, TicketRow
from reconciler.filing import outbox
from reconciler.sdk.tickets import Change, Ticket
from tests.filing import desk
from tests.filing.paper import START, Clock, Paper

KEY = "rec-acme-nc-000001"


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filing") / "empty.db"
    opened(f"sqlite:///{path}")
    return path


@pytest.fixture
def desk_is_a_connector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the desk be a connector, as one that somebody else wrote would be."""
    original, names = connectors._module, connectors.names
    monkeypatch.setattr(connectors, "_module", lambda name: desk if name == "desk" else original(name))
    monkeypatch.setattr(connectors, "names", lambda: [*names(), "desk"])


@pytest.fixture
def database(empty: Path, tmp_path: Path) -> Database:
    shutil.copy(empty, tmp_path / "reconciler.db")
    return Database(f"sqlite:///{tmp_path / 'reconciler.db'}")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def paper(clock: Clock) -> Paper:
    return Paper(clock)


@pytest.fixture
def ask(database: Database) -> Callable[..., None]:
    """Ask for the ticket of a nonconformity by its number, or for a change to it."""

    def ask(number: int = 1, change: Change | None = None) -> None:
        key = f"rec-acme-nc-{number:06}"
        with database.writing() as session:
            if change is not None:
                assert outbox.ask_change(session, system="desk", key=key, change=change, at=START)
            else:
                ticket = Ticket(key, "A leaver can sign in", "Body\n", "high")
                assert outbox.ask(session, system="desk", ticket=ticket, about=f"NC-{number:06}", at=START)

    return ask


class Rows:
    """What the ledger holds, read anew each time."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def ticket(self, key: str = KEY) -> TicketRow:
        with self.database.reading() as session:
            row = session.get_one(TicketRow, ("desk", key))
            session.expunge(row)
            return row

    def operation(self, mark: str = "create", key: str = KEY) -> OperationRow:
        with self.database.reading() as session:
            row = outbox.operation(session, "desk", key, mark)
            assert row is not None
            session.expunge(row)
            return row

    def outcomes(self) -> list[str | None]:
        with self.database.reading() as session:
            return [row.outcome for row in session.exec(select(AttemptRow).order_by(AttemptRow.number))]  # type: ignore[arg-type] # a column, seen as its value

    def details(self) -> list[str | None]:
        with self.database.reading() as session:
            return [row.detail for row in session.exec(select(AttemptRow).order_by(AttemptRow.number))]  # type: ignore[arg-type] # a column, seen as its value


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)
