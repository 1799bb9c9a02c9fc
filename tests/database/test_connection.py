from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError

from reconciler.database import connection
from reconciler.database.connection import Database, parse
from reconciler.database.faults import redacted, translated
from reconciler.errors import ConfigurationError, StoreError
from reconciler.findings.store import FindingStore
from tests.findings.nights import evaluation, night, record, result, verdict
from tests.servers.postgres import PASSWORD, Server

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:"])
def test_a_database_that_forgets_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="names no file"):
        FindingStore(url)


@pytest.mark.parametrize(
    "url", ["", "reconciler.db", "mysql://root:s3cret@host/db", "postgresql+psycopg2://a:s3cret@h/d"]
)
def test_a_url_of_no_database_we_know_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        FindingStore(url)
    assert "sqlite:///" in refused.value.advice
    assert "s3cret" not in refused.value.message


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_postgresql_is_spoken_to_by_psycopg(scheme: str) -> None:
    assert parse(f"{scheme}://user@host/name").drivername == "postgresql+psycopg"


def test_passwords_are_never_shown() -> None:
    url = parse("postgresql://u:s3cret@h/d?sslpassword=s3cret2&password=s3cret3&sslmode=require")
    assert "s3cret" not in redacted(url)
    assert "sslmode=require" in redacted(url)
    error = DBAPIError("select", {}, psycopg.OperationalError("no: s3cret, s3cret2 and s3cret3"))
    with pytest.raises(StoreError) as raised, translated(url):
        raise error
    assert "s3cret" not in raised.value.message + raised.value.advice


def test_sqlite_writes_ahead_and_holds_to_foreign_keys(tmp_path: Path) -> None:
    path = tmp_path / "reconciler.db"
    FindingStore.open(f"sqlite:///{path}")
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    with Database(f"sqlite:///{path}").reading() as session:
        driver = session.connection()
        assert driver.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert driver.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert driver.exec_driver_sql("PRAGMA busy_timeout").scalar() == 30_000
    with pytest.raises(StoreError, match="unexpected answer"), Database(f"sqlite:///{path}").writing() as session:
        session.connection().exec_driver_sql(
            "INSERT INTO finding_changes (finding_id, run, change, verdict, severity, rule_version, reason)"
            " VALUES ('F-0', 1, 'opened', 'violation', 'high', 1, '')"
        )


def fail(url: str, action: Callable[[FindingStore], object] | None = None) -> StoreError:
    """Return the one kind of error that may come of a database that is not well, having looked it over."""
    with pytest.raises(StoreError) as raised:
        (action or (lambda _: FindingStore.open(url)))(FindingStore(url))
    assert raised.value.exit_code == 4
    assert raised.value.advice
    assert PASSWORD not in raised.value.message + raised.value.advice
    assert "\n" not in raised.value.message
    return raised.value


def test_a_read_only_database_is_read_but_not_written(tmp_path: Path) -> None:
    path = tmp_path / "reconciler.db"
    record(FindingStore.open(f"sqlite:///{path}"), 0, result(verdict("a")))
    url = f"sqlite:///file:{path}?mode=ro&uri=true"
    assert len(FindingStore.open(url).findings()) == 1
    error = fail(url, lambda store: record(store, 1, result()))
    assert "cannot be written to" in error.message
    assert "let this user write" in error.advice


