"""Several processes ask, claim and file at once: each thing is asked for, claimed and sent once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from psycopg import sql

from reconciler.database import Database, opened
from reconciler.filing import ledger, outbox, queue
from reconciler.filing.queue import Settle
from reconciler.sdk.tickets import Ticket
from tests.filing.paper import START
from tests.servers.postgres import Server

WORKERS, TICKETS = 3, 12


def at_once(work: Callable[[], list[str]]) -> list[str]:
    """Let three begin together; return all that they return."""
    together = Barrier(WORKERS)

    def one() -> list[str]:
        together.wait(timeout=30)
        return work()

    with ThreadPoolExecutor(WORKERS) as pool:
        return [found for part in [pool.submit(one) for _ in range(WORKERS)] for found in part.result(timeout=60)]


def race(url: str) -> None:
    opened(url)

    def ask() -> list[str]:
        database, asked = Database(url), []
        for number in range(1, TICKETS + 1):
            about = f"NC-{number:06}"
            with database.writing() as session:
                ticket = Ticket(f"rec-acme-{about.lower()}", "Title", "Body\n", "high")
                if outbox.ask(session, system="desk", ticket=ticket, about=about, at=START):
                    asked.append(about)
        return asked

    def claim() -> list[str]:
        database, claimed = Database(url), []
        while (found := queue.claim(database, {"desk": Settle(60.0, 60.0)}, lease=400.0, at=START)) is not None:
            assert queue.begin(database, found, at=START, call=120.0) is not None
            claimed.append(found.key)
        return claimed

    asked, claimed = Counter(at_once(ask)), Counter(at_once(claim))
    assert (len(asked), set(asked.values())) == (TICKETS, {1})
    assert (len(claimed), set(claimed.values())) == (TICKETS, {1})
    assert len(ledger.status(Database(url))) == TICKETS


def test_three_at_once_do_each_thing_once(url: str) -> None:
    race(url)


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_so_they_do_however_the_server_isolates_transactions(postgres_server: Server, level: str) -> None:
    name = postgres_server.new_database()
    with postgres_server.connect() as connection:
        setting = sql.SQL("ALTER DATABASE {} SET default_transaction_isolation = {}")
        connection.execute(setting.format(sql.Identifier(name), sql.Literal(level)))
    race(postgres_server.url(name))
