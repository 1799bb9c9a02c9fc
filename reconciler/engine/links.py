"""Look at the links of a sealed snapshot: which there are, and why an account is linked as it is."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from datetime import datetime

import msgspec

from reconciler.engine import linking
from reconciler.engine.sandbox import Sandbox, instant
from reconciler.engine.workspace import Options, open_links
from reconciler.errors import ConfigurationError
from reconciler.estate import correlate, names
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Status
from reconciler.snapshot import Snapshot

UNLINKED = "unlinked"
"""The state of an account of which nothing can be said."""

_LISTED = """
SELECT a.source, a.account_id, coalesce(a.login, a.display_name), l.state, l.person_id, l.method, l.confidence,
       epoch_us(l.since), l.candidates
FROM accounts a LEFT JOIN links l ON l.source = a.source AND l.account_id = a.account_id
WHERE ($source IS NULL OR a.source = $source) AND ($account IS NULL OR a.account_id = $account)
  AND ($state IS NULL OR coalesce(l.state, 'unlinked') = $state)
ORDER BY a.source, a.account_id
"""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An account and how it is linked; ``reason`` says why somebody is proposed, where names say so."""

    source: str
    account_id: str
    login: str | None
    state: str
    person_id: str | None
    method: str | None
    confidence: float | None
    since: datetime | None
    candidates: list[str] | None
    reason: str | None = None


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """What one matcher compared, and whom it found."""

    matcher: str
    value: str | None
    compared_as: str | None
    people: list[str]
    found: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an account is linked as it is, in one snapshot."""

    snapshot: str
    link: Listed
    compared: list[Compared]
    proposals: list[str]


_FOUND = {
    "sure": "names this one person",
    "many": "several people have it: it decides for nobody",
    "shared": "it is not this account's alone, or the account is no one person's: it only proposes",
}


def listed(
    snapshot: Snapshot, options: Options, *, state: str | None = None, source: str | None = None
) -> list[Listed]:
    """Return the accounts of a snapshot with their links; None asks nothing.

    Raises ``ConfigurationError`` for a source that reports no accounts there.
    """
    if source is not None:
        _refuse_unknown(snapshot, source)
    with open_links(snapshot, options) as sandbox:
        reasons = _reasons(sandbox) if state in {None, "proposed"} else {}
        return list(_rows(sandbox, reasons, state=state, source=source))


def unread(snapshot: Snapshot) -> list[str]:
    """Name what links are made of and was not read whole: what it links anew is kept for no later night."""
    return [
        f"the {table} of {source}"
        for table in ("people", "accounts")
        for source in snapshot.sources_of(table)
        if snapshot.status(source, table) is not Status.COMPLETE
    ]


def explain(snapshot: Snapshot, options: Options, source: str, account_id: str) -> Explanation:
    """Say what each matcher compared for one account, whom it found, and what came of it.

    Raises ``ConfigurationError`` where the snapshot holds no such account.
    """
    _refuse_unknown(snapshot, source)
    with open_links(snapshot, options) as sandbox:
        _refuse_no_account(sandbox, snapshot, source, account_id)
        link = next(_rows(sandbox, _reasons(sandbox), source=source, account=account_id))
        return Explanation(
            snapshot=snapshot.snapshot_id,
            link=link,
            compared=_compared(sandbox, options, link),
            proposals=[fit.reason for fit in _alike(sandbox, source, account_id)],
        )


def linked_to(
    snapshot: Snapshot, options: Options, source: str, account_id: str, person_id: str | None = None
) -> str | None:
    """Return whom the account is linked to in the snapshot.

    Raises ``ConfigurationError`` where that holds no such account, or no such person (None: not asked).
    """
    _refuse_unknown(snapshot, source)
    with open_links(snapshot, options) as sandbox:
        _refuse_no_account(sandbox, snapshot, source, account_id)
        if person_id is not None:
            _refuse_no_person(sandbox, snapshot, person_id)
        held = sandbox.connection.execute(
            "SELECT person_id FROM links WHERE source = $1 AND account_id = $2", [source, account_id]
        ).fetchone()
        return str(held[0]) if held and held[0] is not None else None


def _refuse_no_person(sandbox: Sandbox, snapshot: Snapshot, person_id: str) -> None:
    known = [row[0] for row in sandbox.connection.execute("SELECT person_id FROM people").fetchall()]
    if person_id not in known:
        near = difflib.get_close_matches(person_id, known, n=3) if len(known) < linking.BATCH else []
        unread = [s for s in snapshot.sources_of("people") if snapshot.status(s, "people") is not Status.COMPLETE]
        raise ConfigurationError(
            f"snapshot {snapshot.snapshot_id} holds no person {person_id!r}",
            advice=_not_there(near, unread, "people"),
        )


def _refuse_unknown(snapshot: Snapshot, source: str) -> None:
    known = snapshot.sources_of("accounts")
    if source not in known:
        raise ConfigurationError(
            f"no source {source!r} reports accounts in snapshot {snapshot.snapshot_id}",
            advice=f"Use one of: {', '.join(known) or 'none does'}.",
        )


def _refuse_no_account(sandbox: Sandbox, snapshot: Snapshot, source: str, account_id: str) -> None:
    found = sandbox.connection.execute(
        "SELECT account_id FROM accounts WHERE source = $1 AND (account_id = $2 OR lower(login) = lower($2) "
        "OR lower(email) = lower($2)) ORDER BY account_id = $2 DESC, account_id LIMIT 3",
        [source, account_id],
    ).fetchall()
    if not found or found[0][0] != account_id:
        unread = [source] if snapshot.status(source, "accounts") is not Status.COMPLETE else []
        raise ConfigurationError(
            f"{source} has no account with the id {account_id!r} in snapshot {snapshot.snapshot_id}",
            advice=_not_there([row[0] for row in found], unread, "accounts"),
        )


def _not_there(near: Sequence[str], unread: Sequence[str], table: str) -> str:
    if near:
        return f"Did you mean {' or '.join(near)}? Links go by immutable id, not by name."
    if unread:
        return f"The {table} of {', '.join(unread)} were not read whole: pull again."
    return f"The {table} were read whole: correct the id, or pull again where it is new."


def _rows(
    sandbox: Sandbox,
    reasons: dict[tuple[str, str], str],
    *,
    state: str | None = None,
    source: str | None = None,
    account: str | None = None,
) -> Iterator[Listed]:
    found = sandbox.connection.cursor().execute(_LISTED, {"source": source, "account": account, "state": state})
    while rows := found.fetchmany(10_000):
        for owner, account_id, login, held, person_id, method, confidence, since, candidates in rows:
            yield Listed(
                source=owner,
                account_id=account_id,
                login=login,
                state=held or UNLINKED,
                person_id=person_id,
                method=method,
                confidence=confidence,
                since=instant(since),
                candidates=candidates,
                reason=reasons.get((owner, account_id)),
            )


def _reasons(sandbox: Sandbox) -> dict[tuple[str, str], str]:
    """Return the words for every proposal that names made."""
    found = sandbox.connection.execute(
        "SELECT a.account_id, a.display_name, a.department, a.source FROM accounts a "
        "JOIN links l ON l.source = a.source AND l.account_id = a.account_id WHERE l.method = 'name'"
    ).fetchall()
    proposed = names.propose([names.Named(*row) for row in found], linking.people(sandbox)) if found else {}
    return {account: " | ".join(fit.reason for fit in fits) for account, fits in proposed.items()}


def _alike(sandbox: Sandbox, source: str, account_id: str) -> list[names.Proposal]:
    """Return whose names are like one account's, whatever it is linked to."""
    found = sandbox.connection.execute(
        "SELECT account_id, display_name, department, source FROM accounts "
        "WHERE source = $1 AND account_id = $2 AND display_name IS NOT NULL",
        [source, account_id],
    ).fetchall()
    fits = names.propose([names.Named(*row) for row in found], linking.people(sandbox)) if found else {}
    return fits.get((source, account_id), [])


