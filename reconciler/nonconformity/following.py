"""Follow a recorded run: open, attach, detach, see gone, verify, reopen; all of it in one transaction, or none.

The law of findings holds here too: a run moves only what it judged. A finding whose rule could not be judged in its
source tonight neither comes nor goes, and a nonconformity is gone, or still gone, only where all of it was judged.
What is done follows from how findings stand and not from what moved last, so a night that died before this is caught
up by the next, and the same run followed twice changes nothing the second time.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import update
from sqlmodel import Session, col, select

from reconciler.database import bulk
from reconciler.database.connection import Database
from reconciler.database.findings import RunRow
from reconciler.database.nonconformities import AttachedRow, NonconformityRow
from reconciler.errors import StoreError
from reconciler.estate.results import SEVERITIES, Run, Severity
from reconciler.nonconformity import attachments, owners, rows
from reconciler.nonconformity.attachments import CHUNK, Held
from reconciler.nonconformity.grouping import Draft, Found, Policy, by_cause, draft, worse
from reconciler.nonconformity.record import MACHINE, Cause, nc_id
from reconciler.snapshot.people import Affiliation, Holders

Affiliations = Callable[[Collection[str]], tuple[Mapping[str, Affiliation], bool]]
"""Person ids in; where those belong that are known, and whether everybody who is anybody is known."""


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did to nonconformities, each as NC-000123; ``returned`` had been seen gone and stand again."""

    opened: tuple[str, ...] = ()
    reopened: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    verified: tuple[str, ...] = ()
    attached: int = 0
    detached: int = 0


def follow(
    database: Database,
    run: Run,
    policy: Policy,
    *,
    shown_at: datetime,
    holders: Holders,
    affiliations: Affiliations,
) -> Followed:
    """Bring the nonconformities to what the findings are after ``run``, the last recorded one.

    ``shown_at`` is the instant that the run's snapshot shows: a snapshot that is judged again as of a later day sees
    nothing gone on that day.

    Raises ``StoreError`` where a later run is recorded: what this one did not judge, that one may have.
    """
    with database.writing() as session:
        last = session.exec(select(RunRow).order_by(col(RunRow.number).desc()).limit(1)).first()
        if last is None or last.run_id != run.run_id or last.number is None:
            raise StoreError(
                f"run {run.run_id} is not the last recorded one",
                advice="nonconformities follow the last run; the next run follows all of it",
            )
        follower = _Follower(
            session,
            run,
            last.number,
            policy=policy,
            seen_at=min(run.as_of, shown_at),
            holders=holders,
            affiliations=affiliations,
        )
        return follower.follow()


