"""Every fault at every request of a pull: each part of each table comes whole, or says in words why not.

A subject is a connector with its simulator. The clean pull is measured first: its requests and the rows of each
(table, partition). Then faults are injected, and what came is held against it:

- a COMPLETE part has exactly the clean rows (the clean keys, where the fault changes what stands in the objects),
  but for columns that the source withdrew and said so;
- every other part is PARTIAL or FAILED and has a gap in words; no part vanishes;
- no gap is the loop's own word for an exception that the connector should have named by its remedy;
- no planted secret stands in a log record, a gap or a file of the snapshot.

Subjects read one part after the other and ask one request at a time, so that request n is the same in every pull, and
damages another field of each item by the request's number in its pull: a failure names what to strike again.

What is not spoken to over HTTP in pages has its faults elsewhere: AWS in ``tests/connectors/aws/test_faults.py``
(errors of single calls, markers that go round, reports that never come), LDAP in
``tests/connectors/ldap/test_faults.py`` and ``test_wire.py`` (a directory that hangs up, refuses, delays and forges),
SQL in ``tests/connectors/sql`` (connections that break, statements that take too long).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from reconciler.clock import now
from reconciler.collect import Limits, Progress, Pull, pull
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Source, Status
from reconciler.sdk.settings import SourceSettings
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.columns import key_columns
from tests.simulators.http_injection import UNKNOWN, FaultKind, Injector

Part = tuple[str, str]
"""A table and one of its partitions; the empty partition is the table as a whole."""

DAMAGES = frozenset({FaultKind.UNKNOWN_VALUE, FaultKind.FIELD_MISSING, FaultKind.FIELD_MISTYPED})
"""Faults that change what stands in an object: the same objects must come, with unknown where it was damaged."""
SILENT_ENDS = frozenset({FaultKind.NEXT_MISSING, FaultKind.EMPTY_END, FaultKind.EMPTY_PAGE})
"""Faults that leave no trace in the answer itself: only a second signal of the provider's shows them."""
PASSING = frozenset(
    {
        FaultKind.THROTTLED,
        FaultKind.THROTTLED_SILENT,
        FaultKind.BAD_GATEWAY_HTML,
        FaultKind.UNAVAILABLE,
        FaultKind.CUT_BY_LENGTH,
        FaultKind.CUT_CHUNKED,
        FaultKind.RESET_BEFORE,
        FaultKind.RESET_WITHIN,
    }
)
"""Faults that pass: where one strikes once, asking again brings everything."""
ENDLESS = frozenset({FaultKind.HANG, FaultKind.DRIP})
"""Faults that end when patience does: what comes of the rest is no worse for it."""
PATIENT, HASTY = 30.0, 0.5
"""Seconds that an answer may take; a busy machine needs more than an endless answer is given."""

_DEFECTS = ("a defect of the connector, not of the source", "a defect of the connector: its own call was cancelled")
"""What the loop says of an exception that has no remedy."""


@dataclass(frozen=True)
class Subject:
    """A connector over its simulator.

    ``blind`` are the parts whose end the provider vouches for by nothing but the absence of a next link, so that a
    silent end of one of their lists cannot be told from the truth; the connector's README names them. ``staying`` are
    kinds that pass elsewhere and need not pass here.
    """

    name: str
    faults: Injector
    open: Callable[[float], tuple[Source, SourceSettings]]
    """Takes the seconds that an answer may take."""
    secrets: Callable[[], Iterable[str]]
    blind: Mapping[FaultKind, frozenset[Part]] = field(default_factory=dict)
    staying: frozenset[FaultKind] = frozenset()


@dataclass(frozen=True)
class Read:
    """What came of one part."""

    status: Status
    rows: tuple[Mapping[str, Any], ...] = ()
    gaps: tuple[str, ...] = ()

    def told(self, columns: Iterable[str] | None = None, *, without: Iterable[str] = ()) -> list[str]:
        """Return the rows in order as texts: of some columns, or of all but some."""
        left = set(without)
        names = None if columns is None else set(columns)
        return sorted(
            repr(sorted((k, v) for k, v in row.items() if k not in left and (names is None or k in names)))
            for row in self.rows
        )


@dataclass
class Pulled:
    """One pull: its parts, how many requests it took, and all texts that left the process."""

    parts: dict[Part, Read]
    requests: int
    texts: list[str]
    columns: dict[str, frozenset[str]]
    """Table -> the columns that the source says it filled."""
    unknown: dict[str, str]
    """``table.column`` -> why the source withdrew it."""


