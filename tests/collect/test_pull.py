from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.collect import Progress
from reconciler.errors import ConfigurationError, StoreError
from reconciler.sdk.connector import Gap, Page, Partition, Status
from reconciler.sdk.errors import Refused, Unreachable
from reconciler.sdk.secrets import SecretRef, reveal
from reconciler.sdk.testing import Fault, FaultKind, MisbehavingSource
from reconciler.snapshot import Snapshot
from tests.bench.bench_pull import measure
from tests.collect.conftest import NOW, Night

TABLES = ["accounts", "entitlements", "grants", "credentials"]


def statuses(snapshot: Snapshot, source: str = "simulated") -> dict[str, str]:
    return {table: snapshot.status(source, table).value for table in TABLES}


def test_a_good_night_is_sealed_whole(night: Night) -> None:
    snapshot = night.run(
        MisbehavingSource(canary="c"), MisbehavingSource("second", accounts=40, canary="c"), canaries=["c"]
    )
    snapshot.verify()
    assert statuses(snapshot) == statuses(snapshot, "second") == dict.fromkeys(TABLES, "COMPLETE")
    assert (snapshot.rows("simulated", "accounts"), snapshot.rows("second", "accounts")) == (100, 40)
    assert len(snapshot.files("accounts")) == 2
    assert snapshot.as_of == NOW
    first = snapshot.manifest.sources[0]
    assert (first.name, first.connector, first.version) == ("simulated", "simulated", "1.0")
    assert first.reports["grants"][:2] == ("source", "principal_kind")
    assert [entry.canaries for entry in snapshot.manifest.coverage if entry.table == "accounts"] == [("c",), ("c",)]
    assert night.store.unsealed() == []


def test_progress_tells_rows_so_far_and_the_final_status(night: Night) -> None:
    night.run(MisbehavingSource(accounts=120), tables=["accounts"])
    assert night.progress == [
        Progress("simulated", "accounts", 50),
        Progress("simulated", "accounts", 100),
        Progress("simulated", "accounts", 120),
        Progress("simulated", "accounts", 120, Status.COMPLETE),
    ]


async def test_no_more_partitions_are_read_at_once_than_configured(night: Night) -> None:
    for most in (1, 3):
        source = MisbehavingSource(accounts=400, partitions=20, page_size=5)
        await night.pull(source, concurrency=most)
        assert source.most_at_once == most


def test_tables_are_read_in_estate_order_and_only_those_asked_for(night: Night) -> None:
    snapshot = night.run(MisbehavingSource(), tables=["grants", "accounts"])
    assert [entry.table for entry in snapshot.manifest.coverage] == ["accounts", "grants"]
    assert snapshot.sources_of("credentials") == []


@pytest.mark.parametrize(
    ("tables", "says"), [(["people"], "names people, which the connector simulated does not report")]
)
def test_tables_that_cannot_be_meant_stop_the_pull(tables: list[str], says: str, night: Night) -> None:
    source, other = MisbehavingSource(), MisbehavingSource("other")
    with pytest.raises(ConfigurationError, match=says) as caught:
        night.run(source, other, tables=tables)
    assert caught.value.advice
    assert (source.closed, other.closed) == (1, 1)
    assert list(night.store.folder.glob("2*")) == []


def test_two_sources_of_one_name_are_refused(night: Night) -> None:
    with pytest.raises(ConfigurationError, match="one name"):
        night.run(MisbehavingSource(), MisbehavingSource())


class Blind(MisbehavingSource):
    """Fails its check."""

    error: Exception = Refused("wrong password", missing_permission="login")

    async def check(self) -> Sequence[Gap]:
        raise self.error


def test_a_source_that_fails_its_check_fails_in_every_table(night: Night) -> None:
    source = Blind("blind")
    snapshot = night.run(source, MisbehavingSource())
    assert statuses(snapshot, "blind") == dict.fromkeys(TABLES, "FAILED")
    assert snapshot.gaps("blind", "grants") == ("wrong password (missing: login)",)
    assert statuses(snapshot) == dict.fromkeys(TABLES, "COMPLETE")
    assert source.closed == 1


def test_a_source_that_is_not_even_known_still_fails_visibly(night: Night) -> None:
    class Dark(Blind):
        @property
        def reports(self) -> Any:
            raise Unreachable("the folder is gone")

        @reports.setter
        def reports(self, value: Any) -> None:
            pass

    snapshot = night.run(Dark(), retry_seconds=0)
    assert [(entry.table, entry.status) for entry in snapshot.manifest.coverage] == [("", Status.FAILED)]
    night.run(MisbehavingSource())
    snapshot = night.run(Dark(), retry_seconds=0)
    assert statuses(snapshot) == dict.fromkeys(TABLES, "FAILED")
    assert snapshot.sources_of("grants") == ["simulated"]


