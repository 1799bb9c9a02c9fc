"""Who holds a role and where people belong, as far as a snapshot says."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from reconciler.sdk.connector import Status
from reconciler.sdk.records import Person, RoleHolder
from reconciler.snapshot.people import Affiliation, affiliations, holders, whole_people
from tests.engine.conftest import NIGHT, Read, Seal, seal

__all__ = ["seal"]
SINCE = date(2025, 1, 1)


def term(person_id: str = "p1", role: str = "Keeper", since: date = SINCE, until: date | None = None) -> RoleHolder:
    return RoleHolder(role=role, person_id=person_id, since=since, until=until)


@pytest.mark.parametrize(
    ("person", "holds"),
    [
        ({}, True),
        ({"ends_on": date(2026, 2, 2)}, False),
        ({"ends_on": date(2026, 2, 3)}, True),
        ({"ends_on": date(2026, 2, 2), "time_zone": "America/New_York"}, True),
        ({"ends_on": date(2026, 1, 1), "time_zone": "Mars/Olympus"}, True),
        ({"status": " Left"}, False),
        ({"status": "Left", "ends_on": date(2026, 3, 1)}, True),
        ({"status": "on leave"}, True),
    ],
)
def test_who_surely_has_left_holds_nothing(seal: Seal, person: dict[str, Any], *, holds: bool) -> None:
    known = Person(person_id="p1", full_name="Ada", **person)
    read = [Read("qms", "role_holders", [term()]), Read("hr", "people", [known])]
    found = holders(seal(read), as_of=NIGHT, time_zone="UTC")
    assert found.holder(" KEEPER") == ("p1" if holds else None)
    assert found.vacant("keeper") is not holds
    unsure = holders(seal([read[0], Read("hr", "people", [known], Status.PARTIAL)]), as_of=NIGHT, time_zone="UTC")
    assert unsure.holder("keeper") == "p1", "people that were not read whole take nobody's role away"


def test_who_came_last_answers_and_who_is_no_person_does_not(seal: Seal) -> None:
    terms = [term("p1"), term("p2", since=date(2025, 6, 1)), term("p9", since=date(2026, 1, 1))]
    people = [Person(person_id="p1", full_name="Ada"), Person(person_id="p2", full_name="Bo")]
    found = holders(
        seal([Read("qms", "role_holders", terms), Read("hr", "people", people)]), as_of=NIGHT, time_zone="UTC"
    )
    assert found.holder("keeper") == "p2"
    assert found.of("keeper") == "Ada, Bo"


def test_unknown_is_not_vacant(seal: Seal) -> None:
    found = holders(seal([Read("qms", "role_holders", [term()], Status.PARTIAL)]), as_of=NIGHT, time_zone="UTC")
    assert found.unknown == "role_holders of qms were not read whole"
    assert (found.holder("keeper"), found.vacant("keeper"), found.vacant("nobody's")) == (None, False, False)
    assert not holders(None, as_of=NIGHT, time_zone="UTC").vacant("keeper")


def test_words_of_a_status_may_be_the_organisations_own(seal: Seal) -> None:
    read = [Read("qms", "role_holders", [term()]), Read("hr", "people", [Person(person_id="p1", status="Weg")])]
    assert holders(seal(read), as_of=NIGHT, time_zone="UTC", left=["weg"]).vacant("keeper")


def test_people_belong_where_a_source_that_was_read_whole_says(seal: Seal) -> None:
    people = [
        Person(person_id="p1", supplier_id="S-1", department="Sales"),
        Person(person_id="p2"),
        Person(person_id="p3", supplier_id="S-2"),
    ]
    snapshot = seal([Read("hr", "people", people)])
    assert affiliations(snapshot, {"p1", "p2", "p9"}) == {"p1": Affiliation("S-1", "Sales"), "p2": Affiliation()}
    assert whole_people(snapshot)
    partial = seal([Read("hr", "people", people), Read("crm", "people", [], Status.FAILED)])
    assert not whole_people(partial)
    assert affiliations(partial, {"p3"}) == {"p3": Affiliation("S-2")}
    assert not whole_people(seal([Read("qms", "role_holders", [])]))
