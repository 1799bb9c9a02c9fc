from __future__ import annotations

import os
import re
import signal
import traceback
from contextlib import suppress
from pathlib import Path

import pytest

from reconciler.sdk.connector import Page, Partition
from reconciler.sdk.errors import ConfigurationError, Refused, SourceError, Unreachable
from tests.connectors.sql.conftest import PEOPLE, STAFF, Qms, chain
from tests.servers.postgres import PASSWORD, Server

README = Path(__file__).parents[3] / "connectors" / "sql" / "README.md"
SUPPLIERS = "SELECT id AS supplier_id FROM secrets"
NOBODY = 1  # the lowest port, on which nobody listens


def as_reader(server: Server, database: str, qms: Qms, monkeypatch: pytest.MonkeyPatch) -> Qms:
    """Run the README's script, and sign in as the reader it makes."""
    script = re.search(r"```sql\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert script is not None
    with server.connect(database) as connection:
        with suppress(Exception):  # roles belong to the server, not to the database of one test
            connection.execute("DROP ROLE reader")
        roles = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'reader'").fetchall()
        text = script.group(1) if not roles else script.group(1).partition("ALTER ROLE")[2].join(["ALTER ROLE", ""])
        connection.execute(text.encode())
    monkeypatch.setenv("READER_PASSWORD", "choose-another")
    return Qms(qms.url.replace("postgres@", "reader@"), qms.folder, "env:READER_PASSWORD")


async def test_the_readme_s_reader_reads_its_views_and_nothing_else(
    server: Server, database: str, qms: Qms, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = as_reader(server, database, qms, monkeypatch)
    queries = {"people": "SELECT * FROM reconciler.people", "suppliers": SUPPLIERS}
    (page,) = await reader.pages(queries=queries)
    assert len(page.rows) == len(STAFF)
    source = reader.source(queries=queries)
    (gap,) = await source.check()
    assert (gap.table, gap.missing_permission) == ("suppliers", "SELECT on secrets")
    with pytest.raises(Refused) as caught:
        await source.page("suppliers", Partition(), None)
    assert f"{caught.value.message}. {caught.value.advice}" == gap.reason
    await source.close()


async def test_rows_that_a_policy_would_hide_are_an_error_until_that_is_meant(
    server: Server, database: str, qms: Qms, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = as_reader(server, database, qms, monkeypatch)
    with server.connect(database) as connection:
        connection.execute("GRANT SELECT ON staff TO reader; ALTER TABLE staff ENABLE ROW LEVEL SECURITY")
        connection.execute("CREATE POLICY few ON staff FOR SELECT TO reader USING (id < 3)")
    with pytest.raises(Refused, match="row-level security") as caught:
        await reader.pages()
    assert caught.value.missing_permission == "BYPASSRLS"
    (page,) = await reader.pages(row_security=True)
    assert len(page.rows) == 2


async def test_all_tables_are_of_one_instant(server: Server, database: str, qms: Qms) -> None:
    queries = {"people": PEOPLE, "accounts": "SELECT id AS account_id FROM app_users"}
    source = qms.source(queries=queries, page_size=4)
    await source.check()
    first = await source.page("people", Partition(), None)
    with server.connect(database) as connection:
        connection.execute("DELETE FROM staff WHERE id > 2; DELETE FROM app_users")
    rest = [first]
    while rest[-1].next is not None:
        rest.append(await source.page("people", Partition(), rest[-1].next))
    assert sum(len(page.rows) for page in rest) == len(STAFF)
    (accounts,) = await chain(source, "accounts")
    assert (len(accounts.rows), accounts.total) == (2, 2)
    await source.close()
    (page,) = await qms.pages()
    assert len(page.rows) == 2


async def test_a_connection_lost_within_the_stream_starts_the_table_again(
    server: Server, database: str, qms: Qms
) -> None:
    source = qms.source(queries={"accounts": "SELECT id AS account_id FROM app_users", "people": PEOPLE}, page_size=4)
    await source.check()
    await chain(source, "accounts")
    first = await source.page("people", Partition(), None)
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
    with pytest.raises(Unreachable) as caught:
        await source.page("people", Partition(), first.next)
    assert caught.value.restart
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(Unreachable) as caught:
        await source.page("people", Partition(), first.next)
    assert caught.value.restart
    pages = await chain(source, "people")
    assert sum(len(page.rows) for page in pages) == len(STAFF)
    (gap,) = [gap for page in pages for gap in page.gaps]
    assert "lost after accounts had been read" in gap.reason
    await source.close()


async def test_a_connection_lost_within_the_first_table_leaves_nothing_behind(
    server: Server, database: str, qms: Qms
) -> None:
    source = qms.source(queries={"accounts": "SELECT id AS account_id FROM app_users", "people": PEOPLE}, page_size=1)
    await source.check()
    first = await source.page("accounts", Partition(), None)
    with server.connect() as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [database])
    with pytest.raises(Unreachable):
        await source.page("accounts", Partition(), first.next)
    pages = [*await chain(source, "accounts"), *await chain(source, "people")]
    assert [gap for page in pages for gap in page.gaps] == []
    await source.close()


@pytest.mark.parametrize(
    "counts",
    ["SELECT 11; COMMIT; DELETE FROM staff", "WITH gone AS (DELETE FROM staff RETURNING 1) SELECT count(*) FROM gone"],
)
async def test_a_count_cannot_end_the_transaction_and_write(qms: Qms, counts: str) -> None:
    with pytest.raises(Refused, match=r"counts\.people"):
        await qms.pages(counts={"people": counts})
    (page,) = await qms.pages(counts={"people": "SELECT sum(n) FROM (VALUES (5::bigint), (6)) given (n)"})
    assert (len(page.rows), page.total) == (len(STAFF), len(STAFF))


async def test_locks_and_long_queries_are_given_up_in_time(server: Server, database: str, qms: Qms) -> None:
    source = qms.source(queries={"people": PEOPLE, "suppliers": SUPPLIERS}, lock_seconds=1)
    await source.check()
    await source.close()
    with server.connect(database) as connection, connection.transaction():
        connection.execute("LOCK TABLE secrets IN ACCESS EXCLUSIVE MODE")
        source = qms.source(queries={"people": PEOPLE, "suppliers": SUPPLIERS}, lock_seconds=1)
        (gap,) = await source.check()
        assert (gap.table, "lock" in gap.reason) == ("suppliers", True)
        await source.close()
    slow = "SELECT id AS person_id FROM staff, pg_sleep(5)"
    with pytest.raises(Unreachable, match="statement timeout") as caught:
        await qms.pages(queries={"people": slow}, statement_seconds=1, counts={"people": "SELECT 1"})
    assert caught.value.restart


async def test_a_server_that_stops_answering_is_cut_off(
    server: Server, database: str, qms: Qms, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = qms.source(page_size=4, statement_seconds=1, connect_seconds=1)
    monkeypatch.setattr("reconciler.connectors.sql.source.GRACE_SECONDS", 0.5)
    first = await source.page("people", Partition(), None)
    with server.connect() as connection:
        (pid,) = connection.execute("SELECT pid FROM pg_stat_activity WHERE datname = %s", [database]).fetchone() or (
            0,
        )
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unreachable) as caught:
            await source.page("people", Partition(), first.next)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert caught.value.restart
    await source.close()


async def test_wrong_credentials_and_servers_are_said_as_such(
    server: Server, qms: Qms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QMS_PASSWORD", "planted-wrong-pw")
    with pytest.raises(Refused, match="refuses the credentials") as caught:
        await qms.pages()
    assert "planted-wrong-pw" not in "".join(traceback.format_exception(caught.value))
    monkeypatch.setenv("QMS_PASSWORD", PASSWORD)
    with pytest.raises(Refused, match='database "elsewhere" does not exist'):
        await qms.pages(url=f"postgresql+psycopg://postgres@127.0.0.1:{server.port}/elsewhere")
    with pytest.raises(Unreachable):
        await qms.pages(url=f"postgresql+psycopg://postgres@127.0.0.1:{NOBODY}/qms")
    monkeypatch.setenv("QMS_URL", f"postgresql+psycopg://postgres:{PASSWORD}@127.0.0.1:{NOBODY}/qms")
    elsewhere = Qms("env:QMS_URL", qms.folder).source()
    assert elsewhere.endpoint == f"postgresql://127.0.0.1:{NOBODY}/qms"
    with pytest.raises(SourceError) as failed:
        await elsewhere.check()
    assert PASSWORD not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize("mode", ["disable", "prefer", "allow"])
async def test_another_host_is_not_trusted_unproven(tmp_path: Path, mode: str) -> None:
    with pytest.raises(ConfigurationError, match=f"sslmode={mode}"):
        await Qms(f"postgresql+psycopg://reader@db.acme.test/x?sslmode={mode}", tmp_path).source().check()


@pytest.mark.parametrize(
    ("cell", "column", "says"),
    [
        ("now()::timestamp", "decided_at", "has no time zone"),
        ("1.5", "person_id", "1.5 stands where text is due"),
        ("1.5::float", "person_id", "1.5 stands where text is due"),
        ("now()", "person_id", "stands where text is due"),
        ("ARRAY[1]", "person_id", "stands where text is due"),
        (
            "ARRAY['a']::information_schema.sql_identifier[]",
            "scope",
            "an array of a type that the driver does not know",
        ),
    ],
)
async def test_types_that_would_lose_something_are_refused(qms: Qms, cell: str, column: str, says: str) -> None:
    table, key = ("contracts", "contract_id") if column == "scope" else ("approvals", "approval_id")
    with pytest.raises(SourceError) as caught:
        await qms.pages(table, queries={table: f"SELECT 1 AS {key}, {cell} AS {column}"})
    assert says in caught.value.message
    assert f"column {column}" in caught.value.message


async def test_an_endless_date_is_said_to_be_one(qms: Qms) -> None:
    with pytest.raises(Refused, match="infinity") as caught:
        await qms.pages(queries={"people": "SELECT 1 AS person_id, 'infinity'::date AS ends_on"})
    assert "NULLIF" in caught.value.advice


async def test_the_database_s_own_types_are_taken_where_nothing_is_lost(qms: Qms) -> None:
    query = (
        "SELECT 7::numeric AS contract_id, gen_random_uuid() AS supplier_id, ARRAY['a', 'b'] AS scope, 12::numeric AS "
        "headcount, DATE '2026-03-31' AS ends_on"
    )
    (page,) = await qms.pages("contracts", queries={"contracts": query})
    row = page.rows[0]
    assert isinstance(page, Page)
    assert (row.contract_id, row.scope, row.headcount) == ("7", ["a", "b"], 12)  # type: ignore[attr-defined] # contracts
    assert len(row.supplier_id) == 36  # type: ignore[attr-defined] # as above
    accounts = 'SELECT 1 AS account_id, \'{"site": "Delft"}\'::jsonb AS attributes, true AS mfa_enrolled'
    (page,) = await qms.pages("accounts", queries={"accounts": accounts})
    assert page.rows[0].attributes == '{"site": "Delft"}'  # type: ignore[attr-defined] # accounts
