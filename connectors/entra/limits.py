"""Graph's rate limits: one refusal holds everybody, for as long as Graph says, and that is no failure.

A large tenant may be throttled for hours. Its pull is not failing as long as something is answered in between, so
these waits stay in here and spend none of the retry budget. It is failing where Graph asks for an absurd wait, or
refuses every request, round after round.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from reconciler.sdk.errors import Throttled
from reconciler.sdk.pace import Pacer, Sleep

LONGEST = 900.0
"""Longest wait in seconds that is waited out; Graph's windows are seconds to minutes."""
ROUNDS = 8
"""Times that everybody waits and is refused again with nothing answered in between."""
_FIRST = 1.0
_SLOWEST = 60.0


@dataclass(slots=True)
class _Limit:
    rounds: int = 0
    """Waits so far: who was sent before the last of them says nothing new by being refused."""
    in_vain: int = 0


class RateLimits:
    """The limits of one tenant; Graph counts the directory and the logs apart."""

    def __init__(self, *, concurrency: int, sleep: Sleep = asyncio.sleep) -> None:
        """Allow ``concurrency`` requests at once under each limit."""
        self._pacer = Pacer(concurrency=concurrency, sleep=sleep)
        self._limits: dict[str, _Limit] = {}

    @asynccontextmanager
    async def turn(self, limit: str) -> AsyncIterator[int]:
        """Wait for a turn under ``limit`` and hold it for one request; gives the round that it belongs to."""
        async with self._pacer.turn(limit):
            yield self._limit(limit).rounds

    def answered(self, limit: str) -> None:
        """Note that Graph answered: whatever was refused before was not in vain."""
        self._limit(limit).in_vain = 0

    def refused(self, limit: str, round_: int, throttled: Throttled) -> None:
        """Hold everybody under ``limit`` after a refusal of ``round_``.

        Raises ``throttled`` where it asks for longer than ``LONGEST``, or came after ``ROUNDS`` waits in vain.
        """
        known = self._limit(limit)
        if throttled.retry_after is not None and throttled.retry_after > LONGEST:
            raise throttled
        if round_ == known.rounds:
            if known.in_vain >= ROUNDS:
                raise throttled
            known.rounds += 1
            known.in_vain += 1
        asked = throttled.retry_after
        backoff = min(_FIRST * 2 ** (known.in_vain - 1), _SLOWEST)
        self._pacer.hold(limit, backoff if asked is None else asked)

    def _limit(self, name: str) -> _Limit:
        return self._limits.setdefault(name, _Limit())
