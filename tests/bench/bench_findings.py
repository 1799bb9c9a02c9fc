"""Record a night of 200,000 findings over 200,000 that are known, a tenth of which differ, on SQLite and PostgreSQL.

Run as ``python -m tests.bench.bench_findings``. Only what differs may be written; the rows written in a second are
reported beside the database's own bulk load of the same rows: one transaction of executemany, or COPY. Exits 1 where
other rows than those that differ were written.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler import clock
from reconciler.estate.results import Evaluation, Outcome, RuleInfo, RuleResult, Scope, Verdict
from reconciler.findings import FindingStore
from tests.bench.bench_pull import say
from tests.servers.postgres import Server, postgres

FINDINGS = 200_000
START = datetime(2026, 3, 1, tzinfo=UTC)
_COLUMNS = "finding_id, run, change, verdict, severity, rule_version, reason"


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


def measure(kind: str, store: FindingStore, many: int, bulk: Any) -> bool:
    """Record both nights; return whether other rows were written than those that differ."""
    rates = []
    for number, night in ((1, first(many)), (2, second(many))):
        if number == 2:  # the second night
            bulk.watch()
        began = clock.monotonic()
        run = store.record(
            night,
            run_id=f"2026030{number}T000000Z-00000{number}",
            estate="bench",
            coverage=(),
            recorded_at=night.as_of,
        )
        seconds = clock.monotonic() - began
        rows = bulk.history(number)
        loaded = bulk.load(rows)
        rates.append(len(rows) / seconds)
        say(
            f"{kind:10} night {number}: {len(night.results[0].verdicts):,} findings in {seconds:.1f} s; "
            f"{len(rows):,} differ, {len(rows) / seconds:,.0f} a second written "
            f"(own bulk load: {len(rows) / loaded:,.0f}); "
            f"new {run.new:,}, gone {run.resolved:,}"
        )
    changed, gone = many // 100 * 2, many // 100 * 4
    expected = {"opened": gone, "resolved": gone, "changed": changed}
    found, touched = bulk.changes(2), bulk.touched()
    if found != expected or touched != changed + gone:
        say(f"MISSED: {kind}: written were {found}, not {expected}; {touched:,} known findings, not {changed + gone:,}")
        return True
    return False


class InSqlite:
    """What was written to a SQLite file, and SQLite's own bulk load of as much."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)

    def history(self, run: int) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute(f"SELECT {_COLUMNS} FROM finding_changes WHERE run = ?", [run]).fetchall()  # noqa: S608  # constant

    def changes(self, run: int) -> dict[str, int]:
        rows = self._connection.execute(
            "SELECT change, count(*) FROM finding_changes WHERE run = ? GROUP BY change", [run]
        )
        return dict(rows.fetchall())

    def watch(self) -> None:
        self._connection.executescript(
            "CREATE TABLE touched (finding_id TEXT); CREATE TRIGGER watch AFTER UPDATE ON findings "
            "BEGIN INSERT INTO touched VALUES (new.finding_id); END"
        )

    def touched(self) -> int:
        return int(self._connection.execute("SELECT count(DISTINCT finding_id) FROM touched").fetchone()[0])

    def load(self, rows: Sequence[tuple[Any, ...]]) -> float:
        self._connection.execute(f"CREATE TABLE bulk AS SELECT {_COLUMNS} FROM finding_changes LIMIT 0")  # noqa: S608  # constant
        began = clock.monotonic()
        self._connection.execute("BEGIN")
        self._connection.executemany(f"INSERT INTO bulk VALUES ({', '.join('?' for _ in rows[0])})", rows)  # noqa: S608  # constant
        self._connection.execute("COMMIT")
        seconds = clock.monotonic() - began
        self._connection.execute("DROP TABLE bulk")
        return seconds


class InPostgres:
    """What was written to a PostgreSQL database, and its own COPY of as much."""

    def __init__(self, server: Server, database: str) -> None:
        self._connection = server.connect(database)

    def history(self, run: int) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute(f"SELECT {_COLUMNS} FROM finding_changes WHERE run = %s", [run]).fetchall()  # noqa: S608  # constant

    def changes(self, run: int) -> dict[str, int]:
        rows = self._connection.execute(
            "SELECT change, count(*) FROM finding_changes WHERE run = %s GROUP BY change", [run]
        )
        return {str(change): int(str(count)) for change, count in rows.fetchall()}

    def watch(self) -> None:
        self._connection.execute("CREATE TABLE places AS SELECT finding_id, ctid AS place FROM findings")

    def touched(self) -> int:
        # PostgreSQL writes a row that is updated to a new place.
        row = self._connection.execute(
            "SELECT count(*) FROM findings f JOIN places p ON p.finding_id = f.finding_id AND p.place <> f.ctid"
        ).fetchone()
        return int(str(row[0])) if row else -1

    def load(self, rows: Sequence[tuple[Any, ...]]) -> float:
        self._connection.execute(f"CREATE TABLE bulk AS SELECT {_COLUMNS} FROM finding_changes LIMIT 0")  # noqa: S608  # constant
        began = clock.monotonic()
        with self._connection.transaction(), self._connection.cursor().copy("COPY bulk FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
        seconds = clock.monotonic() - began
        self._connection.execute("DROP TABLE bulk")
        return seconds


@contextmanager
def _databases(folder: Path) -> Iterator[Iterator[tuple[str, FindingStore, Any]]]:
    with postgres() as server:

        def each() -> Iterator[tuple[str, FindingStore, Any]]:
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
