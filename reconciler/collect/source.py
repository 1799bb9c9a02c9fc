"""Reading one source: its tables in estate order, their partitions side by side, pages in sequence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from reconciler.collect.asking import REPORT, close, guarded
from reconciler.collect.chain import Chain
from reconciler.collect.outcome import Part, Progress, TableOutcome, failed, gap_of
from reconciler.collect.patience import Patience, Sleep
from reconciler.collect.verdicts import judge_canaries, judge_count, judge_duplicates
from reconciler.errors import ConfigurationError, SourceError
from reconciler.estate.tables import tables
from reconciler.log import redact
from reconciler.sdk.connector import Gap, Page, Partition, Source
from reconciler.sdk.errors import Misbehaved
from reconciler.sdk.records import RECORDS
from reconciler.sdk.settings import SourceSettings
from reconciler.snapshot.manifest import SourceEntry
from reconciler.snapshot.writer import PartitionWriter, SnapshotWriter

T = TypeVar("T")
Columns = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Pull:
    """A source to read, the connector that made it, and its settings."""

    source: Source
    connector: str
    settings: SourceSettings


class SourceReading:
    """One pull of one source into a snapshot in the making."""

    def __init__(
        self,
        pull: Pull,
        writer: SnapshotWriter,
        *,
        before: Columns,
        report: Callable[[Progress], None],
        sleep: Sleep,
    ) -> None:
        """Take what the pull needs; ``before`` are the tables that the source reported in the last snapshot."""
        self.pull = pull
        self.outcomes: dict[str, TableOutcome] = {}
        self._source = pull.source
        self._settings = pull.settings
        self._writer = writer
        self._before = before
        self._report = report
        self._patience = Patience(pull.settings.retry_seconds, sleep)
        self._unknown: dict[str, str] = {}

    @property
    def name(self) -> str:
        """The source's name in the configuration."""
        return self._source.name

    def entry(self) -> SourceEntry:
        """Return the source as the manifest keeps it."""
        return SourceEntry(
            name=self.name,
            connector=self.pull.connector,
            version=self._source.version,
            endpoint=self._source.endpoint,
            reports={outcome.table: outcome.columns for outcome in self.outcomes.values()},
            unknown=dict(self._unknown),
        )

    async def read(self) -> None:
        """Read every table into ``outcomes``, then close the source.

        What the source does wrong ends up in the outcomes. Raises ``ConfigurationError`` and ``StoreError``
        only, which concern the whole pull.
        """
        try:
            try:
                gaps = tuple(await self._ask(self._source.check))
                declared = self._less(await self._ask(self._declared), gaps)
            except SourceError as error:
                for table, columns in (await self._supposed()).items():
                    self.outcomes[table] = failed(table, columns, gap_of(error, table))
                return
            for table, columns in declared.items():
                self.outcomes[table] = await self._table(table, columns)
            self._spread([gap for gap in gaps if not gap.column])
            self._doubt_idle_entries()
            judge_canaries(list(self.outcomes.values()), self._settings.canaries)
        finally:
            await close(self._source)

    async def _declared(self) -> Columns:
        """Return the tables to read with their columns, in estate order."""
        reports = self._source.reports
        known = tables()
        strange = [f"{t}.{c}" for t, cs in reports.items() for c in cs if t not in known or known[t].column(c) is None]
        strange += [t for t in reports if t not in RECORDS]
        if strange:
            raise Misbehaved(
                f"the connector reports what the estate does not have: {', '.join(strange)}", advice=REPORT
            )
        wanted = self._settings.tables
        if wanted is not None and (unread := [table for table in wanted if table not in reports]):
            raise ConfigurationError(
                f"[sources.{self.name}] tables names {', '.join(unread)}, which the connector {self.pull.connector} "
                "does not report",
                advice=f"Use some of: {', '.join(t for t in RECORDS if t in reports)}; or leave `tables` out.",
            )
        chosen = {
            table: tuple(c.name for c in known[table].columns if c.name in reports[table])
            for table in RECORDS
            if table in reports and (wanted is None or table in wanted)
        }
        if not chosen:
            raise ConfigurationError(
                f"[sources.{self.name}] reads no table at all",
                advice="Name at least one table in `tables`, or remove the source.",
            )
        return chosen

    def _less(self, declared: Columns, gaps: Sequence[Gap]) -> Columns:
        """Return the columns without those that ``check`` found cannot be filled; keeps why."""
        for gap in gaps:
            if not gap.column or gap.table not in declared:
                continue
            columns = declared[gap.table]
            if gap.column not in columns or gap.column in tables()[gap.table].key:
                raise Misbehaved(
                    f"the connector withdraws {gap.table}.{gap.column}, which it never declared or is part of the key",
                    advice=REPORT,
                )
            declared[gap.table] = tuple(name for name in columns if name != gap.column)
            grant = f" (missing: {gap.missing_permission})" if gap.missing_permission else ""
            self._unknown[f"{gap.table}.{gap.column}"] = redact(f"{gap.reason}{grant}")
        return declared

    def _doubt_idle_entries(self) -> None:
        """Doubt a table for which ``may_be_empty`` names a part that it does not have: a typing error, most likely."""
        for entry in self._settings.may_be_empty:
            table, _, part = entry.partition("/")
            outcome = self.outcomes.get(table)
            if outcome is None or not part or any(p.partition.name in {part, ""} for p in outcome.parts):
                continue
            parts = ", ".join(p.partition.name for p in outcome.parts)
            outcome.add_gap(f"may_be_empty names {entry}, and the parts of {table} are: {parts}. Correct the entry.")

    async def _supposed(self) -> Columns:
        """Return the tables that could not be read: those declared, else those of the last snapshot.

        Where neither is known the source still fails visibly, under a table without a name.
        """
        try:
            return await self._ask(self._declared)
        except SourceError:
            wanted = self._settings.tables
            before = {t: columns for t, columns in self._before.items() if wanted is None or t in wanted}
            return before or dict.fromkeys(wanted or [""], ())

    async def _table(self, table: str, columns: tuple[str, ...]) -> TableOutcome:
        rows = _Pulled(self._writer, self.outcomes, set(self._source.reports))
        try:
            listed = await self._ask(lambda: self._source.partitions(table, rows))
            partitions = self._checked(listed)
        except SourceError as error:
            return failed(table, columns, gap_of(error, table))
        outcome = TableOutcome(table, columns, [Part(partition) for partition in partitions])
        queue = iter(outcome.parts)

        async def work() -> None:
            for part in queue:
                await self._part(outcome, part)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._settings.concurrency, len(partitions))):
                group.create_task(work())
        outcome.parents = rows.used
        judge_duplicates(outcome, self._writer)
        if not outcome.parts:
            outcome.parts.append(Part(Partition(), closed=True))
            # Nothing to fan out over, on the word of a table that was read whole, is a true zero.
            if not rows.used:
                judge_count(outcome.parts[0], table, self._settings.may_be_empty)
        return outcome

    def _checked(self, listed: object) -> tuple[Partition, ...]:
        partitions = tuple(listed) if isinstance(listed, list | tuple) else (listed,)
        if not all(isinstance(partition, Partition) for partition in partitions):
            raise Misbehaved("the connector listed something that is no partition", advice=REPORT)
        if len(set(partitions)) != len(partitions):
            raise Misbehaved("the connector listed the same partition twice", advice=REPORT)
        return partitions

    async def _part(self, outcome: TableOutcome, part: Part) -> None:
        out = self._writer.partition(self.name, outcome.table)
        try:
            await self._patience.start_over(lambda: self._pages(outcome, part, out))
            part.file, part.keys, part.closed = out.finish(), out.keys, True
        except SourceError as error:
            out.discard()
            part.fail(gap_of(error, outcome.table))
        except BaseException:
            out.discard()
            raise
        else:
            judge_count(part, outcome.table, self._settings.may_be_empty)

    async def _pages(self, outcome: TableOutcome, part: Part, out: PartitionWriter) -> None:
        out.discard()
        outcome.so_far -= part.rows
        part.restart()
        chain = Chain(self._source.endpoint)
        cursor: str | None = None
        while True:
            page = chain.accept(await self._page(outcome.table, part.partition, cursor))
            out.write(page.rows)
            part.add_page(page)
            chain.look_for_rounds(out.keys)
            outcome.so_far += len(page.rows)
            self._report(Progress(self.name, outcome.table, outcome.so_far))
            cursor = page.next
            if cursor is None:
                return
            # A source that never really waits must not keep the others, or Ctrl-C, from their turn.
            await asyncio.sleep(0)

    async def _page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        return await self._ask(lambda: self._source.page(table, partition, cursor))

    async def _ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call the connector with patience; an error that it should have named is its defect."""
        return await self._patience.ask(lambda: guarded(call))

    def _spread(self, gaps: Sequence[Gap]) -> None:
        """Bring each gap to what it is about: its table, and there the partition that its subject names, if any.

        One about no table that was read concerns them all.
        """
        moved = [
            gap
            for outcome in self.outcomes.values()
            for part in outcome.parts
            for gap in part.gaps
            if gap.table != outcome.table
        ]
        for gap in (*gaps, *moved):
            about = [self.outcomes[gap.table]] if gap.table in self.outcomes else list(self.outcomes.values())
            if gap.table in RECORDS and gap.table not in self.outcomes:
                continue  # about a table that the configuration leaves out
            for outcome in about:
                named = [part for part in outcome.parts if gap.subject and part.partition.name == gap.subject]
                for part in named:
                    part.add_gap_of_its_own(replace(gap, subject=""))
                for part in outcome.parts if not named else ():
                    part.add_gap(gap)


class _Pulled:
    """The rows of this source that are already on disk; remembers which tables were looked at."""

    def __init__(self, writer: SnapshotWriter, outcomes: Mapping[str, TableOutcome], reported: set[str]) -> None:
        self.used: set[str] = set()
        self._writer = writer
        self._outcomes = outcomes
        self._reported = reported

    def values(self, table: str, column: str) -> Iterator[str]:
        """Yield the known values of one text column of an earlier table, in the order of its partitions."""
        if table not in self._outcomes:
            if table in self._reported:
                raise ConfigurationError(
                    f"a table of this source is read over its {table}, which `tables` leaves out",
                    advice=f"Add {table} to `tables` of the source.",
                )
            raise Misbehaved(f"the connector looks back at {table}, which was not read before", advice=REPORT)
        known = tables()[table].column(column)
        if known is None or known.type is not str:
            raise Misbehaved(f"the connector looks back at {table}.{column}, which is no text column", advice=REPORT)
        self.used.add(table)
        return self._read(self._outcomes[table], column)

    def _read(self, outcome: TableOutcome, column: str) -> Iterator[str]:
        for part in outcome.parts:
            if part.file is not None:
                for (values,) in self._writer.read(part.file, [column]):
                    yield from (value for value in values if isinstance(value, str))
