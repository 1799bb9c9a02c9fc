"""Nights that are recorded and followed, with people and roles as a test wants them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

import msgspec
from sqlmodel import col, select

from reconciler.database.connection import Database
from reconciler.database.nonconformities import AttachedRow
from reconciler.estate.results import Outcome, Run, Scope, Severity
from reconciler.findings.store import FindingStore
from reconciler.nonconformity.following import Followed, follow
from reconciler.nonconformity.grouping import Policy, Requirement
from reconciler.nonconformity.record import Nonconformity
from reconciler.nonconformity.store import Dossier, NonconformityStore
from reconciler.sections.nonconformities import Nonconformities
from reconciler.snapshot.people import Affiliation, Holder, Holders
from tests.findings.nights import blocked, evaluation, night, result, rule, verdict

LEAVER = "IG-LVR-001"
REQUIRED = Requirement(
    controls={"IG-C-07": "Access ends when its reason ends"},
    clauses={"iso27001": ("A.5.18",)},
    frameworks={"iso27001": "ISO/IEC 27001:2022"},
    owner_role="it-operations-lead",
)
Said = Mapping[str, Collection[str] | None]
"""Source -> the accounts that are found there; None: it could not be read."""


def roles(**holders: str) -> Holders:
    """Return holders of roles, a role with hyphens written with underscores."""
    found = {name.replace("_", "-"): [Holder(who, who, date(2025, 1, 1))] for name, who in holders.items()}
    return Holders(by_role=found)


EVERYBODY = roles(it_operations_lead="P-ops", identity_governance_lead="P-lead", ciso="P-ciso")


class World:
    """Databases of findings and nonconformities that live through nights."""

    def __init__(self, url: str, **section: Any) -> None:
        self.findings = FindingStore.open(url)
        self.store = NonconformityStore.open(url)
        self.database = Database(url)
        self.section = Nonconformities.model_validate(section)
        self.holders = EVERYBODY
        self.people: dict[str, Affiliation] = {}
        self.people_whole = True

    def live(self, number: int, said: Said, *, follows: bool = True, **changes: Any) -> Followed:
        """Record a night and follow it."""
        run = self.record(number, said, **changes)
        return self.follow(run) if follows else Followed()

    def record(
        self,
        number: int,
        said: Said,
        *,
        severity: Severity = "high",
        excepted: Mapping[str, str] | None = None,
        unsure: Collection[str] = (),
        limit: int | None = None,
        rule_id: str = LEAVER,
    ) -> Run:
        """Record the night of that number: ``excepted`` is account -> exception, ``unsure`` cannot be judged."""
        verdicts = [
            msgspec.structs.replace(
                verdict(account, source=source, person=f"P-{account}", rule_id=rule_id),
                exception=(excepted or {}).get(account),
                verdict=Outcome.NOT_EVALUABLE if account in unsure else Outcome.VIOLATION,
            )
            for source, accounts in said.items()
            for account in sorted(accounts or ())
        ]
        scopes = [blocked(s) if a is None else Scope(source=s, population=len(a)) for s, a in said.items()]
        found = result(*verdicts, scopes=scopes, of=rule(rule_id, severity=severity))
        return self.findings.record(
            evaluation(found, number=number),
            run_id=f"run-{number}",
            estate="acme",
            coverage=(),
            recorded_at=night(number).replace(hour=4),
            limit=None if limit is None else lambda *_: limit,
        )

    def follow(self, run: Run, shown: int | None = None) -> Followed:
        """Follow a run over a snapshot of the night ``shown``; None: of its own."""
        policy = Policy(
            section=self.section, requirements={LEAVER: REQUIRED}, rules={each.rule_id: each for each in run.rules}
        )
        return follow(
            self.database,
            run,
            policy,
            shown_at=run.as_of if shown is None else night(shown),
            holders=self.holders,
            affiliations=self.affiliations,
        )

    def affiliations(self, person_ids: Collection[str]) -> tuple[Mapping[str, Affiliation], bool]:
        return {one: self.people[one] for one in person_ids if one in self.people}, self.people_whole

    def only(self) -> Nonconformity:
        (held,) = self.store.listed()
        return held

    def show(self, nc_id: str = "NC-000001") -> Dossier:
        return self.store.show(nc_id)

    def whats(self, nc_id: str = "NC-000001") -> list[str]:
        return [line.what for line in self.show(nc_id).history]

    def standing(self) -> set[tuple[int, str]]:
        """Return nonconformity and finding of all that is attached."""
        query = select(AttachedRow.nonconformity, AttachedRow.finding_id).where(col(AttachedRow.detached_run).is_(None))
        with self.database.reading() as session:
            return set(session.exec(query).all())

    def enter_all(self, number: int, nc_id: str = "NC-000001") -> None:
        """Enter what people owe, in the morning after that night."""
        at = night(number).replace(hour=9)
        self.store.contain(nc_id, by="ada", at=at, text="Sessions ended")
        self.store.correct(nc_id, by="ada", at=at, text="Accounts disabled")
        self.store.analyse(nc_id, by="ada", at=at, method="five_whys", text="HR tells IT weekly")
        plan = {"owner_role": "ciso", "due_on": date(2027, 1, 1), "known_roles": ("ciso",)}
        self.store.plan(nc_id, by="ada", at=at, text="HR tells IT at once", **plan)  # type: ignore[arg-type]  # mixed values
        self.store.do(nc_id, by="ada", at=at)

    def close(self, number: int, nc_id: str = "NC-000001") -> None:
        self.store.close(nc_id, by="bob", at=night(number).replace(hour=10), reason="effect seen")
