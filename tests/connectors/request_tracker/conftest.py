"""One real Request Tracker for the folder, with a token for each set of rights, and systems that file there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from connectors.request_tracker import open_tickets
from connectors.request_tracker.tickets import RequestTracker as System
from tests.connectors.request_tracker.parts import CAUSE, ELSEWHERE, MOVED, settings, users
from tests.servers.request_tracker import FILER, RequestTracker

Open = Callable[..., AbstractAsyncContextManager[System]]
_numbers = count(1)


@pytest.fixture(scope="session")
def rt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RequestTracker]:
    """RT for the whole folder; tests may make queues and tickets, and end none that is not theirs."""
    folder = tmp_path_factory.mktemp("rt") / "server"
    with RequestTracker(folder, users=users(), queues=[MOVED], fields={CAUSE: None, ELSEWHERE: MOVED}) as server:
        yield server


@pytest.fixture
def key() -> str:
    """A key that no other ticket carries."""
    return f"acme-{next(_numbers):04d}"


@pytest.fixture
def opened(rt: RequestTracker, tmp_path: Path) -> Open:
    """Open a system on RT as a user, or with a token of its own, its settings as given."""

    @asynccontextmanager
    async def opens(user: str = FILER, **given: Any) -> AsyncIterator[System]:
        secret = tmp_path / "token"
        secret.write_text(rt.tokens.get(user, user))
        system = open_tickets("itsm", settings(rt.url, f"file:{secret}", **given), tmp_path)
        try:
            yield system
        finally:
            await system.close()

    return opens
