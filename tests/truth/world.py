"""A made-up estate whose every violation is known: clean people by the hundred, and what each family plants.

Everybody is right at first: engaged, trained, with approved access in two systems, reviewed and in use. A plant
takes fresh people or things, makes one of them wrong and others nearly so (the day before, the other zone, the
covered grant, the registered service account), and says what must be found. What is not said must not be found.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from reconciler.estate.tables import tables
from reconciler.sdk.connector import Status
from reconciler.sdk.records import RECORDS, Account, Entitlement, Grant, Person, Record
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.manifest import CoverageEntry, GapEntry, SourceEntry
from reconciler.snapshot.memory import Memory, RememberedLink

AS_OF = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
DAY = timedelta(days=1)
DIRECTORY, CLOUD, QMS = "directory", "cloud", "qms"
"""Two systems and the governance source."""

R = TypeVar("R", bound=Record)
Subject = tuple[str | None, ...]


@dataclass(frozen=True)
class Sealing:
    """How a world is written: ``order`` seeds a shuffle of rows, ``parts`` splits each table, ``beside`` is the
    name of one more system, which is empty, and ``failed`` of one that could not be read."""

    order: int | None = None
    parts: int = 1
    beside: str | None = None
    failed: str | None = None


class World:
    """Rows by table, and the subjects that each rule must find, in the order of the rule's identity."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.rows: defaultdict[str, list[Record]] = defaultdict(list)
        self.declared: dict[str, list[Record]] = defaultdict(list)
        self.links: dict[tuple[str, str], str] = {}
        """Remembered links: source and account -> person."""
        self.evaluated: dict[str, datetime] = {}
        """Rule -> the instant judged when it was last evaluated before."""
        self.unread: dict[str, datetime | None] = {}
        """Collectors of events that could not be read now -> when they were last read whole."""
        self.violations: dict[str, set[Subject]] = defaultdict(set)
        self.not_evaluable: dict[str, set[Subject]] = defaultdict(set)
        self._numbers: dict[str, int] = defaultdict(int)

    def number(self, kind: str) -> str:
        """Return a new id: ``P-000017``."""
        self._numbers[kind] += 1
        return f"{kind}-{self._numbers[kind]:06}"

    def add(self, table: str, row: R) -> R:
        """Add a row to a table of the estate."""
        self.rows[table].append(row)
        return row

    def declare(self, table: str, row: R) -> R:
        """Add a row that the configuration declares."""
        self.declared[table].append(row)
        return row

    def change(self, table: str, row: R, **values: Any) -> R:
        """Put another row in the place of ``row``; None takes a value away."""
        new = msgspec.structs.replace(row, **values)
        place = next(i for i in range(len(self.rows[table]) - 1, -1, -1) if self.rows[table][i] is row)
        self.rows[table][place] = new
        return new

    def remove(self, table: str, row: Record) -> None:
        """Take a row away."""
        self.rows[table] = [other for other in self.rows[table] if other is not row]

    def violates(self, rule_id: str, *subject: str | None) -> None:
        """Say that a rule must find this subject."""
        self.violations[rule_id].add(subject)

    def unknown(self, rule_id: str, *subject: str | None) -> None:
        """Say that a rule must call this subject not evaluable."""
        self.not_evaluable[rule_id].add(subject)

    def seal(self, folder: Path, how: Sealing | None = None) -> Snapshot:
        """Write the world as a sealed snapshot."""
        how = how or Sealing()
        writer = SnapshotStore(folder).create(estate="truth", as_of=AS_OF, started_at=AS_OF)
        coverage: list[CoverageEntry] = []
        reports: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
        for table in RECORDS:
            for source, rows in self._by_source(table, how).items():
                reports[source][table] = tuple(column.name for column in tables()[table].columns)
                for number in range(how.parts):
                    name = f"part {number}"
                    part = writer.partition(source, table)
                    part.write(rows[number :: how.parts])
                    file = part.finish()
                    failed = source == how.failed
                    gap = GapEntry(table=table, subject="", reason="the connection broke", missing_permission="")
                    coverage.append(
                        CoverageEntry(
                            source=source,
                            table=table,
                            partition=name,
                            status=Status.FAILED if failed else Status.COMPLETE,
                            rows=0 if failed else len(rows[number :: how.parts]),
                            gaps=(gap,) if failed else (),
                            files=(file,) if file and not failed else (),
                        )
                    )
        for source in self.unread:
            reports[source]["events"] = tuple(column.name for column in tables()["events"].columns)
            coverage.append(CoverageEntry(source=source, table="events", partition="all", status=Status.FAILED, rows=0))
        writer.remember(self._memory(reports))
        sources = [
            SourceEntry(name=name, connector="test", version="1", endpoint="test://", reports=tables_of)
            for name, tables_of in reports.items()
        ]
        return Snapshot(writer.seal(sources=sources, coverage=coverage, sealed_at=AS_OF))

    def _memory(self, reports: Mapping[str, Iterable[str]]) -> Memory:
        """Return what earlier nights left: all was read whole the night before, but for what is ``unread``."""
        complete = {
            source: {table: found for table in reports[source] if (found := self.unread.get(source, when(1)))}
            for source in reports
        }
        links = [
            RememberedLink(source, account_id, person_id, "linked", "employee_id", 1.0, when(300))
            for (source, account_id), person_id in self.links.items()
        ]
        return Memory(links=links, complete=complete, evaluated=self.evaluated)

    def _by_source(self, table: str, how: Sealing) -> dict[str, list[Record]]:
        rows = list(self.rows[table])
        if how.order is not None:
            random.Random(how.order).shuffle(rows)
        if tables()[table].group != "identity":
            return {QMS: rows}
        found: dict[str, list[Record]] = {name: [] for name in (DIRECTORY, CLOUD, how.beside) if name}
        for row in rows:
            found[getattr(row, "source", "")].append(row)
        return found


