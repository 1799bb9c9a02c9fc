from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import NullPool, create_engine, inspect, text

from reconciler.database import schema
from reconciler.database.connection import Database
from reconciler.database.model import METADATA
from reconciler.errors import StoreError
from reconciler.findings.store import FindingStore
from tests.findings.nights import record, result, verdict


def execute(url: str, *statements: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def test_the_migrated_schema_is_the_one_of_the_models(url: str) -> None:
    FindingStore.open(url)
    with create_engine(url, poolclass=NullPool).begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, METADATA) == []
        inspector = inspect(connection)
        for name, table in METADATA.tables.items():
            assert {key["name"] for key in inspector.get_foreign_keys(name)} == {
                key.name for key in table.foreign_key_constraints
            }
            assert [c["name"] for c in inspector.get_columns(name)] == [c.name for c in table.columns]
            nullable = {c["name"] for c in inspector.get_columns(name) if c["nullable"]}
            assert nullable == {c.name for c in table.columns if c.nullable}


def test_each_version_follows_the_one_before_it(url: str) -> None:
    database = Database(url)
    assert schema.versions() == sorted(schema.versions())
    for version in schema.versions():
        assert schema.migrate(database, target=version) == [version]
        assert FindingStore(url).schema_version() == version
    assert schema.migrate(database) == []


def test_an_empty_database_is_created_on_first_use(url: str) -> None:
    fresh = FindingStore(url)
    assert fresh.schema_version() is None
    assert not fresh.is_current()
    store = FindingStore.open(url)
    assert store.is_current()
    assert store.upgrade() == []
    record(store, 0, result(verdict("a")))
    assert len(FindingStore.open(url).findings()) == 1


def test_upgrade_creates_an_empty_database_too(url: str) -> None:
    assert FindingStore(url).upgrade() == schema.versions()


def test_an_older_database_is_refused_until_it_is_upgraded(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FindingStore.open(url)
    record(store, 0, result(verdict("a")))
    known = schema.versions()
    monkeypatch.setattr(schema, "versions", lambda: [*known, "9998"])
    assert not store.is_current()
    with pytest.raises(StoreError, match=f"schema version {known[-1]}, older than 9998") as refused:
        FindingStore.open(url)
    assert "reconciler db upgrade" in refused.value.advice
    assert refused.value.exit_code == 4


def test_a_newer_database_is_refused_by_open_and_upgrade(url: str) -> None:
    FindingStore.open(url)
    execute(url, f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")  # noqa: S608 - a name of ours
    for use in (FindingStore.open, lambda url: FindingStore(url).upgrade()):
        with pytest.raises(StoreError, match="9999, made by a newer reconciler") as refused:
            use(url)
        assert "newer reconciler" in refused.value.advice
    assert FindingStore(url).schema_version() == "9999"


def test_tables_of_somebody_else_are_not_taken_over(url: str) -> None:
    execute(url, "CREATE TABLE runs (id INTEGER)")
    with pytest.raises(StoreError, match="tables that reconciler did not make: runs"):
        FindingStore.open(url)
    with pytest.raises(StoreError, match="did not make"):
        FindingStore(url).upgrade()


def test_a_database_emptied_between_check_and_use_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="is empty"):
        schema.refuse_other(None, url)


def test_a_migration_that_fails_leaves_nothing(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    apply = schema._apply

    def fail(*args: object) -> None:
        apply(*args)  # type: ignore[arg-type]  # passed on as they came
        message = "power cut"
        raise KeyboardInterrupt(message)

    monkeypatch.setattr(schema, "_apply", fail)
    with pytest.raises(KeyboardInterrupt):
        FindingStore.open(url)
    assert FindingStore(url).schema_version() is None
    assert not set(inspect(create_engine(url, poolclass=NullPool)).get_table_names()) & set(METADATA.tables)


def test_several_may_open_an_empty_database_at_once(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(FindingStore.open, [url] * 4))
    assert all(store.is_current() for store in stores)


def test_migrations_are_found_from_any_folder(tmp_path: Path) -> None:
    script = f"from reconciler.findings.store import FindingStore; FindingStore.open('sqlite:///{tmp_path}/100%.db')"
    subprocess.run([sys.executable, "-W", "error", "-c", script], cwd="/", check=True)
    assert FindingStore(f"sqlite:///{tmp_path}/100%.db").is_current()
