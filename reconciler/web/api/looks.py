"""Looks at accounts as they are now, and what a look comes to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow.parquet as pq

from reconciler import live
from reconciler.errors import ReconcilerError, StoreError
from reconciler.findings import FindingStore
from reconciler.log import explained
from reconciler.sdk.connector import Found, LiveAccount, PersonKeys, Presence
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.disk import storing


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


def together(looks: Iterable[Callable[[], Checked]]) -> Checked:
    """Look at everything: what one look meets keeps none of the others."""
    checked = Checked()
    for look in looks:
        try:
            checked += look()
        except ReconcilerError as error:
            again = isinstance(error, StoreError) or passes(error)
            checked += Checked((explained(error),), whole=False, again=again)
    return checked


def passes(error: ReconcilerError) -> bool:
    """Return whether an error may be over later."""
    return bool(getattr(error, "retriable", False))


def rows_where(
    snapshot: Snapshot | None, table: str, column: str, value: str, *, source: str | None = None
) -> list[dict[str, Any]]:
    """Return the rows of a table, of one source or all, whose ``column`` is ``value``."""
    found: list[dict[str, Any]] = []
    for path in snapshot.files(table, source) if snapshot else ():
        with storing(path, "read"):
            found += pq.read_table(path, filters=[(column, "==", value)]).to_pylist()
    return found


def account(settings: Settings, source: str, account_id: str) -> Checked:
    """Re-read one account and its credentials."""
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


def person(settings: Settings, person_id: str, snapshots: Sequence[Snapshot]) -> Checked:
    """Find a person's accounts live in every source that can look, and re-read those and the ones linked before.

    ``snapshots``: where the person may stand; none: the newest sealed one.
    """
    last = SnapshotStore(settings.snapshots).latest_of(settings.config.estate.name) if not snapshots else None
    known = [row for one in (*snapshots, last) for row in rows_where(one, "people", "person_id", person_id)]
    checked = Checked()
    if not known:
        said = f"nobody in the newest snapshot is {person_id}, so only that number was looked for"
        checked = Checked((said,), whole=False)
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
    checked += together(partial(account, settings, *each) for each in wanted)
    return Checked((f"person {person_id}", *checked.said), checked.facts, checked.whole, checked.again)


def _found(source: str, answer: Found | ReconcilerError) -> Checked:
    if isinstance(answer, ReconcilerError):
        return Checked((f"{source} could not look: {answer.message}",), whole=False, again=passes(answer))
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