def when(days: float) -> datetime:
    """Return the instant that many days before the judged one."""
    return AS_OF - days * DAY


def account_of(world: World, person: Person, source: str, **values: Any) -> Account:
    """Add an account of a person: in use, with a second factor, linked by the personnel number."""
    account_id = world.number(f"acc-{source}")
    login = f"{(person.full_name or '').lower().replace(' ', '.')}.{account_id}"
    made: dict[str, Any] = {
        "source": source,
        "account_id": account_id,
        "login": login,
        "display_name": person.full_name,
        "email": person.emails[0] if person.emails else None,
        "employee_id": person.employee_id,
        "kind": "human",
        "raw_status": "ACTIVE",
        "status": "enabled",
        "can_sign_in": True,
        "created_at": when(400),
        "last_sign_in_at": when(2),
        "last_sign_in_basis": "sign-in log",
        "password_changed_at": when(30),
        "department": person.department,
        "mfa_enrolled": True,
        "attributes": "{}",
    }
    return world.add("accounts", Account(**(made | values)))


def entitlement(world: World, source: str, name: str, **values: Any) -> Entitlement:
    """Add an entitlement that is not privileged."""
    made: dict[str, Any] = {
        "kind": "group",
        "name": name,
        "privileged": False,
        "environment": "production",
        "membership": "assigned",
    }
    return world.add("entitlements", Entitlement(source=source, entitlement_id=world.number("ent"), **(made | values)))


def grant(world: World, account: Account, held: Entitlement, **values: Any) -> Grant:
    """Add a direct grant, made long ago."""
    made: dict[str, Any] = {"assignment": "direct", "granted_at": when(350)}
    return world.add(
        "grants",
        Grant(
            source=account.source,
            principal_kind="account",
            principal_id=account.account_id,
            entitlement_id=held.entitlement_id,
            **(made | values),
        ),
    )
