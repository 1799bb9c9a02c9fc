"""Send what is planned, each notice once, and say what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime

import msgspec

from reconciler import clock
from reconciler.errors import ConfigurationError, ReconcilerError
from reconciler.log import explained, redact
from reconciler.notices import letters
from reconciler.notices.addresses import contacts, usable
from reconciler.notices.hook import Poster
from reconciler.notices.ledger import Entry, Ledger, State
from reconciler.notices.planning import plan
from reconciler.notices.smtp import LaterError, Mailer, RefusedMailError, UncertainError
from reconciler.notices.values import Contacts, Due, Nonconforming, Notice, Plan, dues
from reconciler.sdk.errors import Refused
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot
from reconciler.snapshot.people import Holders

_LOG = logging.getLogger(__name__)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the notices that were due: how many, and in words what was not sent and why."""

    sent: int = 0
    waiting: int = 0
    """Surely not sent; they are with the next run, if they are still due then."""
    unknown: int = 0
    failed: int = 0
    errors: tuple[str, ...] = ()
    unaddressed: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether everybody who was to be told surely was."""
        return not (self.waiting or self.unknown or self.failed or self.unaddressed)


def planned(settings: Settings, owed: Sequence[Due], known: Contacts, *, at: datetime) -> Plan:
    """Return what would be sent at ``at``, sent before or not; nothing is connected to or written."""
    return plan(
        owed,
        now=at,
        time_zone=settings.config.estate.time_zone,
        section=settings.config.notices,
        escalate_to=settings.config.nonconformities.escalate_to,
        contacts=known,
    )


def refuse_disabled(settings: Settings) -> None:
    """Raise ``ConfigurationError``, with file and line, while nothing may be sent or there is no way to."""
    _refuse_no_way_out(settings)
    if not settings.config.notices.enabled:
        raise ConfigurationError(
            f"{settings.at('notices', 'enabled')}: notices.enabled is false: nothing is sent",
            advice="Look at `reconciler notices preview` first, then set enabled = true in [notices].",
        )


def _refuse_no_way_out(settings: Settings) -> None:
    if settings.config.notices.smtp is None and settings.config.notices.webhook is None:
        raise ConfigurationError(
            f"{settings.at('notices')}: notices: there is neither [notices.smtp] nor [notices.webhook]",
            advice="Write one of them.",
        )


def check(settings: Settings) -> None:
    """Raise ``ConfigurationError`` for addresses, ways out or secrets that cannot work; nothing is connected to."""
    section = settings.config.notices
    if section.enabled:
        _refuse_no_way_out(settings)
    for role, address in section.addresses.items():
        if not usable(address):
            raise ConfigurationError(
                f"{settings.at('notices', 'addresses', role)}: notices.addresses.{role}: is no plain mail address",
                advice="Write one address, without a name and of ASCII.",
            )
    try:
        if section.smtp is not None:
            Mailer(section.smtp, settings.base)
    except ConfigurationError as error:
        raise ConfigurationError(f"{settings.at('notices', 'smtp')}: {error.message}", advice=error.advice) from None
    try:
        if section.webhook is not None:
            asyncio.run(Poster(section.webhook, settings.base).close())
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{settings.at('notices', 'webhook')}: notices.webhook: {error.message}", advice=error.advice
        ) from None


def send(settings: Settings, owed: Sequence[Due], known: Contacts, *, at: datetime) -> Sent:
    """Send what is due at ``at`` and was not sent before; nothing at all while notices are not enabled.

    Raises ``ConfigurationError`` for settings that cannot work and ``StoreError`` where the database fails, before
    anything is sent; a server that fails is said in what is returned.
    """
    section = settings.config.notices
    if not section.enabled:
        return Sent()
    check(settings)
    found = planned(settings, owed, known, at=at)
    with ExitStack() as stack:
        mailer = stack.enter_context(Mailer(section.smtp, settings.base)) if section.smtp else None
        poster = Poster(section.webhook, settings.base) if section.webhook else None
        ledger = Ledger(settings.database_url)
        tally = _Tally(ledger)
        for lost in ledger.give_up(at=at):
            tally.count(lost, "unknown", lost.error)
        entries = ledger.enter(found.notices)
        if mailer is not None:
            _mail(settings, mailer, tally, [n for n in found.notices if n.channel == "mail"], entries)
        if poster is not None:
            asyncio.run(_post(settings, poster, tally, [n for n in found.notices if n.channel == "webhook"], entries))
    return tally.told(found.unaddressed)


def after_run(
    settings: Settings, snapshot: Snapshot | None, found: Iterable[Nonconforming], *, holders: Holders, at: datetime
) -> Sent:
    """Send what is due of ``found``, every nonconformity as the run left it; nothing while notices are not enabled.

    ``snapshot`` has the addresses of people. Raises as ``send`` does.
    """
    owed, known = listed(settings, snapshot, found, holders=holders)
    return send(settings, owed, known, at=at)


def listed(
    settings: Settings, snapshot: Snapshot | None, found: Iterable[Nonconforming], *, holders: Holders
) -> tuple[list[Due], Contacts]:
    """Return what is owed, and who can be told."""
    owed = dues(found, holders=holders, time_zone=settings.config.estate.time_zone)
    return owed, contacts(settings, snapshot, holders, owed)


class _Tally:
    """Counts how attempts ended, and writes each down."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._counts: dict[State, int] = dict.fromkeys(("sent", "waiting", "unknown", "failed"), 0)
        self._errors: list[str] = []

    def begin(self, entry: Entry) -> bool:
        """Return whether an entry is to be sent now, after that is written down."""
        return entry.state == "waiting" and self._ledger.begin(entry.number, at=clock.now())

    def end(self, entry: Entry, state: State, error: str | None = None) -> None:
        self._ledger.end(entry.number, state, at=clock.now(), error=error)
        self.count(entry, state, error)

    def count(self, entry: Entry, state: State, error: str | None) -> None:
        self._counts[state] += 1
        if error is not None:
            said = f"notice {entry.number} to {entry.recipient} about {entry.about}: {state}: {error}"
            self._errors.append(said)
            _LOG.info("%s", redact(said))

    def left(self, entries: Sequence[Entry], error: ReconcilerError) -> None:
        """Say once why all of these wait."""
        waiting = [entry for entry in entries if entry.state == "waiting"]
        self._counts["waiting"] += len(waiting)
        if waiting:
            self._errors.append(f"{len(waiting)} notices wait: {explained(error)}")

    def told(self, unaddressed: Sequence[str]) -> Sent:
        return Sent(
            sent=self._counts["sent"],
            waiting=self._counts["waiting"],
            unknown=self._counts["unknown"],
            failed=self._counts["failed"],
            errors=tuple(dict.fromkeys(self._errors)),
            unaddressed=tuple(unaddressed),
        )


