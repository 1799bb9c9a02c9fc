"""What came of reading a source, table by table and part by part, before it is sealed."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.log import redact
from reconciler.sdk.connector import Gap, Page, Partition, Status
from reconciler.sdk.errors import Refused, SourceError
from reconciler.snapshot.manifest import CoverageEntry, FileEntry, GapEntry

GAPS = 1_000
"""Gaps that are kept in full per partition; more are counted."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a table of a source is; ``status`` is None until nothing can change it any more."""

    source: str
    table: str
    rows: int
    status: Status | None = None


@dataclass(slots=True)
class Part:
    """One partition: what came, what did not, and the file that holds the rows (None: no rows, or discarded)."""

    partition: Partition
    rows: int = 0
    total: int | None = None
    closed: bool = False
    """Whether the chain was read to its end; nothing is COMPLETE that was not."""
    gaps: dict[Gap, None] = field(default_factory=dict)
    """Each gap once, in the order found."""
    more_gaps: int = 0
    canaries: set[str] = field(default_factory=set)
    file: FileEntry | None = None
    keys: array[int] = field(default_factory=lambda: array("q"))

    @property
    def status(self) -> Status:
        """FAILED where the end was not reached, PARTIAL with any gap, else COMPLETE."""
        if not self.closed:
            return Status.FAILED
        return Status.PARTIAL if self.gaps else Status.COMPLETE

    def add_page(self, page: Page) -> None:
        """Count a page; its provider's count, where it gives one, replaces that of the page before."""
        self.rows += len(page.rows)
        self.total = self.total if page.total is None else page.total
        self.canaries |= page.canaries
        for gap in page.gaps:
            self.add_gap(gap)

    def add_gap(self, gap: Gap) -> None:
        """Keep a gap once."""
        if gap in self.gaps:
            return
        if len(self.gaps) < GAPS:
            self.gaps[gap] = None
        else:
            self.more_gaps += 1

    def add_gap_of_its_own(self, gap: Gap) -> None:
        """Keep a gap about this partition, unless the reason why it failed says the same."""
        if self.closed or not any(gap.reason in known.reason for known in self.gaps):
            self.add_gap(gap)

    def fail(self, gap: Gap) -> None:
        """Mark as failed for the reason that ``gap`` gives."""
        self.closed = False
        self.file = None
        self.gaps = {gap: None} | self.gaps

    def restart(self) -> None:
        """Forget what came, to read the partition again from the start."""
        self.rows, self.total, self.more_gaps = 0, None, 0
        self.gaps, self.canaries = {}, set()


@dataclass(slots=True)
class TableOutcome:
    """One table of a source: its parts, and the earlier tables that it was fanned out over."""

    table: str
    columns: tuple[str, ...]
    parts: list[Part] = field(default_factory=list)
    parents: set[str] = field(default_factory=set)
    so_far: int = 0
    """Rows that came while it is being read, kept so that each page need not count every part."""

    @property
    def rows(self) -> int:
        """Rows that came, in all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def status(self) -> Status:
        """The worst of the parts."""
        found = {part.status for part in self.parts}
        return next((s for s in (Status.FAILED, Status.PARTIAL) if s in found), Status.COMPLETE)

    def add_gap(self, reason: str, *, subject: str = "") -> None:
        """Add one gap to every part: the table as a whole is in doubt."""
        for part in self.parts:
            part.add_gap(Gap(self.table, subject, reason))

    def entries(self, source: str) -> Iterator[CoverageEntry]:
        """Yield the coverage of each part; only a COMPLETE one keeps its file."""
        for part in self.parts:
            gaps = [_entry(gap) for gap in part.gaps]
            if part.more_gaps:
                reason = f"{part.more_gaps} further gaps of this kind"
                gaps.append(GapEntry(table=self.table, subject="", reason=reason, missing_permission=""))
            whole = part.status is Status.COMPLETE and part.file is not None
            yield CoverageEntry(
                source=source,
                table=self.table,
                partition=part.partition.name,
                status=part.status,
                rows=part.rows,
                provider_count=part.total,
                gaps=tuple(gaps),
                canaries=tuple(sorted(part.canaries)),
                files=(part.file,) if whole and part.file else (),
            )


def failed(table: str, columns: tuple[str, ...], gap: Gap) -> TableOutcome:
    """Return a table of which nothing could be read."""
    part = Part(Partition())
    part.fail(gap)
    return TableOutcome(table, columns, [part])


def gap_of(error: SourceError, table: str) -> Gap:
    """Say as a gap why a table or partition could not be read, and what to do about it."""
    reason = f"{error.message.rstrip('.')}. {error.advice}" if error.advice else error.message
    return Gap(table, "", reason, error.missing_permission if isinstance(error, Refused) else "")


def _entry(gap: Gap) -> GapEntry:
    return GapEntry(
        table=gap.table,
        subject=redact(gap.subject),
        reason=redact(gap.reason),
        missing_permission=redact(gap.missing_permission),
    )
