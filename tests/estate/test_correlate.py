from __future__ import annotations

import string
from collections.abc import Iterator, Sequence
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.estate import correlate
from reconciler.estate.tables import tables

Row = dict[str, Any]


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def link(
    connection: duckdb.DuckDBPyConnection,
    accounts: Sequence[Row],
    people: Sequence[Row],
    *,
    matchers: Sequence[str] = correlate.DEFAULT,
    plus_addressing: bool = False,
    remembered: Sequence[Row] = (),
) -> dict[str, Row]:
    """Return account_id -> its link, as the engine would make it."""
    for name, rows in (("accounts", accounts), ("people", people)):
        connection.execute(tables()[name].ddl())
        for row in rows:
            full = {"source": "s"} | row if name == "accounts" else row
            marks = ", ".join("?" for _ in full)
            connection.execute(f"INSERT INTO {name} ({', '.join(full)}) VALUES ({marks})", list(full.values()))  # noqa: S608  # a test's own names
    connection.execute(correlate.ODD_DDL)
    connection.execute(correlate.REMEMBERED_DDL)
    for row in remembered:
        full = {"source": "s", "state": "linked", "method": "email", "confidence": 0.9} | row
        connection.execute(
            f"INSERT INTO remembered ({', '.join(full)}) VALUES ({', '.join('?' for _ in full)})",  # noqa: S608  # a test's own names
            list(full.values()),
        )
    for (raw,) in connection.execute(correlate.odd_values_sql(matchers, plus_addressing=plus_addressing)).fetchall():
        email = correlate.normal_email(raw, plus_addressing=plus_addressing)
        connection.execute("INSERT INTO odd VALUES (?, ?, ?)", [raw, email, correlate.normal_login(raw)])
    connection.execute(tables()["links"].ddl())
    connection.execute(f"INSERT INTO links {correlate.links_sql(matchers)}")
    found = connection.execute("SELECT account_id, person_id, method, confidence, state, candidates FROM links")
    names = ("person_id", "method", "confidence", "state", "candidates")
    return {key: dict(zip(names, values, strict=True)) for key, *values in found.fetchall()}


def test_a_personnel_number_links_first(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "employee_id": "E1", "email": "bob@x.test"}],
        [{"person_id": "p1", "employee_id": "E1"}, {"person_id": "p2", "emails": ["bob@x.test"]}],
    )
    assert links["a"] == {
        "person_id": "p1",
        "method": "employee_id",
        "confidence": 1.0,
        "state": "linked",
        "candidates": ["p1", "p2"],
    }, "the weaker matcher changes nothing, but whom it named is kept"


def test_the_person_id_stands_for_a_missing_personnel_number(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "employee_id": "p1"}, {"account_id": "b", "employee_id": "p2"}],
        [{"person_id": "p1"}, {"person_id": "p2", "employee_id": "E2"}],
    )
    assert links["a"]["person_id"] == "p1"
    assert "b" not in links


@pytest.mark.parametrize("none", ["N/A", "n.a.", "-", "0000", "None", "xxx", "TBD", " unknown "])
def test_a_number_that_says_that_there_is_none_is_nobodys(connection: duckdb.DuckDBPyConnection, none: str) -> None:
    people: list[Row] = [
        {"person_id": "p1", "employee_id": none},
        {"person_id": "p2", "employee_id": "E2", "emails": ["b@x.test"]},
    ]
    accounts = [{"account_id": "a", "employee_id": none}, {"account_id": "b", "employee_id": none, "email": "b@x.test"}]
    links = link(connection, accounts, people)
    assert "a" not in links
    assert (links["b"]["state"], links["b"]["person_id"]) == ("linked", "p2"), "it contradicts nobody's number either"


def test_several_accounts_may_carry_one_personnel_number(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "employee_id": "E1"}, {"account_id": "b", "employee_id": "E1"}],
        [{"person_id": "p1", "employee_id": "E1"}],
    )
    assert {links["a"]["state"], links["b"]["state"]} == {"linked"}