class _Records(logging.Handler):
    """Keeps every log record as the text that a formatter makes of it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(self.format(record))


async def pull_once(subject: Subject, as_of: datetime | None = None, *, seconds: float = PATIENT) -> Pulled:
    """Pull everything into a store of its own, waiting nowhere between retries, and so long for an answer."""
    records, root = _Records(), logging.getLogger()
    level = root.level
    root.addHandler(records)
    root.setLevel(logging.DEBUG)
    subject.faults.number = 0
    try:
        with tempfile.TemporaryDirectory() as folder:
            source, settings = subject.open(seconds)
            snapshot = await pull(
                [Pull(source, settings.connector, settings)],
                SnapshotStore(Path(folder)),
                estate="conformance",
                as_of=as_of or now(),
                limits=Limits(),
                accepted=(),
                report=_ignore,
                sleep=_at_once,
            )
            parts = _parts(snapshot)
            (entry,) = snapshot.manifest.sources
            columns = {table: frozenset(names) for table, names in entry.reports.items()}
            texts = records.texts + _files(Path(folder))
    finally:
        root.removeHandler(records)
        root.setLevel(level)
    return Pulled(parts, subject.faults.number, texts, columns, dict(entry.unknown))


def breaches(subject: Subject, clean: Pulled, found: Pulled, kind: FaultKind) -> list[str]:
    """Return in words every part that claims more than it has, or hides what it lacks."""
    told: list[str] = []
    for part, whole in clean.parts.items():
        table, partition = part
        came = found.parts.get(part) or found.parts.get((table, "")) or found.parts.get(("", ""))
        shown = f"{table}/{partition}"
        told += [f"{shown}: {gap}" for gap in (came.gaps if came else ()) if gap.startswith(_DEFECTS)]
        if came is None:
            told.append(f"{shown} vanished from the coverage")
        elif came.status is not Status.COMPLETE:
            if not came.gaps or not all(len(gap.split()) > 1 for gap in came.gaps):
                told.append(f"{shown} is {came.status} without a gap in words: {came.gaps}")
        elif kind in DAMAGES:
            names = key_columns(tables()[table])
            keys, expected = came.told(names), whole.told(names)
            # A value that nobody knows may be part of a key, and is then kept as it came.
            strange = [key for key in set(keys) - set(expected) if UNKNOWN not in key]
            if strange or len(keys) != len(expected):
                told.append(f"{shown} is COMPLETE with other objects: {_difference(expected, keys)}")
        else:
            withdrawn = clean.columns[table] - found.columns.get(table, frozenset())
            told += [f"{table}.{name} is missing without a word" for name in withdrawn if not _why(found, table, name)]
            told += [f"{table}.{name} is withdrawn and filled" for name in withdrawn if _filled(came, name)]
            rows, expected = came.told(without=withdrawn), whole.told(without=withdrawn)
            if rows != expected and not (len(rows) < len(expected) and part in subject.blind.get(kind, ())):
                told.append(f"{shown} is COMPLETE with other rows: {_difference(expected, rows)}")
    return told


def _why(found: Pulled, table: str, name: str) -> bool:
    return len(found.unknown.get(f"{table}.{name}", "").split()) > 1


def _filled(came: Read, name: str) -> bool:
    return any(row.get(name) is not None for row in came.rows)


def leaks(found: Pulled, secrets: Iterable[str]) -> list[str]:
    """Return where a secret stands, without repeating it."""
    whole = "\n".join(found.texts)
    return [
        f"the secret {secret[:4]}... stands in: {text.replace(secret, '<SECRET>')[:300]}"
        for secret in secrets
        if secret in whole
        for text in found.texts
        if secret in text
    ]


def places(requests: int, *, apart: int, phase: float) -> list[int]:
    """Return request numbers spread evenly over a pull, about ``apart`` from each other.

    ``phase`` from 0 to 1 moves them all within their stretch. They stand so far apart that the retries of one page do
    not meet the next fault.
    """
    count = max(1, requests // apart)
    return [int((index + phase) * requests / count) + 1 for index in range(count)]


def _difference(whole: Sequence[str], came: Sequence[str]) -> str:
    lacking, strange = sorted(set(whole) - set(came)), sorted(set(came) - set(whole))
    return f"{len(whole)} expected, {len(came)} came; lacking {lacking[:2]}, strange {strange[:2]}"[:600]


def _parts(snapshot: Snapshot) -> dict[Part, Read]:
    found: dict[Part, Read] = {}
    for entry in snapshot.manifest.coverage:
        rows: list[dict[str, Any]] = []
        for file in entry.files:
            rows += pq.read_table(snapshot.folder / file.path).to_pylist()
        gaps = tuple(gap.words for gap in entry.gaps)
        found[entry.table, entry.partition] = Read(entry.status, tuple(rows), gaps)
    return found


def _files(folder: Path) -> list[str]:
    """Return the text of every file; of Parquet, which is compressed, its values too."""
    texts = []
    for path in folder.rglob("*"):
        if path.is_file():
            texts.append(path.read_bytes().decode("latin-1"))
        if path.suffix == ".parquet":
            texts.append(repr(pq.read_table(path).to_pylist()))
    return texts


def _ignore(progress: Progress) -> None:
    """Take no notice of progress."""


async def _at_once(seconds: float) -> None:
    """Wait for nothing."""
