"""A provider's rate is used up and not overrun; time is simulated, so nothing here waits."""

from __future__ import annotations

import asyncio
import heapq
from datetime import timedelta

from reconciler.sdk.pace import Pacer
from reconciler.sdk.window import lookback


class Time:
    """A clock that jumps to the next sleeper once everybody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, woken))
        await woken

    async def run(self, *jobs: object) -> None:
        tasks = [asyncio.ensure_future(job) for job in jobs]  # type: ignore[call-overload] # coroutines of any result
        while not all(task.done() for task in tasks):
            for _ in range(20):
                await asyncio.sleep(0)
            if self._sleepers and not all(task.done() for task in tasks):
                self.now, _, woken = heapq.heappop(self._sleepers)
                woken.set_result(None)
        for task in tasks:
            task.result()


class Provider:
    """Allows ``limit`` requests in each window of 60 s, and counts those it had to refuse."""

    def __init__(self, time: Time, limit: int) -> None:
        self.time, self.limit = time, limit
        self.refused, self.answered = 0, 0
        self._window, self._used = -1, 0

    async def ask(self, pacer: Pacer) -> None:
        async with pacer.turn("users"):
            window = int(self.time.now // 60)
            if window != self._window:
                self._window, self._used = window, 0
            if self._used >= self.limit:
                self.refused += 1
                resets = (window + 1) * 60 - self.time.now
            else:
                self._used += 1
                self.answered += 1
                resets = (window + 1) * 60 - self.time.now
            left = self.limit - self._used
            await self.time.sleep(0.05)
            pacer.learn("users", remaining=left, resets_in=resets - 0.05)


async def test_the_window_is_used_up_and_nobody_is_refused() -> None:
    time = Time()
    provider = Provider(time, limit=100)
    pacer = Pacer(concurrency=8, sleep=time.sleep, now=lambda: time.now)

    async def worker() -> None:
        while provider.answered + provider.refused < 950:
            await provider.ask(pacer)

    await time.run(*(worker() for _ in range(8)))
    assert provider.refused == 0
    # Ten windows of a hundred, each used to at least nine tenths.
    assert time.now < 60 * 950 / 90 + 60


async def test_a_published_rate_is_met_by_spacing() -> None:
    time = Time()
    pacer = Pacer(concurrency=50, per_second=20, sleep=time.sleep, now=lambda: time.now)
    starts: list[float] = []

    async def ask() -> None:
        async with pacer.turn():
            starts.append(time.now)

    await time.run(*(ask() for _ in range(101)))
    assert len(starts) == 101
    assert 4.99 <= time.now <= 5.2
    assert max(sum(1 for s in starts if begin <= s < begin + 0.999) for begin in starts) <= 20


async def test_one_request_told_to_wait_holds_all_of_its_bucket_and_no_other() -> None:
    time = Time()
    pacer = Pacer(concurrency=4, sleep=time.sleep, now=lambda: time.now)
    starts: dict[str, float] = {}

    async def ask(bucket: str) -> None:
        async with pacer.turn(bucket):
            starts[bucket] = time.now

    pacer.hold("slow", 30)
    pacer.hold("slow", 10)  # a shorter word does not cut a longer one short
    await time.run(ask("slow"), ask("quick"))
    assert starts == {"quick": 0.0, "slow": 30.0}


async def test_no_more_requests_than_allowed_are_under_way_in_a_bucket() -> None:
    time = Time()
    pacer = Pacer(concurrency=3, sleep=time.sleep, now=lambda: time.now)
    busy, most = 0, 0

    async def ask() -> None:
        nonlocal busy, most
        async with pacer.turn():
            busy += 1
            most = max(most, busy)
            await time.sleep(1)
            busy -= 1

    await time.run(*(ask() for _ in range(10)))
    assert most == 3


def test_the_window_of_events_ends_now_and_is_as_long_as_asked() -> None:
    since, until = lookback(7)
    assert until - since == timedelta(days=7)
    assert until.utcoffset() == timedelta(0)