def test_a_personnel_number_of_two_people_is_ambiguous(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "employee_id": "E1", "email": "ada@x.test"}],
        [{"person_id": "p2", "employee_id": "E1"}, {"person_id": "p1", "employee_id": "E1", "emails": ["ada@x.test"]}],
    )
    assert links["a"] == {
        "person_id": None,
        "method": "employee_id",
        "confidence": 1.0,
        "state": "ambiguous",
        "candidates": ["p1", "p2"],
    }, "a weaker matcher does not settle what a stronger one left open"


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_values_match_nothing(connection: duckdb.DuckDBPyConnection, blank: str) -> None:
    links = link(
        connection,
        [{"account_id": "a", "employee_id": blank, "email": blank, "login": blank}],
        [{"person_id": "p1", "employee_id": blank, "emails": [blank], "logins": [blank]}],
    )
    assert links == {}


@pytest.mark.parametrize(
    ("email", "address"),
    [
        ("ADA@X.test", "ada@x.test"),
        (" ada@x.test ", "ada@x.test"),
        ("ada_home.test#EXT#@host.onmicrosoft.test", "Ada@home.test"),
        ("\uff41da@x.test", "ada@x.test"),
        ("strasse@x.test", "STRASSE@x.test"),
        ("jürgen@x.test", "JÜRGEN@x.test"),
        ("ju\u0308rgen@x.test", "j\u00fcrgen@x.test"),
    ],
)
def test_a_unique_address_links_however_it_is_written(
    connection: duckdb.DuckDBPyConnection, email: str, address: str
) -> None:
    links = link(connection, [{"account_id": "a", "email": email}], [{"person_id": "p1", "emails": [address]}])
    assert (links["a"]["person_id"], links["a"]["method"], links["a"]["confidence"]) == ("p1", "email", 0.9)


def test_what_is_no_address_is_no_match(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(connection, [{"account_id": "a", "email": "none"}], [{"person_id": "p1", "emails": ["none"]}])
    assert links == {}


def test_plus_addressing_is_opt_in(connection: duckdb.DuckDBPyConnection) -> None:
    accounts = [{"account_id": "a", "email": "ada+aws@x.test"}]
    people = [{"person_id": "p1", "emails": ["ada@x.test"]}]
    assert link(connection, accounts, people) == {}
    with duckdb.connect() as second:
        assert link(second, accounts, people, plus_addressing=True)["a"]["person_id"] == "p1"


def test_an_address_of_two_people_is_ambiguous(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "email": "team@x.test", "login": "ada"}],
        [
            {"person_id": "p1", "emails": ["team@x.test"], "logins": ["ada"]},
            {"person_id": "p2", "emails": ["TEAM@x.test"]},
        ],
    )
    assert (links["a"]["state"], links["a"]["person_id"], links["a"]["candidates"]) == ("ambiguous", None, ["p1", "p2"])


def test_an_address_that_two_accounts_carry_only_proposes(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "email": "ada@x.test"}, {"account_id": "b", "email": "Ada@x.test"}],
        [{"person_id": "p1", "emails": ["ada@x.test"]}],
    )
    assert [(one["state"], one["person_id"], one["candidates"]) for one in links.values()] == [
        ("proposed", None, ["p1"])
    ] * 2


def test_the_same_address_in_another_source_is_unique_there(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "email": "ada@x.test"}, {"source": "t", "account_id": "b", "email": "ada@x.test"}],
        [{"person_id": "p1", "emails": ["ada@x.test"]}],
    )
    assert {one["person_id"] for one in links.values()} == {"p1"}


def test_a_deleted_account_does_not_hold_on_to_the_address(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [
            {"account_id": "old", "email": "ada@x.test", "status": "deleted"},
            {"account_id": "new", "email": "ada@x.test", "status": "enabled"},
        ],
        [{"person_id": "p1", "emails": ["ada@x.test"]}],
    )
    assert links["new"]["person_id"] == "p1"
    assert links["old"]["state"] == "proposed"


