"""What databases that no test runs are told, by their manuals."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import make_url

from reconciler.connectors import load

load("sql")
from reconciler.connectors.sql.dialects import engine_of, manner_of  # type: ignore[import-not-found]  # noqa: E402 - the installed name


def settings(url: str, **more: object) -> object:
    given = {"connector": "sql", "url": url, "queries": {"people": "SELECT 1 AS person_id"}, **more}
    return load("sql").Settings.model_validate(given)


@pytest.mark.parametrize(
    ("dialect", "says"),
    [
        ("mysql", "SET SESSION TRANSACTION READ ONLY"),
        ("mariadb", "SET SESSION TRANSACTION READ ONLY"),
        ("oracle", "SET TRANSACTION READ ONLY"),
        ("mssql", "SET LOCK_TIMEOUT 30000"),
        ("postgresql", "SET LOCAL row_security = off"),
        ("sqlite", "PRAGMA query_only = ON"),
    ],
)
def test_each_database_is_told_to_read_only_in_its_own_words(dialect: str, says: str) -> None:
    manner = manner_of(dialect, settings("sqlite:///x.db"))
    assert says in [*manner.before, *manner.first]


def test_sql_server_reads_one_instant_and_an_unknown_database_is_left_its_own_ways() -> None:
    assert manner_of("mssql", settings("sqlite:///x.db")).options == {"isolation_level": "SNAPSHOT"}
    unknown = manner_of("firebird", settings("sqlite:///x.db"))
    assert (unknown.options, unknown.before, unknown.first) == ({}, (), ())


@pytest.mark.parametrize(
    ("host", "more", "query"),
    [
        ("db.acme.test", {}, {"sslmode": "verify-full", "sslrootcert": "system"}),
        ("db.acme.test", {"ca_file": "ca.pem"}, {"sslmode": "verify-full", "sslrootcert": "/etc/r/ca.pem"}),
        ("db.acme.test?sslmode=verify-ca", {"ca_file": "ca.pem"}, {"sslmode": "verify-ca"}),
        ("db.acme.test?sslmode=require", {}, {"sslmode": "require"}),
    ],
)
def test_another_host_has_to_prove_itself(host: str, more: dict[str, str], query: dict[str, str]) -> None:
    place, _, rest = host.partition("?")
    url = f"postgresql+psycopg://reader@{place}/qms" + (f"?{rest}" if rest else "")
    found = engine_of(make_url(url), settings(url, **more), Path("/etc/r")).url.query
    assert {name: found.get(name) for name in query} == query


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", ""])
def test_this_machine_needs_no_certificate(host: str) -> None:
    url = f"postgresql+psycopg://reader@{host}/qms"
    assert "sslmode" not in engine_of(make_url(url), settings(url), Path("/")).url.query
