"""Where the findings live: SQLite or PostgreSQL by URL, opened for reading or for one writer at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError
from sqlmodel import Session

from reconciler.database.faults import READ_ONLY, closed_file, redacted, translated
from reconciler.errors import ConfigurationError, StoreError

PATIENCE = 30
"""Seconds to wait for another process's lock before it is an error."""
CONNECT = 10
"""Seconds to wait for PostgreSQL to answer."""
_WRITER = 0x5EC0_0C11E
"""The advisory lock that one writer of the database holds on PostgreSQL."""
_ADVICE = 'write for example database = "sqlite:///reconciler.db" or "postgresql+psycopg://user@host/name" in [store]'


def parse(url: str) -> URL:
    """Return the parsed URL; raise ``ConfigurationError`` for one that names no database we can use."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError("[store] database is not a database URL", advice=_ADVICE) from error
    if parsed.drivername in {"postgresql", "postgres"}:
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername in {"sqlite", "sqlite+pysqlite"}:
        if parsed.database in {None, "", ":memory:"}:
            raise ConfigurationError(
                "[store] database names no file: a database in memory would forget every finding", advice=_ADVICE
            )
    elif parsed.drivername != "postgresql+psycopg":
        raise ConfigurationError(
            f"[store] database names {parsed.drivername!r}, which is not supported", advice=_ADVICE
        )
    return parsed


class Database:
    """One database by URL. Connections last as long as a transaction; nothing is held between calls."""

    def __init__(self, url: str) -> None:
        self._url = parse(url)
        self.sqlite = self._url.get_backend_name() == "sqlite"
        self._engine = _engine(self._url, sqlite=self.sqlite)
        self._reader = writer = self._engine
        if not self.sqlite:
            self._reader = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            # The writer waits for its lock, then must see what whoever had it committed, however the server is set.
            writer = self._engine.execution_options(isolation_level="READ COMMITTED")
        self._writer = writer.execution_options(reconciler_writes=True)

    def __str__(self) -> str:
        """The URL without its password."""
        return redacted(self._url)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Yield a session that sees one state of the database throughout.

        Raises ``StoreError`` at the end where a file that could only be read as it lay was altered meanwhile.
        """
        path = closed_file(self._url)
        at_rest = _state(path) if path else None
        reader = self._reader if path is None or at_rest is None else _engine(_as_it_lies(self._url, path), sqlite=True)
        with translated(self._url), Session(reader) as session, session.begin():
            yield session
        if path and at_rest and _state(path) != at_rest:
            raise StoreError(f"the database {self} was written to while it was read", advice="try again")

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Yield the session of the only writer; all of it is committed at the end, or none of it."""
        with translated(self._url), Session(self._writer) as session, session.begin():
            session.connection()  # begins now, not with the first statement: from here on no other may write
            if not self.sqlite:
                session.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE}s'"))
                session.execute(select(func.pg_advisory_xact_lock(_WRITER)))
            yield session

    def refuse_closed(self) -> None:
        """Raise ``StoreError`` where the file of an SQLite database may not be written to."""
        if closed_file(self._url):
            what, advice = READ_ONLY
            raise StoreError(f"the database {self} {what}", advice=advice)

    def keep_log_ahead(self) -> None:
        """Let SQLite write ahead (WAL), so that readers and the writer never wait for one another; it stays so."""
        if self.sqlite:
            with translated(self._url):
                connection = self._engine.raw_connection()
                try:
                    connection.cursor().execute("PRAGMA journal_mode=WAL")
                finally:
                    connection.close()


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what changes when the file is written; None while a log beside it holds what it does not hold yet."""
    log = path.with_name(path.name + "-wal")
    if log.exists() and log.stat().st_size:
        return None
    stat = path.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _as_it_lies(url: URL, path: Path) -> URL:
    """Return the URL that reads the file without locks: to lock, SQLite would have to write files beside it."""
    name = f"file:{quote(str(path.absolute()))}"
    return url.set(database=name).update_query_dict({"uri": "true", "mode": "ro", "immutable": "1"})


def _engine(url: URL, *, sqlite: bool) -> Engine:
    key, seconds = ("timeout", PATIENCE) if sqlite else ("connect_timeout", CONNECT)
    options: dict[str, Any] = {} if key in url.query else {key: seconds}
    engine = create_engine(url, poolclass=NullPool, hide_parameters=True, connect_args=options)
    if sqlite:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: object) -> None:
    """Leave transactions to us, hold to foreign keys, and let a run that was reported survive a power cut."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")


def _begin(connection: Connection) -> None:
    """Take the write lock at once where we mean to write: two writers must not both start from one state."""
    writes = connection.get_execution_options().get("reconciler_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
