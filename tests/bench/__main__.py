"""``make bench``: every benchmark, one after the other; 1 where one is past its limit."""

from __future__ import annotations

import sys

from tests.bench import (
    bench_connectors,
    bench_correlation,
    bench_engines,
    bench_estate,
    bench_findings,
    bench_governance,
    bench_nonconformities,
    bench_pull,
    bench_rules,
)
from tests.bench.bench_pull import say


def main() -> int:
    """Run them all; figures are ratios within one run, since machines differ and are shared."""
    worst = 0
    benches = (
        bench_pull,
        bench_rules,
        bench_connectors,
        bench_governance,
        bench_correlation,
        bench_estate,
        bench_findings,
        bench_nonconformities,
        bench_engines,
    )
    titles = (
        "pull",
        "rules",
        "connectors",
        "governance",
        "correlation",
        "estate",
        "findings",
        "nonconformities",
        "engines",
    )
    for title, bench in zip(titles, benches, strict=True):
        say(f"\n--- {title}")
        worst = max(worst, bench.main())
    return worst


if __name__ == "__main__":
    sys.exit(main())
