"""Links over sealed snapshots: what is made, what is only shown, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.engine import Options, links
from reconciler.engine.workspace import open_workspace
from reconciler.errors import ConfigurationError
from reconciler.estate.correlate import READS
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Account, Person
from reconciler.snapshot import Snapshot
from tests.engine.conftest import NIGHT, Read, Seal

ACCOUNTS = (
    Account(source="ldap", account_id="1", login="ada", email="ada@x.test", display_name="Ada Byron"),
    Account(source="ldap", account_id="2", login="byorn", display_name="Byorn, Ada", department="Research"),
    Account(source="ldap", account_id="3", login="desk", email="bob@x.test", display_name="Sales Desk"),
    Account(source="ldap", account_id="4", login="root"),
    Account(source="ldap", account_id="5", employee_id="E2", email="cyd@x.test", display_name="Cyd Miller"),
)
PEOPLE = (
    Person(person_id="P1", full_name="Ada Byron", emails=["ada@x.test"], employee_id="E1", department="research"),
    Person(person_id="P2", full_name="Bob Stone", emails=["bob@x.test"], employee_id="E2"),
    Person(person_id="P3", full_name="Cyd Miller", emails=["cyd@x.test"], employee_id="E3"),
)
WANTED = {"links": ("source",), **READS}


def sealed(seal: Seal, people: Status = Status.COMPLETE, accounts: Status = Status.COMPLETE) -> Snapshot:
    return seal([Read("ldap", "accounts", ACCOUNTS, accounts), Read("hr", "people", PEOPLE, people)])


def test_each_account_is_shown_with_who_may_fit_and_why(seal: Seal) -> None:
    found = {one.account_id: one for one in links.listed(sealed(seal), Options())}
    assert (found["1"].state, found["1"].person_id, found["1"].since) == ("linked", "P1", NIGHT)
    assert (found["2"].state, found["2"].method, found["2"].candidates) == ("proposed", "name", ["P1"])
    assert found["2"].reason == "name 89 % like Ada Byron P1; department the same"
    assert (found["3"].state, found["3"].candidates) == ("proposed", ["P2"]), "the address of a stranger"
    assert (found["4"].state, found["4"].candidates) == ("unlinked", None)
    assert (found["5"].state, found["5"].candidates) == ("ambiguous", ["P2", "P3"]), "a number mistyped"
    assert [one.account_id for one in links.listed(sealed(seal), Options(), state="unlinked", source="ldap")] == ["4"]


def test_an_explanation_shows_what_was_compared(seal: Seal) -> None:
    told = links.explain(sealed(seal), Options(), "ldap", "5")
    assert [(one.matcher, one.value, one.compared_as, one.people) for one in told.compared] == [
        ("employee_id", "E2", "e2", ["P2"]),
        ("email", "cyd@x.test", "cyd@x.test", ["P3"]),
        ("login", None, None, []),
    ]
    assert told.compared[0].found == (
        "names this one person, but somebody else who fits has a name more like the account's"
    )
    assert told.proposals == ["name 100 % like Cyd Miller P3"]
    assert told.compared[2].found == "the account has no value to compare"
    other = links.explain(sealed(seal), Options(), "ldap", "4")
    assert other.compared[2].found == "no person has it in people.logins"


BEGUN = datetime(2025, 6, 1, tzinfo=UTC)
PERSON = Person(person_id="P1", full_name="Joan Smith", emails=["j.smith@x.test"], starts_on=BEGUN.date())


@pytest.mark.parametrize(
    ("columns", "linked"),
    [
        ({"display_name": "John Smith", "created_at": BEGUN - timedelta(days=91)}, False),
        ({"display_name": "John Smith", "created_at": BEGUN - timedelta(days=90)}, True),
        ({"display_name": "Smith, Joan", "created_at": BEGUN - timedelta(days=900)}, True),
        ({"created_at": BEGUN - timedelta(days=900)}, False),
        ({"created_at": None}, True),
        ({"display_name": "John Smith", "deleted_at": BEGUN - timedelta(days=1), "status": "deleted"}, False),
        ({"display_name": "Helpdesk", "login": "helpdesk"}, False),
        ({"display_name": "Joanie", "login": "jsmith"}, True),
    ],
)
def test_an_address_that_was_somebody_elses_before_or_is_nobodys_own_only_proposes(
    seal: Seal, columns: dict[str, Any], linked: bool
) -> None:
    account = Account(source="ldap", account_id="1", email="j.smith@x.test", **columns)
    snapshot = seal([Read("ldap", "accounts", [account]), Read("hr", "people", [PERSON])])
    told = links.explain(snapshot, Options(), "ldap", "1")
    assert (told.link.state, told.link.person_id, told.link.candidates) == (
        ("linked", "P1", None) if linked else ("proposed", None, ["P1"])
    )
    assert told.compared[1].found.startswith("names this one person")
    assert (", but the account " in told.compared[1].found) is not linked


def test_a_number_of_ones_own_is_named_where_it_keeps_an_address_from_linking(seal: Seal) -> None:
    account = Account(source="ldap", account_id="1", email="ada@x.test", employee_id="E9")
    snapshot = seal([Read("ldap", "accounts", [account]), Read("hr", "people", PEOPLE)])
    told = links.explain(snapshot, Options(), "ldap", "1")
    assert told.link.state == "proposed"
    assert told.compared[1].found == (
        "names this one person, but the account carries a personnel number of its own, which is another"
    )


@pytest.mark.parametrize(
    ("asked", "said", "advice"),
    [
        (("aws", "1", None), "no source 'aws'", "Use one of: ldap"),
        (("ldap", "ADA", None), "no account with the id 'ADA'", "Did you mean 1"),
        (("ldap", "9", None), "no account with the id '9'", "read whole: correct"),
        (("ldap", "1", "P11"), "no person 'P11'", "Did you mean P1"),
        (("ldap", "1", "zzz"), "no person 'zzz'", "read whole: correct"),
    ],
)
def test_what_is_unknown_is_named_with_the_remedy(
    seal: Seal, asked: tuple[str, str, str | None], said: str, advice: str
) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        links.linked_to(sealed(seal), Options(), *asked)
    assert advice in refused.value.advice


def test_who_is_not_found_in_what_was_not_read_may_be_there(seal: Seal) -> None:
    with pytest.raises(ConfigurationError) as refused:
        links.linked_to(sealed(seal, accounts=Status.PARTIAL), Options(), "ldap", "1", None)
    assert "accounts of ldap were not read whole" in refused.value.advice


@pytest.mark.parametrize(
    ("people", "accounts", "expected"),
    [
        (Status.COMPLETE, Status.COMPLETE, [("1", "P1", "email", NIGHT)]),
        (Status.PARTIAL, Status.COMPLETE, []),
        (Status.COMPLETE, Status.FAILED, []),
    ],
)
def test_links_to_be_kept_are_made_only_where_everybody_was_read(
    seal: Seal, people: Status, accounts: Status, expected: list[object]
) -> None:
    snapshot = sealed(seal, people, accounts)
    assert (links.unread(snapshot) == []) == bool(expected)
    with open_workspace(snapshot, [], Options(), also=WANTED) as workspace:
        assert [(one.account_id, one.person_id, one.method, one.since) for one in workspace.made] == expected
        told = workspace.sandbox.connection.execute("SHOW TABLES").fetchall()
        assert not {"odd", "remembered", "doubted"} & {name for (name,) in told}, (
            "no rule reads what stands beside the links"
        )


def test_people_who_are_given_twice_make_no_link_to_be_kept(seal: Seal) -> None:
    snapshot = seal([Read("ldap", "accounts", ACCOUNTS), Read("hr", "people", PEOPLE), Read("qms", "people", PEOPLE)])
    with open_workspace(snapshot, [], Options(), also=WANTED) as workspace:
        assert workspace.made == ()
