"""How each kind of database is told to read only, at one instant, and for how long at most."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from reconciler.sdk.hosts import is_loopback

from .settings import Settings

_MILLISECONDS = 1000
_TLS_GUARDED = frozenset({"require", "verify-ca", "verify-full"})
_QUIET = {"hide_parameters": True, "echo": False}


@dataclass(frozen=True, slots=True)
class Manner:
    """How a transaction is begun: options of SQLAlchemy, and what is said before the first query."""

    options: Mapping[str, Any] = field(default_factory=dict)
    before: Sequence[str] = ()
    """Said in a transaction of its own, before the one that reads."""
    first: Sequence[str] = ()
    """Said first in the transaction that reads."""


def manner_of(dialect: str, settings: Settings) -> Manner:
    """Return how a database of that kind is read; of one not known here only SQLAlchemy's own ways are used."""
    wait, lock = settings.statement_seconds * _MILLISECONDS, settings.lock_seconds * _MILLISECONDS
    if dialect == "postgresql":
        return Manner(
            {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True},
            first=(
                f"SET LOCAL statement_timeout = {wait}",
                f"SET LOCAL lock_timeout = {lock}",
                "SET LOCAL idle_in_transaction_session_timeout = 0",
                f"SET LOCAL row_security = {'on' if settings.row_security else 'off'}",
                "SET LOCAL TimeZone = 'UTC'",
                # From the first snapshot on a transaction cannot be made one that writes.
                "SELECT 1",
            ),
        )
    if dialect == "sqlite":
        return Manner(first=("PRAGMA query_only = ON", "BEGIN"))
    if dialect in {"mysql", "mariadb"}:
        return Manner(
            {"isolation_level": "REPEATABLE READ"},
            before=(
                f"SET SESSION innodb_lock_wait_timeout = {settings.lock_seconds}",
                "SET SESSION TRANSACTION READ ONLY",
            ),
        )
    if dialect == "oracle":
        return Manner(first=("SET TRANSACTION READ ONLY",))
    if dialect == "mssql":
        return Manner({"isolation_level": "SNAPSHOT"}, first=(f"SET LOCK_TIMEOUT {lock}",))
    return Manner()


def engine_of(url: URL, settings: Settings, base: Path) -> Engine:
    """Return an engine that keeps no connection of its own.

    Raises ``ValueError`` where the URL asks for a connection that is not protected.
    """
    if url.get_backend_name() == "sqlite":
        path = sqlite_path(url, base)
        return create_engine("sqlite://", creator=partial(_open_sqlite, path, settings), poolclass=NullPool, **_QUIET)
    if url.drivername == "postgresql+psycopg":
        query = {"connect_timeout": str(settings.connect_seconds), "application_name": "reconciler", **_protected(url)}
        if settings.ca_file:
            query["sslrootcert"] = str(base / settings.ca_file)
        url = url.update_query_dict({name: value for name, value in query.items() if name not in url.query})
    return create_engine(url, poolclass=NullPool, **_QUIET)


def missing(text: str, base: Path) -> str:
    """Say what a URL names that is not on this machine, or why it is none; empty where nothing is missing."""
    try:
        url = make_url(text)
        url.get_dialect().import_dbapi()
        path = sqlite_path(url, base) if url.get_backend_name() == "sqlite" else None
        _protected(url)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        return f"the driver is not installed: {error}; sqlite and postgresql+psycopg are there"
    except ArgumentError:
        return "is no SQLAlchemy URL, such as postgresql+psycopg://reader@host/database"
    except ValueError as error:
        return str(error)
    return f"there is no file {path}" if path is not None and not path.is_file() else ""


def sqlite_path(url: URL, base: Path) -> Path:
    """Return the file of a SQLite URL."""
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        message = (
            "a SQLite database is named as sqlite:///file.db, relative to the configuration, or sqlite:////file.db"
        )
        raise ValueError(message)
    return (base / url.database).resolve()


def _open_sqlite(path: Path, settings: Settings) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro",
        uri=True,
        timeout=settings.lock_seconds,
        isolation_level=None,
        check_same_thread=False,  # calls come one after the other, each from the thread that was free
    )


def _protected(url: URL) -> dict[str, str]:
    """Return the TLS options that a PostgreSQL URL lacks: to another host the server is always proven."""
    host = url.host or str(url.query.get("host", ""))
    if not host or host.startswith("/") or is_loopback(host):
        return {}
    mode = url.query.get("sslmode", "verify-full")
    if mode not in _TLS_GUARDED:
        message = f"sslmode={mode} would send data and credentials unprotected; use verify-full, or leave it out"
        raise ValueError(message)
    return {"sslmode": mode} | ({"sslrootcert": "system"} if mode == "verify-full" else {})
