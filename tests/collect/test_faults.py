"""Every fault at every page of every table: whole, or less than COMPLETE with the reason; never in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from reconciler.sdk.connector import Status
from reconciler.sdk.testing import Fault, FaultKind, MisbehavingSource
from reconciler.snapshot import Snapshot
from tests.collect.conftest import Night

TABLES = ("accounts", "entitlements", "grants", "credentials")
PASSING = {FaultKind.RESET, FaultKind.RESTART, FaultKind.THROTTLE, FaultKind.THROTTLE_WITH_TIME, FaultKind.SLOW}
SAYS = {
    FaultKind.RESET: "connection reset",
    FaultKind.RESTART: "cookie is gone",
    FaultKind.THROTTLE: "too many requests",
    FaultKind.THROTTLE_WITH_TIME: "too many requests",
    FaultKind.REFUSED: "not allowed. Grant read.all. (missing: read.all)",
    FaultKind.EMPTY_ANSWER: "200 and empty",
    FaultKind.REPEATED_CURSOR: "seen before",
    FaultKind.FOREIGN_LINK: "another origin (elsewhere.test)",
    FaultKind.EMPTY_CURSOR: "neither goes on nor ends",
    FaultKind.ENDLESS_EMPTY: "pages in a row held nothing",
    FaultKind.ENDLESS_ROWS: "goes round",
    FaultKind.EARLY_END: "the provider counts",
    FaultKind.DUPLICATE_PAGE: "came before",
    FaultKind.WRONG_ROWS: "holds a Document",
    FaultKind.WRONG_SOURCE: "holds 'another'",
    FaultKind.NAIVE_TIME: "",
    FaultKind.NULL_ID: "is null, and it is part of the key",
    FaultKind.EMPTY_ID: "is empty, and it is part of the key",
    FaultKind.ZERO_ROWS: "",
    FaultKind.GAP: "object",
    FaultKind.NO_PAGE: "returned NoneType, not a page",
    FaultKind.BUG: "a defect of the connector, not of the source: KeyError: 'userName'",
}
PARTIAL = {FaultKind.EARLY_END, FaultKind.ZERO_ROWS, FaultKind.GAP}
Ids = Callable[[Snapshot, str], Sequence[str]]


def source(*faults: Fault, totals: bool = True) -> MisbehavingSource:
    return MisbehavingSource(
        accounts=30, entitlements=30, grants=30, credentials=30, page_size=10, totals=totals, faults=faults
    )


@pytest.mark.parametrize("kind", FaultKind)
@pytest.mark.parametrize("table", TABLES)
def test_a_fault_that_stays(kind: FaultKind, table: str, night: Night, ids: Ids) -> None:
    for page in (0, 1, -1):
        snapshot = night.run(source(Fault(kind, table, page)), estate=f"{page}")
        status, gaps = snapshot.status("simulated", table), snapshot.gaps("simulated", table)
        if kind is FaultKind.SLOW:
            assert status is Status.COMPLETE
            continue
        assert status is not Status.COMPLETE, page
        assert SAYS[kind] in " ".join(gaps)
        assert gaps
        assert snapshot.files(table) == []
        if kind in PARTIAL:
            assert status is Status.PARTIAL
        for other in set(TABLES) - {table}:
            assert snapshot.status("simulated", other) is Status.COMPLETE
            assert len(set(ids(snapshot, other))) == 30


@pytest.mark.parametrize("kind", sorted(PASSING))
@pytest.mark.parametrize("table", TABLES)
def test_a_fault_that_passes_costs_no_row(kind: FaultKind, table: str, night: Night, ids: Ids) -> None:
    for page in (0, 1, -1):
        snapshot = night.run(source(Fault(kind, table, page, times=3)), estate=f"{page}")
        assert snapshot.status("simulated", table) is Status.COMPLETE
        assert len(ids(snapshot, table)) == len(set(ids(snapshot, table))) == 30


@pytest.mark.parametrize("kind", FaultKind)
def test_a_source_that_does_not_count_is_never_believed_on_fewer_rows(kind: FaultKind, night: Night) -> None:
    for page in (0, 1, 2):
        snapshot = night.run(source(Fault(kind, page=page), totals=False), estate=f"{page}")
        if snapshot.status("simulated", "accounts") is Status.COMPLETE:
            # A chain cut short by a source that neither counts nor errs cannot be told from a whole one by one
            # pull alone: that is what canaries and the mass-change stop are for.
            assert kind in {FaultKind.SLOW, FaultKind.EARLY_END} or (kind is FaultKind.ZERO_ROWS and page)
        else:
            assert snapshot.gaps("simulated", "accounts")
            assert snapshot.files("accounts") == []


@pytest.mark.parametrize("kind", [FaultKind.EARLY_END, FaultKind.ZERO_ROWS])
def test_a_chain_cut_short_without_a_count_is_held_by_the_mass_change_stop(kind: FaultKind, night: Night) -> None:
    night.run(source(totals=False))
    snapshot = night.run(source(Fault(kind, page=0), totals=False))
    assert snapshot.status("simulated", "accounts") is Status.PARTIAL


def test_a_fault_in_one_partition_leaves_the_others_whole(night: Night) -> None:
    made = MisbehavingSource(accounts=90, partitions=3, faults=[Fault(FaultKind.REFUSED, times=1)])
    snapshot = night.run(made)
    found = {entry.partition: entry for entry in snapshot.manifest.coverage if entry.table == "accounts"}
    assert sorted(entry.status for entry in found.values()) == [Status.COMPLETE, Status.COMPLETE, Status.FAILED]
    assert snapshot.status("simulated", "accounts") is Status.FAILED
    assert sum(file.rows for entry in found.values() for file in entry.files) == 60


def test_a_page_repeated_in_another_partition_is_found(night: Night) -> None:
    made = MisbehavingSource(accounts=60, partitions=2, page_size=10)
    made_rows = made.rows

    def rows(table: str, start: int, stop: int) -> object:
        return (
            made_rows(table, start - 10, stop - 10)
            if table == "accounts" and start == 30
            else made_rows(table, start, stop)
        )

    made.rows = rows  # type: ignore[method-assign, assignment] # the fault under test: one row range comes twice
    snapshot = night.run(made)
    assert snapshot.status("simulated", "accounts") is Status.PARTIAL
    assert (
        "10 rows have a key (account_id) that came before, such as account-20"
        in snapshot.gaps("simulated", "accounts")[0]
    )
