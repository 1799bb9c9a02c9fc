"""That the matrix sees a source that lies: each way of lying is caught by the check that is there for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from reconciler.sdk.connector import Gap, Page, Partition, Source
from reconciler.sdk.errors import SourceError
from reconciler.sdk.settings import SourceSettings
from tests.conformance.matrix import Pulled, Subject, breaches, leaks, pull_once
from tests.conformance.subjects import rest
from tests.simulators.http_injection import FaultKind
from tests.simulators.rest_qms import TOKEN


class Liar:
    """A source like the one it wraps, but for what its kinds change."""

    def __init__(self, honest: Source) -> None:
        self._honest = honest

    def __getattr__(self, name: str) -> Any:
        return getattr(self._honest, name)

    async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        """Read a page as the honest source does."""
        return await self._honest.page(table, partition, cursor)


class Silent(Liar):
    """Takes an error for the end of the list, and keeps the service's count to itself."""

    async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        """Return a page, or an end."""
        try:
            return replace(await super().page(table, partition, cursor), total=None)
        except SourceError:
            return Page(())


class Careless(Liar):
    """Leaves out rows that hold something strange, without a gap."""

    async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        """Return the rows without a gap."""
        page = await super().page(table, partition, cursor)
        rows = page.rows if not page.gaps else page.rows[:-1]
        return replace(page, rows=rows, gaps=(), total=None)


class Curt(Liar):
    """Says that something is missing, and not what."""

    async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        """Return a page with a gap of no word."""
        try:
            return await super().page(table, partition, cursor)
        except SourceError:
            return Page((), gaps=[Gap(table, "", "")])


class Helpless(Liar):
    """Lets an exception through that it should have named."""

    async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        """Return a page, or fall over."""
        try:
            return await super().page(table, partition, cursor)
        except SourceError:
            raise KeyError("items") from None


class Talkative(Liar):
    """Writes its token into the log."""

    async def page(self, table: str, partition: Partition, cursor: str | None) -> Page:
        """Return a page."""
        logging.getLogger("liar").debug("sent with Bearer %s", TOKEN)
        return await super().page(table, partition, cursor)


class Pathless(Liar):
    """Forgets a column without a word."""

    @property
    def reports(self) -> dict[str, frozenset[str]]:
        """Return the columns but one."""
        return {table: names - {"full_name"} for table, names in self._honest.reports.items()}


@pytest.fixture
def honest() -> Iterator[Subject]:
    with rest() as subject:
        yield subject


async def pulled_by(kind: Callable[[Source], Any], subject: Subject, fault: FaultKind, at: int) -> Pulled:
    def opened(seconds: float) -> tuple[Source, SourceSettings]:
        source, settings = subject.open(seconds)
        return kind(source), settings

    subject.faults.add(fault, at=at)
    found = await pull_once(replace(subject, open=opened))
    assert subject.faults.fired
    subject.faults.clear()
    return found


LIES: Sequence[tuple[Callable[[Source], Any], FaultKind, str]] = [
    (Silent, FaultKind.FORBIDDEN, "COMPLETE with other rows"),
    (Silent, FaultKind.NEXT_MISSING, "COMPLETE with other rows"),
    (Careless, FaultKind.FIELD_MISTYPED, "COMPLETE with other objects"),
    (Curt, FaultKind.FORBIDDEN, "without a gap in words"),
    (Helpless, FaultKind.FORBIDDEN, "a defect of the connector"),
    (Pathless, FaultKind.UNAVAILABLE, "full_name is missing without a word"),
]


@pytest.mark.parametrize(("liar", "fault", "caught"), LIES)
async def test_a_lie_is_caught(honest: Subject, liar: Callable[[Source], Any], fault: FaultKind, caught: str) -> None:
    clean = await pull_once(honest)
    assert breaches(honest, clean, await pulled_by(Liar, honest, fault, 5), fault) == []
    wrong = breaches(honest, clean, await pulled_by(liar, honest, fault, 5), fault)
    assert any(caught in one for one in wrong), wrong


async def test_a_secret_that_is_told_is_caught(honest: Subject) -> None:
    found = await pulled_by(Talkative, honest, FaultKind.UNAVAILABLE, 5)
    assert leaks(found, [TOKEN])
    assert not any(TOKEN in told for told in leaks(found, [TOKEN]))
