"""Send what waits in the outbox: each thing once, whatever dies or goes unanswered in between.

Several processes, and several tasks in each, may send at once. One operation goes: claim it, look whether it was done
before, write down that a call begins, make the call, write down how it ended. After a call of unknown end nobody tries
again before the system's settle time has passed and a look has shown that nothing was done.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import msgspec

from reconciler import clock
from reconciler.database import Database
from reconciler.errors import ConfigurationError, SourceError, StoreError
from reconciler.filing import queue
from reconciler.filing.outbox import mark_line
from reconciler.filing.queue import Claim, Settle
from reconciler.log import explained, redact
from reconciler.sdk.errors import Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.fence import fenced
from reconciler.sdk.tickets import Change, Status, TicketRef, TicketSystem, TicketView

T = TypeVar("T")
Now = Callable[[], datetime]
Sleep = Callable[[float], Awaitable[None]]

_ENDED = (Status.RESOLVED, Status.CLOSED)
_LONGEST_PAUSE = 86_400.0
_PREVIOUS = "carried our key before this ledger filed it: taken over"


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """How long things take; seconds, but for ``tries``."""

    call: float = 120.0
    """What one call to a system may take, its look-ups apart."""
    lease: float = 400.0
    """How long an operation stays claimed; longer than the calls of one operation can take together."""
    least_settle: float = 30.0
    """A server may still be at work on a request that we gave up: no look is believed before, whatever it promises."""
    first_wait: float = 5.0
    longest_wait: float = 3600.0
    tries: int = 20
    give_up: float = 7 * 86_400.0
    look_again: float = 1.0
    """How long a worker sleeps at most while others are at work."""
    patience: float = 300.0
    """How long ``send`` waits for what cannot be done at once, since something was last done."""
    silence: float = 60.0
    """A system that answered nothing for so long is left alone until the next ``send``."""
    longest: float = 1800.0
    """How long ``send`` takes at most, whatever is left to do."""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that was given up, and why; a person has it tried again."""

    system: str
    key: str
    mark: str
    error: str


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of ``send`` did."""

    filed: int = 0
    """Tickets that were made."""
    found: int = 0
    """Tickets and changes that a look showed to be there already."""
    changed: int = 0
    failed: tuple[Failure, ...] = ()
    silent: Mapping[str, str] = {}
    """Systems that did not answer, with why: nothing more was asked of them."""


class _Counts(msgspec.Struct):
    """Counts of one ``send``, altered as it goes."""

    filed: int = 0
    found: int = 0
    changed: int = 0
    failed: list[Failure] = msgspec.field(default_factory=list)
    silent: dict[str, str] = msgspec.field(default_factory=dict)


async def send(
    database: Database,
    systems: Mapping[str, TicketSystem],
    *,
    workers: int = 3,
    pace: Pace | None = None,
    now: Now = clock.now,
    sleep: Sleep = asyncio.sleep,
    reached: Callable[[str], None] = lambda _: None,
) -> Sent:
    """Send what is due in ``systems``, and what falls due within ``pace.patience``; return what was done.

    Each system has ``workers`` of its own, so that none waits for another. ``reached`` is told each point that a
    process may die at: claimed, begun, answered, done. Raises ``StoreError`` where the database fails; what was in hand
    then is uncertain, and looked up later.
    """
    counts = _Counts()
    crews = [
        _Crew(database, system, pace or Pace(), counts, now=now, sleep=sleep, reached=reached)
        for system in systems.values()
    ]
    try:
        async with asyncio.TaskGroup() as group:
            for crew in crews * workers:
                group.create_task(crew.work())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None  # each worker fails alike where the database does
    return Sent(
        filed=counts.filed,
        found=counts.found,
        changed=counts.changed,
        failed=tuple(counts.failed),
        silent=counts.silent,
    )


class _Crew:
    """The workers of one system, and what they know of it together."""

    def __init__(
        self,
        database: Database,
        system: TicketSystem,
        pace: Pace,
        counts: _Counts,
        *,
        now: Now,
        sleep: Sleep,
        reached: Callable[[str], None],
    ) -> None:
        self._database = database
        self._system = system
        self._pace = pace
        self._counts = counts
        self._now = now
        self._sleep = sleep
        self._reached = reached
        self._settle = _settles(system, pace)
        self._last = now() + timedelta(seconds=pace.longest)
        self._until = min(self._last, now() + timedelta(seconds=pace.patience))
        self._unanswered_since: datetime | None = None

    async def work(self) -> None:
        """Do one operation after another until nothing more falls due in time, time is up, or nobody answers."""
        settle = {self._system.name: self._settle}
        while self._system.name not in self._counts.silent and (at := self._now()) <= self._until:
            claimed = queue.claim(self._database, settle, lease=self._pace.lease, at=at)
            if claimed is not None:
                self._reached("claimed")
                await self._do(claimed)
                continue
            due = queue.next_due(self._database, settle)
            if due is None or due > self._until:
                return
            # Others may finish what this waits for, or be asked to wait: so it looks again before that is due.
            await self._sleep(min(self._pace.look_again, max(0.02, (due - self._now()).total_seconds())))

    async def _do(self, claimed: Claim) -> None:
        attempt: int | None = None
        try:
            todo = await self._look(claimed)
            if todo is None:
                return
            begun = self._now()
            attempt = self._begin(claimed, begun)
            self._reached("begun")
            with fenced(lambda: self._refuse_late(claimed, begun + timedelta(seconds=self._pace.call))):
                ref = await self._call(claimed, todo)
            self._reached("answered")
        except StoreError:
            raise  # ours, not the system's: what is in hand is found by its lease
        except SourceError as error:
            self._put_back(claimed, attempt, error)
        except ConfigurationError as error:
            self._fail(claimed, attempt, "refused", _said(error))
        except (TimeoutError, OSError) as error:
            self._put_back(claimed, attempt, Unreachable(f"{claimed.system}: {type(error).__name__}: {error}"))
        except Exception as error:  # noqa: BLE001 - a defect of a connector: what it did is not known either
            said = f"{claimed.system}: defect in the connector: {type(error).__name__}: {error}"
            self._put_back(claimed, attempt, Misbehaved(said, advice="Report this as a defect of the connector."))
        else:
            queue.done(self._database, claimed, attempt, at=self._now(), ref=ref)
            self._reached("done")
            if ref is not None:
                self._counts.filed += 1
            else:
                self._counts.changed += 1
            self._progressed()

    def _begin(self, claimed: Claim, at: datetime) -> int:
        attempt = queue.begin(self._database, claimed, at=at, call=self._pace.call)
        if attempt is None:
            raise self._too_late(claimed)
        return attempt

    async def _call(self, claimed: Claim, todo: Change | bool) -> TicketRef | None:
        if isinstance(todo, Change) and claimed.ref is not None:
            await self._timed(self._system.change(claimed.ref, todo))
            return None
        return await self._timed(self._system.create(claimed.ticket()))

    def _refuse_late(self, claimed: Claim, until: datetime) -> None:
        """Raise where this process slept so long that somebody else may be at it: asked right before the first byte."""
        if self._now() > until or not queue.holds(self._database, claimed):
            raise self._too_late(claimed)

    @staticmethod
    def _too_late(claimed: Claim) -> Unreachable:
        message = f"{claimed.system}: the claim on {claimed.key} was running out before anything was sent"
        return Unreachable(message, advice="It is looked up and tried again.")

    async def _look(self, claimed: Claim) -> Change | bool | None:
        """Return what is left to do: True to create, a change, or None where it was done and that is written down."""
        system = self._system
        if not system.readable:  # its receiver tells a repetition by its id
            return True if claimed.creates else claimed.change()
        if claimed.creates:
            there = [ref for ref in await self._timed(system.find(claimed.key)) if await self._is_there(ref)]
            if not there:
                return True
            note = None if claimed.uncertain or claimed.tries else _PREVIOUS
            queue.done(self._database, claimed, None, at=self._now(), ref=there[0], extras=there[1:], note=note)
            self._found()
            return None
        if claimed.ref is None:
            message = f"{claimed.system}: {claimed.key} is filed, and its id there is not known"
            raise ConfigurationError(message, advice="Compare with the ticket system: `reconciler filing reconcile`.")
        view = await self._timed(system.read(claimed.ref))
        if view.status == Status.GONE:
            queue.gone(self._database, claimed, at=self._now())
            return None
        left = remaining(claimed.change(), view)
        if left is None:
            queue.done(self._database, claimed, None, at=self._now())
            self._found()
        return left

    async def _is_there(self, ref: TicketRef) -> bool:
        return (await self._timed(self._system.read(ref))).status != Status.GONE

    def _found(self) -> None:
        self._counts.found += 1
        self._progressed()

    def _progressed(self) -> None:
        self._until = min(self._last, self._now() + timedelta(seconds=self._pace.patience))

    async def _timed(self, call: Awaitable[T]) -> T:
        """Wait for a call, and keep whether the system answers at all."""
        began = self._now()
        try:
            async with asyncio.timeout(self._pace.call):
                answer = await call
        except (Unreachable, TimeoutError, OSError) as error:
            self._unanswered_since = self._unanswered_since or began
            quiet = self._now() - self._unanswered_since
            if quiet >= timedelta(seconds=self._pace.silence):
                why = error.message if isinstance(error, Unreachable) else f"{type(error).__name__}: {error}"
                self._counts.silent[self._system.name] = redact(f"it does not answer: {why}")
            raise
        except Exception:
            self._unanswered_since = None  # a refusal is an answer
            raise
        self._unanswered_since = None
        return answer

    def _put_back(self, claimed: Claim, attempt: int | None, error: SourceError) -> None:
        """Write down what a failed call leaves: it waits, is uncertain, or is given up."""
        at, said = self._now(), _said(error)
        if isinstance(error, Refused):
            self._fail(claimed, attempt, "refused", said)
            return
        if isinstance(error, Throttled):
            asked = error.retry_after
            wait = self._backoff(claimed) if asked is None else min(max(0.0, asked), _LONGEST_PAUSE)
            queue.hold_back(self._database, claimed.system, at + timedelta(seconds=wait))
            outcome = "throttled"
        else:
            outcome = "misbehaved" if isinstance(error, Misbehaved) else "unknown"
            wait = self._backoff(claimed)
            if attempt is not None:
                wait = max(wait, self._settle.of(claimed.mark).total_seconds())
        if claimed.tries + 1 >= self._pace.tries or at - claimed.asked_at > timedelta(seconds=self._pace.give_up):
            tried = f"given up after {claimed.tries + 1} tries since {claimed.asked_at:%Y-%m-%d %H:%M} UTC: {said}"
            self._fail(claimed, attempt, outcome, tried)
            return
        queue.later(
            self._database, claimed, attempt, outcome=outcome, error=said, next_at=at + timedelta(seconds=wait), at=at
        )

    def _fail(self, claimed: Claim, attempt: int | None, outcome: str, said: str) -> None:
        queue.failed(self._database, claimed, attempt, outcome=outcome, error=said, at=self._now())
        self._progressed()
        self._counts.failed.append(Failure(system=claimed.system, key=claimed.key, mark=claimed.mark, error=said))

    def _backoff(self, claimed: Claim) -> float:
        """Return seconds that double with each try, up to half as many again by chance: not all at once."""
        wait = min(self._pace.first_wait * 2.0 ** min(claimed.tries, 30), self._pace.longest_wait)
        return wait * random.uniform(1.0, 1.5)  # noqa: S311 - nothing secret hangs on it


def _settles(system: TicketSystem, pace: Pace) -> Settle:
    """Return how long looks wait: no promise about making a ticket goes for a comment, which twice is two."""
    if not system.readable:
        return Settle(0.0, 0.0)
    seconds = max(system.settle_seconds, pace.least_settle)
    return Settle(0.0 if system.idempotent else seconds, seconds)


def remaining(change: Change, view: TicketView) -> Change | None:
    """Return what of a change the ticket does not show yet, None where all of it is done.

    A comment is known by its mark. Fields cannot be read back and are set again with whatever else is left; alone
    they are always set, since to set them twice does no more than once.
    """
    said = bool(change.comment) and any(mark_line(change.mark) in comment.text for comment in view.comments)
    comment = "" if said else change.comment
    stands = view.status == change.status or (view.status in _ENDED and change.status in _ENDED)
    status = None if stands else change.status
    if not comment and status is None and (said or not change.fields):
        return None
    return Change(mark=change.mark, comment=comment, status=status, fields=change.fields)


def _said(error: SourceError | ConfigurationError) -> str:
    return explained(error).replace("\x00", "\ufffd")  # no database keeps a NUL
