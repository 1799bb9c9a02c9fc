from __future__ import annotations

import math

import pytest

from reconciler.collect.patience import ATTEMPTS, Patience
from reconciler.sdk.connector import Status
from reconciler.sdk.errors import Refused, Throttled, Unreachable
from reconciler.sdk.testing import Fault, FaultKind, MisbehavingSource
from tests.collect.conftest import Night


class Failing:
    """Raises the errors given, one a call, then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return "answer"


async def outcome(seconds: float, call: Failing) -> tuple[str | Exception, list[float]]:
    waits: list[float] = []

    async def sleep(wait: float) -> None:
        waits.append(wait)

    try:
        return await Patience(seconds, sleep).ask(call), waits
    except (Unreachable, Throttled, Refused) as error:
        return error, waits


async def test_the_source_s_own_figure_is_honoured() -> None:
    answer, waits = await outcome(60, Failing(Throttled("wait", retry_after=17.0), Throttled("wait", retry_after=0.0)))
    assert answer == "answer"
    assert waits == [17.0, 0.0]


async def test_waits_grow_and_are_not_all_alike() -> None:
    answer, waits = await outcome(600, Failing(*[Unreachable("reset") for _ in range(5)]))
    assert answer == "answer"
    assert waits == sorted(waits)
    assert waits[-1] >= 8
    assert len({wait % 0.5 for wait in waits}) > 1


async def test_a_wait_longer_than_the_budget_is_not_begun() -> None:
    answer, waits = await outcome(30, Failing(Throttled("wait", advice="Ask the vendor.", retry_after=3_600)))
    assert isinstance(answer, Throttled)
    assert waits == []
    assert answer.advice == (
        "Ask the vendor. It asks to wait 3600 s, more than is left of retry_seconds = 30: "
        "raise it, or pull again later."
    )


async def test_no_budget_means_no_second_try() -> None:
    call = Failing(Unreachable("reset"))
    answer, _ = await outcome(0, call)
    assert isinstance(answer, Unreachable)
    assert answer.advice == "No answer within retry_seconds = 0: raise it, or pull again later."
    assert call.calls == 1


@pytest.mark.parametrize("figure", [math.nan, -5.0])
async def test_a_figure_that_makes_no_sense_is_not_waited_for(figure: float) -> None:
    answer, waits = await outcome(60, Failing(Throttled("wait", retry_after=figure)))
    assert answer == "answer"
    assert 0 < waits[0] < 2


async def test_an_endless_figure_ends_the_matter() -> None:
    answer, _ = await outcome(60, Failing(Throttled("wait", retry_after=math.inf)))
    assert isinstance(answer, Throttled)


async def test_attempts_are_capped() -> None:
    call = Failing(*[Throttled("wait", retry_after=0) for _ in range(100)])
    answer, _ = await outcome(60, call)
    assert isinstance(answer, Throttled)
    assert call.calls == ATTEMPTS


async def test_what_will_not_pass_is_not_tried_again() -> None:
    call = Failing(Refused("no"))
    answer, _ = await outcome(60, call)
    assert isinstance(answer, Refused)
    assert call.calls == 1


async def test_the_budget_is_shared_by_the_pages_of_a_source(night: Night) -> None:
    faults = [
        Fault(FaultKind.THROTTLE_WITH_TIME, "accounts", times=1, seconds=40),
        Fault(FaultKind.THROTTLE_WITH_TIME, "grants", times=1, seconds=40),
    ]
    snapshot = await night.pull(MisbehavingSource(faults=faults), retry_seconds=60)
    assert night.waits == [40]
    assert snapshot.status("simulated", "accounts") is Status.COMPLETE
    assert snapshot.status("simulated", "grants") is Status.FAILED
    assert "raise it" in snapshot.gaps("simulated", "grants")[0]


async def test_partitions_that_wait_together_spend_the_budget_once(night: Night) -> None:
    fault = Fault(FaultKind.THROTTLE_WITH_TIME, "accounts", times=4, seconds=40)
    made = MisbehavingSource(accounts=40, partitions=4, faults=[fault])
    snapshot = await night.pull(made, retry_seconds=60, concurrency=4)
    assert night.waits == [40, 40, 40, 40]
    assert snapshot.status("simulated", "accounts") is Status.COMPLETE