def test_declared_logins_settle_what_a_shared_address_proposed(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [
            {"account_id": "a", "email": "ada@x.test", "login": "ada"},
            {"account_id": "b", "email": "ada@x.test", "login": "ada-admin"},
        ],
        [{"person_id": "p1", "emails": ["ada@x.test"], "logins": ["ADA", "ada-admin"]}],
    )
    assert [(one["state"], one["method"], one["confidence"]) for one in links.values()] == [
        ("linked", "login", 0.8)
    ] * 2


def test_a_login_that_contradicts_a_shared_address_is_ambiguous(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "email": "ada@x.test", "login": "bob"}, {"account_id": "b", "email": "ada@x.test"}],
        [{"person_id": "p1", "emails": ["ada@x.test"]}, {"person_id": "p2", "logins": ["bob"]}],
    )
    assert (links["a"]["state"], links["a"]["candidates"]) == ("ambiguous", ["p1", "p2"])


def test_a_recycled_address_does_not_inherit(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "employee_id": "E9", "email": "ada@x.test"}],
        [{"person_id": "p1", "employee_id": "E1", "emails": ["ada@x.test"]}],
    )
    assert (links["a"]["state"], links["a"]["person_id"], links["a"]["candidates"]) == ("proposed", None, ["p1"])


def test_a_matcher_left_out_is_not_asked(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "employee_id": "E9", "email": "ada@x.test"}],
        [{"person_id": "p1", "employee_id": "E1", "emails": ["ada@x.test"]}],
        matchers=("login", "email"),
    )
    assert (links["a"]["state"], links["a"]["method"], links["a"]["person_id"]) == ("linked", "email", "p1")


def test_an_account_that_nothing_matches_has_no_link(connection: duckdb.DuckDBPyConnection) -> None:
    assert link(connection, [{"account_id": "a", "login": "x"}], [{"person_id": "p1", "logins": ["y"]}]) == {}


