"""Record a night of 200,000 findings over 200,000 that are known, a tenth of which differ, on SQLite and PostgreSQL.

Run as ``python -m tests.bench.bench_findings``. Only what differs may be written, and nothing on a third night that
is as the second. The findings written in a second are reported beside the database's own bulk load, one transaction
of executemany or COPY: of the same findings and lines of history into the same empty tables, with their keys and
indexes; and of the lines of history alone into a bare table. Exits 1 where other rows than those that differ were
written.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from reconciler import clock
from reconciler.estate.results import Evaluation, Outcome, RuleInfo, RuleResult, Scope, Verdict
from reconciler.findings import FindingStore
from tests.bench.bench_pull import say
from tests.servers.postgres import Server, postgres

FINDINGS = 200_000
START = datetime(2026, 3, 1, tzinfo=UTC)
_SAME = (
    ("runs", "number <= {run}"),
    ("findings", "finding_id IN (SELECT finding_id FROM finding_changes WHERE run = {run})"),
    ("finding_changes", "run = {run}"),
)
"""The rows that a run wrote, table by table in the order that foreign keys ask for."""
Rows = Sequence[tuple[Any, ...]]


def evaluation(number: int, accounts: Iterator[tuple[int, str]]) -> Evaluation:
    """Return a night in which one rule found each of ``accounts``, a number and what is said of it."""
    info = RuleInfo(
        rule_id="IG-LVR-001",
        name="leaver_keeps_account",
        version=1,
        title="Leaver keeps a usable account",
        severity="critical",
        stage="deprovisioning",
        layer="enforcement",
        status="stable",
        why="It is measured.",
        remedy="None.",
        population="accounts",
        identity=("source", "account_id"),
    )
    verdicts = tuple(
        Verdict(
            rule_id=info.rule_id,
            verdict=Outcome.VIOLATION,
            subject={"source": "directory", "account_id": f"u{n:07}"},
            source="directory",
            person_id=f"P{n}",
            reason=said,
        )
        for n, said in accounts
    )
    scope = Scope(source="directory", population=len(verdicts), violations=len(verdicts))
    return Evaluation(
        snapshot=f"2026030{number}T000000Z-000001",
        as_of=START + timedelta(days=number),
        results=(RuleResult(rule=info, scopes=(scope,), verdicts=verdicts),),
        digest="0" * 64,
    )


def first(many: int) -> Evaluation:
    """Return the first night: every finding is new."""
    return evaluation(1, ((n, f"Person {n} left on 2026-01-31; account user{n} is still enabled") for n in range(many)))


def second(many: int) -> Evaluation:
    """Return the second night: of a hundred findings four are gone, four are new, two say something else."""
    told = (
        (n, f"Person {n} left on 2026-0{'2-28' if n % 100 < 2 else '1-31'}; account user{n} is still enabled")
        for n in range(many + many // 25)
        if n >= many or not 2 <= n % 100 < 6
    )
    return evaluation(2, told)


def measure(kind: str, store: FindingStore, many: int, bulk: Bulk) -> bool:
    """Record three nights; return whether other rows were written than those that differ."""
    for number, night in ((1, first(many)), (2, second(many)), (3, second(many))):
        if number == 2:  # the nights over what is known
            bulk.watch()
        snapshot = night.snapshot.replace("20260302", f"2026030{number}")
        night = msgspec.structs.replace(night, snapshot=snapshot, as_of=START + timedelta(days=number))  # noqa: PLW2901 - the third night
        began = clock.monotonic()
        run = store.record(
            night,
            run_id=f"2026030{number}T000000Z-00000{number}",
            estate="bench",
            coverage=(),
            recorded_at=night.as_of,
        )
        seconds = clock.monotonic() - began
        differ = sum(bulk.changes(number).values())
        told = f"{kind:10} night {number}: {len(night.results[0].verdicts):,} findings in {seconds:.1f} s; "
        told += f"new {run.new:,}, gone {run.resolved:,}, {differ:,} differ"
        if differ:
            same, bare = bulk.load(number)
            told += f", {differ / seconds:,.0f} a second written (own bulk load into the same tables: "
            told += (
                f"{differ / same:,.0f}, {seconds / same:.1f} times as fast; into a bare table: {differ / bare:,.0f})"
            )
        say(told)
    changed, gone = many // 100 * 2, many // 100 * 4
    expected = {"opened": gone, "resolved": gone, "changed": changed}
    found, again, touched = bulk.changes(2), bulk.changes(3), bulk.touched()
    if found != expected or again or touched != changed + gone:
        say(f"MISSED: {kind}: written were {found}, not {expected}, then {again}, not nothing; ")
        say(f"{touched:,} known findings were touched, not {changed + gone:,}")
        return True
    return False


class Bulk(ABC):
    """What was written to one database, and that database's own bulk load of as much."""

    @abstractmethod
    def query(self, query: str) -> Rows:
        """Return what the database answers."""

    @abstractmethod
    def watch(self) -> None:
        """Note from now on which known findings are written."""

    @abstractmethod
    def touched(self) -> int:
        """Return how many known findings were written since."""

    @abstractmethod
    def timed(self, rows: Sequence[tuple[str, Rows]], made: str = "") -> float:
        """Return the seconds to load rows into tables of a new database: the findings' own, or the one ``made``."""

    def changes(self, run: int) -> dict[str, int]:
        """Return how many lines of history of each kind a run wrote."""
        found = self.query(f"SELECT change, count(*) FROM finding_changes WHERE run = {run:d} GROUP BY change")  # noqa: S608 - a number
        return {str(change): int(lines) for change, lines in found}

    def load(self, run: int) -> tuple[float, float]:
        """Return the seconds of the bulk load of what a run wrote: into the same tables, and of history alone."""
        rows = [(table, self.query(f"SELECT * FROM {table} WHERE {wanted.format(run=run)}")) for table, wanted in _SAME]  # noqa: S608 - written above
        types = (
            "number int, finding_id text, run int, change text, verdict text, severity text, version int, reason text"
        )
        bare = self.timed([("bare", rows[-1][1])], f"CREATE TABLE bare ({types})")
        return self.timed(rows), bare


