"""What a database means by an error: what to do about it, by the standard's SQLSTATE or by SQLite's words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from reconciler.sdk.answers import clean
from reconciler.sdk.errors import Misbehaved, Refused, SourceError, Unreachable

_AGAIN = "It is read again from the start, within retry_seconds."
_FATAL = re.compile(r"(?:FATAL|ERROR):\s+(.*)")
_CREDENTIALS = re.compile(
    r"password authentication failed|no password supplied|role .* does not exist|no pg_hba.conf entry|Access denied"
)
_DATABASE = re.compile(r"database \"[^\"]*\" does not exist")
_ENDLESS = re.compile(r"(?:after year 10K|before year 1)")
_TLS = re.compile(r"certificate|SSL", re.IGNORECASE)
_PASSING = ("08", "53", "55P03", "57", "58", "40")
"""No connection, no resources, a lock, an operator's act, an I/O error, a conflict of transactions."""
_RELATION = re.compile(r"permission denied for (?:\w+ )?(\S+)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked, for messages: the source, and the key of the configuration that holds the query."""

    source: str
    key: str = ""

    @property
    def place(self) -> str:
        """What messages begin with."""
        return f"{self.source}, {self.key}" if self.key else self.source

    @property
    def where(self) -> str:
        """The key as it stands in the configuration."""
        return f"[sources.{self.source}] {self.key or 'url'}"


def meaning(error: DBAPIError, asked: Asked) -> SourceError:
    """Return the error by remedy; it names no statement, since those may be long, and no secret."""
    said = clean(str(error.orig))
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or ""
    if state and not error.connection_invalidated:
        return _by_state(str(state), said, asked)
    if type(error.orig).__module__.startswith("sqlite3"):
        return _of_sqlite(said, asked)
    return _of_connection(error, said, asked)


def _by_state(state: str, said: str, asked: Asked) -> SourceError:
    if state.startswith(_PASSING):
        return Unreachable(f"{asked.place}: {said}", advice=_AGAIN, restart=True)
    if state == "25006":
        return _writes(said, asked)
    if state == "42501":
        hidden = "row-level security" in said
        found = _RELATION.search(said)
        return Refused(
            f"{asked.place}: {said}",
            missing_permission="BYPASSRLS" if hidden else f"SELECT on {found.group(1)}" if found else "SELECT",
            advice="Rows would be hidden: grant the reader BYPASSRLS or a policy USING (true) on a view, or set "
            "row_security = true where that is meant."
            if hidden
            else "Grant it to the reader; the README has the script.",
        )
    if state.startswith("28"):
        return _credentials(said, asked)
    return Refused(f"{asked.place}: the query fails: {said}", advice=f"Correct {asked.where}.")


def _of_sqlite(said: str, asked: Asked) -> SourceError:
    if "readonly" in said or "read-only" in said:
        return _writes(said, asked)
    if any(word in said for word in ("locked", "busy", "interrupted", "disk I/O")):
        return Unreachable(f"{asked.place}: {said}", advice=_AGAIN, restart=True)
    if "unable to open" in said:
        return Unreachable(f"{asked.place}: {said}", advice=f"Check the path in [sources.{asked.source}] url.")
    if "not a database" in said or "malformed" in said:
        return Misbehaved(f"{asked.place}: {said}", advice="Restore the file; it is damaged, or no SQLite database.")
    if "authorized" in said or "prohibited" in said:
        return Refused(f"{asked.place}: {said}", advice="Read only what the file itself allows.")
    return Refused(f"{asked.place}: the query fails: {said}", advice=f"Correct {asked.where}.")


def _of_connection(error: DBAPIError, said: str, asked: Asked) -> SourceError:
    """Judge an error without a state: there was no connection, or there is none any more."""
    fatal = _FATAL.search(said)
    if _CREDENTIALS.search(said):
        return _credentials(fatal.group(1) if fatal else said, asked)
    if _DATABASE.search(said):
        return Refused(f"{asked.place}: {said}", advice=f"Correct the database in [sources.{asked.source}] url.")
    if _TLS.search(said) and not error.connection_invalidated:
        return Refused(
            f"{asked.place}: no trusted connection: {said}",
            advice="Set ca_file to the certificate of the server's authority; checks are never skipped.",
        )
    if _ENDLESS.search(said):
        return Refused(
            f"{asked.place}: {said}",
            advice=f"Have {asked.where} say NULL for never, for example NULLIF(ends_on, 'infinity').",
        )
    if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
        return Unreachable(
            f"{asked.place}: {said}", advice=f"Check the database and the network. {_AGAIN}", restart=True
        )
    return Refused(f"{asked.place}: the query fails: {said}", advice=f"Correct {asked.where}.")


def _writes(said: str, asked: Asked) -> Refused:
    return Refused(
        f"{asked.place}: the database refuses a query that writes: {said}",
        advice=f"A source is never written to: correct {asked.where}.",
    )


def _credentials(said: str, asked: Asked) -> Refused:
    return Refused(
        f"{asked.place}: the database refuses the credentials: {said}",
        advice=f"Check user and password of [sources.{asked.source}].",
    )