def test_a_database_that_this_user_may_not_write() -> None:
    """By file permission, as somebody who is not root: it is read, and not written."""
    script = """
import os, sys
from reconciler.errors import StoreError
from reconciler.findings.store import FindingStore
from tests.findings.nights import record, result
store = FindingStore(sys.argv[1])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
print(len(FindingStore.open(sys.argv[1], to_read=True).findings()), "finding")
try:
    record(store, 1, result())
except StoreError as error:
    print(error.message, "-", error.advice)
"""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "reconciler.db"
        url = f"sqlite:///{path}"
        record(FindingStore.open(url), 0, result(verdict("a")))
        path.chmod(0o444)
        path.parent.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", script, url], capture_output=True, text=True, check=True, cwd=CHECKOUT
        )
        path.parent.chmod(0o755)
        assert done.stdout.startswith("1 finding\n")
        assert "is read-only, it cannot be written to" in done.stdout
        assert "not mounted read-only" in done.stdout
        assert len(FindingStore.open(url).runs()) == 1


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A database that the system says may not be written to; nothing hinders the test itself."""
    path = tmp_path / "a b#" / "reconciler.db"
    path.parent.mkdir()
    record(FindingStore.open(f"sqlite:///{path}"), 0, result(verdict("a")))
    allowed = os.access
    monkeypatch.setattr("os.access", lambda at, mode: mode != os.W_OK and allowed(at, mode))
    return path


def test_what_is_still_in_the_log_of_a_closed_database_is_not_overlooked(closed: Path) -> None:
    url = f"sqlite:///{closed}"
    assert len(FindingStore.open(url, to_read=True).findings()) == 1
    with pytest.raises(StoreError, match="is read-only, it cannot be written to"):
        FindingStore.open(url)
    with sqlite3.connect(closed) as other:
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("UPDATE findings SET reason = 'written later'")
        other.commit()
        assert [found.reason for found in FindingStore(url).findings()] == ["written later"]
    other.close()


def test_a_closed_database_that_is_written_while_it_is_read_is_not_believed(closed: Path) -> None:
    store = FindingStore(f"sqlite:///{closed}")
    with pytest.raises(StoreError, match="was written to while it was read") as raised, store._database.reading():
        os.utime(closed, ns=(1, 1))
    assert raised.value.advice == "try again"


@pytest.mark.parametrize("place", ["missing/reconciler.db", ""])
def test_a_database_in_no_folder_cannot_be_opened(tmp_path: Path, place: str) -> None:
    error = fail(f"sqlite:///{tmp_path / place}")
    assert "cannot be opened" in error.message
    assert "folder" in error.advice


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "reconciler.db"
    path.write_text("source,account_id\n" * 100)
    assert "is damaged, or is no database" in fail(f"sqlite:///{path}").message
    assert path.read_text().startswith("source,account_id")


def test_a_damaged_database_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "reconciler.db"
    url = f"sqlite:///{path}"
    record(FindingStore.open(url), 0, result(*(verdict(f"a{n}") for n in range(3_000))))
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xa5" * (path.stat().st_size - 16 * 4096))
    assert "is damaged" in fail(url, lambda store: store.findings()).message


def test_a_full_disk_leaves_the_night_before(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'reconciler.db'}"
    store = FindingStore.open(url)
    record(store, 0, result(verdict("a")))

    def no_room(connection: sqlite3.Connection, _: object) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 10}")

    event.listen(store._database._engine, "connect", no_room)
    with pytest.raises(StoreError, match="the disk is full") as raised:
        record(store, 1, result(*(verdict(f"a{n}") for n in range(9_000))))
    assert "free space" in raised.value.advice
    assert [run.run_id for run in store.runs()] == ["run-0"]
    assert record(store, 1, result(verdict("a"))).persisting == 1


def test_a_limit_on_the_size_of_files_is_an_error_of_the_disk(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'reconciler.db'}"
    record(FindingStore.open(url), 0, result(verdict("a")))
    script = f"""
import resource, signal
from reconciler.errors import StoreError
from reconciler.findings.store import FindingStore
from tests.findings.nights import record, result, verdict
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    record(FindingStore.open({url!r}), 1, result(*(verdict(f"a{{n}}") for n in range(9_000))))
except StoreError as error:
    print(error.message)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert "disk" in done.stdout
    assert [run.run_id for run in FindingStore.open(url).runs()] == ["run-0"]


@contextmanager
def writer(url: str) -> Iterator[None]:
    """Be in the middle of a write in another thread."""
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with Database(url).writing():
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert entered.wait(60)
    try:
        yield
    finally:
        leave.set()
        thread.join()


def test_a_second_writer_waits_then_says_who_is_in_the_way(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record(FindingStore.open(url), 0, result(verdict("a")))
    with writer(url):
        monkeypatch.setattr(connection, "PATIENCE", 1)
        store = FindingStore(url)
        with pytest.raises(StoreError, match="is locked by another process") as raised:
            record(store, 1, result())
        assert "other run" in raised.value.advice
        assert len(store.findings()) == 1  # a reader is never in the way of a writer, nor it of the reader
    assert record(store, 1, result()).resolved == 1


def test_two_runs_at_once_take_turns(url: str) -> None:
    store = FindingStore.open(url)
    start = threading.Barrier(2)
    outcomes: list[object] = []

    def run(number: int) -> None:
        start.wait()
        try:
            outcomes.append(
                store.record(
                    evaluation(result(verdict("a"))),
                    run_id="same",
                    estate="acme",
                    coverage=(),
                    recorded_at=night(0) + timedelta(hours=number),
                ).new
            )
        except StoreError as error:
            outcomes.append(error.message)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) == {1, "run same is recorded already"}


