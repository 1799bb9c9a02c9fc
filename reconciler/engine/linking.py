"""Make the table ``links`` in a sandbox: what is remembered, what the matchers say now, and what names say of that."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import NamedTuple

from reconciler.engine.sandbox import EPOCH, Sandbox
from reconciler.estate import correlate, names
from reconciler.estate.results import NewLink
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Status
from reconciler.snapshot import Snapshot

BATCH = 50_000
_ASIDE = ("odd", "remembered", "doubted")
"""Tables beside ``links`` that no rule reads."""

_DOUBTFUL = """
WITH fresh AS (
  SELECT l.*, l.method = 'employee_id' OR starts_with(l.method, 'attribute:') AS number
  FROM links l
  ANTI JOIN remembered r ON r.source = l.source AND r.account_id = l.account_id AND r.state <> 'rejected'
  WHERE l.state = 'linked'
),
told AS (
  SELECT l.*, a.display_name, CASE WHEN l.method = 'email' THEN coalesce(a.login, '') END AS login, p.full_name,
         -- Accounts are made some weeks ahead at most: an older one was somebody else's, or of an earlier time here.
         NOT l.number AND coalesce(
           least(a.created_at + INTERVAL 90 DAY, a.deleted_at) < CAST(p.starts_on AS TIMESTAMPTZ), false) AS early
  FROM fresh l
  JOIN accounts a ON a.source = l.source AND a.account_id = l.account_id
  JOIN people p ON p.person_id = l.person_id
)
SELECT source, account_id, number, early, display_name, login, full_name,
       (SELECT list(o.full_name) FROM people o
        WHERE number AND list_contains(candidates, o.person_id) AND o.person_id <> told.person_id)
FROM told
WHERE CASE WHEN display_name IS NULL OR full_name IS NULL THEN early
           WHEN number THEN candidates IS NOT NULL
           -- Names that share a longer part need no closer look, and these are nearly all.
           ELSE early OR NOT list_has_any(regexp_extract_all(lower(display_name), '[a-z0-9]{4,}'),
                                          regexp_extract_all(lower(full_name), '[a-z0-9]{4,}')) END
"""
_NAMELESS = """
SELECT a.account_id, a.display_name, a.department, a.source FROM accounts a
ANTI JOIN links l ON l.source = a.source AND l.account_id = a.account_id
WHERE a.display_name IS NOT NULL AND a.status IS DISTINCT FROM 'deleted'
  AND coalesce(a.kind, '') NOT IN ('service', 'shared', 'agent')
ORDER BY a.source, a.account_id LIMIT $most
"""


class _Fresh(NamedTuple):
    """A link made just now that names may speak against: the account's name and login, the person's, and others'."""

    source: str
    account_id: str
    number: bool
    early: bool
    shown: str | None
    login: str | None
    person: str | None
    others: list[str | None] | None

    @property
    def doubt(self) -> str:
        """Say what speaks against it; empty where nothing does."""
        older = "the account is older than the person's time here"
        if self.shown is None or self.person is None:
            return older if self.early else ""
        if self.number:
            fitting = names.closer(self.shown, self.person, self.others or ())
            return "somebody else who fits has a name more like the account's" if fitting else ""
        if self.early and not names.same(self.shown, self.person):
            return older
        unlike = names.strangers(self.shown, self.person) or (
            self.login is not None and names.impersonal(self.shown, self.login, self.person)
        )
        return f"the account shows the name {self.shown}, which has nothing of {self.person}" if unlike else ""


def link(sandbox: Sandbox, snapshot: Snapshot, matchers: Sequence[str], *, plus_addressing: bool) -> None:
    """Fill ``links``, and beside it ``odd``, ``remembered`` and ``doubted``, from accounts, people and the snapshot."""
    connection = sandbox.connection
    connection.execute(correlate.ODD_DDL)
    found = connection.cursor().execute(correlate.odd_values_sql(matchers, plus_addressing=plus_addressing))
    while rows := found.fetchmany(BATCH):
        raw = [value for (value,) in rows]
        emails = [correlate.normal_email(value, plus_addressing=plus_addressing) for value in raw]
        logins = [correlate.normal_login(value) for value in raw]
        connection.execute("INSERT INTO odd SELECT unnest($1), unnest($2), unnest($3)", [raw, emails, logins])
    connection.execute(correlate.REMEMBERED_DDL)
    if path := snapshot.remembered_links():
        connection.execute("INSERT INTO remembered SELECT * FROM read_parquet($path)", {"path": str(path)})
    sandbox.create(tables()["links"])
    connection.execute(f"INSERT INTO links {correlate.links_sql(matchers, snapshot.as_of)}")
    _doubt(sandbox)
    _propose(sandbox)


