"""What is the same whichever database answers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.connectors import load
from reconciler.sdk.connector import Partition
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Unreachable
from reconciler.sdk.testing import check_source
from tests.connectors.sql.conftest import PEOPLE, STAFF, Qms, chain

USERS = "SELECT id AS account_id, login, active AS can_sign_in, seen AS last_sign_in_at FROM app_users"


async def test_rows_come_page_by_page_with_the_database_s_own_count(either: Qms) -> None:
    pages = await either.pages(page_size=4, canaries=["3", "99"])
    assert [len(page.rows) for page in pages] == [4, 4, 3]
    assert [page.next for page in pages] == ["4", "8", None]
    assert {page.total for page in pages} == {len(STAFF)}
    assert [page.canaries for page in pages] == [{"3"}, set(), set()]
    first: Any = pages[0].rows[0]
    assert (first.person_id, first.full_name, first.emails) == ("1", "Name 1", ["p1@acme.test"])
    assert (first.ends_on, first.kind, first.time_zone) == (dt.date(2026, 3, 31), "employee", None)


async def test_a_page_that_is_full_to_the_last_row_is_followed_by_an_empty_one(either: Qms) -> None:
    assert [len(page.rows) for page in await either.pages(page_size=11)] == [11, 0]


async def test_the_source_keeps_the_contract_also_with_identity_tables(either: Qms) -> None:
    (either.folder / "sql").mkdir()
    (either.folder / "sql" / "people.sql").write_text(PEOPLE + "\n-- all of them\n;\n")
    source = either.source(queries={"accounts": USERS}, queries_folder="sql")
    assert dict(source.reports) == {"accounts": {"source", "account_id"}, "people": {"person_id"}}
    assert await check_source(source) == []
    assert source.reports["accounts"] == {"source", "account_id", "login", "can_sign_in", "last_sign_in_at"}
    (page,) = await either.pages("accounts", queries={"accounts": USERS})
    ann, bob = page.rows
    assert (ann.source, ann.account_id, ann.can_sign_in, bob.can_sign_in) == ("qms", "7", True, False)  # type: ignore[attr-defined] # accounts
    assert ann.last_sign_in_at == dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC)  # type: ignore[attr-defined] # as above


@pytest.mark.parametrize(
    ("query", "says"),
    [
        (
            "SELECT id AS person_id, name AS ful_name FROM staff",
            "no such column of people: 'ful_name'; did you mean full_name?",
        ),
        ("SELECT name AS full_name FROM staff", "the key column person_id is missing"),
        ("SELECT id AS person_id, name AS full_name, mails AS full_name FROM staff", "full_name"),
    ],
)
async def test_columns_that_do_not_fit_are_an_error_naming_the_key(either: Qms, query: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await either.pages(queries={"people": query})
    assert "[sources.qms] queries.people" in caught.value.message
    assert says in caught.value.message
    assert "AS person_id" in caught.value.advice


async def test_wrong_values_are_named_by_table_column_and_row(either: Qms) -> None:
    query = (
        "SELECT 'P' AS person_id, 'contracter' AS kind, 'Europe/Amstrdam' AS time_zone"
        " UNION ALL SELECT NULL, 'employee', NULL"
    )
    with pytest.raises(Misbehaved) as caught:
        await either.pages(queries={"people": query})
    said = caught.value.message
    assert "qms, queries.people, row 1, column kind: 'contracter' is not one of" in said
    assert "row 1, column time_zone: 'Europe/Amstrdam' is not an IANA time zone" in said
    assert "row 2, column person_id: empty, and it is part of the key" in said
    assert caught.value.advice


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM staff RETURNING id AS person_id",
        "INSERT INTO staff (id) VALUES (99) RETURNING id AS person_id",
        "UPDATE staff SET name = 'x'",
        "DROP TABLE staff",
    ],
)
async def test_a_query_that_writes_is_refused_and_nothing_is_written(either: Qms, query: str) -> None:
    with pytest.raises((Refused, Unreachable)) as caught:
        await either.pages(queries={"people": query})
    assert "queries.people" in caught.value.message
    (page,) = await either.pages()
    assert [row.full_name for row in page.rows] == [name for _, name, *_ in STAFF]  # type: ignore[attr-defined] # people


async def test_a_table_that_is_not_there_is_that_table_s_gap_alone(either: Qms) -> None:
    source = either.source(queries={"people": PEOPLE, "suppliers": "SELECT id AS supplier_id FROM vendors"})
    (gap,) = await source.check()
    assert gap.table == "suppliers"
    assert "vendors" in gap.reason
    assert "[sources.qms] queries.suppliers" in gap.reason
    (page,) = await chain(source, "people")
    assert page.total == len(STAFF)
    with pytest.raises(Refused, match="vendors"):
        await source.page("suppliers", Partition(), None)
    (page,) = await chain(source, "people")
    assert len(page.rows) == len(STAFF)
    await source.close()
    with pytest.raises(Refused, match="vendors"):
        await either.source(queries={"suppliers": "SELECT id AS supplier_id FROM vendors"}).check()


async def test_no_rows_are_believed_only_where_none_is_an_ordinary_state(either: Qms) -> None:
    (page,) = await either.pages(queries={"people": PEOPLE + " WHERE id < 0"})
    assert page.total is None
    assert 'may_be_empty = ["people"]' in page.gaps[0].reason
    (page,) = await either.pages(queries={"people": PEOPLE + " WHERE id < 0"}, may_be_empty=["people"])
    assert (page.total, page.gaps) == (0, ())
    (page,) = await either.pages("suppliers", queries={"suppliers": "SELECT id AS supplier_id FROM secrets"})
    assert (page.total, page.gaps) == (0, ())


async def test_a_count_of_one_s_own_is_asked_instead(either: Qms) -> None:
    (page,) = await either.pages(counts={"people": "SELECT 12;"})
    assert page.total == 12
    for query in ("SELECT 'many'", "SELECT 1 UNION ALL SELECT 2", "SELECT 1, 2", "SELECT -1", "SELECT id FROM secrets"):
        with pytest.raises(Refused, match=r"counts\.people"):
            await either.pages(counts={"people": query})


async def test_a_percent_sign_and_a_colon_are_just_that(either: Qms) -> None:
    query = "SELECT id AS person_id, ':x %(y)s' AS full_name FROM staff WHERE name LIKE 'Name 1%'"
    (page,) = await either.pages(queries={"people": query})
    assert {row.full_name for row in page.rows} == {":x %(y)s"}  # type: ignore[attr-defined] # people


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"url": "postgresql+psycopg://reader:planted-pw@db/x"}, "must not hold the password"),
        ({"url": "postgresql+psycopg://db/x?password=planted-pw"}, "must not hold the password"),
        ({"url": "qms.db"}, "no SQLAlchemy URL"),
        ({"url": "env:QMS_URL", "password": "env:QMS_PASSWORD"}, "reference already"),
        ({"queries": {"peple": "SELECT 1"}}, "no such table: peple; did you mean people?"),
        ({"queries": {"people": " ; "}}, "the query is empty"),
        ({"queries": {}}, "write one query per table"),
        ({"page_size": 0}, "page_size"),
        ({"tables": ["nothing"]}, "no such table"),
        ({"pages": 1}, "pages"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        load("sql").Settings.model_validate(
            {"connector": "sql", "url": "sqlite:///x.db", "queries": {"people": PEOPLE}, **settings}
        )
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("files", "settings", "says"),
    [
        ({}, {}, "holds no .sql file"),
        ({"peple.sql": "SELECT 1"}, {}, "did you mean people?"),
        ({"people.sql": ";"}, {}, "people.sql is empty"),
        ({"people.sql": "SELECT 1"}, {"queries": {"people": PEOPLE}}, "both have people"),
        ({"people.sql": PEOPLE}, {"counts": {"suppliers": "SELECT 1"}}, "counts.suppliers does nothing"),
        ({"people.sql": PEOPLE}, {"may_be_empty": ["suppliers"]}, "may_be_empty names suppliers"),
    ],
)
async def test_a_folder_of_queries_is_held_to_what_it_says(
    file: Qms, files: dict[str, str], settings: dict[str, Any], says: str
) -> None:
    (file.folder / "sql").mkdir()
    for name, text in files.items():
        (file.folder / "sql" / name).write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        await file.source(**{"queries": {}, "queries_folder": "sql", **settings}).check()
    assert says in caught.value.message
    assert "[sources.qms]" in caught.value.message
