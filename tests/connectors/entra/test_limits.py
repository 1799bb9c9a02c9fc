"""Throttling is waited out inside the connector: it costs no retry budget, and gives up only where nothing moves."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.entra.limits import LONGEST, ROUNDS, RateLimits
from reconciler.sdk.connector import Status
from reconciler.sdk.errors import Throttled
from tests.connectors.entra.conftest import EVERYTHING, Opener, pull_whole, read, sealed, settings
from tests.connectors.entra.test_pull import lively
from tests.simulators.graph import objects as make
from tests.simulators.graph.server import GraphSimulator
from tests.simulators.graph.throttle import Throttle
from tests.simulators.http_injection import FaultKind


async def test_a_tenant_that_is_throttled_all_night_is_read_whole_without_any_budget(
    opened: Opener, tmp_path: Path
) -> None:
    throttle = Throttle(units=160, reports=3, seconds=1.0)
    tenant = lively()
    for number in range(100, 250):
        tenant.add("groups", make.group(number, f"Group {number}"))
    given = {"retry_seconds": 0, "tables": ["accounts", "grants", "events"]}
    with GraphSimulator(tenant, roles=EVERYTHING, throttle=throttle) as graph:
        found = sealed(await pull_whole(opened(graph, **given), settings(graph, **given), tmp_path))
    assert {part: one.status for part, one in found.items() if one.status is not Status.COMPLETE} == {}
    assert sum(window.refused for window in throttle.report_windows) > 0
    assert len(throttle.windows) >= 3


@pytest.mark.parametrize("path", [r"/users\?", r"batch"])
@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.UNAVAILABLE], ids=str)
async def test_refusals_without_end_are_given_up(path: str, kind: FaultKind, opened: Opener) -> None:
    with GraphSimulator(lively(), roles=EVERYTHING, retry_after=0) as graph:
        source = opened(graph)
        await source.check()
        graph.faults.add(kind, path=path, times=None)
        with pytest.raises(Throttled) as raised:
            await read(source, "credentials", "authentication methods")
        assert len(graph.faults.fired) == ROUNDS + 1
        assert raised.value.retry_after == 0
        with pytest.raises(Throttled):  # once more is no new beginning, but where something else was answered
            await read(source, "credentials", "authentication methods")
        assert len(graph.faults.fired) == (ROUNDS + 2 if "users" in path else 2 * (ROUNDS + 1))
        graph.faults.clear()
        assert (await read(source, "credentials", "authentication methods")).rows


async def test_items_that_are_refused_without_end_are_given_up(opened: Opener) -> None:
    with GraphSimulator(lively(), roles=EVERYTHING, retry_after=0) as graph:
        graph.item_faults.add(FaultKind.THROTTLED, path="authentication/methods", times=None)
        with pytest.raises(Throttled, match="methods"):
            await read(opened(graph), "credentials", "authentication methods")


async def test_an_absurd_wait_is_not_waited_out(opened: Opener) -> None:
    with GraphSimulator(lively(), roles=EVERYTHING, retry_after=86_400) as graph:
        graph.faults.add(FaultKind.THROTTLED, path=r"/users\?")
        with pytest.raises(Throttled) as raised:
            await read(opened(graph, sign_in_activity=False), "accounts", "users")
    assert raised.value.retry_after == 86_400


async def test_waits_without_a_figure_grow_and_only_rounds_count() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds))
        limits._pacer._bucket("").blocked_until = 0.0  # as if the time had passed

    limits = RateLimits(concurrency=4, sleep=sleep)
    silent = Throttled("429")
    for _ in range(3):
        async with limits.turn("") as round_:
            pass
        limits.refused("", round_, silent)
        limits.refused("", round_, silent)  # was under way with it: no further round
    async with limits.turn("") as round_:
        limits.answered("")
    assert slept == [1, 2, 4]
    with pytest.raises(Throttled):
        limits.refused("", round_, Throttled("429", retry_after=LONGEST + 1))
