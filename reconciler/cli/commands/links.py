"""``reconciler links``: whose account is whose, why, and a person's own word on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.engine import Options
    from reconciler.settings import Settings
    from reconciler.snapshot import Snapshot

F = TypeVar("F", bound=Callable[..., Any])

STATES = ("linked", "manual", "proposed", "ambiguous", "rejected", "unlinked")
_FIRST = ("ambiguous", "proposed", "unlinked", "rejected", "manual", "linked")
"""What waits for a person comes first."""
_NEXT = "It takes effect in the next pull: a sealed snapshot keeps what was known when it was sealed."


@click.group()
def command() -> None:
    """Show how accounts are linked to people, link by hand, and rule people out."""


def _decided(command: F) -> F:
    by = click.option("--by", required=True, metavar="NAME", help="Who decides.")
    reason = click.option("--reason", required=True, metavar="TEXT", help="Why it is right.")
    return by(reason(command))


def _snapshot(settings: Settings) -> Snapshot:
    from reconciler.errors import ConfigurationError
    from reconciler.snapshot import SnapshotStore

    found = SnapshotStore(settings.snapshots).latest_of(settings.config.estate.name)
    if found is None:
        raise ConfigurationError(f"no sealed snapshot in {settings.snapshots}", advice="Run `reconciler pull` first.")
    return found


def _options(settings: Settings) -> Options:
    from reconciler.engine import Options

    return Options(
        matchers=tuple(settings.config.correlation.matchers),
        plus_addressing=settings.config.correlation.plus_addressing,
        threads=settings.config.engine.threads,
        memory_limit_mb=settings.config.engine.memory_mb,
    )


@command.command(name="list")
@options.config
@click.option("--state", type=click.Choice(STATES), help="Only this state.")
@click.option("--proposed", "state", flag_value="proposed", help="Short for --state proposed.")
@click.option("--source", help="Only this source.")
@options.everything
@options.as_json
def list_links(settings: Settings, *, state: str | None, source: str | None, everything: bool, machine: bool) -> None:
    """List the accounts of the newest sealed snapshot with whom they are linked to, and who may fit.

    With --json: one array; each item has source, account_id, login, state, person_id, method, confidence, since,
    candidates and reason.
    """
    from reconciler.cli import output
    from reconciler.engine import links
    from reconciler.report.wording import count

    snapshot = _snapshot(settings)
    with output.working("linking"):
        found = links.listed(snapshot, _options(settings), state=state, source=source)
    if machine:
        output.emit(found)
        return
    if not found:
        click.echo("No accounts match.")
        return
    rows = [
        (
            one.account_id,
            one.source,
            one.login or "",
            one.state,
            one.person_id or "",
            one.method or "",
            "" if one.confidence is None else f"{one.confidence:.2f}",
            one.since.date().isoformat() if one.since else "",
            one.reason or ", ".join(one.candidates or ()),
        )
        for one in sorted(found, key=lambda one: _FIRST.index(one.state))
    ]
    headings = ("account", "source", "login", "state", "person", "method", "confidence", "since", "who may fit")
    output.table(headings, rows, most=None if everything else output.LISTED)
    states = ", ".join(f"{many:,} {which}" for which, many in Counter(one.state for one in found).most_common())
    click.echo(f"{count(len(found), 'account')} of snapshot {snapshot.snapshot_id}: {states}.")
    if unread := links.unread(snapshot):
        said = (
            f"NOT READ WHOLE: {', '.join(unread)}. Who is linked anew by it is only shown: somebody else may fit, too."
        )
        click.secho(said, fg="red", bold=True)
    click.echo("`reconciler links explain SOURCE ACCOUNT` says why; links link, links reject decide.")


@command.command()
@options.config
@click.argument("source")
@click.argument("account")
@options.as_json
def explain(settings: Settings, source: str, account: str, *, machine: bool) -> None:
    """Say why ACCOUNT of SOURCE is linked as it is: what was compared, who fits, and who decided what."""
    from reconciler.cli import output
    from reconciler.engine import links
    from reconciler.findings import FindingStore

    snapshot = _snapshot(settings)
    with output.working("linking"):
        found = links.explain(snapshot, _options(settings), source, account)
    _, history = FindingStore.open(settings.database_url, to_read=True).links_of(source, account)
    pending = [one for one in history if one.decided_at > snapshot.manifest.started_at]
    if machine:
        output.emit({"explanation": found, "decisions": history, "pending": pending})
        return
    link = found.link
    lines = [
        ("login", link.login or ""),
        ("state", link.state),
        ("person", link.person_id or "nobody"),
        ("method", link.method or ""),
        ("confidence", "" if link.confidence is None else f"{link.confidence:.2f}"),
        ("since", link.since.isoformat() if link.since else ""),
        ("who fits now", ", ".join(link.candidates or ()) or (link.person_id or "nobody")),
        ("alike by name", " | ".join(found.proposals)),
    ]
    output.table((f"{source} {account}", ""), lines)
    click.echo()
    rows = [(c.matcher, c.value or "", c.compared_as or "", ", ".join(c.people), c.found) for c in found.compared]
    output.table(("matcher", "value", "compared as", "people", "so"), rows)
    if history:
        click.echo()
        told = [(h.decided_at.isoformat(), h.decided_by, h.decision, h.person_id, h.reason, h.before) for h in history]
        output.table(("at", "by", "decision", "person", "reason", "before"), told)
    if pending:
        click.echo(f"{len(pending)} of these after snapshot {snapshot.snapshot_id}. {_NEXT}")


@command.command()
@options.config
@click.argument("source")
@click.argument("account")
@click.argument("person")
@_decided
@options.as_json
def link(settings: Settings, *, source: str, account: str, person: str, by: str, reason: str, machine: bool) -> None:
    """Link ACCOUNT of SOURCE (its id) to PERSON (the person_id) by hand; no matcher changes that again."""
    from reconciler import clock
    from reconciler.engine import links
    from reconciler.findings import FindingStore

    store = FindingStore.open(settings.database_url)
    links.linked_to(_snapshot(settings), _options(settings), source, account, person)
    store.link(source=source, account_id=account, person_id=person, by=by, at=clock.now(), reason=reason)
    _tell(source, account, person, f"linked to {person}", machine=machine)


@command.command()
@options.config
@click.argument("source")
@click.argument("account")
@_decided
@options.as_json
def unlink(settings: Settings, *, source: str, account: str, by: str, reason: str, machine: bool) -> None:
    """Undo the link of ACCOUNT of SOURCE: the person it is linked to is ruled out for it."""
    _rule_out(settings, source, account, None, by=by, reason=reason, machine=machine)


@command.command()
@options.config
@click.argument("source")
@click.argument("account")
@click.argument("person")
@_decided
@options.as_json
def reject(settings: Settings, *, source: str, account: str, person: str, by: str, reason: str, machine: bool) -> None:
    """Rule PERSON out for ACCOUNT of SOURCE: never linked or proposed again, unless linked by hand."""
    _rule_out(settings, source, account, person, by=by, reason=reason, machine=machine)


def _rule_out(
    settings: Settings, source: str, account: str, person: str | None, *, by: str, reason: str, machine: bool
) -> None:
    from reconciler import clock
    from reconciler.engine import links
    from reconciler.findings import FindingStore
    from reconciler.findings.links import HOLDS

    store = FindingStore.open(settings.database_url)
    linked = links.linked_to(_snapshot(settings), _options(settings), source, account, person)
    # What the matchers say of a snapshot is kept only once a run was recorded.
    held = next((one.person_id for one in store.links_of(source, account)[0] if one.state in HOLDS), linked)
    ruled_out = store.reject_link(
        source=source, account_id=account, person_id=person or held, by=by, at=clock.now(), reason=reason
    )
    _tell(source, account, ruled_out, f"not {ruled_out}'s", machine=machine)


def _tell(source: str, account: str, person: str, said: str, *, machine: bool) -> None:
    from reconciler.cli import output

    if machine:
        output.emit({"source": source, "account_id": account, "person_id": person, "effective": "next pull"})
    else:
        click.echo(f"{source} {account} is {said}. {_NEXT}")
