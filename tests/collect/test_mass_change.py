from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from reconciler import clock
from reconciler.collect import Acceptance, Limits
from reconciler.collect.acceptance import held_drop, held_tables
from reconciler.collect.mass_change import too_much
from reconciler.errors import ConfigurationError, StoreError
from reconciler.sdk.connector import Page, Partition, Status
from reconciler.sdk.records import Event, Person, Record
from reconciler.sdk.testing import Fault, FaultKind, MisbehavingSource
from reconciler.snapshot import Snapshot
from tests.collect.conftest import Night


@pytest.mark.parametrize(
    ("before", "now", "held"),
    [
        (1_000, 1_000, False),
        (1_000, 2_000, False),
        (1_000, 900, False),  # 100 rows, 10 percent: not more than ten
        (1_000, 899, True),
        (100_000, 99_940, False),  # many rows, few percent
        (100_000, 90_000, False),
        (100_000, 89_999, True),
        (400, 350, False),  # many percent, 50 rows: not more than fifty
        (400, 349, True),
        (150, 76, True),
        (99, 50, False),  # less than half
        (99, 49, True),
        (10, 5, False),
        (10, 4, True),
        (4, 2, False),
        (4, 1, True),
        (3, 1, False),  # two rows may go, whatever the share
        (2, 1, False),
        (1, 0, True),  # all rows are never let go unasked
        (3, 0, True),
        (0, 0, False),
        (0, 5, False),
    ],
)
def test_the_decision(before: int, now: int, held: bool) -> None:
    assert too_much(before, now, Limits()) is held


def test_limits_are_the_configured_ones() -> None:
    assert too_much(1_000, 999, Limits(drop_count=0, drop_percent=0.0, small_population=0))
    assert not too_much(1_000, 1, Limits(drop_count=1_000, drop_percent=10.0, small_population=0))


def source(accounts: int, **more: object) -> MisbehavingSource:
    return MisbehavingSource(accounts=accounts, entitlements=10, grants=0, credentials=0, **more)  # type: ignore[arg-type] # passed on


def status(snapshot: Snapshot, table: str = "accounts") -> Status:
    return snapshot.status("simulated", table)


def accept(night: Night, rows: int, table: str = "accounts") -> None:
    night.accepted.append(
        Acceptance(source="simulated", table=table, rows=rows, at=clock.now(), by="m.jansen", reason="reorganised")
    )


def test_a_drop_is_held_until_a_named_person_accepts_it(night: Night) -> None:
    first = night.run(source(1_000))
    held = night.run(source(500))
    assert status(held) is Status.PARTIAL
    assert held.files("accounts") == []
    (gap,) = held.gaps("simulated", "accounts")
    assert f"1000 rows in snapshot {first.snapshot_id}, 500 rows now" in gap
    assert f"reconciler sources accept simulated accounts --snapshot {held.snapshot_id} --by NAME --reason TEXT" in gap
    assert status(held, "entitlements") is Status.COMPLETE

    assert status(night.run(source(500))) is Status.PARTIAL, "held again, not taken for the new normal"
    accept(night, 500)
    assert status(night.run(source(499))) is Status.COMPLETE
    again = night.run(source(100))
    assert status(again) is Status.PARTIAL, "one drop was accepted, not the next"
    assert "499 rows in snapshot" in again.gaps("simulated", "accounts")[0]


def test_an_acceptance_is_measured_against_until_the_next_complete_pull(night: Night) -> None:
    night.run(source(1_000))
    accept(night, 800)
    held = night.run(source(300))
    assert status(held) is Status.PARTIAL
    assert "800 rows as accepted by m.jansen" in held.gaps("simulated", "accounts")[0]


def test_an_older_acceptance_does_not_excuse_a_later_drop(night: Night) -> None:
    accept(night, 10)
    night.accepted[0] = Acceptance("simulated", "accounts", 10, clock.now() - timedelta(days=9), "x", "y")
    night.run(source(1_000))
    assert status(night.run(source(10))) is Status.PARTIAL


def test_the_measure_is_the_last_complete_pull_not_the_last_pull(night: Night) -> None:
    night.run(source(1_000))
    night.run(source(1_000, faults=[Fault(FaultKind.REFUSED)]))
    assert status(night.run(source(500))) is Status.PARTIAL


def test_a_table_left_out_for_a_night_keeps_its_measure(night: Night) -> None:
    night.run(source(1_000))
    night.run(source(1_000), tables=["entitlements"])
    assert status(night.run(source(500))) is Status.PARTIAL


def test_growth_and_other_estates_are_not_held(night: Night) -> None:
    night.run(source(1_000))
    assert status(night.run(source(5_000))) is Status.COMPLETE
    assert status(night.run(source(100), estate="other")) is Status.COMPLETE


def test_an_emptied_table_is_held_though_the_provider_counts_zero(night: Night) -> None:
    night.run(source(1))
    held = night.run(source(0))
    assert status(held) is Status.PARTIAL
    assert status(night.run(source(0), estate="other")) is Status.COMPLETE


def test_a_table_that_vanished_is_held_and_stays_visible(night: Night) -> None:
    night.run(source(10))
    for _ in range(2):
        changed = source(10)
        changed.reports = {table: columns for table, columns in changed.reports.items() if table != "entitlements"}
        held = night.run(changed)
        assert status(held, "entitlements") is Status.PARTIAL
        assert "does not report this table any more" in held.gaps("simulated", "entitlements")[0]
        assert held.sources_of("entitlements") == ["simulated"]
        assert status(held) is Status.COMPLETE
    accept(night, 0, "entitlements")
    gone = night.run(changed)
    assert gone.sources_of("entitlements") == []