def test_a_wrong_password_is_refused_without_being_shown(postgres_server: Server) -> None:
    error = fail(postgres_server.url("postgres", password="hunter2-wrong"))
    assert "refused the sign-in" in error.message
    assert "hunter2-wrong" not in error.message + error.advice
    assert "password" in error.advice


def test_a_missing_database_is_named(postgres_server: Server) -> None:
    error = fail(postgres_server.url("nowhere"))
    assert "nowhere does not exist" in error.message
    assert "createdb" in error.advice


@pytest.mark.parametrize("where", ["127.0.0.1:1", "nowhere.invalid"])
def test_an_unreachable_server_is_named(where: str) -> None:
    error = fail(f"postgresql+psycopg://u:{PASSWORD}@{where}/reconciler?connect_timeout=2")
    assert f"u:***@{where}/reconciler" in error.message
    assert "does not answer" in error.message


def test_a_read_only_server_and_a_user_without_rights(postgres_server: Server) -> None:
    name = postgres_server.new_database()
    record(FindingStore.open(postgres_server.url(name)), 0, result(verdict("a")))
    standby = postgres_server.url(name, query="?options=-c%20default_transaction_read_only%3Don")
    assert "cannot be written to" in fail(standby, lambda store: record(store, 1, result())).message
    with postgres_server.connect(name) as connection:
        connection.execute(f"CREATE ROLE visitor LOGIN PASSWORD '{PASSWORD}'")
    visitor = postgres_server.url(name).replace("//postgres:", "//visitor:")
    error = fail(visitor)
    assert "denies this user a right" in error.message


def test_a_server_that_goes_away_in_mid_run_leaves_the_night_before(postgres_server: Server) -> None:
    name = postgres_server.new_database()
    store = FindingStore.open(postgres_server.url(name))
    record(store, 0, result(verdict("a")))

    def end_the_session(*_: object) -> None:
        with postgres_server.connect() as other:
            other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    engine = store._database._engine
    event.listen(engine, "after_cursor_execute", end_the_session)
    assert "does not answer" in fail(postgres_server.url(name), lambda _: record(store, 1, result())).message
    event.remove(engine, "after_cursor_execute", end_the_session)
    assert [run.run_id for run in store.runs()] == ["run-0"]


def test_anything_else_a_driver_raises_is_an_error_of_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'reconciler.db'}"
    store = FindingStore.open(url)
    with sqlite3.connect(tmp_path / "reconciler.db") as connection:
        connection.execute("ALTER TABLE findings RENAME TO gone")
    connection.close()
    error = fail(url, lambda _: store.findings())
    assert "no such table: findings" in error.message
    assert "restore" in error.advice
    with pytest.raises(StoreError, match="unexpected answer"), translated(parse(url)):
        raise DBAPIError("select", {}, RuntimeError("odd"))


@pytest.mark.parametrize(
    ("error", "words", "advice"),
    [
        (psycopg.errors.DiskFull(), "the disk is full", "free space"),
        (psycopg.errors.TooManyConnections(), "too many connections", "max_connections"),
        (psycopg.errors.AdminShutdown(), "does not answer", "server runs"),
        (psycopg.errors.LockNotAvailable(), "is locked", "other run"),
        (psycopg.OperationalError("FATAL: sorry, too many clients already"), "too many connections", "wait"),
        (psycopg.OperationalError("FATAL: no pg_hba.conf entry for host"), "refused the sign-in", "user"),
        (psycopg.OperationalError('FATAL:  role "bob" does not exist'), "knows no such user", "createuser"),
        (psycopg.OperationalError('FATAL:  database "bob" does not exist'), "does not exist", "createdb"),
        (psycopg.ProgrammingError("odd"), "unexpected answer", "backup"),
    ],
)
def test_what_a_server_says_becomes_a_remedy(error: psycopg.Error, words: str, advice: str) -> None:
    with pytest.raises(StoreError, match=words) as raised, translated(parse("postgresql://u@h/d")):
        raise error
    assert advice in raised.value.advice
