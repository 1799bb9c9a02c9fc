"""Who is meant by a name as people write it, and which roles there are."""

from __future__ import annotations

from datetime import date

import pytest

from reconciler.errors import ConfigurationError
from reconciler.sdk.records import Person, RoleHolder
from reconciler.snapshot.named import person, roles
from tests.engine.conftest import Read, Seal, seal

__all__ = ["seal"]
PEOPLE = Read(
    "hr",
    "people",
    [
        Person(person_id="P1", full_name="Ada Byron", emails=["ada@acme.test", "a.byron@acme.test"]),
        Person(person_id="P2", full_name="Grace Hopper", emails=None),
        Person(person_id="P3", full_name="Bo Li"),
        Person(person_id="P4", full_name="BO LI"),
        Person(person_id="P5", emails=["p2@acme.test"]),
    ],
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("P1", "P1"),
        (" p1 ", "P1"),
        ("ada byron", "P1"),
        ("A.Byron@acme.test", "P1"),
        ("Grace Hopper ", "P2"),
        ("p2@acme.test", "P5"),
        ("An auditor", "An auditor"),
        ("", ""),
    ],
)
def test_a_person_is_known_by_id_name_and_address(seal: Seal, written: str, meant: str) -> None:
    assert person(seal([PEOPLE]), written) == meant


def test_a_name_of_several_people_is_refused(seal: Seal) -> None:
    with pytest.raises(ConfigurationError, match="Bo Li may be P3 or P4") as refused:
        person(seal([PEOPLE]), "Bo Li")
    assert "person_id" in refused.value.advice


def test_every_role_that_is_reported_is_known(seal: Seal) -> None:
    held = [
        RoleHolder(role="ciso", person_id="P1", since=date(2025, 1, 1)),
        RoleHolder(role="keeper", person_id="P1", since=date(2020, 1, 1), until=date(2021, 1, 1)),
    ]
    assert roles(seal([Read("qms", "role_holders", held)])) == {"ciso", "keeper"}


def test_without_a_snapshot_names_stand_as_they_are_written() -> None:
    assert person(None, "Ada") == "Ada"
    assert roles(None) == set()
