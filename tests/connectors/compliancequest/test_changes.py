"""Records that change while they are read: every one once, none lost, and what cannot be proven is no whole pull."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from reconciler.sdk.connector import Status
from tests.connectors.compliancequest.company import PERSONNEL, people, person
from tests.simulators.salesforce.org import Org
from tests.simulators.salesforce.server import Salesforce

COUNT = 12
PAGES = range(1, 6)
"""Three pages of records, then what changed, then what was touched; the count comes after."""

Change = Callable[[Org, list[str]], object]
ACTIVE = {"people": {"where": {"compliancequest__Active__c": True}}}


def _rename(org: Org, ids: list[str]) -> None:
    for one in (ids[0], ids[-1]):
        org.update(PERSONNEL, one, compliancequest__Full_Name__c="Renamed")


def _leave(org: Org, ids: list[str]) -> None:
    for one in (ids[0], ids[-1]):
        org.update(PERSONNEL, one, compliancequest__Active__c=False)


def _swap(org: Org, ids: list[str]) -> None:
    for one in (ids[0], ids[5], ids[-1]):
        org.delete(PERSONNEL, one)
    for number in range(3):
        person(org, 950 + number)


CHANGES: dict[str, Change] = {
    "a record is added": lambda org, _: person(org, 900),
    "many are added": lambda org, _: [person(org, 900 + n) for n in range(9)],
    "read and unread ones are changed": _rename,
    "one that was read is deleted": lambda org, ids: org.delete(PERSONNEL, ids[0]),
    "one that was not read is deleted": lambda org, ids: org.delete(PERSONNEL, ids[-1]),
    "several are deleted and added": _swap,
    "some match no longer": _leave,
}


def matching(org: Org) -> set[str]:
    return {
        one
        for one, row in org.entities[PERSONNEL].rows.items()
        if not row["IsDeleted"] and row["compliancequest__Active__c"]
    }


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("change", CHANGES)
async def test_whatever_changes_between_two_pages_the_pull_is_whole(
    salesforce: Salesforce, collected: Callable[..., Any], change: str, page: int
) -> None:
    org = salesforce.org
    ids = people(org, COUNT)
    before = matching(org)
    salesforce.shrink = 5
    salesforce.after_page = lambda number: CHANGES[change](org, ids) if number == page else None
    pulled = await collected(objects=ACTIVE)
    assert (pulled.status(), pulled.gaps()) == (Status.COMPLETE, "")
    found = [row["person_id"] for row in pulled.rows()]
    assert len(found) == len(set(found))
    # Whoever was there throughout is in; nobody is who never was; who came or went meanwhile may be either.
    assert before & matching(org) <= set(found) <= before | matching(org)
    if page <= 4:
        assert matching(org) <= set(found)


async def test_a_locator_that_counts_through_what_matches_now_loses_nobody_unnoticed(
    salesforce: Salesforce, collected: Callable[..., Any]
) -> None:
    org = salesforce.org
    ids = people(org, COUNT)
    salesforce.shrink, salesforce.locators = 5, "live"
    salesforce.after_page = lambda number: org.delete(PERSONNEL, ids[0]) if number == 1 else None
    pulled = await collected()
    # The sixth moved to the place of the fifth, between two pages: only the count can tell.
    assert pulled.status() is Status.PARTIAL
    assert "the provider counts 12 rows and 11 came" in pulled.gaps()


async def test_a_record_that_was_stamped_early_and_seen_late_is_read(
    salesforce: Salesforce, collected: Callable[..., Any]
) -> None:
    org = salesforce.org
    people(org, COUNT)
    salesforce.shrink = 5
    late: list[str] = []

    def commit(number: int) -> None:
        if number == 2:
            # Written ten minutes before the last change that could be seen when the pull began.
            stamp = org.now - timedelta(minutes=10)
            late.append(person(org, 900))
            row = org.entities[PERSONNEL].rows[late[0]]
            row["SystemModstamp"] = stamp.strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    salesforce.after_page = commit
    pulled = await collected()
    assert pulled.status() is Status.COMPLETE
    assert late[0] in {row["person_id"] for row in pulled.rows()}


async def test_a_record_purged_from_the_recycle_bin_meanwhile_leaves_a_doubt(
    salesforce: Salesforce, collected: Callable[..., Any]
) -> None:
    ids = people(salesforce.org, COUNT)
    salesforce.shrink = 5
    salesforce.after_page = lambda number: salesforce.org.delete(PERSONNEL, ids[0], purge=True) if number == 2 else None
    pulled = await collected()
    assert pulled.status() is Status.PARTIAL
    assert "the provider counts 11 rows and 12 came" in pulled.gaps()


async def test_an_org_that_never_rests_ends_in_a_count_not_in_a_loop(
    salesforce: Salesforce, collected: Callable[..., Any]
) -> None:
    people(salesforce.org, COUNT)
    salesforce.shrink = 5
    salesforce.after_page = lambda number: person(salesforce.org, 1_000 + number)
    pulled = await collected()
    assert pulled.status() is Status.PARTIAL
    assert "the provider counts" in pulled.gaps()
