"""A call that is cancelled from within the connector fails with a gap; a pull that is cancelled stops."""

import asyncio
from typing import Any

import pytest

from reconciler.sdk.connector import Page, Status
from reconciler.sdk.testing import MisbehavingSource
from tests.collect.conftest import Night


class Cancelling(MisbehavingSource):
    """Its second page of accounts is cancelled, as a library does that closes a session in use."""

    async def page(self, table: str, partition: Any, cursor: str | None) -> Page:
        if table == "accounts" and cursor is not None:
            raise asyncio.CancelledError
        return await super().page(table, partition, cursor)


def test_a_call_cancelled_from_within_fails_its_part_in_words(night: Night) -> None:
    snapshot = night.run(Cancelling(accounts=120, page_size=50))
    assert snapshot.status("simulated", "accounts") is Status.FAILED
    assert "cancelled" in " ".join(snapshot.gaps("simulated", "accounts"))
    assert snapshot.status("simulated", "grants") is Status.COMPLETE


class Waiting(MisbehavingSource):
    """Says that it was asked, and never answers."""

    begun = asyncio.Event()

    async def page(self, *_: Any) -> Page:
        self.begun.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_pull_that_is_cancelled_stops_and_seals_nothing(night: Night) -> None:
    source = Waiting()
    pulling = asyncio.create_task(night.pull(source))
    await asyncio.wait_for(source.begun.wait(), 20)
    pulling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pulling
    assert night.store.ids() == []
    assert source.closed == 1