def test_gaps_of_the_check_make_their_table_partial(night: Night) -> None:
    snapshot = night.run(
        MisbehavingSource(
            gaps=[Gap("credentials", "ssh keys", "denied", "iam:ListSSHPublicKeys"), Gap("events", "", "x")]
        )
    )
    assert statuses(snapshot) == dict.fromkeys(TABLES, "COMPLETE") | {"credentials": "PARTIAL"}
    assert snapshot.gaps("simulated", "credentials") == ("ssh keys: denied (missing: iam:ListSSHPublicKeys)",)


def test_a_gap_about_nothing_known_is_about_everything(night: Night) -> None:
    snapshot = night.run(MisbehavingSource(gaps=[Gap("", "", "half of the tenant is hidden")]))
    assert statuses(snapshot) == dict.fromkeys(TABLES, "PARTIAL")


def test_a_gap_that_names_a_partition_is_about_that_partition_only(night: Night) -> None:
    denied = Gap("", "1", "AssumeRole was denied", "sts:AssumeRole")
    snapshot = night.run(MisbehavingSource(partitions=3, gaps=[denied, Gap("grants", "2", "half is hidden")]))
    found = {(one.table, one.partition): [gap.words for gap in one.gaps] for one in snapshot.manifest.coverage}
    for table in TABLES:
        assert found[table, "0"] == []
        assert found[table, "1"] == ["AssumeRole was denied (missing: sts:AssumeRole)"]
        assert found[table, "2"] == (["half is hidden"] if table == "grants" else [])
    assert snapshot.gaps("simulated", "accounts") == ("1: AssumeRole was denied (missing: sts:AssumeRole)",)


def test_why_a_partition_failed_is_said_once(night: Night) -> None:
    faults = [Fault(FaultKind.REFUSED)]
    source = MisbehavingSource(partitions=2, faults=faults, gaps=[Gap("accounts", "0", "not allowed", "read.all")])
    first, second = night.run(source, tables=["accounts"], concurrency=1).manifest.coverage
    assert [gap.words for gap in first.gaps] == ["not allowed. Grant read.all. (missing: read.all)"]
    assert second.gaps == first.gaps  # which the fault gave it, not the check
    both = [Gap("accounts", "0", "not allowed"), Gap("accounts", "0", "and half is hidden")]
    source = MisbehavingSource(partitions=2, faults=faults, gaps=both)
    assert len(night.run(source, tables=["accounts"]).manifest.coverage[0].gaps) == 2


def test_a_canary_that_stays_away_puts_every_table_in_doubt(night: Night) -> None:
    for source in (MisbehavingSource(canary="c", lose_canary=True), MisbehavingSource(canary="other")):
        snapshot = night.run(source, canaries=["c"])
        assert statuses(snapshot) == dict.fromkeys(TABLES, "PARTIAL")
        assert snapshot.gaps("simulated", "grants")[0].startswith("c: the canary did not come back")
        assert snapshot.files("accounts") == []


def test_a_canary_that_was_not_asked_for_to_the_end_is_not_blamed(night: Night) -> None:
    cut = MisbehavingSource(canary="c", lose_canary=True, faults=[Fault(FaultKind.RESET, page=1)])
    snapshot = night.run(cut, canaries=["c"], retry_seconds=0)
    assert statuses(snapshot) == dict.fromkeys(TABLES, "PARTIAL") | {"accounts": "FAILED"}
    (why,) = snapshot.gaps("simulated", "accounts")
    assert why.startswith("connection reset")
    (doubt,) = snapshot.gaps("simulated", "grants")
    assert doubt.startswith("c: the canary has not come back; it may be in what could not be read (accounts)")


def test_a_canary_of_its_own_keeps_a_partition_whole_beside_a_broken_one(night: Night) -> None:
    class TwoAccounts(MisbehavingSource):
        lost = ""

        async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
            if partition.name == "1":
                raise Refused("not allowed")
            page = await super().page(table, partition, cursor)
            own = table == "accounts" and self.lost != "zero"
            return Page(page.rows, next=page.next, total=page.total, canaries=frozenset({"zero"} if own else ()))

    source = TwoAccounts(partitions=2)
    found = night.run(source, canaries=["zero", "one"]).manifest.coverage
    assert {(part.partition, part.status.value) for part in found} == {("0", "COMPLETE"), ("1", "FAILED")}
    source = TwoAccounts(partitions=2)
    source.lost = "zero"
    found = night.run(source, canaries=["zero", "one"]).manifest.coverage
    assert {(part.partition, part.status.value) for part in found} == {("0", "PARTIAL"), ("1", "FAILED")}


