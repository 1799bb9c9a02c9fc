"""What filing does after a run: ask for tickets, read back what became of them, send, and compare."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlmodel import select

from reconciler import clock
from reconciler.database import Database
from reconciler.database.filing import TicketRow
from reconciler.errors import ConfigurationError, ReconcilerError
from reconciler.filing import comparison, following, ledger, outbox, reading, sending
from reconciler.filing.comparison import Comparison
from reconciler.filing.decisions import Refill
from reconciler.filing.facts import Facts
from reconciler.filing.following import Followed
from reconciler.filing.sending import Pace, Sent
from reconciler.filing.systems import open_systems, ticket
from reconciler.log import explained, redact
from reconciler.sdk.connector import Gap
from reconciler.sdk.tickets import Request, Ticket, TicketSystem
from reconciler.settings import Settings

_log = logging.getLogger(__name__)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for just now, each as SYSTEM KEY, and what could not be since no template could be filled in."""

    new: tuple[str, ...] = ()
    unfilled: tuple[str, ...] = ()


class Exchanged(msgspec.Struct, frozen=True, kw_only=True):
    """What was read from, sent to and compared with the ticket systems; all of it empty while filing is not enabled."""

    followed: Followed = Followed()
    sent: Sent = Sent()
    compared: tuple[Comparison, ...] = ()
    undone: tuple[str, ...] = ()
    """What was asked for, tonight or before, and is not done, each as SYSTEM KEY MARK STATE: why."""

    @property
    def complete(self) -> bool:
        """Whether everything was filed and read, no ticket waits for a person, and the ledger agrees with all."""
        return not (self.undone or self.followed.unread or self.followed.odd) and all(
            one.agrees for one in self.compared
        )


async def after_run(settings: Settings, database: Database, *, pace: Pace | None = None) -> Exchanged:
    """Do everything that filing does after a run was recorded and its nonconformities followed; see ``exchange``.

    Does nothing while filing is not enabled.
    """
    if not settings.config.filing.enabled:
        return Exchanged()
    facts = reading.known(database)
    asked = enqueue(settings, database, facts, at=clock.now())
    exchanged = await exchange(settings, database, facts, pace=pace)
    return msgspec.structs.replace(exchanged, undone=(*asked.unfilled, *exchanged.undone))


def enqueue(settings: Settings, database: Database, facts: Sequence[Facts], *, at: datetime) -> Asked:
    """Ask for a ticket in every system for each nonconformity that is open and has none; one transaction.

    One has a ticket whatever key that was given: an estate that is renamed files nothing anew. A template that the
    facts of one cannot fill keeps no other from being filed. While filing is not enabled nothing is asked for, so that
    the first night on which it is files what is open then.
    """
    if not settings.config.filing.enabled:
        return Asked()
    with database.writing() as session:
        there = set(session.exec(select(TicketRow.system, TicketRow.about)))
        new: list[str] = []
        unfilled: list[str] = []
        for system, fact in itertools.product(settings.systems, facts):
            if fact.closed or (system, fact.about) in there:
                continue
            try:
                made = ticket(settings, system, fact)
            except ConfigurationError as error:
                unfilled.append(explained(error))
                continue
            if outbox.ask(session, system=system, ticket=made, about=fact.about, at=at):
                new.append(f"{system} {made.key}")
    return Asked(new=tuple(new), unfilled=tuple(unfilled))


async def exchange(
    settings: Settings,
    database: Database,
    facts: Sequence[Facts],
    *,
    pace: Pace | None = None,
    now: sending.Now = clock.now,
    sleep: sending.Sleep = asyncio.sleep,
) -> Exchanged:
    """Read tickets back, ask for what policy says, send the outbox, and compare the ledger with each system.

    ``facts`` are the nonconformities as the last run left them. While filing is not enabled nothing is read or sent.
    A system that does not answer is asked nothing more. Raises ``StoreError`` where the database fails; a system that
    fails is said in what is returned.
    """
    if not settings.config.filing.enabled or not settings.systems:
        return Exchanged()
    filing, estate = settings.config.filing, settings.config.estate
    systems = open_systems(settings)
    try:
        followed = await following.follow(database, systems, facts, filing, at=now(), time_zone=estate.time_zone)
        answering = {name: system for name, system in systems.items() if name not in followed.silent}
        sent = await sending.send(database, answering, workers=filing.workers, pace=pace, now=now, sleep=sleep)
        silent = {**followed.silent, **sent.silent}
        compared = await comparison.compare(database, systems, estate=estate.name, at=now(), silent=silent)
    finally:
        await close(systems)
    undone = ledger.undone(database, settings.systems)
    return Exchanged(followed=followed, sent=sent, compared=tuple(compared), undone=tuple(undone))


