"""Nights of one directory and the nonconformity that follows them, as the product itself follows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date, datetime, timedelta

from reconciler.database.connection import Database
from reconciler.estate.results import Scope
from reconciler.findings.store import FindingStore
from reconciler.nonconformity.following import follow
from reconciler.nonconformity.grouping import Policy, Requirement
from reconciler.nonconformity.record import Grade, Nonconformity
from reconciler.nonconformity.store import NonconformityStore
from reconciler.sections.nonconformities import Nonconformities
from reconciler.snapshot.people import Affiliation, Holders
from tests.findings.nights import blocked, night, record, result, rule, verdict

NC = "NC-000001"
ROLES = ("identity-governance-lead", "ciso")
WATCH = 3
"""Days."""


def evening(number: int) -> datetime:
    """When people act: after the night of that number was recorded."""
    return night(number) + timedelta(hours=10)


class Nights:
    """Accounts of one directory are found or not, night by night."""

    def __init__(self, url: str, *, grade: Grade = "minor", reopen_days: int = 10) -> None:
        self.findings = FindingStore.open(url)
        self.store = NonconformityStore.open(url)
        self.database = Database(url)
        section = Nonconformities(watch_days=WATCH, reopen_days=reopen_days, major_count=1 if grade == "major" else 50)
        required = Requirement(controls={"IG-C-07": "Access ends"}, clauses={"iso27001": ("A.5.18",)})
        self.policy = Policy(section=section, requirements={rule().rule_id: required}, rules={rule().rule_id: rule()})

    def live(self, number: int, accounts: Collection[str] | None, *, followed: bool = True, left: bool = False) -> None:
        """Live one night; ``accounts`` None: the directory could not be read, or ``left`` the configuration."""
        if left:
            run = record(self.findings, number, result(scopes=[Scope(source="aws")]))
        elif accounts is None:
            run = record(self.findings, number, result(scopes=[blocked()]))
        else:
            scope = Scope(source="ldap", violations=len(accounts))
            run = record(self.findings, number, result(*map(verdict, sorted(accounts)), scopes=[scope]))
        if followed:
            nobody = Holders(unknown="no source")
            follow(self.database, run, self.policy, shown_at=run.as_of, holders=nobody, affiliations=_nowhere)

    def held(self) -> Nonconformity:
        """Return the nonconformity."""
        return self.store.show(NC).nonconformity


def _nowhere(_ids: Collection[str]) -> tuple[Mapping[str, Affiliation], bool]:
    return {}, True


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
