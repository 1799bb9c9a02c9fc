"""Evaluate one estate of 100,000 accounts on DuckDB, on Sail and on Apache Spark: seconds, and one digest.

Run it with ``python -m tests.bench.bench_engines [accounts]``; the exit code is 1 where the digests differ.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from reconciler import clock
from reconciler.bundled import root
from reconciler.engine import Options, evaluate, load
from tests.engine.engines import spoiled
from tests.servers import sail, spark
from tests.truth.world import AS_OF, Sealing

_ACCOUNTS_EACH = 2


def main() -> int:
    """Print a line an engine."""
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    rules = load([root("rules")])
    digests = set()
    with tempfile.TemporaryDirectory() as folder, sail.serve() as sail_url, spark.serve() as spark_url:
        made = spoiled(accounts // _ACCOUNTS_EACH)
        snapshot = made.seal(Path(folder), Sealing(parts=2))
        for name, engine in (("duckdb", "duckdb"), ("sail", sail_url), ("spark", spark_url)):
            options = Options(time_zone="Europe/Berlin", declared=made.declared, engine=engine)
            began = clock.monotonic()
            found = evaluate(snapshot, rules, as_of=AS_OF, options=options)
            seconds = clock.monotonic() - began
            verdicts = sum(len(result.verdicts) for result in found.results)
            told = f"{name:8} {len(rules)} rules {seconds:8.1f} s {verdicts:9} verdicts {found.digest[:16]}"
            sys.stdout.write(f"{told}\n")
            digests.add(found.digest)
    return 0 if len(digests) == 1 else 1


if __name__ == "__main__":
    sys.exit(main())