def test_a_table_that_the_configuration_leaves_out_is_not_held(night: Night) -> None:
    night.run(source(10))
    snapshot = night.run(source(10), tables=["accounts"])
    assert snapshot.sources_of("entitlements") == []


def test_a_damaged_earlier_snapshot_is_not_passed_over(night: Night) -> None:
    first = night.run(source(1_000))
    (first.folder / "manifest.json").write_text("{")
    with pytest.raises(StoreError, match="damaged") as caught:
        night.run(source(10))
    assert "move it out" in caught.value.advice
    assert night.progress == []


def test_what_is_accepted_is_read_from_the_sealed_snapshots(night: Night) -> None:
    night.run(source(1_000))
    night.run(source(90_000), estate="other")
    held = night.run(source(500))
    assert held_drop(night.store, held, "simulated", "accounts") == (1_000, 500)
    with pytest.raises(ConfigurationError, match="simulated entitlements is not held") as caught:
        held_drop(night.store, held, "simulated", "entitlements")
    assert "simulated accounts" in caught.value.advice


def test_nothing_is_accepted_where_the_measure_is_gone(night: Night) -> None:
    first = night.run(source(1_000))
    held = night.run(source(500))
    first.folder.rename(first.folder.parent / "moved")
    with pytest.raises(ConfigurationError, match="holds simulated accounts whole"):
        held_drop(night.store, held, "simulated", "accounts")


def without(made: MisbehavingSource, table: str, column: str) -> MisbehavingSource:
    """Let the source report a column less than it did."""
    made.reports = {t: columns - {column} if t == table else columns for t, columns in made.reports.items()}
    return made


def test_a_lost_column_is_held_until_it_is_accepted_or_comes_back(night: Night) -> None:
    night.run(source(10))
    for _ in range(2):
        held = night.run(without(source(10), "accounts", "employee_id"))
        assert status(held) is Status.PARTIAL
        assert "column employee_id was reported in snapshot" in held.gaps("simulated", "accounts")[0]
        assert status(held, "entitlements") is Status.COMPLETE
    assert held_drop(night.store, held, "simulated", "accounts") == (10, 10)
    assert status(night.run(source(10))) is Status.COMPLETE
    accept(night, 10)
    assert status(night.run(without(source(10), "accounts", "employee_id"))) is Status.COMPLETE


class Blank(MisbehavingSource):
    """Reports the employee number of the first accounts only, as behind a narrowed right."""

    known = 0

    def rows(self, table: str, start: int, stop: int) -> list[Record]:
        found = super().rows(table, start, stop)
        if table != "accounts":
            return found
        numbered = zip(range(start, stop), found, strict=True)
        return [row if at < self.known else msgspec.structs.replace(row, employee_id=None) for at, row in numbered]


@pytest.mark.parametrize(
    ("before", "known", "held"), [(100, 0, True), (100, 49, True), (100, 50, False), (19, 0, False)]
)
def test_a_column_that_lost_most_of_its_values_is_held(night: Night, before: int, known: int, *, held: bool) -> None:
    night.run(source(before))
    blank = Blank(accounts=before, entitlements=10, grants=0, credentials=0, totals=True)
    blank.known = known
    snapshot = night.run(blank)
    assert (status(snapshot) is Status.PARTIAL) is held
    if held:
        assert (
            f"column employee_id held 100 values in snapshot {night.store.ids()[1]} and {known} now"
            in (snapshot.gaps("simulated", "accounts")[0])
        )


class People(MisbehavingSource):
    """A governance source beside the simulated one."""

    async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        del table, partition, cursor
        return Page([Person(person_id=f"P{n}") for n in range(5)], total=5)

    async def partitions(self, table: str, parents: object) -> list[Partition]:
        del table, parents
        return [Partition()]


def people() -> People:
    made = People(name="hr")
    made.reports = {"people": frozenset({"person_id"})}
    return made


def test_a_governance_source_that_left_the_configuration_is_held(night: Night) -> None:
    night.run(source(10), people())
    for _ in range(2):
        held = night.run(source(10))
        assert status(held) is Status.COMPLETE
        assert held.status("hr", "people") is Status.PARTIAL
        assert held.sources_of("people") == ["hr"]
        assert "the source is not configured any more" in held.gaps("hr", "people")[0]
    assert held_tables(held, "hr") == ["people"]
    with pytest.raises(ConfigurationError, match="nothing of simulated is held"):
        held_tables(held, "simulated")
    assert held_drop(night.store, held, "hr", "people") == (5, 0)
    night.accepted.append(Acceptance("hr", "people", 0, clock.now(), "Ada", "moved to another system"))
    assert night.run(source(10)).sources_of("people") == []


class Events(People):
    """A log: as many events as happened lately."""

    lately = 0

    async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        del table, partition, cursor
        return Page([Event(source=self.name, event_id=str(n)) for n in range(self.lately)])


def test_a_quiet_weekend_of_events_is_no_loss(night: Night) -> None:
    for lately in (1_000, 3):
        log = Events(name="log")
        log.reports = {"events": frozenset({"source", "event_id"})}
        log.lately = lately
        snapshot = night.run(log)
        assert (snapshot.status("log", "events"), snapshot.rows("log", "events")) == (Status.COMPLETE, lately)


def test_an_identity_source_that_left_keeps_its_findings_without_being_held(night: Night) -> None:
    night.run(source(10), people())
    assert night.run(people()).sources_of("accounts") == []
