"""Turn what a database driver raises into a ``StoreError`` with the remedy."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from reconciler.errors import StoreError

_BUSY = ("is locked by another process", "wait until the other run has ended, then try again")
READ_ONLY = (
    "is read-only, it cannot be written to",
    "let this user write to it (SQLite: to the file and its folder, on a disk not mounted read-only), then try again",
)
_FULL = ("has no room left: the disk is full", "free space on its disk, then try again")
_DAMAGED = (
    "is damaged, or is no database",
    "restore it from a backup, or let [store] database name another file; the snapshots hold what was read",
)
_UNREACHABLE = (
    "does not answer",
    "check that the server runs, and the host, port and database name in [store] database",
)
_REFUSED = ("refused the sign-in", "check the user and the password in [store] database")

_SQLITE = {
    "SQLITE_BUSY": _BUSY,
    "SQLITE_LOCKED": _BUSY,
    "SQLITE_READONLY": READ_ONLY,
    "SQLITE_PERM": READ_ONLY,
    "SQLITE_FULL": _FULL,
    "SQLITE_IOERR": ("could not be read or written: the disk reports an error", "check the disk and the space on it"),
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_CANTOPEN": ("cannot be opened", "check that its folder exists and that this user may write there"),
}
"""By primary result code; the extended codes begin with these."""

_POSTGRES = {
    "25006": READ_ONLY,
    "28": _REFUSED,
    "3D000": ("does not exist", "create it (createdb), or correct the name in [store] database"),
    "42501": ("denies this user a right", "make this user the owner of the database, or grant what is missing"),
    "53100": _FULL,
    "53300": ("has too many connections", "wait, or raise max_connections on the server"),
    "55P03": _BUSY,
    "57P": _UNREACHABLE,
    "08": _UNREACHABLE,
}
"""By SQLSTATE or its beginning."""

_OTHER = ("gave an unexpected answer", "check that nothing but reconciler alters it; else restore it from a backup")
_SIGN_IN = (
    ('role "', ("knows no such user", "create the user (createuser), or correct the user in [store] database")),
    ("authentication failed", _REFUSED),
    ("no password supplied", _REFUSED),
    ("no pg_hba.conf entry", _REFUSED),
    ("too many c", _POSTGRES["53300"]),
    ("permission denied", _POSTGRES["42501"]),
    ("does not exist", _POSTGRES["3D000"]),
)
"""By words: an error while signing in carries no SQLSTATE."""
_SECRET_KEYS = ("password", "sslpassword", "passfile")


def redacted(url: URL) -> str:
    """Return the URL without its password, for messages."""
    return url.update_query_dict({key: "***" for key in _SECRET_KEYS if key in url.query}).render_as_string(
        hide_password=True
    )


def closed_file(url: URL) -> Path | None:
    """Return the file of an SQLite database that is there and that this user may not write to, else None."""
    if url.get_backend_name() != "sqlite" or "uri" in url.query:
        return None
    path = Path(url.database or "")
    if not path.is_file() or (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        return None
    return path


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Raise ``StoreError``, with the remedy and without the password, for any error of the driver inside."""
    try:
        yield
    except DBAPIError as error:
        raise _store_error(url, error.orig or error) from error
    except (sqlite3.Error, psycopg.Error) as error:
        raise _store_error(url, error) from error


def _store_error(url: URL, error: BaseException) -> StoreError:
    what, advice = _remedy(error)
    if (what, advice) == _SQLITE["SQLITE_CANTOPEN"] and closed_file(url):
        what, advice = READ_ONLY  # SQLite says only that it could not make its files beside the database
    detail = " ".join(str(error).split())
    secrets = [url.password, *(url.query.get(key) for key in _SECRET_KEYS)]
    for secret in secrets:
        if isinstance(secret, str) and secret:
            detail = detail.replace(secret, "***")
    return StoreError(f"the database {redacted(url)} {what}: {detail}", advice=advice)


def _remedy(error: BaseException) -> tuple[str, str]:
    if isinstance(error, sqlite3.Error):
        code, remedies = getattr(error, "sqlite_errorname", ""), _SQLITE
    elif isinstance(error, psycopg.Error):
        if error.sqlstate is None and isinstance(error, psycopg.OperationalError):
            return next((remedy for words, remedy in _SIGN_IN if words in str(error)), _UNREACHABLE)
        code, remedies = error.sqlstate or "", _POSTGRES
    else:
        return _OTHER
    return next((remedy for prefix, remedy in remedies.items() if code.startswith(prefix)), _OTHER)
