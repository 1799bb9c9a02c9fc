from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.connectors import load
from reconciler.sdk.connector import Page, Partition, Source
from tests.servers.postgres import PASSWORD, Server, postgres

SCHEMA = """
CREATE TABLE staff (
  id integer PRIMARY KEY, name text, mails text, leaving date, engaged text, zone text, changed timestamp with time zone
);
CREATE TABLE app_users (id integer PRIMARY KEY, login text, active integer, seen timestamp with time zone);
CREATE TABLE secrets (id integer);
"""
STAFF = [
    (number, f"Name {number}", f"p{number}@acme.test", "2026-03-31" if number % 2 else None, "employee")
    for number in range(1, 12)
]
PEOPLE = "SELECT id AS person_id, name AS full_name, mails AS emails, leaving AS ends_on, engaged AS kind FROM staff"


class Qms:
    """A database with a little of everything, and the source that reads it."""

    def __init__(self, url: str, folder: Path, password: str | None = None) -> None:
        self.url = url
        self.folder = folder
        self.password = password

    def source(self, **settings: Any) -> Source:
        connector = load("sql")
        chosen = {"connector": "sql", "url": self.url, "queries": {"people": PEOPLE + " ORDER BY id"}, **settings}
        if self.password is not None:
            chosen.setdefault("password", self.password)
        return connector.open_source("qms", connector.Settings.model_validate(chosen), self.folder)

    async def pages(self, table: str = "people", **settings: Any) -> list[Page]:
        source = self.source(**settings)
        try:
            await source.check()
            return await chain(source, table)
        finally:
            await source.close()


async def chain(source: Source, table: str) -> list[Page]:
    pages = [await source.page(table, Partition(), None)]
    while pages[-1].next is not None:
        pages.append(await source.page(table, Partition(), pages[-1].next))
    return pages


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with postgres() as running:
        yield running


@pytest.fixture
def database(server: Server) -> str:
    """A new database with the reader of the README."""
    name = server.new_database()
    with server.connect(name) as connection:
        connection.execute(SCHEMA)
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO staff VALUES (%s, %s, %s, %s, %s)", STAFF)
        connection.execute("INSERT INTO app_users VALUES (7, 'ann', 1, '2026-01-02 03:04:05+01'), (8, 'bob', 0, NULL)")
    return name


@pytest.fixture
def qms(server: Server, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Qms:
    """The PostgreSQL database, read by its owner: what it refuses, it refuses because of how it is read."""
    monkeypatch.setenv("QMS_PASSWORD", PASSWORD)
    return Qms(f"postgresql+psycopg://postgres@127.0.0.1:{server.port}/{database}", tmp_path, "env:QMS_PASSWORD")


@pytest.fixture
def file(tmp_path: Path) -> Qms:
    """The same in a SQLite file."""
    connection = sqlite3.connect(tmp_path / "qms.db")
    connection.executescript(SCHEMA)
    connection.executemany("INSERT INTO staff (id, name, mails, leaving, engaged) VALUES (?, ?, ?, ?, ?)", STAFF)
    connection.execute("INSERT INTO app_users VALUES (7, 'ann', 1, '2026-01-02T02:04:05Z'), (8, 'bob', 0, NULL)")
    connection.commit()
    connection.close()
    return Qms("sqlite:///qms.db", tmp_path)


@pytest.fixture(params=["postgresql", "sqlite"])
def either(request: pytest.FixtureRequest) -> Qms:
    """One after the other, for what must be the same in both."""
    found: Qms = request.getfixturevalue("qms" if request.param == "postgresql" else "file")
    return found
