"""The source: one folder, one partition for each file, one call of `page` for each page of rows."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

from reconciler.sdk.connector import Cursor, Gap, Page, Parents, Partition
from reconciler.sdk.errors import ConfigurationError, Misbehaved, SourceError, Unreachable
from reconciler.sdk.layout import NEVER_EMPTY, Key, Layout
from reconciler.sdk.problems import LIMIT, Problems
from reconciler.sdk.records import Record

from .connector import lay_out
from .folder import DataFile, Signature, find, reading
from .formats import DeclaresTypes, Reader, reader_of
from .settings import Settings

VERSION = "1.0.0"
PAGE_ROWS = 5_000
AT_ONCE = 1_000
"""Rows that are turned into records together."""


class Chain:
    """The rows of one file, read once from top to bottom, with what has to be remembered on the way."""

    def __init__(self, file: DataFile, signature: Signature, reader: Reader, layout: Layout) -> None:
        self._file = file
        self._reader = reader
        self.layout = layout
        self._signature = signature
        self._records = self._read()
        self._ahead: Record | None = None
        self._ended = False
        self.position = 0
        """Rows handed out so far; the cursor of the next page."""

    def take(self, count: int) -> tuple[list[Record], bool]:
        """Return the next records, `count` at most, and whether there are more.

        Raises `ConfigurationError` for anything wrong in the whole rest of the file, and `Unreachable`
        (restart) where the file changed since it was opened.
        """
        with reading(self._file.shown):
            wanted = count + 1 if self._ahead is None else count
            records = [*([] if self._ahead is None else [self._ahead]), *islice(self._records, wanted)]
        if self._file.signature() != self._signature:
            raise Unreachable(
                f"{self._file.shown} changed while it was read",
                advice="Write exports to another name, then rename them; or run reconciler after the export is done.",
                restart=True,
            )
        self._ahead = records.pop() if len(records) > count else None
        self._ended = self._ahead is None
        self.position += len(records)
        return records, not self._ended

    @property
    def total(self) -> int | None:
        """The count of rows that the file itself gives; once it is read and has a header but no rows, 0."""
        count = self._reader.count()
        return 0 if count is None and self._ended and self.position == 0 else count

    def close(self) -> None:
        """Close the file."""
        self._records.close()

    def _read(self) -> Generator[Record, None, None]:
        """Yield records until the first problem; from there on only look for further problems, then raise them."""
        problems = Problems(self._file.shown, unit=self._reader.unit)
        seen: set[int] = set()
        suspects: dict[Key, list[int]] = {}
        for place, key, record in self._made(problems):
            if key is not None:
                digest = hash(key)
                if digest not in seen:
                    seen.add(digest)
                else:
                    suspects.setdefault(key, []).append(place)
                    if len(suspects) >= LIMIT:
                        self._report_twice(suspects, problems)
            if record is not None and not problems:
                yield record
        self._report_twice(suspects, problems)
        problems.stop()

    def _made(self, problems: Problems) -> Iterator[tuple[int, Key | None, Record | None]]:
        """Yield place, key and record of each row: of many at once as long as nothing is wrong."""
        rows, layout = iter(self._reader.rows(problems)), self.layout
        while some := list(islice(rows, AT_ONCE)):
            places, cells = zip(*some, strict=True)
            whole = None if problems else layout.whole(list(zip(*cells, strict=True)))
            if whole is not None:
                yield from zip(places, map(layout.key_of, whole), whole, strict=True)
            else:
                for place, row in some:
                    yield place, *layout.record(place, row, problems)

    def _report_twice(self, suspects: dict[Key, list[int]], problems: Problems) -> None:
        """Find the first row of each suspected key by reading the file again, and report the pairs.

        Only hashes are kept while reading, so that memory stays small; two keys of one hash are told apart here.
        """
        if not suspects:
            return
        ignored = Problems(self._file.shown, unit=self._reader.unit, limit=2**31)
        first: dict[Key, int] = {}
        for place, cells in self._reader.rows(ignored):
            key, _ = self.layout.record(place, cells, ignored)
            if key is not None and key in suspects:
                first.setdefault(key, place)
        for key, places in suspects.items():
            for place in places:
                if first[key] != place:
                    problems.add(
                        place,
                        f"{self.layout.describe(key)} is on {self._reader.unit} {first[key]} already",
                        "Keep one row for each key.",
                    )
        suspects.clear()


class FilesSource:
    """Read estate tables from the files of one folder; see README.md."""

    version = VERSION

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._folder = (base / Path(settings.path).expanduser()).resolve()
        self._shown = settings.path.rstrip("/") or "/"
        self.endpoint = self._folder.as_uri()
        self._chains: dict[str, Chain] = {}
        self._reading = settings.reading()

    @cached_property
    def reports(self) -> Mapping[str, frozenset[str]]:
        """Table -> columns, from the headers of the files that are there.

        The first use reads the folder and the headers (of JSON: the whole file), and raises what `check` raises.
        """
        files = self._files
        self._refuse_idle_settings(files)
        return {table: self._layout(file)[1].reported for table, file in files.items()}

    @cached_property
    def _files(self) -> dict[str, DataFile]:
        settings = self._settings
        return find(self._folder, shown=self._shown, tables=settings.tables, ignore=settings.ignore)

    async def check(self) -> Sequence[Gap]:
        """Read every header; a file shows all it has, so there are no gaps.

        Raises `ConfigurationError` for a folder or header that is wrong, `Refused` where reading is not
        allowed, `Unreachable` where the disk does not answer.
        """
        await asyncio.to_thread(lambda: self.reports)
        return ()

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:  # noqa: ARG002 - the contract's
        """Return the one file of `table`."""
        return (Partition(self._file(table).path.name),)

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        """Read the next rows of the file; `cursor` is the number of rows read before."""
        file = self._file(table)
        if partition.name != file.path.name:
            raise Misbehaved(f"{self.name}: {table} has no partition {partition.name!r}", advice="Report this defect.")
        return await asyncio.to_thread(self._page, file, cursor)

    async def close(self) -> None:
        """Close every file; safe to call twice."""
        while self._chains:
            self._chains.popitem()[1].close()

    def _page(self, file: DataFile, cursor: Cursor | None) -> Page:
        start = int(cursor or 0)
        chain = self._chains.pop(file.table, None)
        if chain is not None and (cursor is None or chain.position != start):
            chain.close()
            chain = None
        chain = chain or self._open(file)
        try:
            while chain.position < start and chain.take(min(PAGE_ROWS, start - chain.position))[1]:
                pass
            rows, more = chain.take(PAGE_ROWS)
        except (ConfigurationError, SourceError):
            chain.close()
            raise
        if more:
            self._chains[file.table] = chain
        else:
            chain.close()
        total = chain.total
        doubted = not more and chain.position == 0 and self._doubts_none_of(file.table)
        return Page(
            rows=rows,
            next=str(chain.position) if more else None,
            gaps=[self._nothing_there(file)] if doubted else (),
            total=None if doubted else total,
            canaries=self._canaries(chain.layout, rows),
        )

    def _doubts_none_of(self, table: str) -> bool:
        return table in NEVER_EMPTY and table not in self._settings.may_be_empty

    def _nothing_there(self, file: DataFile) -> Gap:
        return Gap(
            file.table,
            "",
            f"{file.shown} has no rows, as after an export that failed. Export it again; if there really are no "
            f'{file.table}, set may_be_empty = ["{file.table}"] in [sources.{self.name}].',
        )

    def _canaries(self, layout: Layout, rows: Sequence[Record]) -> frozenset[str]:
        """Return those of the configured canaries that are a key, or a part of one, of these rows."""
        wanted = set(self._settings.canaries)
        if not wanted:
            return frozenset()
        return frozenset(wanted.intersection(getattr(row, name) for row in rows for name in layout.key))

    def _file(self, table: str) -> DataFile:
        if table not in self._files:
            raise Misbehaved(f"{self.name} does not report {table}", advice="Report this defect.")
        return self._files[table]

    def _refuse_idle_settings(self, files: Mapping[str, DataFile]) -> None:
        settings = self._settings
        for key in ("columns", "ignore_columns", "sheets", "may_be_empty"):
            for table in getattr(settings, key):
                if table not in files:
                    entry = f"{key} names {table}, which" if key == "may_be_empty" else f"{key}.{table}"
                    raise ConfigurationError(
                        f"[sources.{self.name}] {entry} does nothing: {self._shown} has no file of {table}",
                        advice="Remove the entry, or add the file.",
                    )

    def _open(self, file: DataFile) -> Chain:
        """Start reading a file; its header is read again, since the columns reported must still be true."""
        signature = file.signature()
        chain = Chain(file, signature, *self._layout(file))
        if chain.layout.reported != self.reports[file.table]:
            raise ConfigurationError(
                f"{file.shown}: its columns changed while it was read",
                advice="Run again, once the export is done. Write exports to another name, then rename them.",
            )
        return chain

    def _layout(self, file: DataFile) -> tuple[Reader, Layout]:
        settings, table = self._settings, file.table
        reader = reader_of(file, settings)
        problems = Problems(file.shown, unit=reader.unit)
        with reading(file.shown):
            header = reader.header(problems)
        problems.stop()
        layout = lay_out(
            table,
            header,
            source=self.name,
            family=reader.family,
            mapping=settings.columns.get(table, {}),
            ignored=settings.ignore_columns.get(table, ()),
            reading=self._reading,
            problems=problems,
        )
        if not problems and isinstance(reader, DeclaresTypes):
            reader.check_types({header[field.index]: field.column.kind for field in layout.fields}, problems)
        problems.stop()
        return reader, layout