class InSqlite(Bulk):
    """A SQLite file and its executemany."""

    def __init__(self, path: Path) -> None:
        self._path, self._count = path, count()
        self._connection = sqlite3.connect(path, isolation_level=None)

    def query(self, query: str) -> Rows:
        return self._connection.execute(query).fetchall()

    def watch(self) -> None:
        self._connection.executescript(
            "CREATE TABLE touched (finding_id TEXT); CREATE TRIGGER watch AFTER UPDATE ON findings "
            "BEGIN INSERT INTO touched VALUES (new.finding_id); END"
        )

    def touched(self) -> int:
        return int(self.query("SELECT count(DISTINCT finding_id) FROM touched")[0][0])

    def timed(self, rows: Sequence[tuple[str, Rows]], made: str = "") -> float:
        path = self._path.with_name(f"bulk{next(self._count)}.db")
        FindingStore.open(f"sqlite:///{path}")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.executescript(f"PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL; {made}")
            began = clock.monotonic()
            connection.execute("BEGIN")
            for table, found in rows:
                places = ", ".join("?" for _ in found[0])
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", found)  # noqa: S608 - tables named above
            connection.execute("COMMIT")
            return clock.monotonic() - began


class InPostgres(Bulk):
    """A PostgreSQL database and its COPY."""

    def __init__(self, server: Server, database: str) -> None:
        self._server = server
        self._connection = server.connect(database)

    def query(self, query: str) -> Rows:
        return self._connection.execute(query.encode()).fetchall()

    def watch(self) -> None:
        self._connection.execute("CREATE TABLE places AS SELECT finding_id, ctid AS place FROM findings")

    def touched(self) -> int:
        # PostgreSQL writes a row that is updated to a new place.
        moved = "SELECT count(*) FROM findings f JOIN places p ON p.finding_id = f.finding_id AND p.place <> f.ctid"
        return int(self.query(moved)[0][0])

    def timed(self, rows: Sequence[tuple[str, Rows]], made: str = "") -> float:
        database = self._server.new_database()
        FindingStore.open(self._server.url(database))
        with closing(self._server.connect(database)) as connection:
            if made:
                connection.execute(made.encode())
            began = clock.monotonic()
            with connection.transaction(), connection.cursor() as cursor:
                for table, found in rows:
                    with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                        for row in found:
                            copy.write_row(row)
            return clock.monotonic() - began


@contextmanager
def _databases(folder: Path) -> Iterator[Iterator[tuple[str, FindingStore, Bulk]]]:
    with postgres() as server:

        def each() -> Iterator[tuple[str, FindingStore, Bulk]]:
            path = folder / "findings.db"
            yield "SQLite", FindingStore.open(f"sqlite:///{path}"), InSqlite(path)
            name = server.new_database()
            yield "PostgreSQL", FindingStore.open(server.url(name)), InPostgres(server, name)

        yield each()


def main() -> int:
    """Measure and print; 1 where other rows were written than those that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--findings", type=int, default=FINDINGS)
    asked, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder, _databases(Path(folder)) as databases:
        missed = [measure(kind, store, asked.findings, bulk) for kind, store, bulk in databases]
    return 1 if any(missed) else 0


if __name__ == "__main__":
    sys.exit(main())
