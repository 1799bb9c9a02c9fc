"""What every Okta test shares: a simulated org, sources that are closed, and a pull into a snapshot."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from connectors.okta import Settings, open_source
from connectors.okta.source import OktaSource
from reconciler.collect import Limits, Pull, pull
from reconciler.sdk.connector import Gap, Partition
from reconciler.snapshot.store import Snapshot, SnapshotStore
from tests.simulators.okta.server import TOKEN, OktaSimulator
from tests.simulators.okta.small import small_org

AS_OF = datetime(2026, 11, 21, tzinfo=UTC)


class NoParents:
    """No earlier rows."""

    def values(self, table: str, column: str) -> Iterator[str]:
        del table, column
        return iter(())


@dataclass
class Read:
    """One part of one table, read to its end."""

    rows: list[Any] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    total: int | None = None
    pages: int = 0
    canaries: set[str] = field(default_factory=set)


async def read(source: OktaSource, table: str, part: str) -> Read:
    """Read a part page by page."""
    found, cursor = Read(), None
    while True:
        page = await source.page(table, Partition(part), cursor)
        found.rows += page.rows
        found.gaps += page.gaps
        found.total = page.total if page.total is not None else found.total
        found.canaries |= page.canaries
        found.pages += 1
        cursor = page.next
        if cursor is None:
            return found


@pytest.fixture(autouse=True)
def _token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the token where settings refer to it, and the SDK's own environment out of the way."""
    for name in ("OKTA_CLIENT_ORGURL", "OKTA_CLIENT_TOKEN", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OKTA_TEST_TOKEN", TOKEN)


@pytest.fixture
def okta() -> Iterator[OktaSimulator]:
    """Serve the small org over TLS."""
    with OktaSimulator(small_org()) as simulator:
        yield simulator


def settings_for(simulator: OktaSimulator, **given: Any) -> Settings:
    """Return settings that read the simulated org with its super admin's token."""
    auth = {} if "client_id" in given else {"api_token": "env:OKTA_TEST_TOKEN"}
    ca_file = str(simulator.ca_file) if simulator.ca_file else None
    return Settings(connector="okta", org_url=simulator.url, ca_file=ca_file, **{**auth, **given})


@pytest_asyncio.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[..., OktaSource]]:
    """Open sources that are closed when the test ends."""
    sources: list[OktaSource] = []

    def opener(simulator: OktaSimulator, **given: Any) -> OktaSource:
        sources.append(open_source("okta", settings_for(simulator, **given), tmp_path))
        return sources[-1]

    yield opener
    for source in sources:
        await source.close()


async def no_sleep(seconds: float) -> None:
    """Wait for nobody."""
    del seconds


async def pulled(simulator: OktaSimulator, folder: Path, **given: Any) -> Snapshot:
    """Pull the simulated org into a sealed snapshot."""
    settings = settings_for(simulator, **given)
    store = SnapshotStore(folder)
    one = Pull(open_source("okta", settings, folder), "okta", settings)
    return await pull(
        [one], store, estate="test", as_of=AS_OF, limits=Limits(), accepted=(), report=lambda _: None, sleep=no_sleep
    )
