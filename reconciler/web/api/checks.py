"""What a delivery starts. It is a hint and no more: whatever it says is asked of the system that knows."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from reconciler import collect, live, run
from reconciler.errors import ReconcilerError, SourceError
from reconciler.estate.tables import tables
from reconciler.findings import FindingStore
from reconciler.sdk.connector import Found, LiveAccount, Lookup, PersonKeys, Presence, Status
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.disk import storing
from reconciler.web.api.deliveries import Outcome
from reconciler.web.api.endpoints import Endpoint, parsed

ReadTicket = Callable[[Settings, str, str], str | None]
"""Reads the ticket back that a system knows by this id, number or key, and says what it found; None: none of ours."""

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
class Checked:
    """What one look came to. ``whole`` False: something could not be told; ``again``: later it may be."""

    said: tuple[str, ...] = ()
    facts: tuple[Mapping[str, Any], ...] = ()
    whole: bool = True
    again: bool = False

    def __add__(self, other: Checked) -> Checked:
        return Checked(
            self.said + other.said, self.facts + other.facts, self.whole and other.whole, self.again or other.again
        )


def check(
    settings: Settings, endpoint: Endpoint, body: bytes, *, at: datetime, read_ticket: ReadTicket
) -> tuple[Outcome, Checked]:
    """Start the check that a delivery asks for; an expected failure is part of what is told, and never raised."""
    event, subjects, wanted = endpoint.wanted(parsed(body))
    if wanted is None:
        checked = Checked((f"no check is configured for {event or 'an event without a name'}",))
    elif not subjects:
        checked = Checked((f"nothing is named at {endpoint.section.subject}",), whole=False)
    else:
        checked = Checked()
        for subject in subjects:
            for look in _looks(settings, endpoint, wanted, subject, at=at, read_ticket=read_ticket):
                checked += _caught(look)
    outcome = Outcome(
        said="; ".join(checked.said), check=wanted or "", event=event, subjects=subjects, facts=checked.facts
    )
    return outcome, checked


def _looks(
    settings: Settings, endpoint: Endpoint, wanted: str, subject: str, *, at: datetime, read_ticket: ReadTicket
) -> Iterable[Callable[[], Checked]]:
    if wanted == "person":
        yield partial(_person, settings, subject, ())
        return
    if (system := endpoint.section.system) is not None:
        yield partial(_ticket, settings, system, subject, read_ticket)
    if (source := endpoint.section.source) is not None:
        yield partial(_record, settings, source, subject, at=at)


def _caught(look: Callable[[], Checked]) -> Checked:
    try:
        return look()
    except ReconcilerError as error:
        retriable = isinstance(error, SourceError) and bool(getattr(error, "retriable", False))
        return Checked((f"{error.message.rstrip('.')}. {error.advice}".strip(),), whole=False, again=retriable)


def _ticket(settings: Settings, system: str, subject: str, read_ticket: ReadTicket) -> Checked:
    said = read_ticket(settings, system, subject)
    if said is None:
        return Checked((f"{system} has no ticket of ours with id {subject}",))
    return Checked((f"{system} {subject}: {said}",), ({"system": system, "ticket": subject, "said": said},))


def _record(settings: Settings, source: str, subject: str, *, at: datetime) -> Checked:
    """Read a record of a source again, and check live whose access hangs on it."""
    (pull,) = run.open_sources(settings, [source])
    if isinstance(pull.source, Lookup) and not _governs(pull):
        asyncio.run(collect.close(pull.source))
        return _account(settings, source, subject)
    with tempfile.TemporaryDirectory(prefix="reconciler-") as folder:
        fresh = _pull(settings, pull, Path(folder), at=at)
        last = SnapshotStore(settings.snapshots).latest_of(settings.config.estate.name)
        found = [
            (table, key, row)
            for table, key in _keys(fresh, source)
            for row in _rows(fresh, table, key, subject, source=source)
        ]
        unread = [table for table, _ in _keys(fresh, source) if fresh.status(source, table) != Status.COMPLETE]
        if not found:
            if unread:
                gaps = "; ".join(f"{table}: {' | '.join(fresh.gaps(source, table))}" for table in unread)
                return Checked(
                    (f"{source} could not be read whole, so nothing is known of {subject}: {gaps}",),
                    whole=False,
                    again=True,
                )
            return Checked((f"{source} was read whole and has no record {subject}",)) + _dependants(
                settings, fresh, last, source, subject
            )
        checked = Checked()
        for table, key, row in found:
            checked += _told(source, table, key, row, last)
        return checked + _dependants(settings, fresh, last, source, subject)


def _governs(pull: collect.Pull) -> bool:
    return any(tables()[table].group == "governance" for table in pull.source.reports)


def _pull(settings: Settings, pull: collect.Pull, folder: Path, *, at: datetime) -> Snapshot:
    """Read the governance tables of one source into a snapshot that nobody keeps."""
    wanted = [
        table
        for table in pull.source.reports
        if tables()[table].group == "governance" and (pull.settings.tables is None or table in pull.settings.tables)
    ]
    alone = replace(pull, settings=pull.settings.model_copy(update={"tables": wanted}))
    limits = settings.config.limits
    return asyncio.run(
        collect.pull(
            [alone],
            SnapshotStore(folder),
            estate=settings.config.estate.name,
            as_of=at,
            limits=collect.Limits(limits.drop_count, limits.drop_percent, limits.small_population),
            accepted=(),
            report=lambda _: None,
            matchers=settings.config.correlation.matchers,
        )
    )


def _keys(snapshot: Snapshot, source: str) -> list[tuple[str, str]]:
    """Return each table that the source reports with the column that numbers its records."""
    return [
        (part.table_name, next(iter(tables()[part.table_name].key)))
        for part in snapshot.coverage()
        if part.source == source and tables()[part.table_name].group == "governance"
    ]


def _rows(
    snapshot: Snapshot | None, table: str, column: str, value: str, *, source: str | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a table, of one source or all, whose ``column`` is ``value``."""
    found: list[dict[str, Any]] = []
    for path in snapshot.files(table, source) if snapshot else ():
        with storing(path, "read"):
            found += pq.read_table(path, filters=[(column, "==", value)]).to_pylist()
    return found


