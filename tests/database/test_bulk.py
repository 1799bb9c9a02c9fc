"""Many rows at once mean the same on both databases as row by row."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlmodel import Session, col, select

from reconciler.database import bulk
from reconciler.database.connection import Database
from reconciler.database.findings import ChangeRow, FindingRow, RunRow
from reconciler.findings.store import FindingStore
from tests.findings.nights import night

WORDS = ["plain", 'it\'s "quoted"', "a\\b\n\tc", "Zoë 名前 😀", "{}", "null", ":name %s %(name)s ?", ""]


@pytest.fixture
def session(url: str) -> Iterator[Session]:
    assert FindingStore.open(url).is_current()
    with Database(url).writing() as session:
        session.add(
            RunRow(
                run_id="r",
                estate="acme",
                snapshot="s",
                as_of=night(0),
                recorded_at=night(0),
                digest="d",
                rules="[]",
                coverage="[]",
            )
        )
        session.flush()
        yield session


def finding(finding_id: str, **told: Any) -> bulk.Row:
    known: bulk.Row = {
        "finding_id": finding_id,
        "rule_id": "IG-LVR-001",
        "rule": "leaver",
        "rule_version": 1,
        "verdict": "violation",
        "severity": "high",
        "source": None,
        "subject": "{}",
        "person_id": None,
        "reason": "",
        "is_open": True,
        "content": "c",
        "first_seen": night(0),
        "opened_run": 1,
        "since_run": 1,
        "times_reopened": 0,
        "excepted_until": None,
        "waiting": False,
    }
    return known | told


def kept(session: Session) -> dict[str, FindingRow]:
    session.expire_all()
    return {row.finding_id: row for row in session.exec(select(FindingRow))}


def test_words_and_unknowns_are_kept_as_they_are(session: Session) -> None:
    rows = [finding(f"F-{n}", reason=words, source=words or None) for n, words in enumerate(WORDS)]
    bulk.insert(session.connection(), FindingRow, rows)
    found = kept(session)
    assert [found[f"F-{n}"].reason for n in range(len(WORDS))] == WORDS
    assert [found[f"F-{n}"].source for n in range(len(WORDS))] == [words or None for words in WORDS]
    assert {(row.is_open, row.waiting, row.person_id, row.resolved_run) for row in found.values()} == {
        (True, False, None, None)
    }


def test_instants_are_kept_to_the_microsecond_whatever_their_zone(session: Session) -> None:
    at = datetime(2028, 2, 29, 23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-9, minutes=-30)))
    bulk.insert(session.connection(), FindingRow, [finding("F-1", first_seen=at, excepted_until=at)])
    row = kept(session)["F-1"]
    assert (row.first_seen, row.excepted_until) == (at, at)
    assert row.first_seen.tzinfo is UTC


def test_an_instant_without_a_zone_is_refused(session: Session) -> None:
    naive = datetime(2026, 3, 1)  # noqa: DTZ001 - what is refused
    connection = session.connection()
    bulk.insert(connection, FindingRow, [finding("F-1")])
    with pytest.raises(ValueError, match="has no time zone"):
        bulk.insert(connection, FindingRow, [finding("F-2", first_seen=naive)])
    with pytest.raises(ValueError, match="has no time zone"):
        bulk.update(connection, FindingRow, "finding_id", [{"finding_id": "F-1", "excepted_until": naive}])
    assert kept(session)["F-1"].excepted_until is None


def test_lines_of_history_are_numbered_in_their_order(session: Session) -> None:
    bulk.insert(session.connection(), FindingRow, [finding("F-1")])
    line = {"finding_id": "F-1", "run": 1, "change": "opened", "verdict": "violation", "severity": "high"}
    rows = [line | {"rule_version": 1, "reason": f"{n}"} for n in range(5_000)]
    bulk.insert(session.connection(), ChangeRow, rows)
    found = session.exec(select(ChangeRow.reason).order_by(col(ChangeRow.number)))
    assert list(found) == [f"{n}" for n in range(5_000)]


def test_only_the_rows_and_columns_that_are_named_are_altered(session: Session) -> None:
    rows = [finding(f"F-{n}", reason="before", person_id="P", times_reopened=n) for n in range(4)]
    bulk.insert(session.connection(), FindingRow, rows)
    told: list[bulk.Row] = [
        {"finding_id": "F-1", "reason": "one", "resolved_at": night(1), "person_id": None},
        {"finding_id": "F-3", "reason": "three", "resolved_at": None, "person_id": "Q"},
        {"finding_id": "F-9", "reason": "nobody's", "resolved_at": None, "person_id": None},
    ]
    bulk.update(session.connection(), FindingRow, "finding_id", told, count_up="times_reopened")
    assert {
        name: (row.reason, row.resolved_at, row.person_id, row.times_reopened) for name, row in kept(session).items()
    } == {
        "F-0": ("before", None, "P", 0),
        "F-1": ("one", night(1), None, 2),
        "F-2": ("before", None, "P", 2),
        "F-3": ("three", None, "Q", 4),
    }


def test_nothing_to_write_is_no_statement(session: Session) -> None:
    bulk.insert(session.connection(), FindingRow, [])
    bulk.update(session.connection(), FindingRow, "finding_id", [])
    assert kept(session) == {}
