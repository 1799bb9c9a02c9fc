"""Records of a source of governance, read again, and whose access hangs on them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from reconciler import collect, run
from reconciler.collect.mass_change import too_much
from reconciler.errors import ConfigurationError
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Lookup, Status
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.web.api.looks import Checked, account, person, rows_where, together

_TOLD = (
    "status",
    "decision",
    "starts_on",
    "ends_on",
    "valid_until",
    "expires_at",
    "due_at",
    "contract_id",
    "supplier_id",
)
"""Columns that an outcome repeats: how a record stands and until when, and no names."""
_MOST_PEOPLE = 50


@dataclass(frozen=True, slots=True)
class _Register:
    """A source of governance as it is now, beside how all of them stood when a snapshot was last sealed."""

    settings: Settings
    source: str
    tables: Sequence[str]
    """Those of its tables that were read."""
    fresh: Snapshot
    last: Snapshot | None

    @property
    def both(self) -> list[Snapshot]:
        return [one for one in (self.fresh, self.last) if one is not None]

    def unread(self) -> list[str]:
        """Say which of its tables could not be read whole, lost too much or are no longer reported, and why."""
        entries = self.last.manifest.sources if self.last is not None else ()
        before = [table for entry in entries if entry.name == self.source for table in entry.reports if _governs(table)]
        found = [
            f"{table}: {' | '.join(self.fresh.gaps(self.source, table))}"
            for table in dict.fromkeys((*self.tables, *before))
            if self.fresh.status(self.source, table) != Status.COMPLETE
        ]
        for table in sorted(set(self.tables) & set(before)):
            was, now = (one.rows(self.source, table) for one in (self.last or self.fresh, self.fresh))
            if too_much(was, now, _limits(self.settings)):
                found.append(f"{table}: {was} rows in the newest snapshot and {now} now, which a person has to look at")
        return found

    def people_unread(self) -> Checked:
        """Say why somebody may be under a contract of whom nothing is known; nothing where everybody is."""
        said = []
        if "people" in self.tables and self.fresh.status(self.source, "people") != Status.COMPLETE:
            said.append(f"people of {self.source}: {' | '.join(self.fresh.gaps(self.source, 'people'))}")
        again = bool(said)
        if self.last is not None:
            said += [
                f"people of {name} were not read whole in the newest snapshot"
                for name in self.last.sources_of("people")
                if not (name == self.source and "people" in self.tables)
                and self.last.status(name, "people") != Status.COMPLETE
            ]
        elif set(self.settings.sources) - {self.source}:
            said.append("no snapshot of the other sources is sealed yet")
        if not said:
            return Checked()
        return Checked((f"not everybody under it is known: {'; '.join(said)}",), whole=False, again=again)


def records(settings: Settings, source: str, subjects: Sequence[str], *, at: datetime) -> Checked:
    """Read records of a source again, all with one pull, and check live whose access hangs on them."""
    (pull,) = run.open_sources(settings, [source])
    allowed = pull.settings.tables
    wanted = [table for table in pull.source.reports if _governs(table) and (allowed is None or table in allowed)]
    if not wanted:
        asyncio.run(collect.close(pull.source))
        if not isinstance(pull.source, Lookup):
            raise ConfigurationError(
                f"{source} keeps nothing that can be asked for one by one",
                advice="Let [inbound.NAME] source name one that reports contracts, exceptions, people or accounts.",
            )
        return together(partial(account, settings, source, subject) for subject in subjects)
    with tempfile.TemporaryDirectory(prefix="reconciler-") as folder:
        fresh = _pull(settings, pull, wanted, Path(folder), at=at)
        last = SnapshotStore(settings.snapshots).latest_of(settings.config.estate.name)
        register = _Register(settings, source, wanted, fresh, last)
        return together(partial(_record, register, subject) for subject in subjects)


def _record(register: _Register, subject: str) -> Checked:
    source = register.source
    found = [
        (table, key, row)
        for table in register.tables
        for key in tables()[table].key[:1]
        for row in rows_where(register.fresh, table, key, subject, source=source)
    ]
    if not found and (unread := register.unread()):
        said = f"{source} could not be read whole, so nothing is known of {subject}: {'; '.join(unread)}"
        return Checked((said,), whole=False, again=True)
    checked = Checked() if found else Checked((f"{source} was read whole and has no record {subject}",))
    for table, key, row in found:
        checked += _told(source, table, key, row, register.last)
    return checked + _dependants(register, subject)


def _governs(table: str) -> bool:
    return tables()[table].group == "governance"


def _pull(settings: Settings, pull: collect.Pull, wanted: list[str], folder: Path, *, at: datetime) -> Snapshot:
    """Read tables of one source into a snapshot that nobody keeps."""
    alone = replace(pull, settings=pull.settings.model_copy(update={"tables": wanted}))
    return asyncio.run(
        collect.pull(
            [alone],
            SnapshotStore(folder),
            estate=settings.config.estate.name,
            as_of=at,
            limits=_limits(settings),
            accepted=(),
            report=lambda _: None,
            matchers=settings.config.correlation.matchers,
        )
    )


def _limits(settings: Settings) -> collect.Limits:
    limits = settings.config.limits
    return collect.Limits(limits.drop_count, limits.drop_percent, limits.small_population)


def _told(source: str, table: str, key: str, row: Mapping[str, Any], last: Snapshot | None) -> Checked:
    now = _facts(row, key)
    before = [_facts(old, key) for old in rows_where(last, table, key, row[key], source=source)]
    said = ", ".join(f"{name} {value}" for name, value in now.items()) or "it is there"
    if before and before[0] != now:
        changed = ", ".join(
            f"{name} {before[0].get(name, 'unknown')}" for name in now if before[0].get(name) != now[name]
        )
        said += f" (in the newest snapshot {changed or 'more was known'})"
    fact = {"source": source, "table": table, "id": row[key], "now": now, "before": before[0] if before else None}
    return Checked((f"{source} {table} {row[key]}: {said}",), (fact,))


def _facts(row: Mapping[str, Any], key: str) -> dict[str, str]:
    told = {name: row[name] for name in _TOLD if name != key and row.get(name) is not None}
    return {
        name: value.isoformat() if isinstance(value, date | datetime) else str(value) for name, value in told.items()
    }


def _dependants(register: _Register, subject: str) -> Checked:
    """Look live at whose access hangs on a contract or an exception: the people under one, what the other covers."""
    settings, source = register.settings, register.source
    checked = Checked()
    people: dict[str, None] = {}
    if any(rows_where(one, "contracts", "contract_id", subject, source=source) for one in register.both):
        checked += register.people_unread()
        people = {
            row["person_id"]: None for one in register.both for row in rows_where(one, "people", "contract_id", subject)
        }
    accounts: dict[tuple[str, str], None] = {}
    for row in (
        row for one in register.both for row in rows_where(one, "exceptions", "exception_id", subject, source=source)
    ):
        if row.get("account_id") and row.get("source") in settings.sources:
            accounts[row["source"], row["account_id"]] = None
        elif row.get("person_id"):
            people[row["person_id"]] = None
        elif row.get("account_id"):
            where = row.get("source") or "a source that it does not name"
            checked += Checked((f"account {row['account_id']} of {where} cannot be looked at",), whole=False)
    checked += together(partial(account, settings, *each) for each in accounts)
    checked += together(partial(person, settings, each, register.both) for each in list(people)[:_MOST_PEOPLE])
    if len(people) > _MOST_PEOPLE:
        checked += Checked((f"{len(people) - _MOST_PEOPLE} more people were not looked at",), whole=False)
    return checked
