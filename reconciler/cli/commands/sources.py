"""``reconciler sources``: what is read, what its credentials can see, drops that were accepted, and live looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.errors import ReconcilerError
    from reconciler.sdk.connector import Found, Gap, LiveAccount
    from reconciler.settings import Settings


T = TypeVar("T")


@click.group()
def command() -> None:
    """List and check sources; accept a reviewed drop; look live at one person's accounts."""


@command.command(name="list")
@options.config
@options.as_json
def list_sources(settings: Settings, *, machine: bool) -> None:
    """List the configured sources; connect to nothing."""
    from reconciler import run
    from reconciler.cli import output

    headings = ("source", "connector", "version", "endpoint", "tables")
    rows = [
        (
            pull.source.name,
            pull.connector,
            pull.source.version,
            pull.source.endpoint,
            ", ".join(t for t in pull.source.reports if pull.settings.tables is None or t in pull.settings.tables),
        )
        for pull in run.open_sources(settings)
    ]
    if machine:
        output.emit([{**dict(zip(headings, row, strict=True)), "tables": row[-1].split(", ")} for row in rows])
    else:
        output.table(headings, rows)


@command.command()
@options.config
@click.argument("names", nargs=-1, metavar="[SOURCE]...")
@options.as_json
def check(settings: Settings, names: tuple[str, ...], *, machine: bool) -> int:
    """Connect to each source and say what its credentials cannot see; exit code 3 where that is anything."""
    from reconciler import run
    from reconciler.cli import output
    from reconciler.errors import ReconcilerError
    from reconciler.log import redact

    answers = run.check_sources(settings, names)
    found = {
        name: {"error": redact(answer.message), "advice": answer.advice, "gaps": []}
        if isinstance(answer, ReconcilerError)
        else {"error": None, "advice": "", "gaps": list(answer)}
        for name, answer in answers.items()
    }
    code = _code(answers.values(), whole=lambda answer: not answer)
    if machine:
        output.emit(found)
        return code
    for name, answer in answers.items():
        if isinstance(answer, ReconcilerError):
            click.secho(f"{name}: {redact(answer.message)}", fg="red")
            click.echo(f"  {redact(answer.advice)}")
        elif answer:
            click.secho(f"{name}: readable, but not whole", fg="yellow")
            for line in _said_once(answer):
                click.echo(f"  {line}")
        else:
            click.secho(f"{name}: readable", fg="green")
    return code


@command.command()
@options.config
@click.argument("source")
@click.argument("table", required=False)
@click.option("--snapshot", required=True, help="The sealed snapshot whose smaller count you reviewed.")
@click.option("--by", required=True, help="Who accepts the drop.")
@click.option("--reason", required=True, help="Why the rows are rightly gone.")
@options.as_json
def accept(
    settings: Settings, *, source: str, table: str | None, snapshot: str, by: str, reason: str, machine: bool
) -> None:
    """Accept that TABLE of SOURCE (default: every held table of it) lost rows or columns past its limit.

    The next run takes what is there now as its measure.
    """
    from reconciler import run
    from reconciler.cli import output

    accepted = run.accept_drops(settings, source=source, table=table, snapshot=snapshot, by=by, reason=reason)
    if machine:
        output.emit([{"source": source, "table": t, "before": b, "now": n} for t, (b, n) in accepted.items()])
        return
    for name, (before, now) in accepted.items():
        click.echo(f"{source} {name}: accepted by {by}, {before:,} to {now:,} rows.")
    click.echo("The next run measures against what is there now.")


