"""Keeping to a provider's rate: ask as fast as it allows, and stop before it has to say so.

A provider that tells how many requests are left in its window (Okta) is used up to a reserve and then waited for;
one that publishes a rate (AWS Identity Center) is met by spacing; one that only ever says "wait" (Microsoft Graph) is
waited for by everybody at once, not by the one request that was told. None of these waits spends the retry budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from reconciler import clock

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class _Bucket:
    """One limit of the provider's, with the requests under way that it may not have counted yet."""

    free: asyncio.Semaphore
    remaining: int | None = None
    window_ends: float = 0.0
    blocked_until: float = 0.0
    next_start: float = 0.0
    under_way: int = 0


class Pacer:
    """Spaces the requests of one source, by bucket: whatever the provider counts together."""

    def __init__(
        self,
        *,
        concurrency: int,
        per_second: float | None = None,
        reserve: int = 1,
        sleep: Sleep = asyncio.sleep,
        now: Callable[[], float] = clock.monotonic,
    ) -> None:
        """Allow ``concurrency`` requests a bucket at once, at most ``per_second`` (None: no such figure).

        ``reserve`` requests of each window are left to others who share the limit.
        """
        self._concurrency = concurrency
        self._spacing = 0.0 if per_second is None else 1.0 / per_second
        self._reserve = reserve
        self._sleep = sleep
        self._now = now
        self._buckets: dict[str, _Bucket] = {}

    @asynccontextmanager
    async def turn(self, bucket: str = "") -> AsyncIterator[None]:
        """Wait for a turn in ``bucket`` and hold it for one request, up to and with its answer."""
        held = self._bucket(bucket)
        async with held.free:
            while (wait := self._wait(held)) > 0:
                await self._sleep(wait)
            held.next_start = max(self._now(), held.next_start) + self._spacing
            held.under_way += 1
            try:
                yield
            finally:
                held.under_way -= 1

    def learn(self, bucket: str, *, remaining: int, resets_in: float) -> None:
        """Take the provider's own figures from an answer: requests left, and seconds until its window ends."""
        held = self._bucket(bucket)
        ends = self._now() + max(0.0, resets_in)
        # Answers overtake one another: within a window only the smallest figure is true.
        same_window = held.remaining is not None and ends <= held.window_ends + 1.0
        held.remaining = min(held.remaining or 0, remaining) if same_window else remaining
        held.window_ends = ends if not same_window else min(held.window_ends, ends)

    def hold(self, bucket: str, seconds: float) -> None:
        """Let nobody in ``bucket`` start before ``seconds`` from now: the provider asked one of us to wait."""
        held = self._bucket(bucket)
        held.blocked_until = max(held.blocked_until, self._now() + seconds)

    def _bucket(self, name: str) -> _Bucket:
        if name not in self._buckets:
            self._buckets[name] = _Bucket(asyncio.Semaphore(self._concurrency))
        return self._buckets[name]

    def _wait(self, held: _Bucket) -> float:
        """Return the seconds until the next request may start; nothing else runs between this and the start."""
        now = self._now()
        until = max(held.blocked_until, held.next_start)
        if held.remaining is not None:
            if now >= held.window_ends:
                held.remaining = None
            elif held.remaining - held.under_way <= self._reserve:
                until = max(until, held.window_ends)
        return until - now
