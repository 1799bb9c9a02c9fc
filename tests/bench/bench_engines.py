"""Evaluate one estate of 100,000 accounts on DuckDB, on Sail and on Apache Spark: seconds, and one digest.

Run it with ``python -m tests.bench.bench_engines [accounts]``; the exit code is 1 where the digests differ.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from reconciler import clock
from reconciler.bundled import root
from reconciler.engine import Options, evaluate, load
from tests.bench.bench_pull import say
from tests.engine.engines import spoiled
from tests.servers import sail, spark
from tests.truth.world import AS_OF, Sealing

_ACCOUNTS_EACH = 2
_ENGINES: Mapping[str, Callable[[], AbstractContextManager[str]]] = {
    "duckdb": lambda: nullcontext("duckdb"),
    "sail": sail.serve,
    "spark": lambda: spark.serve(many_rows=True),
}
"""One after the other: what one holds in memory is not the next one's matter."""


def main() -> int:
    """Print a line an engine."""
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 100_000
    # The lock is the release's matter: what is measured is the rules as they stand.
    rules = load([root("rules")], locked=False)
    digests = set()
    with tempfile.TemporaryDirectory() as folder:
        made = spoiled(accounts // _ACCOUNTS_EACH)
        snapshot = made.seal(Path(folder), Sealing(parts=2))
        rows = sum(part.rows or 0 for part in snapshot.coverage())
        say(f"{accounts:,} accounts, {rows:,} rows in all")
        for name, serve in _ENGINES.items():
            with serve() as engine:
                options = Options(time_zone="Europe/Berlin", declared=made.declared, engine=engine)
                began = clock.monotonic()
                found = evaluate(snapshot, rules, as_of=AS_OF, options=options)
                seconds = clock.monotonic() - began
            verdicts = sum(len(result.verdicts) for result in found.results)
            say(f"{name:8} {len(rules)} rules {seconds:8.1f} s {verdicts:9} verdicts {found.digest[:16]}")
            digests.add(found.digest)
    return 0 if len(digests) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
