"""What a source says it cannot fill, and what a person says may be empty."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reconciler.sdk.connector import Gap
from reconciler.sdk.testing import MisbehavingSource
from reconciler.snapshot import Snapshot
from tests.collect.conftest import Night


class Unlicensed(MisbehavingSource):
    """Cannot fill one column of accounts, and says so."""

    def rows(self, table: str, start: int, stop: int) -> list[object]:  # type: ignore[override] # made narrower by replace
        import msgspec

        made = super().rows(table, start, stop)
        return [msgspec.structs.replace(row, department=None) if table == "accounts" else row for row in made]


def gaps(snapshot: Snapshot, table: str) -> str:
    return " ".join(snapshot.gaps("simulated", table))


def test_a_column_that_cannot_be_filled_is_unknown_and_its_table_stays_whole(night: Night) -> None:
    gap = Gap("accounts", "", "the tenant has no licence for it", "Reports.Read.All", column="department")
    snapshot = night.run(Unlicensed(gaps=[gap]))
    (source,) = snapshot.manifest.sources
    assert snapshot.status("simulated", "accounts").value == "COMPLETE"
    assert "department" not in source.reports["accounts"]
    assert source.unknown == {
        "accounts.department": "the tenant has no licence for it (missing: Reports.Read.All)",
    }


def test_a_manifest_without_unknown_columns_reads_as_before(night: Night) -> None:
    snapshot = night.run(MisbehavingSource())
    assert "unknown" not in (snapshot.folder / "manifest.json").read_text()
    assert night.store.open(snapshot.snapshot_id).manifest.sources[0].unknown == {}


@pytest.mark.parametrize("column", ["account_id", "title"])
def test_a_connector_that_withdraws_a_key_or_what_it_never_declared_is_not_trusted(night: Night, column: str) -> None:
    snapshot = night.run(MisbehavingSource(gaps=[Gap("accounts", "", "why", column=column)]))
    assert snapshot.status("simulated", "accounts").value == "FAILED"
    assert f"withdraws accounts.{column}" in gaps(snapshot, "accounts")


def test_a_withdrawn_column_of_a_table_that_is_not_read_concerns_nobody(night: Night) -> None:
    gap = Gap("accounts", "", "why", column="department")
    snapshot = night.run(MisbehavingSource(gaps=[gap]), tables=["entitlements"])
    assert snapshot.status("simulated", "entitlements").value == "COMPLETE"
    assert snapshot.manifest.sources[0].unknown == {}


def test_zero_rows_are_whole_where_a_person_said_that_there_may_be_none(night: Night) -> None:
    empty = {"credentials": 0, "totals": False}
    doubted = night.run(MisbehavingSource(**empty))  # type: ignore[arg-type] # keywords of two types
    assert doubted.status("simulated", "credentials").value == "PARTIAL"
    assert "add it to `may_be_empty` of the source" in gaps(doubted, "credentials")
    vouched = night.run(MisbehavingSource(**empty), may_be_empty=["credentials"])  # type: ignore[arg-type] # the same
    assert vouched.status("simulated", "credentials").value == "COMPLETE"


def test_one_part_of_a_table_may_be_empty_and_the_others_may_not(night: Night) -> None:
    source = MisbehavingSource(credentials=0, partitions=2, totals=False)
    snapshot = night.run(source, may_be_empty=["credentials/0"])
    found = {e.partition: e.status.value for e in snapshot.manifest.coverage if e.table == "credentials"}
    assert found == {"0": "COMPLETE", "1": "PARTIAL"}


def test_an_entry_that_names_no_part_is_said_and_loses_nothing(night: Night) -> None:
    snapshot = night.run(MisbehavingSource(partitions=2), may_be_empty=["credentials/api tokns"])
    assert snapshot.status("simulated", "credentials").value == "PARTIAL"
    assert "may_be_empty names credentials/api tokns, and the parts of credentials are: 0, 1" in gaps(
        snapshot, "credentials"
    )
    assert snapshot.status("simulated", "accounts").value == "COMPLETE"


def test_a_column_that_is_withdrawn_one_night_holds_no_table_and_comes_back(night: Night) -> None:
    assert night.run(MisbehavingSource()).status("simulated", "accounts").value == "COMPLETE"
    gap = Gap("accounts", "", "the licence ended", column="department")
    for _ in range(2):
        without = night.run(Unlicensed(gaps=[gap]))
        assert without.status("simulated", "accounts").value == "COMPLETE"
        assert "department" not in without.manifest.sources[0].reports["accounts"]
    again = night.run(MisbehavingSource())
    assert again.status("simulated", "accounts").value == "COMPLETE"
    assert "department" in again.manifest.sources[0].reports["accounts"]


def test_a_column_that_links_accounts_to_people_is_held_although_its_loss_is_said(night: Night) -> None:
    class Nameless(MisbehavingSource):
        def rows(self, table: str, start: int, stop: int) -> list[object]:  # type: ignore[override] # made narrower by replace
            import msgspec

            made = super().rows(table, start, stop)
            return [msgspec.structs.replace(row, employee_id=None) if table == "accounts" else row for row in made]

    night.run(MisbehavingSource())
    held = night.run(Nameless(gaps=[Gap("accounts", "", "not granted", column="employee_id")]))
    assert held.status("simulated", "accounts").value == "PARTIAL"
    assert "column employee_id was reported" in gaps(held, "accounts")


class Described(MisbehavingSource):
    """Reports attributes of accounts too, where nothing keeps it from them."""

    def __init__(self, gaps: Sequence[Gap] = ()) -> None:
        super().__init__(gaps=gaps)
        self.reports = {**self.reports, "accounts": self.reports["accounts"] | {"attributes"}}


@pytest.mark.parametrize(("matcher", "status"), [("login", "COMPLETE"), ("attribute:hr_key", "PARTIAL")])
def test_attributes_are_held_where_a_matcher_reads_them(night: Night, matcher: str, status: str) -> None:
    night.matchers = ("employee_id", matcher)
    night.run(Described())
    found = night.run(Described(gaps=[Gap("accounts", "", "not granted", column="attributes")]))
    assert found.status("simulated", "accounts").value == status
    assert ("column attributes was reported" in gaps(found, "accounts")) == (status == "PARTIAL")


def test_rows_that_are_lost_together_with_a_withdrawn_column_are_held(night: Night) -> None:
    night.run(MisbehavingSource(accounts=200))
    gap = Gap("accounts", "", "the licence ended", column="department")
    held = night.run(Unlicensed(accounts=100, gaps=[gap]))
    assert held.status("simulated", "accounts").value == "PARTIAL"
    assert "200 rows in snapshot" in gaps(held, "accounts")
    assert "column department" not in gaps(held, "accounts")