_Entries = Mapping[tuple[str, str, str, str], Entry]


def _mail(settings: Settings, mailer: Mailer, tally: _Tally, notices: Sequence[Notice], entries: _Entries) -> None:
    section = settings.config.notices.smtp
    if section is None:
        return
    for position, notice in enumerate(notices):
        entry = entries[notice.key]
        if entry.state != "waiting":
            continue
        message = letters.mail(
            notice,
            estate=settings.config.estate.name,
            sender=section.sender,
            now=clock.now(),
            time_zone=settings.config.estate.time_zone,
            personal_data=settings.config.filing.personal_data,
        )
        if not tally.begin(entry):
            continue
        try:
            mailer.send(message, notice.recipient)
        except LaterError as error:
            tally.end(entry, "waiting", f"{error}")
        except RefusedMailError as error:
            tally.end(entry, "failed", f"{error}")
        except UncertainError as error:
            tally.end(entry, "unknown", f"no answer came after the text was sent: {error}")
        except ReconcilerError as error:
            # The server takes nothing of ours: the others need not try.
            tally.end(entry, "waiting", explained(error))
            tally.left([entries[one.key] for one in notices[position + 1 :]], error)
            return
        else:
            tally.end(entry, "sent")


async def _post(
    settings: Settings, poster: Poster, tally: _Tally, notices: Sequence[Notice], entries: _Entries
) -> None:
    try:
        for position, notice in enumerate(notices):
            entry = entries[notice.key]
            if not tally.begin(entry):
                continue
            event = letters.event(
                notice,
                estate=settings.config.estate.name,
                now=entry.due_at,
                personal_data=settings.config.filing.personal_data,
            )
            try:
                await poster.send(event)
            except ReconcilerError as error:
                said = explained(error)
                # Tried again with the same id: a receiver that took it tells it by that.
                tally.end(entry, "waiting", said)
                if isinstance(error, Refused):
                    continue  # what it says of one event it need not say of the next
                tally.left([entries[one.key] for one in notices[position + 1 :]], error)
                return
            tally.end(entry, "sent")
    finally:
        await poster.close()
