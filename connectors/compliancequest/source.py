"""The source: one object and one chain of pages for each estate table."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

from reconciler.sdk.connector import Cursor, Gap, Page, Parents, Partition
from reconciler.sdk.errors import ConfigurationError, Misbehaved

from .access import read_sight
from .chain import ROUNDS, Memory, State, from_cursor, since, to_cursor
from .client import Answer, Client, MalformedQuery, NotShown
from .planning import Plan, make_plan
from .settings import Settings

VERSION = "1.0.0"


class ComplianceQuestSource:
    """Read governance tables from the objects of one Salesforce org; see README.md."""

    version = VERSION

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._mappings = settings.mappings
        self._client = Client(settings, base, page_size=settings.page_size)
        self._reading = settings.reading()
        self._canaries = frozenset(settings.canaries)
        self._plans: dict[str, Plan] = {}
        self._turn = asyncio.Lock()
        self._memories: dict[str, Memory] = {}
        self.endpoint = self._client.origin
        self.reports: Mapping[str, frozenset[str]] = {
            table: frozenset(mapping.columns) for table, mapping in self._mappings.items()
        }

    async def check(self) -> Sequence[Gap]:
        """Describe every object and ask for the permissions over it.

        A table whose object or key is not shown is a gap of its own; raises ``Refused`` where none can be read, and
        ``ConfigurationError`` for a mapping that cannot work whatever is granted.
        """
        gaps: list[Gap] = []
        plans: dict[str, Plan] = {}
        unseen: list[NotShown] = []
        for table in self._mappings:
            try:
                plans[table] = plan = await self._plan(table)
            except NotShown as error:
                unseen.append(error)
                reason = f"{error.message}. {error.advice}"
                gaps.append(Gap(table, "", reason, missing_permission=error.missing_permission))
                continue
            gaps.extend(plan.gaps)
        if not plans:
            raise unseen[0]
        through = [one for plan in plans.values() for one in plan.over]
        sight = await read_sight(self._client, [*(plan.entity for plan in plans.values()), *through])
        for table, plan in plans.items():
            doubts = plan.doubts(sight)
            self._plans[table] = plan.without({gap.column for gap in doubts if gap.column})
            gaps.extend(doubts)
        return gaps

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:  # noqa: ARG002 - the contract's
        """Return the one chain of ``table``."""
        self._mapped(table)
        return (Partition(),)

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        """Read the next page of the object behind ``table``; see ``chain`` for its three phases."""
        self._mapped(table)
        if partition.name:
            raise Misbehaved(f"{self.name}: {table} has no partition {partition.name!r}", advice="Report this defect.")
        plan = await self._plan(table)
        state = from_cursor(cursor)
        try:
            return await self._page(table, plan, state)
        except MalformedQuery as error:
            raise ConfigurationError(
                f"[sources.{self.name}] objects.{table}: the service does not take the query: {error.message}",
                advice="Correct the where and the columns of that table.",
            ) from error
        except NotShown as error:
            raise NotShown(
                f"objects.{table}: since it was described, something is not shown any more: {error.message}",
                advice=error.advice,
            ) from error

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    async def _page(self, table: str, plan: Plan, state: State) -> Page:
        if state.phase == "rows" and not state.link:
            self._memories[table] = Memory(since(await self._client.latest(plan.entity)))
        memory = self._memories.setdefault(table, Memory(""))
        memory.at(state)
        if state.phase == "touched":
            return await self._touched(plan, state, memory)
        if state.link:
            answer = await self._client.more(state.link)
        else:
            answer = await self._client.query(plan.rows() if state.phase == "rows" else plan.changed(memory.since))
        _identified(answer, plan.entity)
        memory.follow(state, answer.next)
        records = answer.records if state.phase == "rows" else memory.fresh(answer.records)
        rows, gaps = plan.reader.read(records)
        memory.keep(record["Id"] for record in records)
        if answer.next is not None:
            following = State(state.phase, answer.next, memory.read, state.round)
        elif state.phase == "rows":
            following = State("changed", "", memory.read, 1)
        else:
            following = State("touched", "", memory.read, state.round)
        seen = plan.reader.seen(rows, self._canaries) | self._canaries.intersection(one["Id"] for one in records)
        return Page(rows, to_cursor(following), gaps, canaries=seen)

    async def _touched(self, plan: Plan, state: State, memory: Memory) -> Page:
        """Find out what has left since, and let the service count what there is."""
        if state.link:
            answer = await self._client.more(state.link)
        else:
            answer = await self._client.query(plan.touched(memory.since), deleted=True)
        _identified(answer, plan.entity)
        memory.follow(state, answer.next)
        memory.touched(record["Id"] for record in answer.records)
        if answer.next is not None:
            return Page((), to_cursor(State("touched", answer.next, memory.read, state.round)))
        total = (await self._client.query(plan.count())).total + memory.left
        if total != memory.read and state.round < ROUNDS:
            return Page((), to_cursor(State("changed", "", memory.read, state.round + 1)))
        return Page((), None, total=total)

    def _mapped(self, table: str) -> None:
        if table not in self._mappings:
            raise Misbehaved(f"{self.name} does not report {table}", advice="Report this defect.")

    async def _plan(self, table: str) -> Plan:
        """Return what is asked for ``table``, found out once."""
        async with self._turn:
            if table not in self._plans:
                self._plans[table] = await make_plan(
                    self._client, self._mappings[table], source=self.name, reading=self._reading
                )
            return self._plans[table]


def _identified(answer: Answer, entity: str) -> None:
    for record in answer.records:
        if not isinstance(record.get("Id"), str) or not record["Id"]:
            raise Misbehaved(f"a record of {entity} comes without its Id", advice="Report this to the provider.")
