"""The source: one transaction, one partition for each table, one call of `page` for each page of rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NoReturn, TypeVar

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from reconciler.sdk.connector import Cursor, Gap, Page, Parents, Partition
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.layout import NEVER_EMPTY, Layout, misfits
from reconciler.sdk.problems import Problems
from reconciler.sdk.records import RECORDS, Record
from reconciler.sdk.secrets import SecretRef, conceal, reveal
from reconciler.sdk.settings import known_table

from .client import Session, Stream, bare, counting
from .dialects import engine_of, manner_of, sqlite_path
from .failures import Asked
from .settings import Settings

T = TypeVar("T")

VERSION = "1.0.0"
GRACE_SECONDS = 30.0
"""How long after its own limit a call may stay away before the connection is cut."""


class _Reading:
    """One table under way."""

    def __init__(self, stream: Stream, total: int) -> None:
        self.stream = stream
        self.total = total
        self.position = 0


class SqlSource:
    """Read estate tables by queries; see README.md."""

    version = VERSION

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._base = base
        self._session: Session | None = None
        self._layouts: dict[str, Layout] = {}
        self._open: dict[str, _Reading] = {}
        self._done: set[str] = set()
        self._earlier: set[str] = set()
        """Tables that were read in a transaction that ended before its time."""
        self._turn = asyncio.Lock()

    @cached_property
    def endpoint(self) -> str:
        """The database without user and password."""
        url = self._url
        if url.get_backend_name() == "sqlite":
            return self._tell(lambda: sqlite_path(url, self._base)).as_uri()
        place = f":{url.port}" if url.port else ""
        return f"{url.get_backend_name()}://{url.host or 'localhost'}{place}/{url.database or ''}"

    @property
    def reports(self) -> Mapping[str, frozenset[str]]:
        """Table -> columns, as the queries name them; before `check`, and where a query fails, the key alone."""
        keys = {table: Layout.of(table, self.name, ()).reported for table in self._queries}
        return keys | {table: layout.reported for table, layout in self._layouts.items()}

    async def check(self) -> Sequence[Gap]:
        """Begin the transaction and have every query name its columns.

        Raises ``ConfigurationError`` for a query whose columns do not fit, and what keeps all tables from being read.
        """
        async with self._turn:
            gaps, last = [], None
            for table in self._queries:
                try:
                    await self._call(self._describe, table)
                except SourceError as error:
                    if isinstance(error, Unreachable) and self._session is None:
                        raise
                    missing = error.missing_permission if isinstance(error, Refused) else ""
                    gaps.append(Gap(table, "", error.told, missing))
                    last = error
        if last is not None and len(gaps) == len(self._queries):
            raise last
        return gaps

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:  # noqa: ARG002 - the contract's
        """Return the one part of a table: its query."""
        if table not in self._queries:
            raise Misbehaved(f"{self.name} does not report {table}", advice="Report this defect.")
        return (Partition(),)

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:  # noqa: ARG002
        """Fetch the next rows; `cursor` is the number of rows read before.

        A stream that broke cannot be resumed: ``Unreachable`` with ``restart``.
        """
        async with self._turn:
            return await self._call(self._page, table, int(cursor or 0))

    async def close(self) -> None:
        """End the transaction; safe to call twice."""
        async with self._turn:
            await asyncio.to_thread(self._drop)

    async def _call(self, work: Callable[..., T], *about: object) -> T:
        """Do blocking work in a thread; cut the connection under work that does not come back."""
        limit = self._settings.statement_seconds + self._settings.connect_seconds + GRACE_SECONDS
        task = asyncio.ensure_future(asyncio.to_thread(work, *about))
        done, _ = await asyncio.wait({task}, timeout=limit)
        if not done and self._session is not None:
            self._session.abort()
            await asyncio.wait({task}, timeout=GRACE_SECONDS)
        if not task.done():
            raise Unreachable(f"{self.name}: no answer in time", advice="Check the database.", restart=True)
        return task.result()

    def _describe(self, table: str) -> None:
        stream = self._connected().stream(self._queries[table], self._asked(table))
        stream.close()
        self._layouts[table] = self._layout(table, stream)

    def _page(self, table: str, start: int) -> Page:
        try:
            return self._read(table, start)
        except Unreachable:
            # The transaction is over, and with it what it saw: every table begun has to be read again.
            self._earlier |= self._done
            self._done.clear()
            self._drop()
            raise
        except (ConfigurationError, SourceError):
            self._forget(table)
            raise

    def _read(self, table: str, start: int) -> Page:
        asked, settings = self._asked(table), self._settings
        if start == 0:
            self._forget(table)
            self._open[table] = self._begin(table)
        reading = self._open.get(table)
        if reading is None or reading.position != start:
            raise Unreachable(f"{asked.place}: the stream is gone", advice="It is read again.", restart=True)
        cells = self._connected().fetch(reading.stream, settings.page_size, asked)
        rows = self._records(table, reading.position, cells)
        reading.position += len(cells)
        more = len(cells) == settings.page_size
        if not more:
            self._forget(table)
            self._done.add(table)
        gaps = [self._apart(table)] if not more and self._earlier else []
        doubted = not more and reading.position == 0 and table in NEVER_EMPTY and table not in settings.may_be_empty
        return Page(
            rows=rows,
            next=str(reading.position) if more else None,
            gaps=(*gaps, *([self._nothing_there(table)] if doubted else [])),
            total=None if doubted else reading.total,
            canaries=self._canaries(table, rows),
        )

    def _begin(self, table: str) -> _Reading:
        query, asked = self._queries[table], self._asked(table)
        counts = self._settings.counts.get(table)
        session = self._connected()
        counted = Asked(self.name, f"counts.{table}") if counts else asked
        total = session.count(bare(counts) if counts else counting(query), counted)
        stream = session.stream(query, asked)
        try:
            self._layouts[table] = self._layout(table, stream)
        except ConfigurationError:
            stream.close()
            raise
        return _Reading(stream, total)

    def _records(self, table: str, before: int, cells: Sequence[Sequence[object]]) -> list[Record]:
        problems = Problems(self._asked(table).place, unit="row", what="query", error=Misbehaved)
        found = self._layouts[table].records(before + 1, cells, problems)
        problems.stop()
        return found

    def _layout(self, table: str, stream: Stream) -> Layout:
        # Oracle, and others of its age, name columns in capitals.
        names = [name.lower() for name in stream.names]
        if wrong := "; ".join(misfits(table, names)):
            raise ConfigurationError(
                f"{self._asked(table).where}: {wrong}",
                advice="Name the columns of the query as the estate does: SELECT personnel_no AS person_id, ...",
            )
        return Layout.straight(table, names, source=self.name, family="sql", reading=self._settings.reading())

    def _canaries(self, table: str, rows: Sequence[Record]) -> frozenset[str]:
        wanted = set(self._settings.canaries)
        return frozenset(
            wanted.intersection(getattr(row, name) for row in rows for name in self._layouts[table].key)
            if wanted
            else ()
        )

    def _apart(self, table: str) -> Gap:
        return Gap(
            table,
            "",
            f"the connection was lost after {', '.join(t for t in RECORDS if t in self._earlier)} had been read: what "
            "changed meanwhile is in one and not in the other. Pull again.",
        )

    def _nothing_there(self, table: str) -> Gap:
        return Gap(
            table,
            "",
            f"the query gives no rows, as where the reader may not see them. If there really are no {table}, "
            f'set may_be_empty = ["{table}"] in [sources.{self.name}].',
        )

    def _connected(self) -> Session:
        if self._session is None:
            settings = self._settings
            manner = manner_of(self._url.get_backend_name(), settings)
            self._session = Session(
                self._engine, manner, Asked(self.name), page_size=settings.page_size, seconds=settings.statement_seconds
            )
        return self._session

    def _drop(self) -> None:
        for table in tuple(self._open):
            self._forget(table)
        if self._session is not None:
            self._session.close()
            self._session = None

    def _forget(self, table: str) -> None:
        reading = self._open.pop(table, None)
        if reading is not None:
            reading.stream.close()

    def _asked(self, table: str) -> Asked:
        return Asked(self.name, f"queries.{table}")

    @cached_property
    def _engine(self) -> Engine:
        return self._tell(lambda: engine_of(self._url, self._settings, self._base))

    @cached_property
    def _url(self) -> URL:
        settings = self._settings
        text = self._revealed("url", settings.url) if isinstance(settings.url, SecretRef) else settings.url
        url = self._tell(lambda: make_url(text))
        if settings.password is not None:
            url = url.set(password=self._revealed("password", settings.password))
        if url.password:
            conceal(url.password)
        return url

    def _revealed(self, key: str, reference: SecretRef) -> str:
        try:
            return reveal(reference)
        except ConfigurationError as error:
            raise ConfigurationError(f"[sources.{self.name}] {key}: {error.message}", advice=error.advice) from None

    def _tell(self, make: Callable[[], T]) -> T:
        """Return what ``make`` makes; say of what is wrong with the URL what it is, never the URL itself."""
        key = f"[sources.{self.name}] url"
        try:
            return make()
        except (NoSuchModuleError, ModuleNotFoundError) as error:
            raise ConfigurationError(
                f"{key} names a database whose driver is not installed: {error}",
                advice="Install the driver beside reconciler; sqlite and postgresql+psycopg are there.",
            ) from None
        except ArgumentError:
            raise ConfigurationError(
                f"{key} is no SQLAlchemy URL", advice="Write for example postgresql+psycopg://reader@host/database."
            ) from None
        except ValueError as error:
            raise ConfigurationError(f"{key}: {error}", advice="Correct the URL.") from None

    @cached_property
    def _queries(self) -> dict[str, str]:
        """Table -> query, in the order of the estate's tables."""
        found = dict(self._settings.queries)
        if self._settings.queries_folder is not None:
            for table, query in self._from_folder(self._base / self._settings.queries_folder).items():
                if table in found:
                    self._refuse(f"queries and queries_folder both have {table}", "Keep one of them.")
                found[table] = query
        if strange := [table for table in self._settings.counts if table not in found]:
            self._refuse(f"counts.{strange[0]} does nothing: there is no query of {strange[0]}", "Remove it.")
        if strange := [entry for entry in self._settings.may_be_empty if entry not in found]:
            self._refuse(f"may_be_empty names {strange[0]}, of which there is no query", "Correct the entry.")
        wanted = self._settings.tables
        if strange := [table for table in wanted or () if table not in found]:
            advice = f"Use some of: {', '.join(found)}; or leave `tables` out."
            self._refuse(f"tables names {', '.join(strange)}, of which there is no query", advice)
        return {table: bare(found[table]) for table in RECORDS if table in found and (not wanted or table in wanted)}

    def _from_folder(self, folder: Path) -> dict[str, str]:
        try:
            texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.sql"))}
        except (OSError, UnicodeDecodeError) as error:
            self._refuse(f"queries_folder cannot be read: {error}", "Check the files.")
        if not texts:
            self._refuse(f"queries_folder {self._settings.queries_folder} holds no .sql file", "Write TABLE.sql there.")
        for table, text in texts.items():
            try:
                known_table(table)
            except ValueError as error:
                self._refuse(f"queries_folder: {table}.sql: {error}", "Name each file after its table.")
            if not bare(text):
                self._refuse(f"queries_folder: {table}.sql is empty", "Write the query into it.")
        return texts

    def _refuse(self, message: str, advice: str) -> NoReturn:
        raise ConfigurationError(f"[sources.{self.name}] {message}", advice=advice)
