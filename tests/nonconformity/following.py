"""A small machine that follows one cause through the nights, so that the record can be tested by itself."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, select

from reconciler.database.connection import Database
from reconciler.database.findings import FindingRow, RunRow
from reconciler.database.nonconformities import AttachedRow, NonconformityRow
from reconciler.estate.results import Scope
from reconciler.findings.store import FindingStore
from reconciler.nonconformity import rows
from reconciler.nonconformity.record import MACHINE, Cause, Grade, Nonconformity
from reconciler.nonconformity.store import NonconformityStore
from tests.findings.nights import blocked, night, record, result, verdict

WATCH = timedelta(days=3)
NC = "NC-000001"
ROLES = ("identity-governance-lead", "ciso")


def evening(number: int) -> datetime:
    """When people act: after the night of that number was recorded."""
    return night(number) + timedelta(hours=10)


class Nights:
    """Nights in which accounts of one directory are found or not, and the nonconformity that follows them."""

    def __init__(self, url: str, *, grade: Grade = "minor") -> None:
        self.findings = FindingStore.open(url)
        self.store = NonconformityStore.open(url)
        self.database = Database(url)
        self.grade = grade

    def live(self, number: int, accounts: Collection[str] | None) -> None:
        """Live one night; ``accounts`` None: the directory could not be read."""
        if accounts is None:
            run = record(self.findings, number, result(scopes=[blocked()]))
        else:
            found = result(*map(verdict, sorted(accounts)), scopes=[Scope(source="ldap", violations=len(accounts))])
            run = record(self.findings, number, found)
        with self.database.writing() as session:
            this = session.exec(select(RunRow).where(RunRow.run_id == run.run_id)).one()
            self._follow(session, this, judged=accounts is not None)

    def _follow(self, session: Session, run: RunRow, *, judged: bool) -> None:
        standing = set(session.exec(select(FindingRow.finding_id).where(col(FindingRow.is_open))))
        row = session.exec(select(NonconformityRow).order_by(col(NonconformityRow.number).desc()).limit(1)).first()
        if row is None and standing:
            row = begin(session, run, grade=self.grade)
        elif row is not None and row.state == "closed" and standing and judged:
            rows.reopen(session, row, at=run.as_of, who=MACHINE, why="its findings came back", run=run.number)
        if row is None or row.state == "closed":
            return
        self._attach(session, row, run, standing)
        self._see(session, row, run, standing=bool(standing), judged=judged)
        rows.settle(session, row)

    def _attach(self, session: Session, row: NonconformityRow, run: RunRow, standing: set[str]) -> None:
        assert run.number is not None
        attached = session.exec(
            select(AttachedRow).where(AttachedRow.nonconformity == row.number, col(AttachedRow.detached_run).is_(None))
        ).all()
        for one in attached:
            if one.finding_id not in standing:
                one.detached_run, one.detached_why = run.number, "resolved"
                session.add(one)
        for finding_id in standing - {one.finding_id for one in attached}:
            attach: dict[str, Any] = {"finding_id": finding_id, "attached_run": run.number, "nonconformity": row.number}
            session.add(AttachedRow(**attach))
        session.flush()

    def _see(self, session: Session, row: NonconformityRow, run: RunRow, *, standing: bool, judged: bool) -> None:
        def tell(what: str, why: str, seen: dict[str, Any]) -> None:
            rows.change(session, row, at=run.as_of, who=MACHINE, what=what, why=why, run=run.number, **seen)

        if standing:
            if row.gone_run is not None:
                tell("returned", "a finding is back", dict.fromkeys(rows.SEEN))
        elif judged and row.gone_run is None:
            seen: dict[str, Any] = {"gone_run": run.number, "gone_at": run.as_of, "watch_until": run.as_of + WATCH}
            tell("gone", "a whole pull shows none of its findings", seen)
        elif judged and row.verified_run is None and row.watch_until and run.as_of >= row.watch_until:
            seen = {"verified_run": run.number, "verified_at": run.as_of}
            tell("verified", "still gone after the watch period", seen)

    def held(self) -> Nonconformity:
        """Return the nonconformity."""
        return self.store.show(NC).nonconformity


def begin(session: Session, run: RunRow, *, grade: Grade = "minor", source: str = "ldap") -> NonconformityRow:
    """Open a nonconformity that has no findings yet."""
    held: dict[str, Any] = {
        "cause_key": Cause(rule_id="IG-LVR-001", source=source).key,
        "rule_id": "IG-LVR-001",
        "source": source,
        "supplier_id": None,
        "title": f"Leavers can sign in to {source}",
        "statement": "Accounts of leavers can sign in.",
        "requirement": rows.requirement(["C-LVR-1"], {"ISO 27001": ["A.5.18"]}),
        "severity": "high",
        "grade": grade,
        "grade_reason": "fewer than 50 findings" if grade == "minor" else "50 findings or more",
        "state": "open",
        "detected_at": run.as_of,
        "detected_run": run.number,
        "owner_role": "identity-governance-lead",
        "owner": None,
        "escalated_to": None,
        "due_at": run.as_of + timedelta(days=7),
        "times_reopened": 0,
    }
    row = NonconformityRow(**held)
    session.add(row)
    session.flush()
    assert row.number is not None
    rows.transition(
        session, row.number, at=run.as_of, who=MACHINE, what="opened", why="its findings are new", run=run.number
    )
    session.flush()
    return row


def enter_all(nights: Nights, number: int, *, who: str = "ada") -> None:
    """Enter what people owe, on the evening of that night."""
    at, store = evening(number), nights.store
    store.contain(NC, by=who, at=at, text="Sessions ended")
    store.correct(NC, by=who, at=at, text="Account disabled")
    store.analyse(NC, by=who, at=at, method="five_whys", text="HR tells IT weekly")
    store.plan(
        NC,
        by=who,
        at=at,
        text="HR tells IT at once",
        owner_role="ciso",
        due_on=date(2026, 12, 31),
        known_roles=ROLES,
    )
    store.do(NC, by=who, at=at)


def verified(url: str, *, grade: Grade = "minor") -> Nights:
    """Return nights after which only the close is owed."""
    nights = Nights(url, grade=grade)
    nights.live(0, {"a", "b"})
    enter_all(nights, 0)
    nights.live(1, set())
    nights.live(5, set())
    return nights