async def close(systems: Mapping[str, TicketSystem]) -> None:
    """Close every system; one that cannot be closed keeps no other open."""
    for system in systems.values():
        try:
            await system.close()
        except Exception as error:  # noqa: BLE001 - all is done by now, and written down
            _log.warning("%s could not be closed: %s", system.name, explained(error))


def refuse_none(settings: Settings) -> None:
    """Raise ``ConfigurationError`` where no ticket system is configured."""
    if not settings.systems:
        raise ConfigurationError(
            f"{settings.path} names no ticket system", advice="Write a section [filing.systems.NAME]."
        )


def refuse_disabled(settings: Settings) -> None:
    """Raise ``ConfigurationError`` while nothing may be sent, or there is nowhere to send to."""
    refuse_none(settings)
    if not settings.config.filing.enabled:
        raise ConfigurationError(
            f"{settings.at('filing', 'enabled')}: filing.enabled is false: nothing is sent",
            advice="Look at what would be sent with `reconciler filing preview`, then set enabled = true in [filing].",
        )


async def send(settings: Settings, database: Database, *, pace: Pace | None = None) -> Sent:
    """Send what waits in the outbox; raise ``ConfigurationError`` while filing is not enabled."""
    refuse_disabled(settings)
    systems = open_systems(settings)
    try:
        return await sending.send(database, systems, workers=settings.config.filing.workers, pace=pace)
    finally:
        await close(systems)


async def reconcile(settings: Settings, database: Database) -> Exchanged:
    """Read every ticket back and compare the ledger with each system; nothing is created or changed there.

    What policy asks for is asked for while filing is enabled, and sent by the next ``send``. Raises
    ``ConfigurationError`` where there is no system.
    """
    refuse_none(settings)
    filing, estate = settings.config.filing, settings.config.estate
    systems = open_systems(settings)
    facts = reading.known(database) if filing.enabled else []
    try:
        at = clock.now()
        followed = await following.follow(database, systems, facts, filing, at=at, time_zone=estate.time_zone)
        compared = await comparison.compare(
            database, systems, estate=estate.name, at=clock.now(), silent=followed.silent
        )
    finally:
        await close(systems)
    return Exchanged(followed=followed, compared=tuple(compared))


def preview(settings: Settings, facts: Facts, system: str | None = None) -> dict[str, Request]:
    """Return by system the request that would file a nonconformity, secrets masked; no network."""
    systems = open_systems(settings, [system] if system else [])
    return {name: opened.preview(ticket(settings, name, facts)) for name, opened in systems.items()}


def refill(settings: Settings, database: Database) -> Refill:
    """Return what fills a ticket in anew, by the configuration and the nonconformity as they are now."""

    def anew(system: str, about: str) -> Ticket | None:
        if system not in settings.systems or not about.startswith("NC-"):
            return None
        return ticket(settings, system, reading.one(database, about))

    return anew


async def check(settings: Settings, names: Sequence[str] = ()) -> dict[str, list[str] | ReconcilerError]:
    """Ask each system, without writing, what its credentials cannot do; an error where nothing can be done."""
    systems = open_systems(settings, names)
    answers: dict[str, list[str] | ReconcilerError] = {}
    try:
        for name, system in systems.items():
            try:
                answers[name] = [_gap(gap) for gap in await system.check()]
            except ReconcilerError as error:
                answers[name] = error
    finally:
        await close(systems)
    return answers


def _gap(gap: Gap) -> str:
    where = " ".join(filter(None, (gap.table, gap.subject)))
    needs = f"; it needs {gap.missing_permission}" if gap.missing_permission else ""
    return redact(f"{where}: {gap.reason}{needs}" if where else f"{gap.reason}{needs}")