@command.command()
@options.config
@click.argument("names", nargs=-1, metavar="[SOURCE]...")
@click.option("--email", "emails", multiple=True, help="A mail address of the person; may be repeated.")
@click.option("--login", "logins", multiple=True, help="A sign-in name of the person; may be repeated.")
@click.option("--employee-id", default="", help="The personnel number that accounts carry.")
@click.option("--account-id", "account_ids", multiple=True, help="An immutable account id that was theirs before.")
@options.as_json
def find(
    settings: Settings,
    *,
    names: tuple[str, ...],
    emails: tuple[str, ...],
    logins: tuple[str, ...],
    employee_id: str,
    account_ids: tuple[str, ...],
    machine: bool,
) -> int:
    """Look live for one person's accounts, in every state; exit code 3 where a source could not look everywhere."""
    from reconciler import live
    from reconciler.cli import output
    from reconciler.errors import ReconcilerError
    from reconciler.sdk.connector import PersonKeys

    person = PersonKeys(employee_id=employee_id, emails=emails, logins=logins, account_ids=account_ids)
    answers = live.find(settings, names, person)
    code = _code(answers.values(), whole=lambda answer: not answer.gaps)
    if machine:
        output.emit({name: _found(answer) for name, answer in answers.items()})
        return code
    rows = [
        (name, ref.account_id, ref.login or "", ", ".join(ref.matched_by))
        for name, answer in answers.items()
        if not isinstance(answer, ReconcilerError)
        for ref in answer.accounts
    ]
    if rows:
        output.table(("source", "account", "login", "found by"), rows)
    for name, answer in answers.items():
        _say_found(name, answer)
    return code


@command.command()
@options.config
@click.argument("source")
@click.argument("account_id")
@options.as_json
def reread(settings: Settings, *, source: str, account_id: str, machine: bool) -> int:
    """Re-read one account of SOURCE and its credentials live, by its immutable id; exit code 3 where it cannot be told.

    GONE is only said where the system itself answered that there is no such account, to credentials that would see it.
    """
    from reconciler import live, run
    from reconciler.cli import output
    from reconciler.sdk.connector import Presence

    account = live.reread(settings, source, account_id)
    if machine:
        output.emit(account)
    else:
        _say_live(account)
    return run.EXIT_SOURCE if account.presence is Presence.NOT_EVALUABLE else 0


def _code(answers: Iterable[T | ReconcilerError], *, whole: Callable[[T], bool]) -> int:
    """Return the exit code: that of a source that cannot be used as it is configured first, then 3 for a gap."""
    from reconciler import run
    from reconciler.errors import ConfigurationError, ReconcilerError

    said = list(answers)
    if any(isinstance(answer, ConfigurationError) for answer in said):
        return ConfigurationError.exit_code
    return 0 if all(not isinstance(a, ReconcilerError) and whole(a) for a in said) else run.EXIT_SOURCE


def _found(answer: Found | ReconcilerError) -> dict[str, object]:
    from reconciler.sdk.connector import Found

    if isinstance(answer, Found):
        return {"error": None, "advice": "", "accounts": answer.accounts, "gaps": answer.gaps}
    return {"error": answer.message, "advice": answer.advice, "accounts": [], "gaps": []}


def _say_found(name: str, answer: Found | ReconcilerError) -> None:
    """Say of one source that it has no such account, or where it could not look."""
    from reconciler.log import redact
    from reconciler.sdk.connector import Found

    if not isinstance(answer, Found):
        click.secho(f"{name}: could not look: {redact(answer.message)}", fg="red")
        click.echo(f"  {redact(answer.advice)}")
    elif answer.gaps:
        click.secho(f"{name}: could not look everywhere", fg="yellow")
        for line in _said_once(answer.gaps):
            click.echo(f"  {redact(line)}")
    elif not answer.accounts:
        click.echo(f"{name}: no account")


def _say_live(account: LiveAccount) -> None:
    """Print what was found, one thing a paragraph: state, what, which; then why, and how long it works on."""
    from reconciler.cli import output

    shown = ", ".join(filter(None, (account.login, account.raw_status)))
    output.paragraph(account.presence.value, "account", shown, account.reason)
    for one in account.credentials:
        lag = f"lag: {one.lag}" if one.lag else ""
        reason = "" if one.reason == account.reason else one.reason
        output.paragraph(one.presence.value, one.kind.replace("_", " "), ", ".join(one.ids), reason, lag)


def _said_once(gaps: Sequence[Gap]) -> list[str]:
    """Say each gap once, with the tables it is about: a missing right often blinds several."""
    found: dict[str, list[str]] = {}
    for gap in gaps:
        grant = f" (grant {gap.missing_permission})" if gap.missing_permission else ""
        place = ".".join(filter(None, (gap.table or "all tables", gap.column)))
        found.setdefault(f"{gap.subject}: {gap.reason}{grant}".removeprefix(": "), []).append(place)
    return [f"{', '.join(dict.fromkeys(tables))}: {said}" for said, tables in found.items()]
