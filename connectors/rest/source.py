"""The source: one partition for each table, one call of `page` for each page of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from reconciler.sdk.connector import Cursor, Gap, Page, Parents, Partition
from reconciler.sdk.errors import Misbehaved, Refused, SourceError, Throttled, Unreachable
from reconciler.sdk.layout import NEVER_EMPTY
from reconciler.sdk.records import RECORDS

from .client import Client
from .connector import Fields, Wrong, optional
from .settings import Settings

VERSION = "1.0.0"


class RestSource:
    """Read estate tables from a JSON interface; see README.md."""

    version = VERSION

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._base = base
        reading = replace(settings.reading(), epoch=settings.epoch)
        wanted = settings.tables
        self._fields = {
            table: Fields(table, settings.mapping[table], source=name, reading=reading)
            for table in RECORDS
            if table in settings.mapping and (wanted is None or table in wanted)
        }

    @cached_property
    def _client(self) -> Client:
        return Client(self.name, self._settings, self._base)

    @property
    def endpoint(self) -> str:
        """Scheme, host and port of the service."""
        return self._client.origin

    @property
    def reports(self) -> Mapping[str, frozenset[str]]:
        """Table -> columns that the mapping fills."""
        return {table: fields.layout.reported for table, fields in self._fields.items()}

    async def check(self) -> Sequence[Gap]:
        """Read one page of every table, and say which tables and columns cannot be read.

        Raises what keeps all tables from being read, and at once what may pass.
        """
        gaps: list[Gap] = []
        refused: list[SourceError] = []
        for table, fields in self._fields.items():
            try:
                items, _, _ = await self._client.page(table, None)
            except (Unreachable, Throttled):
                raise
            except SourceError as error:
                missing = error.missing_permission if isinstance(error, Refused) else ""
                gaps.append(Gap(table, "", error.told, missing))
                refused.append(error)
                continue
            gaps += self._absent(fields, items)
        if refused and len(refused) == len(self._fields):
            raise refused[0]
        return gaps

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:  # noqa: ARG002 - the contract's
        """Return the one part of a table."""
        if table not in self._fields:
            raise Misbehaved(f"{self.name} does not report {table}", advice="Report this defect.")
        return (Partition(),)

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:  # noqa: ARG002
        """Read one page; `cursor` is a link, a token, an offset or a page number, as the paging has it."""
        fields = self._fields[table]
        items, following, total = await self._client.page(table, cursor)
        wrong = Wrong(self.name, table)
        rows = fields.records(items, wrong)
        gaps = wrong.all()
        nothing = cursor is None and following is None and not items
        if nothing and table in NEVER_EMPTY and table not in self._settings.may_be_empty:
            gaps, total = [self._nothing_there(table)], None
        canaries = {str(value) for row in rows for value in fields.keys(row)}.intersection(self._settings.canaries)
        return Page(rows=rows, next=following, gaps=gaps, total=total, canaries=frozenset(canaries))

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    def _absent(self, fields: Fields, items: Sequence[object]) -> list[Gap]:
        """Return a gap for each column whose name no row has: it cannot be told from one that is misspelt."""
        table = fields.table
        if self._settings.mapping[table].omits_null:
            return []
        may_go = optional(table)
        return [
            Gap(
                table,
                "",
                f"[sources.{self.name}.mapping.{table}.columns] {column}: no row of the first page has {name}. Correct "
                "the expression or the rights; or set omits_null = true where the service leaves out what is null.",
                column=column if column in may_go else "",
            )
            for column, name in fields.absent(items)
        ]

    def _nothing_there(self, table: str) -> Gap:
        return Gap(
            table,
            "",
            f"the service gives no rows, as where these credentials may not see them. If there really are no {table}, "
            f'set may_be_empty = ["{table}"] in [sources.{self.name}].',
        )