def test_zero_rows_need_a_voucher(night: Night) -> None:
    for totals, status in ((True, "COMPLETE"), (False, "PARTIAL")):
        source = MisbehavingSource(accounts=0, entitlements=0, grants=0, credentials=0, totals=totals)
        snapshot = night.run(source)
        assert statuses(snapshot) == dict.fromkeys(TABLES, status)
    assert "neither a canary nor the provider's own count" in snapshot.gaps("simulated", "accounts")[0]
    canary = MisbehavingSource(accounts=0, grants=0, totals=False, canary="c")
    assert night.run(canary, tables=["accounts"], canaries=["c"]).status("simulated", "accounts") is Status.COMPLETE


def test_fan_out_reads_the_rows_of_the_earlier_table(night: Night) -> None:
    source = MisbehavingSource(accounts=30, grants=0, credentials=30, page_size=7, partitions=2, fan_out=True)
    snapshot = night.run(source)
    assert statuses(snapshot)["credentials"] == "COMPLETE"
    partitions = [entry.partition for entry in snapshot.manifest.coverage if entry.table == "credentials"]
    assert partitions == [f"account-{i}" for i in range(30)]
    assert snapshot.rows("simulated", "credentials") == 30


@pytest.mark.parametrize("kind", [FaultKind.REFUSED, FaultKind.GAP])
def test_fan_out_over_a_table_not_read_whole_is_not_whole(kind: FaultKind, night: Night) -> None:
    source = MisbehavingSource(accounts=10, grants=0, credentials=10, fan_out=True, faults=[Fault(kind)])
    snapshot = night.run(source)
    assert statuses(snapshot)["credentials"] == "PARTIAL"
    assert any("read over accounts" in gap for gap in snapshot.gaps("simulated", "credentials"))


def test_fan_out_over_nothing_is_a_true_zero_where_nothing_was_vouched_for(night: Night) -> None:
    source = MisbehavingSource(accounts=0, entitlements=0, grants=0, credentials=0, fan_out=True)
    assert statuses(night.run(source)) == dict.fromkeys(TABLES, "COMPLETE")


def test_fan_out_over_a_table_that_is_left_out_is_a_configuration_error(night: Night) -> None:
    with pytest.raises(ConfigurationError, match="read over its accounts") as caught:
        night.run(MisbehavingSource(fan_out=True), tables=["credentials"])
    assert "Add accounts" in caught.value.advice


class Listing(MisbehavingSource):
    """Lists partitions as it is told to, or looks back where it may not."""

    listed: Any = ()
    looks_at: tuple[str, str] | None = None

    async def partitions(self, table: str, parents: Any) -> Any:
        if self.looks_at and table == "grants":
            return [Partition(value) for value in parents.values(*self.looks_at)]
        return self.listed if table == "grants" else await super().partitions(table, parents)


@pytest.mark.parametrize(
    ("listed", "status", "says"),
    [
        ([], "PARTIAL", "zero rows, and neither"),
        ([Partition(""), Partition("")], "FAILED", "same partition twice"),
        (["x"], "FAILED", "no partition"),
        (None, "FAILED", "no partition"),
    ],
)
def test_partitions_are_not_taken_on_trust(listed: Any, status: str, says: str, night: Night) -> None:
    source = Listing()
    source.listed = listed
    snapshot = night.run(source)
    assert statuses(snapshot)["grants"] == status
    assert says in snapshot.gaps("simulated", "grants")[0]


@pytest.mark.parametrize(
    "looks_at", [("credentials", "account_id"), ("people", "person_id"), ("accounts", "can_sign_in"), ("accounts", "x")]
)
def test_looking_back_at_what_is_not_there_fails_the_table(looks_at: tuple[str, str], night: Night) -> None:
    source = Listing()
    source.looks_at = looks_at
    if looks_at[0] == "credentials":
        source.reports = {t: c for t, c in source.reports.items() if t != "credentials"}
    snapshot = night.run(source)
    assert snapshot.status("simulated", "grants") is Status.FAILED
    assert "looks back at" in snapshot.gaps("simulated", "grants")[0]


