"""Let nonconformities follow a night of 5,000 new findings over 20,000 that are known, on SQLite and PostgreSQL.

Run as ``python -m tests.bench.bench_nonconformities``. A storm of one cause, and as many spread over causes: each time
the seconds to group, attach and open are told as a ratio to the seconds that recording the same findings took. Exits 1
where other nonconformities were opened than there are causes, or where following takes longer than ``MOST`` recordings.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from reconciler import clock
from reconciler.database.connection import Database
from reconciler.estate.results import Evaluation, Outcome, RuleInfo, RuleResult, Run, Scope, Verdict
from reconciler.findings import FindingStore
from reconciler.nonconformity.following import follow
from reconciler.nonconformity.grouping import Policy
from reconciler.sections.nonconformities import Nonconformities
from reconciler.snapshot.people import Affiliation, Holder, Holders
from tests.bench.bench_pull import say
from tests.servers.postgres import postgres

NEW, KNOWN = 5_000, 20_000
SOURCES, SUPPLIERS = 10, 20
MOST = 3.0
"""Recordings that following may take: machines and disks differ, and a night is mostly spent pulling."""
START = datetime(2026, 3, 1, tzinfo=UTC)
HOLDERS = Holders(by_role={"identity-governance-lead": [Holder("P0", "P0", date(2026, 1, 1))]})


def info(rule_id: str) -> RuleInfo:
    """Return a rule that is measured."""
    return RuleInfo(
        rule_id=rule_id,
        name=rule_id.lower(),
        version=1,
        title="Leaver keeps a usable account",
        severity="high",
        stage="deprovisioning",
        layer="enforcement",
        status="stable",
        why="It is measured.",
        remedy="None.",
        population="accounts",
        identity=("source", "account_id"),
    )


def found(rule_id: str, accounts: Sequence[int], sources: int) -> RuleResult:
    """Return a rule that found each of ``accounts``, spread over sources."""
    verdicts = tuple(
        Verdict(
            rule_id=rule_id,
            verdict=Outcome.VIOLATION,
            subject={"source": f"s{n % sources}", "account_id": f"u{n:07}"},
            source=f"s{n % sources}",
            person_id=f"P{n}",
            reason=f"Person {n} left on 2026-01-31; account user{n} is still enabled",
        )
        for n in accounts
    )
    scopes = tuple(Scope(source=f"s{n}", population=len(verdicts)) for n in range(sources))
    return RuleResult(rule=info(rule_id), scopes=scopes, verdicts=verdicts)


class Nights:
    """A database that lives through nights, each told with the seconds that it took."""

    def __init__(self, kind: str, url: str) -> None:
        self._kind, self._store, self._database = kind, FindingStore.open(url), Database(url)
        self._number = 0

    def live(self, title: str, results: Sequence[RuleResult], causes: int) -> bool:
        """Record and follow a night; return whether a limit was missed."""
        self._number += 1
        as_of = START + timedelta(days=self._number)
        night = Evaluation(snapshot=f"snapshot-{self._number}", as_of=as_of, results=tuple(results), digest="0" * 64)
        began = clock.monotonic()
        run = self._store.record(
            night, run_id=f"run-{self._number}", estate="bench", coverage=(), recorded_at=night.as_of
        )
        recorded = clock.monotonic() - began
        began = clock.monotonic()
        opened, attached = self._follow(run)
        seconds = clock.monotonic() - began
        ratio = seconds / recorded
        say(
            f"{self._kind:10} {title:24} recorded in {recorded:.2f} s, followed in {seconds:.2f} s: {ratio:.2f} of "
            f"recording; {attached:,} attached, {opened:,} opened"
        )
        if opened != causes:
            say(f"MISSED: {self._kind}: {opened} nonconformities opened, not {causes}")
        if self._number > 1 and ratio > MOST:
            say(f"MISSED: {self._kind}: following took {ratio:.2f} recordings, more than {MOST}")
        return opened != causes or (self._number > 1 and ratio > MOST)

    def _follow(self, run: Run) -> tuple[int, int]:
        policy = Policy(section=Nonconformities(), rules={each.rule_id: each for each in run.rules})
        did = follow(
            self._database,
            run,
            policy,
            shown_at=run.as_of,
            holders=HOLDERS,
            affiliations=lambda ids: ({one: Affiliation(f"S{int(one[1:]) % SUPPLIERS}") for one in ids}, True),
        )
        return len(did.opened), did.attached


def measure(kind: str, url: str, new: int, known: int) -> bool:
    """Live through the known, a storm of one cause, and as many of many causes; return whether a limit was missed."""
    nights = Nights(kind, url)
    old = found("IG-LVR-001", range(known), SOURCES)
    storm = found("IG-LVR-002", range(0, new * SUPPLIERS, SUPPLIERS), 1)
    spread = found("IG-LVR-003", range(new), SOURCES)
    causes = len({(n % SOURCES, n % SUPPLIERS) for n in range(SOURCES * SUPPLIERS)})
    missed = [nights.live(f"{known:,} findings at first", [old], causes)]
    missed.append(nights.live(f"{new:,} new of one cause", [old, storm], 1))
    missed.append(nights.live(f"{new:,} new of {causes} causes", [old, storm, spread], causes))
    return any(missed)


def databases(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield a database of each kind."""
    yield "SQLite", f"sqlite:///{folder / 'reconciler.db'}"
    with postgres() as server:
        yield "PostgreSQL", server.url(server.new_database())


def main() -> int:
    """Measure and print; 1 where a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--new", type=int, default=NEW)
    parser.add_argument("--known", type=int, default=KNOWN)
    asked, _ = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        missed = [measure(kind, url, asked.new, asked.known) for kind, url in databases(Path(folder))]
    return 1 if any(missed) else 0


if __name__ == "__main__":
    sys.exit(main())
