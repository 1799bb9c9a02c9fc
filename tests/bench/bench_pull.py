"""Pull a large estate to a sealed snapshot: peak memory, and the cost beside plainly writing the same rows.

Run as ``python -m tests.bench.bench_pull``. Each part runs in a process of its own, so that the memory of one
is not counted to another. Exits 1 where the pull holds more memory than it may.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from reconciler import clock
from reconciler.collect import Limits, Pull, pull
from reconciler.sdk.connector import Status
from reconciler.sdk.settings import SourceSettings
from reconciler.sdk.testing import MisbehavingSource
from reconciler.snapshot import SnapshotStore

MOST_MIB = 700
PAGE = 1_000


def source(accounts: int, grants: int) -> MisbehavingSource:
    """Make the well-behaved source."""
    entitlements = max(1_000, -(-grants // accounts))
    return MisbehavingSource(
        accounts=accounts, entitlements=entitlements, grants=grants, credentials=0, page_size=PAGE, canary="canary"
    )


def product(accounts: int, grants: int, folder: Path) -> str:
    """Pull through the product; return the snapshot's id."""
    settings = SourceSettings(connector="simulated", tables=["accounts", "entitlements", "grants"])
    snapshot = asyncio.run(
        pull(
            [Pull(source(accounts, grants), "simulated", settings)],
            SnapshotStore(folder),
            estate="bench",
            as_of=clock.now(),
            limits=Limits(),
            accepted=[],
            report=lambda _progress: None,
        )
    )
    if any(snapshot.status("simulated", table) is not Status.COMPLETE for table in settings.tables or ()):
        raise SystemExit("the pull was not complete: " + str(snapshot.coverage()))
    return snapshot.snapshot_id


def plain(accounts: int, grants: int, folder: Path) -> str:
    """Write the same rows with nothing but pyarrow: no checks, no manifest."""
    import msgspec
    import pyarrow as pa
    import pyarrow.parquet as pq

    from reconciler.estate.tables import tables
    from reconciler.snapshot.writer import COMPRESSION, GROUP_ROWS

    made = source(accounts, grants)
    for table in ("accounts", "entitlements", "grants"):
        schema = tables()[table].schema
        with pq.ParquetWriter(folder / f"{table}.parquet", schema, compression=COMPRESSION) as parquet:
            batches: list[pa.RecordBatch] = []
            for start in range(0, made.sizes[table], PAGE):
                rows = made.rows(table, start, min(start + PAGE, made.sizes[table]))
                columns = zip(*map(msgspec.structs.astuple, rows), strict=True)
                arrays = [pa.array(c, type=f.type) for c, f in zip(columns, schema, strict=True)]
                batches.append(pa.RecordBatch.from_arrays(arrays, schema=schema))
                if sum(batch.num_rows for batch in batches) >= GROUP_ROWS:
                    parquet.write_table(pa.Table.from_batches(batches))
                    batches = []
            if batches:
                parquet.write_table(pa.Table.from_batches(batches))
    return ""


def rows_only(accounts: int, grants: int, _folder: Path) -> str:
    """Make the rows and drop them: what both others pay before they start."""
    made = source(accounts, grants)
    for table in ("accounts", "entitlements", "grants"):
        for start in range(0, made.sizes[table], PAGE):
            made.rows(table, start, min(start + PAGE, made.sizes[table]))
    return ""


PARTS = {"rows": rows_only, "plain": plain, "product": product}


def measure(part: str, accounts: int, grants: int, folder: Path) -> dict[str, float | str]:
    """Run one part in a child process; return its CPU seconds, peak MiB and, of a pull, the snapshot's id."""
    command = [sys.executable, "-m", "tests.bench.bench_pull", "--part", part, "--folder", str(folder)]
    command += ["--accounts", str(accounts), "--grants", str(grants)]
    here = Path(__file__).parents[2]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=here)
    result: dict[str, float | str] = json.loads(done.stdout)
    return result


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Measure and print; 1 where the pull holds too much memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=1_000_000)
    parser.add_argument("--grants", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path, help="keep the sealed snapshot here (default: a folder that is deleted)")
    parser.add_argument("--part", choices=sorted(PARTS), help="run one part in this process and print JSON")
    asked = parser.parse_args()
    if asked.part:
        snapshot = PARTS[asked.part](asked.accounts, asked.grants, asked.folder)
        used = resource.getrusage(resource.RUSAGE_SELF)
        say(json.dumps({"cpu": used.ru_utime + used.ru_stime, "mib": used.ru_maxrss / 1024, "snapshot": snapshot}))
        return 0
    rows = asked.accounts + asked.grants + source(asked.accounts, asked.grants).sizes["entitlements"]
    with tempfile.TemporaryDirectory() as spare:
        folder = asked.folder or Path(spare) / "snapshots"
        figures = {part: measure(part, asked.accounts, asked.grants, Path(spare)) for part in ("rows", "plain")}
        figures["product"] = measure("product", asked.accounts, asked.grants, folder)
        cpu = {part: float(figure["cpu"]) for part, figure in figures.items()}
        for part, figure in figures.items():
            speed = rows / cpu[part]
            say(f"{part:8} {speed:>12,.0f} rows per CPU-second  {cpu[part]:7.1f} CPU s  {figure['mib']:6.0f} MiB peak")
        making = cpu["rows"]
        say(f"pull / plain write, rows made in both: {cpu['product'] / cpu['plain']:.2f}")
        say(f"pull / plain write, without making the rows: {(cpu['product'] - making) / (cpu['plain'] - making):.2f}")
        if asked.folder:
            say(f"snapshot {figures['product']['snapshot']} in {folder}")
    if float(figures["product"]["mib"]) >= MOST_MIB:
        say(f"the pull held {figures['product']['mib']:.0f} MiB, more than {MOST_MIB}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
