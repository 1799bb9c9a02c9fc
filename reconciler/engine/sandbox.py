"""A DuckDB connection in which a rule can read the tables it was given and do nothing else.

Why each setting: see Decisions in this folder's README.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from reconciler.clock import zones as iana_zones
from reconciler.estate.tables import Table, tables

_LOCK = (
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET python_enable_replacements = false",
    "SET python_scan_all_frames = false",
    "SET enable_external_access = false",
    "SET lock_configuration = true",
)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LINE = re.compile(r"^(LINE (\d+): )(.*)\n( *)\^", re.MULTILINE)


class RuleFailed(Exception):  # noqa: N818  # it is caught where the rule's name is known, and becomes a RuleError
    """DuckDB refused or ended a rule's SQL.

    ``line`` and ``column`` are the place in the rule's own text, None where unknown; ``starved`` says that memory or
    disk ran out, ``stopped`` that it took too long.
    """

    def __init__(
        self,
        message: str,
        line: int | None,
        column: int | None = None,
        *,
        starved: bool = False,
        stopped: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.starved = starved
        self.stopped = stopped


def instant(microseconds: int | None) -> datetime | None:
    """Return an instant that a query gave as ``epoch_us``: DuckDB's own would need a package that we do not ask for."""
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)


class Sandbox:
    """A connection of its own, in memory or in a file of ``folder`` (which may spill there, too)."""

    def __init__(self, *, folder: Path | None = None, threads: int = 1, memory_limit_mb: int = 512) -> None:
        spill = str(folder / "spill") if folder else ""
        self.connection = duckdb.connect(
            str(folder / "estate.duckdb") if folder else ":memory:",
            config={
                "threads": threads,
                "memory_limit": f"{memory_limit_mb}MiB",
                "temp_directory": spill,
                "preserve_insertion_order": False,
                "checkpoint_threshold": "1TiB",
            },
        )
        self.connection.execute("SET TimeZone = 'UTC'")
        # The file dies with this connection: nothing needs to survive in it.
        self.connection.execute("PRAGMA disable_checkpoint_on_shutdown")

    def close(self) -> None:
        """Close the connection and forget its tables."""
        self.connection.close()

    def lock(self) -> None:
        """Shut off files, network, extensions and Python's variables, for good."""
        for statement in _LOCK:
            self.connection.execute(statement)

    def create(self, table: Table, columns: Collection[str] | None = None, *, strict: bool = True) -> None:
        """Make an estate table, empty, with some or all of its columns; not ``strict``: keys may be null."""
        self.connection.execute(table.ddl(columns, strict=strict))

    def create_all(self) -> None:
        """Make every table of the estate, empty, with keys that may be null."""
        for table in tables().values():
            self.create(table, strict=False)

    def zones(self, estate_zone: str, named: Iterable[str]) -> None:
        """Define ``access_deadline`` for the estate's zone and those that the rows name.

        ``access_deadline(ends_on, time_zone, grace)`` is the instant at which the inclusive last day ended in
        its zone (null: the estate's), plus the grace. Null where the day is null or the zone is unknown: an
        unknown zone in one row must not end the night. DuckDB's own abbreviations are unknown: its BST is Dhaka's.
        """
        found = self.connection.execute(
            "SELECT DISTINCT name FROM pg_timezone_names() WHERE list_contains($named, name)",
            {"named": sorted(iana_zones() & {estate_zone, *named})},
        ).fetchall()
        known = ", ".join(f"'{name}'" for (name,) in sorted(found))
        zone = f"coalesce(time_zone, '{estate_zone}')"
        self.connection.execute(
            "CREATE OR REPLACE MACRO access_deadline(ends_on, time_zone, grace) AS "
            f"CASE WHEN {zone} IN ({known}) THEN timezone({zone}, CAST(ends_on + 1 AS TIMESTAMP)) END + grace"
        )

    def run(self, sql: str, params: Mapping[str, object], seconds: float, *, before: int = 0) -> None:
        """Run one statement; raise ``RuleFailed`` where DuckDB refuses it or it takes longer than ``seconds``.

        ``before`` counts the lines that stand before the rule's own text in ``sql``.
        """
        try:
            with self._limited(seconds):
                self.connection.execute(sql, dict(params))
        except duckdb.InterruptException as error:
            message = f"did not end within {seconds:g} seconds and was stopped"
            raise RuleFailed(message, None, stopped=True) from error
        except duckdb.Error as error:
            text = str(error)
            found = _LINE.search(text)
            line = max(int(found[2]) - before, 1) if found else None
            column = _column(sql.splitlines()[int(found[2]) - 1], found) if found else None
            first = text.split("\n\nLINE", maxsplit=1)[0].replace("\n\n", " ").replace("\n", " ").strip()
            starved = isinstance(error, duckdb.OutOfMemoryException | duckdb.IOException)
            raise RuleFailed(first, line, column, starved=starved) from error

    @contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        timer = threading.Timer(seconds, self.connection.interrupt)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _column(line: str, found: re.Match[str]) -> int | None:
    """Return the column (from 1) that DuckDB's caret points at; of a long line it shows a part, between dots."""
    shown, at = found[3], len(found[4]) - len(found[1])
    part = shown.removeprefix("...").removesuffix("...")
    begins = line.find(part)
    return begins + at - (3 if shown != part and shown.startswith("...") else 0) + 1 if begins >= 0 <= at else None
