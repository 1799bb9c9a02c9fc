"""What is asked for twice is done once, and what cannot be looked up is not asked for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.database import Database, opened
from reconciler.errors import ConfigurationError
from reconciler.filing import ledger, outbox
from reconciler.filing.keys import is_ours, key, prefix, slug
from reconciler.sdk.tickets import Change, Ticket
from tests.filing.paper import START

TICKET = Ticket(
    "rec-acme-nc-000001", "Title", "Body\n", "high", START, {"priority": 1, "labels": ["a"], "x": {"y": None}}
)


def put(database: Database, ticket: Ticket = TICKET) -> bool:
    with database.writing() as session:
        return outbox.ask(session, system="desk", ticket=ticket, about="NC-000001", at=START)


def test_a_ticket_is_asked_for_once(url: str) -> None:
    database = opened(url)
    assert put(database)
    assert not put(database)
    (entry,) = ledger.status(database)
    assert (entry.state, entry.about, entry.remote_id) == ("waiting", "NC-000001", None)
    assert [(o.mark, o.state) for o in entry.open_operations] == [("create", "waiting")]


def test_what_is_asked_for_goes_with_the_transaction_of_who_asks(database: Database) -> None:
    def fail_after_asking() -> None:
        with database.writing() as session:
            outbox.ask(session, system="desk", ticket=TICKET, about="NC-000001", at=START)
            raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        fail_after_asking()
    assert ledger.status(database) == []


def test_a_change_is_asked_for_once_and_carries_its_mark(database: Database) -> None:
    put(database)
    with database.writing() as session:
        change = Change("verified-1", comment="Gone.\n", fields={"priority": 2})
        assert outbox.ask_change(session, system="desk", key=TICKET.key, change=change, at=START)
        assert not outbox.ask_change(session, system="desk", key=TICKET.key, change=change, at=START)
        row = outbox.operation(session, "desk", TICKET.key, "verified-1")
        assert row is not None
        assert '"Gone.\\n\\n[verified-1]"' in row.payload


@pytest.mark.parametrize("bad", ["", "ab", "A-KEY", "rec_acme", "rec-acme^nc", "-rec", "r" * 65, "rec-acme\n"])
def test_a_key_that_could_not_be_looked_up_is_refused(database: Database, bad: str) -> None:
    with pytest.raises(ConfigurationError, match="is empty" if not bad else "is no key"):
        put(database, Ticket(bad, "Title", "Body", "high"))
    assert ledger.status(database) == []


def test_so_is_a_change_without_a_name_or_ticket(database: Database) -> None:
    put(database)
    with database.writing() as session:
        for mark, at in (("", TICKET.key), ("create", TICKET.key), ("verified-1", "rec-acme-nc-000002")):
            with pytest.raises(ConfigurationError):
                outbox.ask_change(session, system="desk", key=at, change=Change(mark), at=START)


def test_the_ledger_can_be_asked_for_parts(database: Database) -> None:
    put(database)
    assert ledger.status(database, system="other") == []
    assert ledger.status(database, about="nc-000001")[0].key == TICKET.key
    assert ledger.status(database, about="NC-1")[0].key == TICKET.key
    assert ledger.status(database, about=TICKET.key)[0].about == "NC-000001"
    assert ledger.status(database, about="NC-2") == []
    assert ledger.status(database, state="filed") == []
    assert ledger.status(database, state="failed") == []
    with database.writing() as session:
        session.connection().exec_driver_sql("UPDATE ticket_operations SET state = 'failed', error = 'no'")
    (entry,) = ledger.status(database, state="failed")
    assert entry.open_operations[0].error == "no"


def test_a_key_names_estate_and_nonconformity() -> None:
    assert key("acme", "NC-000123") == "rec-acme-nc-000123"
    assert is_ours("acme", "rec-acme-nc-1000000")
    assert not is_ours("acme", "rec-acme-nc-nc-000123")
    assert prefix("acme", "ra") == "rec-acme-ra-"


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_estates_share_a_key(one: str, other: str) -> None:
    assert len(key(one, "NC-999999999")) <= 64
    assert (slug(one) == slug(other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"), [("acme", "Acme"), ("a b", "a-b"), ("acme", "acme-"), ("é", "è"), ("x" * 50, "x" * 51)]
)
def test_names_that_look_alike_do_not_either(one: str, other: str) -> None:
    assert slug(one) != slug(other)
    assert slug(slug(one)) != slug(one) or slug(one) == one
