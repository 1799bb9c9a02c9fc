"""For every connector: each fault, at requests spread over the whole pull, leaves every part whole or with a gap.

A part of the matrix is run: some faults a pull, evenly apart, begun at another request for each kind. With
``CONFORMANCE=every`` in the environment each kind strikes at every request, one fault a pull; of kinds that pass, and
so can hide nothing of each other, some a pull.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pytest

from reconciler.sdk.connector import Status
from tests.conformance.matrix import (
    ENDLESS,
    HASTY,
    PASSING,
    PATIENT,
    Pulled,
    Subject,
    breaches,
    leaks,
    places,
    pull_once,
)
from tests.conformance.subjects import SUBJECTS
from tests.simulators.http_injection import PAGE_KINDS, FaultKind

STRIDE = 29
"""Requests between two faults of one pull: more than the retries of one page take."""
SLOW = ENDLESS | {FaultKind.THROTTLED, FaultKind.THROTTLED_SILENT}
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
        if (EVERY or kind in ONLY.get(name, FaultKind))
    ]


@pytest.fixture(scope="module")
def measured(request: pytest.FixtureRequest) -> Iterator[Measured]:
    with SUBJECTS[request.param]() as subject:
        yield Measured(subject, asyncio.run(pull_once(subject)))


def struck(measured: Measured, kind: FaultKind) -> tuple[Pulled, list[str], int]:
    """Pull with the faults that were added; return what came, what is wrong with it, and the last request struck."""
    subject, clean = measured
    found = asyncio.run(pull_once(subject, seconds=HASTY if kind in ENDLESS else PATIENT))
    fired = [f"{each.number} {each.target}" for each in subject.faults.fired]
    last = max((each.number for each in subject.faults.fired), default=0)
    subject.faults.clear()
    wrong = breaches(subject, clean, found, kind) + leaks(found, subject.secrets())
    return found, [f"{one} (struck: {', '.join(fired[:9])})" for one in wrong], last


def strikes(measured: Measured, kind: FaultKind) -> Iterator[tuple[Pulled, list[str]]]:
    """Pull as often as it takes for ``kind`` to strike where it should, and give what ``struck`` does."""
    subject, clean = measured
    waits = kind in PAGE_KINDS
    if EVERY and kind not in PASSING - subject.staying:
        number = 1
        while number <= clean.requests:
            subject.faults.add(kind, at=number, waits=waits)
            found, wrong, last = struck(measured, kind)
            yield found, wrong
            # A fault that waited struck a later page: those between have nothing that it could change.
            number = max(last, number) + 1 if last or not waits else clean.requests + 1
        return
    own = 7 * list(FaultKind).index(kind) % STRIDE / STRIDE
    for phase in [step / STRIDE for step in range(STRIDE)] if EVERY else [own]:
        numbers = places(clean.requests, apart=STRIDE, phase=phase)
        for number in numbers[::3] if kind in SLOW and not EVERY else numbers:
            subject.faults.add(kind, at=number, waits=waits)
        yield struck(measured, kind)[:2]


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
    pulls, wrong = 0, []
    for found, breached in strikes(measured, kind):
        pulls += 1
        wrong += breached
        if kind in PASSING - measured.subject.staying:
            lasting = [part for part, read in found.parts.items() if read.status is not Status.COMPLETE]
            wrong += [f"{part} did not recover from what passes: {found.parts[part].gaps}" for part in lasting]
    assert pulls
    assert wrong == []


@pytest.mark.parametrize(("measured", "kind"), cells(LASTING), indirect=["measured"])
def test_a_fault_that_lasts_from_some_request_on(measured: Measured, kind: FaultKind) -> None:
    subject, clean = measured
    number = 1 + (clean.requests * (1 + LASTING.index(kind))) // (len(LASTING) + 2)
    subject.faults.add(kind, at=number, times=None)
    found, wrong, last = struck(measured, kind)
    assert last >= number
    assert wrong == []
    assert any(read.status is not Status.COMPLETE for read in found.parts.values())