class _Follower:
    """One run that is followed: its session, and the rows that are not closed."""

    def __init__(
        self,
        session: Session,
        run: Run,
        number: int,
        *,
        policy: Policy,
        seen_at: datetime,
        holders: Holders,
        affiliations: Affiliations,
    ) -> None:
        self._session, self._run, self._number, self._seen_at = session, run, number, seen_at
        self._policy, self._holders, self._affiliations = policy, holders, affiliations
        places = [(rule_id, scope) for rule_id, scopes in run.scopes.items() for scope in scopes]
        self._looked = {(rule_id, scope.source) for rule_id, scope in places}
        self._judged = {(rule_id, scope.source) for rule_id, scope in places if not scope.blocked}
        self._open: dict[int, NonconformityRow] = {
            row.number or 0: row
            for row in session.exec(select(NonconformityRow).where(col(NonconformityRow.state) != "closed"))
        }
        self._did: defaultdict[str, list[int]] = defaultdict(list)
        self._touched: set[int] = set()
        self._moved: Counter[str] = Counter()

    def follow(self) -> Followed:
        """Do all of it."""
        self._detach()
        self._attach()
        self._session.flush()
        waiting = attachments.waiting(self._session)
        for number, held in attachments.holdings(self._session).items():
            row = self._open[number]
            self._take_up(row, held)
            self._see(row, held, unsure=bool(held.places & waiting))
            self._weigh(row, held)
        self._answer()
        self._settle()
        named = {what: tuple(nc_id(number) for number in sorted(those)) for what, those in self._did.items()}
        return Followed(attached=self._moved["attached"], detached=self._moved["detached"], **named)

    def _change(self, row: NonconformityRow, what: str, why: str, **columns: Any) -> None:
        self._touched.add(row.number or 0)
        at = self._run.recorded_at
        rows.change(self._session, row, at=at, who=MACHINE, what=what, why=why, run=self._number, **columns)

    # --- findings come and go

    def _detach(self) -> None:
        """Take from each nonconformity the findings that stand no more, where this run judged them."""
        leaving: defaultdict[str, list[str]] = defaultdict(list)
        why_of: defaultdict[int, Counter[str]] = defaultdict(Counter)
        below = [severity for severity in attachments.SEVERITIES if not self._policy.takes(severity)]
        for number, finding in attachments.leaving(self._session, below):
            why = self._leaves(finding)
            if (finding.rule_id, finding.source) in self._judged:
                leaving[why].append(finding.finding_id)
                why_of[number][why] += 1
        for why, ids in leaving.items():
            for start in range(0, len(ids), CHUNK):
                here = col(AttachedRow.finding_id).in_(ids[start : start + CHUNK])
                alter = update(AttachedRow).where(here, col(AttachedRow.detached_run).is_(None))
                self._session.execute(alter.values(detached_run=self._number, detached_why=why))
        for number, counted in sorted(why_of.items()):
            self._moved["detached"] += counted.total()
            why = "; ".join(f"{count:,} {reason}" for reason, count in sorted(counted.items()))
            self._change(self._open[number], "detached", why)

    def _leaves(self, finding: Any) -> str:
        """Say why an attached finding stands no more."""
        if not finding.is_open:
            return "resolved"
        if finding.exception is not None:
            return f"suppressed by exception {finding.exception}"
        if finding.waiting:
            return "held for acceptance"
        return f"below the least severity, {self._policy.section.least_severity}"

    def _attach(self) -> None:
        """Bring every violation that stands and belongs nowhere to the nonconformity of its cause."""
        loose = [
            finding
            for finding in attachments.loose(self._session)
            if (finding.rule_id, finding.source) in self._judged and self._policy.takes(finding.severity)
        ]
        homes = attachments.homes(self._session)
        home_of = {f.finding_id: n for f in loose if (n := homes.get(f.finding_id)) in self._open}
        back: defaultdict[int, list[Found]] = defaultdict(list)
        for finding in loose:
            if finding.finding_id in home_of:
                back[home_of[finding.finding_id]].append(finding)
        rest = [finding for finding in loose if finding.finding_id not in home_of]
        groups = by_cause(rest, self._cause(rest, homes))
        of_key = {row.cause_key: row for row in self._open.values()}
        new = {cause: found for cause, found in groups.items() if cause.key not in of_key}
        for cause, found in groups.items():
            if cause not in new:
                back[of_key[cause.key].number or 0] += found
        for number, found in sorted(back.items()):
            self._join(self._open[number], found)
        self._begin(new)

    def _cause(self, found: Sequence[Found], homes: Mapping[str, int]) -> Callable[[Found], Cause]:
        """Return how to tell the cause of findings.

        Where it is unknown tonight to which supplier or department somebody belongs, a finding that had a home before
        keeps its cause.
        """
        if not {"supplier", "department"} & set(self._policy.section.group_by):
            return lambda finding: self._policy.cause(finding, Affiliation())
        known, whole = self._affiliations({finding.person_id for finding in found if finding.person_id})
        wanting = {
            homes[finding.finding_id]
            for finding in found
            if not whole and finding.person_id not in known and finding.person_id and finding.finding_id in homes
        }
        kept = attachments.causes(self._session, wanting)

        def cause(finding: Found) -> Cause:
            home = homes.get(finding.finding_id, 0)
            if home in kept and finding.person_id not in known:
                return kept[home]
            return self._policy.cause(finding, known.get(finding.person_id or "", Affiliation()))

        return cause

    def _join(self, row: NonconformityRow, found: Sequence[Found]) -> None:
        self._write(row, found)
        if row.gone_run is not None:
            self._return(row, f"{_findings(len(found))} came back or came new")
        self._change(row, "attached", _findings(len(found)))

    def _return(self, row: NonconformityRow, why: str) -> None:
        """Forget that it was seen gone: the watch begins anew when it is gone again."""
        self._did["returned"].append(row.number or 0)
        self._change(row, "returned", why, **dict.fromkeys(rows.SEEN))

    def _write(self, row: NonconformityRow, found: Iterable[Found]) -> None:
        attached = [
            {"nonconformity": row.number, "finding_id": each.finding_id, "attached_run": self._number} for each in found
        ]
        self._moved["attached"] += len(attached)
        bulk.insert(self._session.connection(), AttachedRow, attached)

    # --- new causes, and causes that were closed

    def _begin(self, groups: Mapping[Cause, Sequence[Found]]) -> None:
        """Open a nonconformity for each cause, or reopen the one that was closed a short while ago."""
        closed = attachments.last_closed(self._session, {cause.key for cause in groups})
        shortly = timedelta(days=self._policy.section.reopen_days)
        fresh: list[tuple[NonconformityRow, Draft, Sequence[Found]]] = []
        for cause, found in groups.items():
            before = closed.get(cause.key)
            if before is not None and before.closed_at and self._run.as_of - before.closed_at <= shortly:
                self._reopen(before, found)
                continue
            drafted = draft(cause, found, self._policy)
            fresh.append((self._row(drafted, len(found), before), drafted, found))
        self._session.add_all(row for row, _, _ in fresh)
        self._session.flush()
        for row, drafted, found in fresh:
            self._open[row.number or 0] = row
            self._did["opened"].append(row.number or 0)
            why = f"{_findings(len(found))} of one cause: {drafted.title}"
            if row.recurrence_of is not None:
                why += (
                    f"; {nc_id(row.recurrence_of)} had the same cause and is closed for more than {shortly.days} days"
                )
            self._change(row, "opened", why)
            self._write(row, found)
            if row.recurrence_of is not None:
                self._up(row, "it recurs")

    def _row(self, drafted: Draft, count: int, before: NonconformityRow | None) -> NonconformityRow:
        as_of = self._run.as_of
        recurs = None if before is None else nc_id(before.number or 0)
        grade, reason = self._policy.grade(drafted.rule_id, drafted.severity, count, recurrence_of=recurs)
        columns: dict[str, Any] = {
            "cause_key": drafted.cause.key,
            "rule_id": drafted.rule_id,
            "source": drafted.source,
            "supplier_id": drafted.supplier_id,
            "title": drafted.title,
            "statement": drafted.statement,
            "requirement": rows.requirement(drafted.requirement.controls, drafted.requirement.clauses),
            "severity": drafted.severity,
            "grade": grade,
            "grade_reason": reason,
            "state": "open",
            "detected_at": as_of,
            "detected_run": self._number,
            "owner_role": drafted.owner_role,
            "due_at": self._policy.due(drafted.rule_id, drafted.severity, as_of),
            "times_reopened": 0,
            "recurrence_of": None if before is None else before.number,
        }
        return NonconformityRow(**columns)

    def _reopen(self, row: NonconformityRow, found: Sequence[Found]) -> None:
        """Open again what was closed a short while ago; what people had entered did not last and is owed anew."""
        number = row.number or 0
        closed_at = row.closed_at
        why = f"{_findings(len(found))} came back after it was closed on {closed_at:%Y-%m-%d}"
        rows.reopen(self._session, row, at=self._run.recorded_at, who=MACHINE, why=why, run=self._number)
        self._open[number] = row
        self._touched.add(number)
        self._did["reopened"].append(number)
        self._write(row, found)
        worst = min((each.severity for each in found), key=SEVERITIES.index)
        due = self._policy.due(row.rule_id, worst, self._run.as_of)
        self._change(row, "weighed", f"severity {worst}, due anew", severity=worst, due_at=due)
        self._up(row, "it recurs")

    def _up(self, row: NonconformityRow, why: str) -> None:
        """Escalate one role up, where there is one."""
        up = owners.above(row.escalated_to or row.owner_role, self._policy.section.escalate_to, self._holders)
        if up is not None and up != row.escalated_to:
            self._change(row, "escalated", f"{why}: it goes up to {up}", escalated_to=up)

    # --- what the machine sees, and what follows from the findings

    def _take_up(self, row: NonconformityRow, held: Held) -> None:
        """Take up again what was set aside, where this run looks for all of it, or for a finding that stands."""
        if row.set_aside_by is not None and (held.places <= self._looked or held.standing & self._looked):
            why = "this run looks for it again: its rule and source are in the configuration"
            self._change(row, "taken up", why, **dict.fromkeys(rows.ASIDE))

    def _see(self, row: NonconformityRow, held: Held, *, unsure: bool) -> None:
        """Note that all findings are gone, or still are; only a run that judged all of it sees that.

        It is ``unsure`` while new violations of its rule and source are held: some may be of its cause.
        """
        if row.gone_run is not None and (held.excepted & self._judged):
            self._return(row, "a finding of it is there again, under an exception")
        seen_at, action_done = self._seen_at, row.action_done_at
        if held.there or unsure or seen_at < row.detected_at or not self._judged_whole(row, held):
            return
        if row.gone_run is None or row.gone_at is None or row.watch_until is None:
            until = seen_at + max(self._policy.watch(rule_id) for rule_id, _ in held.places)
            self._did["gone"].append(row.number or 0)
            why = f"judged whole, and none of its findings is there; watched until {until:%Y-%m-%d}"
            self._change(row, "gone", why, gone_run=self._number, gone_at=seen_at, watch_until=until)
        elif seen_at > row.gone_at and seen_at >= row.watch_until:
            anew = row.verified_at is not None and action_done is not None and row.verified_at < action_done <= seen_at
            if row.verified_at is None or anew:
                self._did["verified"].append(row.number or 0)
                why = "its findings are still gone after the watch period" + (", and after the action" if anew else "")
                self._change(row, "verified", why, verified_run=self._number, verified_at=seen_at)

    def _judged_whole(self, row: NonconformityRow, held: Held) -> bool:
        """Tell whether this run judged every rule of it in every source of its findings.

        One that is not bound to a source is judged where its rule was judged in all of them.
        """
        places = set(held.places)
        cause = msgspec.json.decode(row.cause_key, type=Cause)
        if cause.source is None:
            rule_ids = {rule_id for rule_id, _ in places}
            places |= {(rule_id, scope.source) for rule_id in rule_ids for scope in self._run.scopes.get(rule_id, ())}
        return places <= self._judged

    def _weigh(self, row: NonconformityRow, held: Held) -> None:
        """Let severity and grade follow the findings; what is due comes nearer where it became worse, never later."""
        severity: Severity = held.worst or row.severity  # type: ignore[assignment]  # the column holds one of them
        before: Severity = row.severity  # type: ignore[assignment]  # the same
        recurs = None if row.recurrence_of is None else nc_id(row.recurrence_of)
        grade, reason = self._policy.grade(
            row.rule_id, severity, held.ever, reopened=row.times_reopened, recurrence_of=recurs
        )
        due = row.due_at
        if worse(severity, before):
            due = min(due, self._policy.due(row.rule_id, severity, self._run.as_of))
        if (severity, grade, due) != (before, row.grade, row.due_at):
            why = f"{grade}: {reason}"
            self._change(row, "weighed", why, severity=severity, grade=grade, grade_reason=reason, due_at=due)

    def _answer(self) -> None:
        """Let owners follow the holders of roles."""
        vacated = attachments.for_vacancy(
            self._session, [n for n, row in self._open.items() if row.escalated_to is not None]
        )
        for number, row in sorted(self._open.items()):
            found = owners.answer(
                row.owner_role,
                holders=self._holders,
                escalate_to=self._policy.section.escalate_to,
                owner=row.owner,
                escalated_to=row.escalated_to,
                for_vacancy=number in vacated,
            )
            if (found.owner, found.escalated_to) != (row.owner, row.escalated_to):
                what = "vacant" if found.vacant else "answered"
                self._change(row, what, found.why, owner=found.owner, escalated_to=found.escalated_to)
            elif found.why and number in self._did["opened"]:
                self._change(row, "answered", found.why)

    def _settle(self) -> None:
        """Set the state of what was touched: it follows from everything else."""
        touched = [self._open[number] for number in sorted(self._touched)]
        for start in range(0, len(touched), CHUNK):
            part = touched[start : start + CHUNK]
            for row, held in zip(part, rows.values(self._session, part), strict=True):
                row.state = rows.kept_state(held).value
                self._session.add(row)


def _findings(count: int) -> str:
    return "1 finding" if count == 1 else f"{count:,} findings"
