"""What `reconciler config check` finds without any network: each with file, line and key."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler.cli.main import reconciler
from reconciler.errors import ConfigurationError
from reconciler.run import check_tables, load_rules, open_sources
from reconciler.settings import load

HEAD = '[estate]\nname = "acme"\n'
SQL = '[sources.qms]\nconnector = "sql"\n'
QUERIES = 'queries.people = "SELECT id AS person_id FROM staff"\n'
REST = '[sources.hr]\nconnector = "rest"\nurl = "https://hr.acme.test"\n'
MAPPED = (
    'tables = ["people", "contracts"]\n[sources.hr.mapping.people]\npath = "p"\nrows = "r"\ncolumns.person_id = "id"\n'
)


def said(folder: Path, text: str) -> ConfigurationError:
    path = folder / "reconciler.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        check(path)
    return caught.value


def check(path: Path) -> None:
    settings = load(path)
    check_tables(settings, open_sources(settings))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with sqlite3.connect(tmp_path / "qms.db") as connection:
        connection.execute("CREATE TABLE staff (id text)")
    connection.close()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('url = "sqlite:///qms.db"\ntables = []\n' + QUERIES, 6, "sources.qms.tables: is empty"),
        ('url = "sqlite:///gone.db"\n' + QUERIES, 5, "sources.qms.url: there is no file"),
        ('url = "nosuch://reader@db/qms"\n' + QUERIES, 5, "sources.qms.url: the driver is not installed"),
        ('url = "mysql+nosuch://reader@db/qms"\n' + QUERIES, 5, "sources.qms.url: the driver is not installed"),
        ('url = "oracle://reader@db/qms"\n' + QUERIES, 5, "sources.qms.url: the driver is not installed"),
        ('url = "sqlite://"\n' + QUERIES, 5, "sources.qms.url: a SQLite database is named as"),
        ('url = "postgresql+psycopg://db:port/x"\n' + QUERIES, 5, "sources.qms.url: "),
        ('url = "postgresql+psycopg://db/x?sslmode=disable"\n' + QUERIES, 5, "sslmode=disable would send"),
        ('url = "sqlite:///qms.db"\ntables = ["people", "contracts"]\n' + QUERIES, 6, "tables names contracts"),
        ('url = "sqlite:///qms.db"\nmay_be_empty = ["contracts"]\n' + QUERIES, 6, "may_be_empty names contracts"),
        ('url = "sqlite:///qms.db"\nqueries_folder = "sql"\n', 6, "queries_folder sql holds no .sql file"),
    ],
)
def test_sql_settings_that_cannot_work_are_refused(database: Path, text: str, line: int, message: str) -> None:
    error = said(database, SQL + text)
    assert message in error.message
    assert error.message.startswith(f"{database}/reconciler.toml:{line}: ")


def test_a_url_by_reference_is_looked_at_too(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QMS_URL", "nosuch://reader:planted-pw@db/qms")
    error = said(database, SQL + 'url = "env:QMS_URL"\n' + QUERIES)
    assert "sources.qms.url: the driver is not installed" in error.message
    assert "planted-pw" not in f"{error.message} {error.advice}"


@pytest.mark.parametrize(("path", "message"), [("gone", "no such folder"), ("qms.db", "is a file, not a folder")])
def test_a_folder_that_is_none_is_named_with_the_line_of_its_source(database: Path, path: str, message: str) -> None:
    error = said(database, f'[sources.hr]\nconnector = "files"\npath = "{path}"\n')
    assert error.message == f"{database}/reconciler.toml:3: sources.hr: {path}: {message}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('folders = ["own"]', "rules.folders.0: there is no folder {}/own"),
        ('controls = "own.toml"', "rules.controls: there is no file {}/own.toml"),
    ],
)
def test_rules_and_controls_that_are_not_there_are_named_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "reconciler.toml"
    path.write_text(f'{HEAD}[rules]\n{text}\n[sources.aws]\nconnector = "aws"\n', encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_rules(load(path))
    assert caught.value.message == f"{path}:4: {said.format(tmp_path)}"


def test_an_unknown_entry_of_tables_is_told_what_there_is(database: Path) -> None:
    error = said(database, SQL + 'url = "sqlite:///qms.db"\ntables = ["contracts"]\n' + QUERIES)
    assert error.advice == "Use some of: people; or leave `tables` out."


def test_a_table_that_rest_does_not_map_is_refused(tmp_path: Path) -> None:
    error = said(tmp_path, REST + MAPPED)
    assert error.message == (f"{tmp_path}/reconciler.toml:6: sources.hr: tables: contracts: not mapped; mapped: people")


def test_an_empty_list_of_tables_is_refused_of_every_connector(tmp_path: Path) -> None:
    error = said(tmp_path, '[sources.aws]\nconnector = "aws"\ntables = []\n')
    assert f"{tmp_path}/reconciler.toml:5: sources.aws.tables: is empty" in error.message


def test_a_table_that_a_system_does_not_have_is_refused_with_its_line(tmp_path: Path) -> None:
    error = said(tmp_path, '[sources.aws]\nconnector = "aws"\ntables = ["people"]\n')
    assert f"{tmp_path}/reconciler.toml:5: sources.aws.tables: aws does not report people" in error.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[store]\ndatabase = "env:NO_SUCH_URL"\n',
            "8: store.database: the secret env:NO_SUCH_URL is missing or empty",
        ),
        ('[engine]\nengine = "file:/no/such"\n', "8: engine.engine: cannot read the secret file:/no/such"),
        (
            '[inbound.hr]\nkind = "standard"\nsource = "qms"\nsecrets = ["env:NO_SUCH_URL"]\n',
            "10: inbound.hr.secrets.0: the secret env:NO_SUCH_URL is missing or empty",
        ),
    ],
)
def test_a_missing_secret_is_named_with_its_line(database: Path, text: str, said: str) -> None:
    path = database / "reconciler.toml"
    path.write_text(HEAD + SQL + 'url = "sqlite:///qms.db"\n' + QUERIES + text, encoding="utf-8")
    ran = CliRunner().invoke(reconciler, ["config", "check", "-c", str(path)], standalone_mode=False)
    assert isinstance(ran.exception, ConfigurationError)
    assert f"{path}:{said}" in ran.exception.message


def test_what_can_work_is_taken(database: Path) -> None:
    path = database / "reconciler.toml"
    path.write_text(HEAD + SQL + 'url = "sqlite:///qms.db"\ntables = ["people"]\n' + QUERIES, encoding="utf-8")
    check(path)
