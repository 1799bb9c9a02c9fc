"""For every connector: each fault, at requests spread over the whole pull, leaves every part whole or with a gap.

A part of the matrix is run, begun at another request for each kind of fault, so that the kinds together meet every
request; ``CONFORMANCE=every`` in the environment runs each kind at every request, one fault a pull.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pytest

from reconciler.sdk.connector import Status
from tests.conformance.matrix import PASSING, Pulled, Subject, breaches, leaks, places, pull_once
from tests.conformance.subjects import SUBJECTS
from tests.simulators.http_injection import PAGE_KINDS, FaultKind

STRIDE = 29
"""Requests between two faults of one pull: more than the retries of one page take."""
SLOW = frozenset({FaultKind.THROTTLED, FaultKind.THROTTLED_SILENT, FaultKind.HANG, FaultKind.DRIP})
"""Kinds that cost a second each."""
LASTING = (
    FaultKind.UNAUTHORIZED,
    FaultKind.FORBIDDEN,
    FaultKind.SERVER_ERROR,
    FaultKind.UNAVAILABLE,
    FaultKind.HTML_OK,
    FaultKind.EMPTY_BODY,
    FaultKind.NEXT_REPEATED,
    FaultKind.NEXT_FOREIGN,
)
_TRANSPORT = frozenset({FaultKind.FORBIDDEN, FaultKind.UNAVAILABLE, FaultKind.MALFORMED_JSON, FaultKind.RESET_WITHIN})
ONLY = {
    "okta by key": _TRANSPORT | {FaultKind.UNAUTHORIZED},
    "compliancequest": _TRANSPORT | PAGE_KINDS,
    "rest": _TRANSPORT | PAGE_KINDS,
}
"""Kinds that a subject is held to in an ordinary run; of the rest each of them has tests of its own."""
TOO_LONG = {("rest", FaultKind.DRIP)}
"""No setting bounds the whole of a request there: it takes five minutes."""
EVERY = os.environ.get("CONFORMANCE") == "every"


class Measured(NamedTuple):
    """A subject and its pull without faults."""

    subject: Subject
    clean: Pulled


def cells(kinds: Iterable[FaultKind]) -> list[object]:
    """Return the subjects and kinds to run, subject by subject."""
    return [
        pytest.param(name, kind, id=f"{name}-{kind.name.lower()}")
        for name in SUBJECTS
        for kind in kinds
        if (EVERY or kind in ONLY.get(name, FaultKind)) and (name, kind) not in TOO_LONG
    ]


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> Iterator[Measured]:
    with SUBJECTS[request.param]() as subject:
        yield Measured(subject, asyncio.run(pull_once(subject)))


def struck(measured: Measured, kind: FaultKind) -> tuple[Pulled, list[str]]:
    """Pull with the faults that were added; return what came, and what is wrong with it."""
    subject, clean = measured
    found = asyncio.run(pull_once(subject))
    fired = [f"{each.number} {each.target}" for each in subject.faults.fired]
    subject.faults.clear()
    wrong = breaches(subject, clean, found, kind) + leaks(found, subject.secrets())
    return found, [f"{one} (struck: {', '.join(fired[:6])})" for one in wrong]


@pytest.mark.parametrize("measured", list(SUBJECTS), indirect=True)
def test_without_a_fault_everything_is_complete(measured: Measured) -> None:
    clean = measured.clean
    assert {part: read.gaps for part, read in clean.parts.items() if read.status is not Status.COMPLETE} == {}
    assert sum(len(read.rows) for read in clean.parts.values()) > 15
    assert leaks(clean, measured.subject.secrets()) == []
    again = asyncio.run(pull_once(measured.subject))
    assert {part: read.told() for part, read in again.parts.items()} == {
        part: read.told() for part, read in clean.parts.items()
    }


@pytest.mark.parametrize(("measured", "kind"), cells(FaultKind), indirect=["measured"])
def test_a_fault_that_strikes_once(measured: Measured, kind: FaultKind) -> None:
    subject, clean = measured
    stride, count = (1_000_000, 1_000_000) if EVERY else (STRIDE, 1)
    wrong: list[str] = []
    struck_once = 0
    for numbers in places(clean.requests, stride=stride, shift=7 * list(FaultKind).index(kind), count=count):
        chosen = numbers[::3] if kind in SLOW and not EVERY else numbers
        for number in chosen:
            subject.faults.add(kind, at=number, waits=kind in PAGE_KINDS)
        found, breached = struck(measured, kind)
        struck_once += 1
        wrong += breached
        if kind in PASSING:
            lasting = [part for part, read in found.parts.items() if read.status is not Status.COMPLETE]
            wrong += [f"{part} did not recover from what passes: {found.parts[part].gaps}" for part in lasting]
    assert struck_once
    assert wrong == []


@pytest.mark.parametrize(("measured", "kind"), cells(LASTING), indirect=["measured"])
def test_a_fault_that_lasts_from_some_request_on(measured: Measured, kind: FaultKind) -> None:
    subject, clean = measured
    number = 1 + (clean.requests * (1 + LASTING.index(kind))) // (len(LASTING) + 2)
    subject.faults.add(kind, at=number, times=None)
    found, wrong = struck(measured, kind)
    assert wrong == []
    assert any(read.status is not Status.COMPLETE for read in found.parts.values())
