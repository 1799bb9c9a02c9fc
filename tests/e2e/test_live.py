"""One person looked for and one account re-read, live, over a directory, an Okta organisation and a cloud account."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import World
from tests.simulators.http_injection import FaultKind
from tests.simulators.okta.server import TOKEN, OktaSimulator
from tests.simulators.okta.small import small_org, uid


@pytest.fixture
def okta() -> Iterator[OktaSimulator]:
    with OktaSimulator(small_org()) as simulator:
        yield simulator


@pytest.fixture
def estate(world: World, okta: OktaSimulator) -> World:
    world.more = f"""
[sources.okta]
connector = "okta"
org_url = "{okta.url}"
api_token = "env:OKTA_TOKEN"
ca_file = "{okta.ca_file}"
retry_seconds = 1
"""
    world.environment["OKTA_TOKEN"] = TOKEN
    return world.write()


def test_a_person_is_found_in_every_state_and_system(estate: World) -> None:
    told = estate.ask("sources", "find", "--email", "ada@acme.test", "--login", "deprovisioned@example.test", "--json")
    found = json.loads(told.stdout)
    assert set(found) == {"corp-ldap", "okta", "aws"}  # the files of the QMS hold no accounts
    (there,) = found["okta"]["accounts"]
    assert there["account_id"] == uid("deprovisioned")
    (here,) = found["corp-ldap"]["accounts"]
    assert here["login"] == "ada"
    assert "email" in here["matched_by"]


def test_a_source_that_cannot_be_asked_is_not_a_source_without_an_account(estate: World, okta: OktaSimulator) -> None:
    okta.faults.add(FaultKind.UNAVAILABLE, times=None)
    told = estate.ask("sources", "find", "okta", "--email", "nobody@example.test")
    assert told.returncode == 3
    assert "okta: could not look" in told.stdout
    assert "no account" not in told.stdout


def test_nobody_found_is_said_where_everything_was_seen(estate: World) -> None:
    told = estate.ask("sources", "find", "okta", "--email", "nobody@example.test")
    assert (told.returncode, told.stdout) == (0, "okta: no account\n")


def test_an_account_is_reread_with_each_class_of_its_credentials(estate: World) -> None:
    told = estate.ask("sources", "reread", "okta", uid("ann"), "--json")
    live = json.loads(told.stdout)
    assert (told.returncode, live["presence"], live["status"]) == (0, "PRESENT", "enabled")
    classes = {one["kind"]: one["presence"] for one in live["credentials"]}
    assert classes["mfa_factor"] == classes["refresh_token"] == "PRESENT"
    assert classes["session"] == "NOT_EVALUABLE"


def test_an_account_that_was_deleted_is_gone_and_one_that_cannot_be_read_is_not(
    estate: World, okta: OktaSimulator
) -> None:
    okta.org.delete("users", uid("ann"))
    assert estate.ask("sources", "reread", "okta", uid("ann")).stdout.startswith("GONE")
    okta.faults.add(FaultKind.UNAVAILABLE, times=None)
    told = estate.ask("sources", "reread", "okta", uid("ann"))
    assert told.returncode == 3
    assert told.stdout.startswith("NOT_EVALUABLE")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("find",), "nothing to look with"),
        (("find", "qms", "--email", "a@b.test"), "qms cannot be asked for one account"),
        (("find", "okt", "--email", "a@b.test"), "no source okt"),
        (("reread", "qms", "x"), "qms cannot be asked for one account"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_its_remedy(estate: World, arguments: tuple[str, ...], said: str) -> None:
    told = estate.ask("sources", *arguments)
    assert told.returncode == 2
    assert said in told.stderr
