"""What a delivery starts. It is a hint and no more: whatever it says is asked of the system that knows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from reconciler.settings import Settings
from reconciler.web.api.deliveries import Outcome
from reconciler.web.api.endpoints import Endpoint, Wanted, parsed
from reconciler.web.api.looks import Checked, person, together
from reconciler.web.api.records import records

ReadTicket = Callable[[Settings, str, str], str | None]
"""Reads the ticket back that a system knows by this id, number or key, and says what it found; None: none of ours."""


def check(
    settings: Settings, endpoint: Endpoint, body: bytes, *, at: datetime, read_ticket: ReadTicket
) -> tuple[Outcome, Checked]:
    """Start the check that a delivery asks for; an expected failure is part of what is told, and never raised."""
    try:
        wanted = endpoint.wanted(parsed(body))
    except ValueError as error:
        return Outcome(said=f"{error}"), Checked(whole=False)
    if wanted.check is None:
        checked = Checked((f"no check is configured for {wanted.event or 'an event without a name'}",))
    else:
        checked = together(_looks(settings, endpoint, wanted, at=at, read_ticket=read_ticket))
        if wanted.left:
            checked += Checked((f"{wanted.left} more that it names were not looked at",), whole=False)
        elif not wanted.subjects:
            checked = Checked((f"nothing is named at {endpoint.section.subject}",), whole=False)
    outcome = Outcome(
        said="; ".join(checked.said),
        check=wanted.check or "",
        event=wanted.event,
        subjects=wanted.subjects,
        facts=checked.facts,
    )
    return outcome, checked


def _looks(
    settings: Settings, endpoint: Endpoint, wanted: Wanted, *, at: datetime, read_ticket: ReadTicket
) -> Iterator[Callable[[], Checked]]:
    if wanted.check == "person":
        yield from (partial(person, settings, subject, ()) for subject in wanted.subjects)
        return
    if (system := endpoint.section.system) is not None:
        yield from (partial(_ticket, settings, system, subject, read_ticket) for subject in wanted.subjects)
    if (source := endpoint.section.source) is not None and wanted.subjects:
        yield partial(records, settings, source, wanted.subjects, at=at)


def _ticket(settings: Settings, system: str, subject: str, read_ticket: ReadTicket) -> Checked:
    said = read_ticket(settings, system, subject)
    if said is None:
        return Checked((f"{system} has no ticket of ours with id {subject}",))
    return Checked((f"{system} {subject}: {said}",), ({"system": system, "ticket": subject, "said": said},))