def test_reports_of_what_the_estate_does_not_have_fail_the_source(night: Night) -> None:
    source = MisbehavingSource()
    source.reports = {"accounts": frozenset({"account_id", "shoe_size"}), "wishes": frozenset()}
    snapshot = night.run(source)
    assert {entry.status for entry in snapshot.manifest.coverage} == {Status.FAILED}
    assert "accounts.shoe_size, wishes" in snapshot.manifest.coverage[0].gaps[0].reason


def test_a_secret_in_an_error_is_taken_out(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSWORD", "hunter2-hunter2")
    secret = reveal(SecretRef("env:PASSWORD"))

    class Leaky(Blind):
        error = ValueError(f"https://api.test?token={secret}")

    snapshot = night.run(Leaky())
    gap = snapshot.gaps("simulated", "accounts")[0]
    assert "a defect of the connector, not of the source: ValueError" in gap
    assert secret not in (snapshot.folder / "manifest.json").read_text()


def test_closing_badly_costs_no_row(night: Night, caplog: pytest.LogCaptureFixture) -> None:
    class Sticky(MisbehavingSource):
        async def close(self) -> None:
            raise OSError("no")

    with caplog.at_level(logging.WARNING):
        snapshot = night.run(Sticky())
    assert statuses(snapshot) == dict.fromkeys(TABLES, "COMPLETE")
    assert "simulated: could not be closed: OSError: no" in caplog.text


class Hanging(MisbehavingSource):
    """Never answers, and says whether it was stopped."""

    stopped = False

    async def page(self, *_asked: object) -> Page:
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped = True
        raise AssertionError


def test_a_full_disk_stops_every_source_and_seals_nothing(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    from reconciler.snapshot import disk

    write = disk.HashedFile.write

    def full(file: disk.HashedFile, data: bytes) -> int:
        if file._dropped:
            return write(file, data)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk.HashedFile, "write", full)
    hanging = Hanging("hanging")
    with pytest.raises(StoreError, match="No space left") as caught:
        night.run(hanging, MisbehavingSource())
    assert "disk is full" in caught.value.advice
    assert hanging.stopped
    assert hanging.closed == 1
    assert list(night.store.folder.glob("2*")) == []
    monkeypatch.undo()
    night.run(MisbehavingSource())


async def test_an_interrupted_pull_leaves_nothing_and_frees_the_folder(night: Night) -> None:
    hanging = Hanging()
    task = asyncio.create_task(night.pull(hanging))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hanging.closed == 1
    assert list(night.store.folder.glob("2*")) == []
    assert (await night.pull(MisbehavingSource())).rows("simulated", "accounts") == 100


async def test_the_folder_is_held_by_one_pull(night: Night) -> None:
    task = asyncio.create_task(night.pull(Hanging()))
    await asyncio.sleep(0.1)
    with pytest.raises(StoreError, match=f"another pull is under way .*{os.getpid()}"):
        await night.pull(MisbehavingSource())
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_memory_stays_flat_however_many_rows(tmp_path: Path) -> None:
    small, large = (float(measure("product", 1_000, rows, tmp_path / str(rows))["mib"]) for rows in (70_000, 700_000))
    # Ten times the rows: held as Python rows they would take 150 MiB more; what grows are the hashes of the keys.
    assert large - small < 60


def test_gaps_without_end_are_counted_not_kept(night: Night) -> None:
    class Gappy(MisbehavingSource):
        async def page(self, table: str, *_asked: object) -> Page:
            return Page(
                rows=(), gaps=[Gap(table, f"object {i}", "denied") for i in range(1_500)]
            )  # and one for the zero rows

    snapshot = night.run(Gappy(), tables=["accounts"])
    gaps = snapshot.gaps("simulated", "accounts")
    assert len(gaps) == 1_001
    assert gaps[-1] == "501 further gaps of this kind"


def test_a_gap_about_another_table_reaches_it(night: Night) -> None:
    class Crossing(MisbehavingSource):
        async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
            page = await super().page(table, partition, cursor)
            gaps: Iterator[Gap] = iter(
                [Gap("grants", "group x", "members are hidden")] if table == "entitlements" else []
            )
            return Page(rows=page.rows, next=page.next, total=page.total, gaps=tuple(gaps))

    snapshot = night.run(Crossing())
    assert statuses(snapshot)["grants"] == "PARTIAL"
    assert snapshot.gaps("simulated", "grants") == ("group x: members are hidden",)
