"""Waiting for a source that may recover: back off, honour its own figure, stay within the configured budget."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_exponential, wait_random

from reconciler import clock
from reconciler.sdk.errors import Throttled, Unreachable

T = TypeVar("T")

ATTEMPTS = 8
"""Times that one page is asked for before its partition fails, whatever the budget still holds."""
_FIRST = 0.5
_LONGEST = 60.0
_JITTER = 0.5

Sleep = Callable[[float], Awaitable[None]]


class Patience:
    """The seconds that one pull of one source may spend waiting, shared by all its partitions.

    Partitions that wait at the same time use the budget once: what counts is how long the pull is held up.
    """

    def __init__(self, seconds: float, sleep: Sleep) -> None:
        self._seconds = seconds
        self._left = seconds
        self._waiting_until = -math.inf
        self._waiting = 0
        self._sleep = sleep
        self._backoff = wait_exponential(multiplier=_FIRST, max=_LONGEST) + wait_random(0, _JITTER)

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call until it answers; raise its last error where the budget or the attempts are used up.

        Tries again after ``Throttled`` and ``Unreachable``, except for one that says that the chain has to
        start over: that is for ``start_over``.
        """
        return await self._call(call, _passes)

    async def start_over(self, call: Callable[[], Awaitable[T]]) -> T:
        """Call anew, from its start, after each ``Unreachable`` that says that nothing less will do."""
        return await self._call(call, _restarts)

    async def _call(self, call: Callable[[], Awaitable[T]], retriable: Callable[[BaseException], bool]) -> T:
        async def attempt() -> T:
            return await call()

        retrying = AsyncRetrying(
            retry=retry_if_exception(retriable),
            wait=self._wait,
            stop=self._stop,
            before_sleep=self._spend,
            sleep=self._pause,
            reraise=True,
        )
        return await retrying(attempt)

    def _wait(self, state: RetryCallState) -> float:
        error = _error(state)
        asked = error.retry_after if isinstance(error, Throttled) else None
        if asked is not None and asked >= 0:
            return asked
        return self._backoff(state)

    def _stop(self, state: RetryCallState) -> bool:
        error = _error(state)
        if state.attempt_number >= ATTEMPTS:
            _advise(error, f"It was asked {ATTEMPTS} times; find out why it does not answer, then pull again.")
            return True
        if self._cost(state.upcoming_sleep) > self._left:
            asked = error.retry_after if isinstance(error, Throttled) else None
            wait = (
                f"It asks to wait {asked:g} s, more than is left of"
                if asked and math.isfinite(asked)
                else "No answer within"
            )
            _advise(error, f"{wait} retry_seconds = {self._seconds:g}: raise it, or pull again later.")
            return True
        return False

    def _spend(self, state: RetryCallState) -> None:
        self._left -= self._cost(state.upcoming_sleep)
        self._waiting_until = max(self._waiting_until, clock.monotonic() + state.upcoming_sleep)

    async def _pause(self, seconds: float) -> None:
        self._waiting += 1
        try:
            await self._sleep(seconds)
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._waiting_until = -math.inf

    def _cost(self, wait: float) -> float:
        now = clock.monotonic()
        return max(0.0, now + wait - max(now, self._waiting_until))


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None


def _passes(error: BaseException) -> bool:
    return isinstance(error, Unreachable | Throttled) and not error.restart


def _restarts(error: BaseException) -> bool:
    return isinstance(error, Unreachable) and error.restart


def _advise(error: BaseException | None, advice: str) -> None:
    if isinstance(error, Unreachable | Throttled):
        error.advice = f"{error.advice} {advice}".strip()