def _told(source: str, table: str, key: str, row: Mapping[str, Any], last: Snapshot | None) -> Checked:
    now = _facts(row, key)
    before = [_facts(old, key) for old in _rows(last, table, key, row[key], source=source)]
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


def _dependants(settings: Settings, fresh: Snapshot, last: Snapshot | None, source: str, subject: str) -> Checked:
    """Look live at whose access hangs on a contract or an exception: the people under one, what the other covers."""
    known = [one for one in (fresh, last) if one is not None]
    people = {row["person_id"]: None for one in known for row in _rows(one, "people", "contract_id", subject)}
    accounts: dict[tuple[str, str], None] = {}
    for row in (row for one in known for row in _rows(one, "exceptions", "exception_id", subject, source=source)):
        if row.get("source") in settings.sources and row.get("account_id"):
            accounts[row["source"], row["account_id"]] = None
        elif row.get("person_id"):
            people[row["person_id"]] = None
    checked = Checked()
    for name, account in accounts:
        checked += _caught(partial(_account, settings, name, account))
    for person in list(people)[:_MOST_PEOPLE]:
        checked += _caught(partial(_person, settings, person, known))
    if len(people) > _MOST_PEOPLE:
        checked += Checked((f"{len(people) - _MOST_PEOPLE} more people were not looked at",), whole=False)
    return checked


def _account(settings: Settings, source: str, account_id: str) -> Checked:
    return _lived(source, live.reread(settings, source, account_id))


def _lived(source: str, account: LiveAccount) -> Checked:
    told = account.presence is not Presence.NOT_EVALUABLE
    said = f"{source} account {account.account_id}: {account.presence.value}" + (
        f" ({account.reason})" if account.reason and not told else ""
    )
    fact = {
        "source": source,
        "account_id": account.account_id,
        "presence": account.presence.value,
        "reason": account.reason,
        "digest": account.digest,
        "credentials": {one.kind: one.presence.value for one in account.credentials},
    }
    return Checked((said,), (fact,), whole=told, again=not told)


def _person(settings: Settings, person_id: str, snapshots: Sequence[Snapshot]) -> Checked:
    """Find a person's accounts live in every source that can look, and re-read those and the ones linked before.

    ``snapshots``: where the person may stand; none: the newest sealed one.
    """
    last = SnapshotStore(settings.snapshots).latest_of(settings.config.estate.name) if not snapshots else None
    known = [row for one in (*snapshots, last) for row in _rows(one, "people", "person_id", person_id)]
    checked = Checked()
    if not known:
        checked = Checked((f"nobody in the newest snapshot is {person_id}, so only that number was looked for",))
    keys = PersonKeys(
        person_id=person_id,
        employee_id=next(
            (row["employee_id"] for row in known if row.get("employee_id")), person_id if not known else ""
        ),
        emails=_texts(known, "emails"),
        logins=_texts(known, "logins"),
    )
    wanted = dict.fromkeys(_linked(settings, person_id))
    if keys.employee_id or keys.emails or keys.logins:
        answers = live.find(settings, (), keys)
        for source, answer in answers.items():
            checked += _found(source, answer)
            if isinstance(answer, Found):
                wanted |= {(source, ref.account_id): None for ref in answer.accounts}
        if not answers:
            checked += Checked(("no configured source can be asked for accounts",), whole=False)
        elif not wanted and checked.whole:
            checked += Checked((f"no account in {', '.join(answers)}",))
    else:
        checked += Checked(("nothing is known to look with",), whole=False)
    for source, account in wanted:
        checked += _caught(partial(_account, settings, source, account))
    return Checked((f"person {person_id}", *checked.said), checked.facts, checked.whole, checked.again)


def _found(source: str, answer: Found | ReconcilerError) -> Checked:
    if isinstance(answer, ReconcilerError):
        return Checked(
            (f"{source} could not look: {answer.message}",),
            whole=False,
            again=bool(getattr(answer, "retriable", False)),
        )
    if answer.gaps:
        gaps = " | ".join(dict.fromkeys(gap.reason for gap in answer.gaps))
        return Checked((f"{source} could not look everywhere: {gaps}",), whole=False)
    return Checked()


def _texts(known: Sequence[Mapping[str, Any]], column: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for row in known for text in row.get(column) or ()))


def _linked(settings: Settings, person_id: str) -> list[tuple[str, str]]:
    store = FindingStore.open(settings.database_url, to_read=True)
    return [
        (link.source, link.account_id)
        for link in store.remembered_links()
        if link.person_id == person_id and link.state != "rejected" and link.source in settings.sources
    ]
