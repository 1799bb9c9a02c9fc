"""One pull of all sources into one sealed snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from reconciler import clock
from reconciler.collect.mass_change import Acceptance, History, Limits, hold, hold_left
from reconciler.collect.outcome import Progress
from reconciler.collect.patience import Sleep
from reconciler.collect.source import Pull, SourceReading
from reconciler.collect.verdicts import judge_fan_out
from reconciler.errors import ConfigurationError
from reconciler.estate.correlate import DEFAULT
from reconciler.snapshot.memory import Memory
from reconciler.snapshot.store import Snapshot, SnapshotStore
from reconciler.snapshot.writer import SnapshotWriter


async def pull(
    pulls: Sequence[Pull],
    store: SnapshotStore,
    *,
    estate: str,
    as_of: datetime,
    limits: Limits,
    accepted: Sequence[Acceptance],
    report: Callable[[Progress], None],
    memory: Memory | None = None,
    matchers: Sequence[str] = DEFAULT,
    sleep: Sleep = asyncio.sleep,
) -> Snapshot:
    """Read every source whole, as far as it can be, and seal what was read.

    What could not be read stands in the snapshot's coverage with its gap; it never raises. ``report`` is
    called after every page, and once a table with its final status. ``memory`` is what is known from earlier
    nights and sealed with the rest; None: nothing is. ``matchers`` will link accounts to people: what they read may
    not be lost unasked. ``sleep`` waits between retries.

    Raises ``ConfigurationError`` for settings that cannot be meant and ``StoreError`` where the folder cannot
    be read or written or another pull is under way in it; then every source is closed and nothing is sealed.
    """
    names = [one.source.name for one in pulls]
    if len(set(names)) != len(names):
        raise ConfigurationError(
            f"two sources have one name: {', '.join(sorted(names))}", advice="Give each source a name of its own."
        )
    past = History(store, estate, accepted)
    before = {name: past.reports(name) for name in names}
    for name, reports in before.items():
        for table in reports:
            past.baseline(name, table)  # a damaged snapshot is better found now than after hours of reading
    writer = store.create(estate=estate, as_of=as_of, started_at=clock.now())
    readings = [SourceReading(one, writer, before=before[one.source.name], report=report, sleep=sleep) for one in pulls]
    try:
        if memory is not None:
            writer.remember(memory)
        async with asyncio.TaskGroup() as group:
            for reading in readings:
                group.create_task(reading.read())
        snapshot = _seal(readings, writer, past, limits, report=report, matchers=matchers)
    except BaseExceptionGroup as errors:
        writer.abandon()
        raise _first(errors) from errors
    except BaseException:
        writer.abandon()
        raise
    return snapshot


def _seal(
    readings: Sequence[SourceReading],
    writer: SnapshotWriter,
    past: History,
    limits: Limits,
    *,
    report: Callable[[Progress], None],
    matchers: Sequence[str],
) -> Snapshot:
    for reading in readings:
        # First what already is in doubt, so that a drop is held for its own sake only; then what a hold puts in doubt.
        judge_fan_out(reading.outcomes)
        selected = reading.pull.settings.tables
        withdrawn = reading.entry().unknown
        hold(
            reading.name,
            reading.outcomes,
            past,
            limits,
            writer=writer,
            selected=selected,
            withdrawn=withdrawn,
            matchers=matchers,
        )
        judge_fan_out(reading.outcomes)
        for outcome in reading.outcomes.values():
            report(Progress(reading.name, outcome.table, outcome.rows, outcome.status))
    gone = past.left([reading.name for reading in readings])
    left = [(entry, held) for entry in gone if (held := hold_left(entry, past, snapshot_id=writer.snapshot_id))]
    outcomes = [(reading.name, outcome) for reading in readings for outcome in reading.outcomes.values()]
    outcomes += [(entry.name, outcome) for entry, held in left for outcome in held.values()]
    folder = writer.seal(
        sources=[
            *(reading.entry() for reading in readings),
            *(msgspec.structs.replace(entry, reports={t: o.columns for t, o in held.items()}) for entry, held in left),
        ],
        coverage=[entry for name, outcome in outcomes for entry in outcome.entries(name)],
        sealed_at=clock.now(),
    )
    return Snapshot(folder)


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error that is no group itself: the others followed from it, or can wait for it."""
    inner = errors.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
