"""Evaluate the bundled rules over a large sealed snapshot: peak memory, and the time beside one scan of what they read.

Run as ``python -m tests.bench.bench_rules``. The estate is the one of ``bench_pull`` with credentials, and a
governance source beside it: a person for every account, of whom five in a hundred have left, and an approval
for ninety-nine. Exits 1 where the evaluation holds more memory than it may.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from reconciler import clock, connectors, engine
from reconciler.bundled import root
from reconciler.collect import Limits, Pull, pull
from reconciler.estate.tables import tables
from reconciler.sdk.settings import SourceSettings
from reconciler.sdk.testing import MisbehavingSource
from reconciler.snapshot import Snapshot, SnapshotStore
from tests.bench.bench_pull import PAGE, say

MOST_MIB = 4096
THREADS = 2
AS_OF = datetime(2026, 3, 1, tzinfo=UTC)


def governance(folder: Path, people: int) -> Path:
    """Write people, contracts, approvals and an exception as Parquet files."""
    folder.mkdir(parents=True)
    numbers = range(people)
    left = date(2026, 1, 31)
    columns: dict[str, dict[str, list[object]]] = {
        "people": {
            "person_id": [f"P{i}" for i in numbers],
            "full_name": [f"Person {i}" for i in numbers],
            "emails": [[f"user{i}@example.test"] for i in numbers],
            "employee_id": [str(i) for i in numbers],
            "kind": ["supplier" if i % 10 == 3 else "employee" for i in numbers],
            "status": ["active" for _ in numbers],
            "ends_on": [left if i % 20 == 7 else None for i in numbers],
            "time_zone": ["Europe/Amsterdam" if i % 2 else None for i in numbers],
            "contract_id": [f"C{i % 1000}" if i % 10 == 3 else None for i in numbers],
        },
        "approvals": {
            "approval_id": [f"A{i}" for i in numbers if i % 100],
            "kind": ["access_request" for i in numbers if i % 100],
            "person_id": [f"P{i}" for i in numbers if i % 100],
            "system": ["simulated" for i in numbers if i % 100],
            "entitlement": ["*" for i in numbers if i % 100],
            "decision": ["approved" for i in numbers if i % 100],
            "decided_at": [AS_OF for i in numbers if i % 100],
            "valid_from": [datetime(2025, 1, 1, tzinfo=UTC) for i in numbers if i % 100],
            "valid_until": [None for i in numbers if i % 100],
            "environment": [None for i in numbers if i % 100],
        },
        "contracts": {
            "contract_id": [f"C{i}" for i in range(1000)],
            "status": ["active" for _ in range(1000)],
            "ends_on": [left if i % 20 == 3 else date(2027, 1, 31) for i in range(1000)],
            "time_zone": ["Europe/Amsterdam" for _ in range(1000)],
        },
        "exceptions": {
            "exception_id": ["E1"],
            "rule_id": ["IG-LVR-001"],
            "source": ["simulated"],
            "account_id": ["account-7"],
            "person_id": [None],
            "entitlement_id": [None],
            "expires_at": [datetime(2026, 2, 1, tzinfo=UTC)],
            "status": ["active"],
        },
    }
    for name, filled in columns.items():
        schema = pa.schema([tables()[name].schema.field(column) for column in filled])
        pq.write_table(pa.table(filled, schema=schema), folder / f"{name}.parquet", compression="zstd")
    return folder


def estate(folder: Path, accounts: int, grants: int) -> Snapshot:
    """Pull the estate into a sealed snapshot."""
    files = connectors.load("files")
    settings = files.Settings.model_validate({"connector": "files", "path": str(governance(folder / "qms", accounts))})
    entitlements = max(1_000, -(-grants // accounts))
    identity = MisbehavingSource(
        accounts=accounts, entitlements=entitlements, grants=grants, credentials=accounts // 5, page_size=PAGE
    )
    snapshot = asyncio.run(
        pull(
            [
                Pull(identity, "simulated", SourceSettings(connector="simulated")),
                Pull(files.open_source("qms", settings, folder), "files", settings),
            ],
            SnapshotStore(folder / "snapshots"),
            estate="bench",
            as_of=AS_OF,
            limits=Limits(),
            accepted=[],
            report=lambda _progress: None,
        )
    )
    if any(part.status != "COMPLETE" for part in snapshot.coverage()):
        raise SystemExit("the pull was not complete: " + str(snapshot.coverage()))
    return snapshot


def evaluation(folder: Path) -> dict[str, object]:
    """Evaluate the newest snapshot; return what was judged and found."""
    snapshot = SnapshotStore(folder / "snapshots").latest_of("bench")
    if snapshot is None:
        raise SystemExit("no snapshot")
    rules = engine.load([root("rules")], {})
    began = clock.monotonic()
    result = engine.evaluate(snapshot, rules, as_of=AS_OF, options=engine.Options(threads=THREADS, folder=folder))
    seconds = clock.monotonic() - began
    found = {r.rule.rule_id: len(r.verdicts) for r in result.results}
    blocked = [scope.blocked for r in result.results for scope in r.scopes if scope.blocked]
    return {"seconds": seconds, "found": found, "blocked": blocked}


def scan(folder: Path) -> dict[str, object]:
    """Read every column that the rules read once, and do nothing with it but fold it into a hash."""
    snapshot = SnapshotStore(folder / "snapshots").latest_of("bench")
    if snapshot is None:
        raise SystemExit("no snapshot")
    wanted: dict[str, set[str]] = {}
    for rule in engine.load([root("rules")], {}):
        for table, columns in rule.columns.items():
            if tables()[table].group != "built":
                wanted.setdefault(table, set()).update(columns)
    began = clock.monotonic()
    with duckdb.connect(config={"threads": THREADS}) as connection:
        for name, read in wanted.items():
            files = [str(path) for path in snapshot.files(name)]
            folded = ", ".join(f'bit_xor(hash("{column}"))' for column in sorted(read))
            if files:
                connection.execute(f"SELECT {folded} FROM read_parquet(?)", [files]).fetchall()  # noqa: S608  # names of the estate
    return {"seconds": clock.monotonic() - began}


PARTS = {"evaluation": evaluation, "scan": scan}


def measure(part: str, folder: Path) -> dict[str, object]:
    """Run one part in a process of its own, so that its memory is its own."""
    command = [sys.executable, "-m", "tests.bench.bench_rules", "--part", part, "--folder", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    result: dict[str, object] = json.loads(done.stdout)
    return result


def _cpu() -> float:
    """Return the CPU seconds of this process so far; what imports cost is in both parts and in neither figure."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    """Measure and print; 1 where the evaluation holds too much memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--grants", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="keep the estate here, or use the one that is there")
    parser.add_argument("--part", choices=sorted(PARTS), help="run one part in this process and print JSON")
    asked = parser.parse_args()
    if asked.part:
        before = _cpu()
        figures = PARTS[asked.part](asked.folder)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        say(json.dumps(figures | {"cpu": _cpu() - before, "mib": memory}))
        return 0
    with tempfile.TemporaryDirectory() as spare:
        folder = asked.folder or Path(spare) / "estate"
        if not (folder / "snapshots").is_dir():
            snapshot = estate(folder, asked.accounts, asked.grants)
            say(f"estate: {sum(part.rows or 0 for part in snapshot.coverage()):,} rows, {snapshot.snapshot_id}")
        floor, judged = measure("scan", folder), measure("evaluation", folder)
    say(f"one scan   {floor['seconds']:6.1f} s  {floor['cpu']:6.1f} CPU s  {floor['mib']:6.0f} MiB peak")
    say(f"evaluation {judged['seconds']:6.1f} s  {judged['cpu']:6.1f} CPU s  {judged['mib']:6.0f} MiB peak")
    say(f"evaluation / one scan: {float(str(judged['cpu'])) / float(str(floor['cpu'])):.1f} by CPU")
    say(f"not passed: {judged['found']}" + (f", blocked: {judged['blocked']}" if judged["blocked"] else ""))
    if float(str(judged["mib"])) >= MOST_MIB:
        say(f"the evaluation held {judged['mib']:.0f} MiB, more than {MOST_MIB}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
