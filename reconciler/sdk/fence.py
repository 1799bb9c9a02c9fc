"""A last question before a request leaves: whether it may still be sent.

A process that was stopped for an hour goes on where it was, and what it had meant to send then may have been done by
another meanwhile. So the question is put when connecting, renewing tokens and waiting are over, right before the
first byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ASK: ContextVar[Callable[[], None] | None] = ContextVar("fence", default=None)


@contextmanager
def fenced(ask: Callable[[], None]) -> Iterator[None]:
    """Have ``ask`` called right before each request of this task; it raises where none may be sent any more."""
    token = _ASK.set(ask)
    try:
        yield
    finally:
        _ASK.reset(token)


async def at_the_wire(event: str, _details: object) -> None:
    """Put the question when a request is about to be written: the ``trace`` extension of a request of httpx."""
    ask = _ASK.get()
    if ask is not None and event.endswith("send_request_headers.started"):
        ask()
