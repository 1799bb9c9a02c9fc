"""Asking a connector: an error that it should have named is its defect, and keeps nobody else from an answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from reconciler.errors import ReconcilerError
from reconciler.log import redact
from reconciler.sdk.connector import Source
from reconciler.sdk.errors import Misbehaved

T = TypeVar("T")

REPORT = "Report this as a defect of the connector, with its version."

_log = logging.getLogger(__name__)


async def guarded(call: Callable[[], Awaitable[T]]) -> T:
    """Call the connector; whatever it raises that is no expected failure is raised as ``Misbehaved``."""
    try:
        return await call()
    except ReconcilerError:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled this task: a library closed what the connector was waiting for. Let through, it
        # would end the task without a word, and what it was reading without a gap.
        raise Misbehaved("a defect of the connector: its own call was cancelled", advice=REPORT) from error
    except Exception as error:
        text = redact(f"{type(error).__name__}: {error}")
        raise Misbehaved(f"a defect of the connector, not of the source: {text}", advice=REPORT) from error


async def ask(call: Callable[[], Awaitable[T]]) -> T | ReconcilerError:
    """Call the connector and return its answer, or the error in its place."""
    try:
        return await guarded(call)
    except ReconcilerError as error:
        return error


async def close(source: Source) -> None:
    """Close ``source``; a failure is logged only: nothing that was answered before depends on it."""
    try:
        await source.close()
    except Exception as error:  # noqa: BLE001 - every answer is already there or given up: closing adds nothing
        _log.warning("%s: could not be closed: %s", source.name, redact(f"{type(error).__name__}: {error}"))