def forget(sandbox: Sandbox) -> None:
    """Drop what stands beside ``links``."""
    for name in _ASIDE:
        sandbox.connection.execute(f"DROP TABLE {name}")


def _doubt(sandbox: Sandbox) -> None:
    """Take back what was linked just now to somebody whose name is a stranger's, or who came after the account.

    An address may have been somebody else's before anything was remembered, and a number mistyped. A number is
    doubted only where something else names another person, whose name is the one more like the account's.
    """
    sandbox.connection.execute("CREATE TABLE doubted (source VARCHAR, account_id VARCHAR, number BOOLEAN, why VARCHAR)")
    found = sandbox.connection.cursor().execute(_DOUBTFUL)
    doubted: list[tuple[str, str, bool, str]] = []
    while rows := found.fetchmany(BATCH):
        doubted += [
            (link.source, link.account_id, link.number, why) for link in map(_Fresh._make, rows) if (why := link.doubt)
        ]
    if doubted:
        columns = [list(column) for column in zip(*doubted, strict=True)]
        sandbox.connection.execute("INSERT INTO doubted SELECT unnest($1), unnest($2), unnest($3), unnest($4)", columns)
        sandbox.connection.execute(
            "UPDATE links SET state = CASE WHEN d.number THEN 'ambiguous' ELSE 'proposed' END, "
            "candidates = coalesce(candidates, [person_id]), person_id = NULL, since = NULL "
            "FROM doubted d WHERE links.source = d.source AND links.account_id = d.account_id"
        )


def _propose(sandbox: Sandbox) -> None:
    """Add to ``links`` whom the names of accounts that nothing else links are like; never more than a proposal."""
    orphans = nameless(sandbox)
    proposed = names.propose(orphans, people(sandbox)) if orphans else {}
    if proposed:
        rows = [
            (source, account, fits[0].confidence, [fit.person_id for fit in fits])
            for (source, account), fits in proposed.items()
        ]
        sandbox.connection.execute(
            "INSERT INTO links BY NAME SELECT unnest($1) AS source, unnest($2) AS account_id, 'name' AS method, "
            "unnest($3) AS confidence, 'proposed' AS state, unnest($4) AS candidates",
            [list(column) for column in zip(*rows, strict=True)],
        )


def nameless(sandbox: Sandbox) -> list[names.Named]:
    """Return the accounts of people, as far as is known, that have no row in ``links``; the first so many."""
    found = sandbox.connection.execute(_NAMELESS, {"most": names.MOST_ACCOUNTS})
    return [names.Named(*row) for row in found.fetchall()]


def people(sandbox: Sandbox) -> Iterator[names.Named]:
    """Yield everybody who has a name."""
    found = sandbox.connection.cursor().execute(
        "SELECT person_id, full_name, department FROM people WHERE full_name IS NOT NULL ORDER BY person_id"
    )
    while rows := found.fetchmany(BATCH):
        yield from (names.Named(*row) for row in rows)


def made(sandbox: Sandbox, snapshot: Snapshot, *, people_are_clear: bool) -> tuple[NewLink, ...]:
    """Return the links that matchers made and that were not remembered.

    An address is one person's alone only where everybody was read. So nothing is made where people were not read
    whole or contradict themselves (not ``people_are_clear``), nor in a source whose accounts were not.
    """
    whole = all(snapshot.status(source, "people") is Status.COMPLETE for source in snapshot.sources_of("people"))
    sources = [s for s in snapshot.sources_of("accounts") if snapshot.status(s, "accounts") is Status.COMPLETE]
    if not (whole and people_are_clear and sources):
        return ()
    found = sandbox.connection.cursor().execute(
        "SELECT source, account_id, person_id, method, confidence, epoch_us(since) FROM links l "
        "ANTI JOIN remembered r ON r.source = l.source AND r.account_id = l.account_id AND r.state <> 'rejected' "
        "WHERE l.state = 'linked' AND list_contains($1, l.source) ORDER BY source, account_id",
        [sources],
    )
    links: list[NewLink] = []
    while rows := found.fetchmany(BATCH):
        for source, account_id, person_id, method, confidence, since in rows:
            links.append(
                NewLink(
                    source=sys.intern(source),
                    account_id=account_id,
                    person_id=person_id,
                    method=sys.intern(method),
                    confidence=confidence,
                    since=EPOCH + timedelta(microseconds=since),
                )
            )
    return tuple(links)