def _compared(sandbox: Sandbox, options: Options, link: Listed) -> list[Compared]:
    """Say for each matcher, in order, what it compared and whom it found."""
    parameters = {"source": link.source, "account_id": link.account_id}
    matched = {
        rank: (value, people, kind)
        for rank, value, people, kind in sandbox.connection.execute(
            correlate.matches_sql(options.matchers), parameters
        ).fetchall()
    }
    doubt = _doubt(sandbox, link)
    said: list[Compared] = []
    for rank, name in enumerate(options.matchers, 1):
        used = correlate.matcher(name)
        ((raw,),) = sandbox.connection.execute(
            f"SELECT {used.account_value} FROM accounts a WHERE source = $source AND account_id = $account_id",  # noqa: S608  # a name of our own
            parameters,
        ).fetchall()
        plus = options.plus_addressing
        normal = (
            (correlate.normal_email(raw, plus_addressing=plus) if name == "email" else correlate.normal_login(raw))
            if raw
            else None
        )
        value, people, kind = matched.get(rank, (normal, [], ""))
        nobody = f"no person has it in {tables()['people'].name}.{used.person_column}"
        found = _FOUND.get(kind) or (nobody if value else "the account has no value to compare")
        if doubt and kind == "sure" and name == link.method:
            found += f", but {doubt}"
        said.append(Compared(matcher=name, value=raw, compared_as=value, people=people, found=found))
    return said


def _doubt(sandbox: Sandbox, link: Listed) -> str:
    """Say why whom a matcher names is only proposed, or one of several; empty where that person is linked."""
    if link.person_id is not None:
        return ""
    told = sandbox.connection.execute(
        "SELECT why FROM doubted WHERE source = $1 AND account_id = $2", [link.source, link.account_id]
    ).fetchone()
    if told is not None:
        return str(told[0])
    return "the account carries a personnel number of its own, which is another" if link.state == "proposed" else ""