@pytest.mark.parametrize(("matchers", "said"), [((), "no matcher"), (("name",), "unknown matcher 'name'")])
def test_unknown_matchers_are_refused(matchers: tuple[str, ...], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        correlate.links_sql(matchers)


@given(st.text(alphabet=string.printable, max_size=20))
def test_sql_and_python_normalise_alike(text: str) -> None:
    with duckdb.connect() as connection:
        connection.execute(tables()["accounts"].ddl(strict=False))
        connection.execute(tables()["people"].ddl(strict=False))
        connection.execute("INSERT INTO accounts (email) VALUES (?)", [text])
        odd = connection.execute(correlate.odd_values_sql()).fetchall()
        value = correlate.matcher("email").account_value
        (lowered,) = connection.execute(f"SELECT lower({value}) FROM accounts a").fetchone() or (None,)  # noqa: S608  # our own text
    assert odd or (lowered or None) == correlate.normal_login(text)
    assert odd or "@" not in text or lowered == (correlate.normal_email(text) or lowered)


@given(st.emails())
def test_normalising_twice_changes_nothing(text: str) -> None:
    once = correlate.normal_email(text)
    assert once is None or correlate.normal_email(once) == once


ADA = {"person_id": "p1", "emails": ["ada@x.test"], "employee_id": "E1"}
BOB = {"person_id": "p2", "emails": ["bob@x.test"], "employee_id": "E2"}
KEPT = {"account_id": "a", "person_id": "p1"}


def test_a_remembered_link_holds_and_says_whose_the_address_is_now(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(connection, [{"account_id": "a", "email": "bob@x.test"}], [ADA, BOB], remembered=[KEPT])
    assert (links["a"]["person_id"], links["a"]["state"], links["a"]["candidates"]) == ("p1", "linked", ["p2"])


def test_a_remembered_link_outlives_another_persons_number_and_the_person(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    links = link(connection, [{"account_id": "a", "employee_id": "e2"}], [BOB], remembered=[KEPT])
    assert (links["a"]["person_id"], links["a"]["candidates"]) == ("p1", ["p2"])


def test_where_the_linked_person_alone_fits_there_are_no_candidates(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection,
        [{"account_id": "a", "email": "ada@x.test"}, {"account_id": "b"}],
        [ADA],
        remembered=[KEPT, {"account_id": "b", "person_id": "p1", "state": "manual"}, KEPT | {"account_id": "gone"}],
    )
    assert {key: (one["state"], one["candidates"]) for key, one in links.items()} == {
        "a": ("linked", None),
        "b": ("manual", None),
    }, "and an account that is no more has no row"


def test_a_recreated_account_is_a_new_one(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(connection, [{"account_id": "a2", "email": "bob@x.test"}], [ADA, BOB], remembered=[KEPT])
    assert links["a2"]["person_id"] == "p2"


def test_a_rejected_pair_is_neither_linked_nor_proposed(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(
        connection, [{"account_id": "a", "email": "ada@x.test"}], [ADA], remembered=[KEPT | {"state": "rejected"}]
    )
    assert links["a"] == {
        "person_id": None,
        "method": "manual",
        "confidence": None,
        "state": "rejected",
        "candidates": None,
    }


def test_who_is_left_over_of_several_is_only_proposed(connection: duckdb.DuckDBPyConnection) -> None:
    people = [ADA, {"person_id": "p2", "emails": ["ada@x.test"]}, {"person_id": "p3", "emails": ["ada@x.test"]}]
    rejected = [KEPT | {"state": "rejected"}]
    links = link(connection, [{"account_id": "a", "email": "ada@x.test"}], people[:2], remembered=rejected)
    assert (links["a"]["state"], links["a"]["candidates"]) == ("proposed", ["p2"])
    with duckdb.connect() as second:
        links = link(second, [{"account_id": "a", "email": "ada@x.test"}], people, remembered=rejected)
    assert (links["a"]["state"], links["a"]["candidates"]) == ("ambiguous", ["p2", "p3"])


@pytest.mark.parametrize("kind", ["service", "shared", "agent"])
def test_an_account_of_no_one_person_is_only_proposed_by_its_address(
    connection: duckdb.DuckDBPyConnection, kind: str
) -> None:
    links = link(connection, [{"account_id": "a", "email": "ada@x.test", "kind": kind}], [ADA])
    assert (links["a"]["state"], links["a"]["candidates"]) == ("proposed", ["p1"])


def test_a_declared_attribute_links_like_a_number(connection: duckdb.DuckDBPyConnection) -> None:
    accounts = [
        {"account_id": "a", "attributes": '{"badge-no": "e1"}', "email": "bob@x.test"},
        {"account_id": "b", "attributes": "no JSON"},
    ]
    links = link(connection, accounts, [ADA, BOB], matchers=("attribute:badge-no", "email"))
    assert (links["a"]["person_id"], links["a"]["method"]) == ("p1", "attribute:badge-no")
    assert "b" not in links


def test_a_guest_without_an_address_is_found_by_its_sign_in_name(connection: duckdb.DuckDBPyConnection) -> None:
    links = link(connection, [{"account_id": "a", "login": "ada_x.test#EXT#@host.test"}], [ADA])
    assert (links["a"]["person_id"], links["a"]["method"]) == ("p1", "email")


@pytest.mark.parametrize(
    ("email", "address"),
    [("ada@x.test.", "ada@x.test"), ("ada@m\u00fcller.test", "ada@XN--mller-kva.test"), ("ada@.\u00e9", "ada@.\u00c9")],
)
def test_domains_are_compared_as_written_in_ascii(
    connection: duckdb.DuckDBPyConnection, email: str, address: str
) -> None:
    links = link(connection, [{"account_id": "a", "email": email}], [{"person_id": "p1", "emails": [address]}])
    assert links["a"]["person_id"] == "p1"


def test_a_number_that_is_nobodys_contradicts_an_address_where_others_have_numbers(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    people = [{"person_id": "p1", "emails": ["ada@x.test"]}, BOB]
    links = link(connection, [{"account_id": "a", "employee_id": "E9", "email": "ada@x.test"}], people)
    assert links["a"]["state"] == "proposed"
    with duckdb.connect() as second:
        links = link(second, [{"account_id": "a", "employee_id": "E9", "email": "ada@x.test"}], people[:1])
    assert links["a"]["state"] == "linked", "numbers that the people's source does not give contradict nothing"
