"""``reconciler notices``: who is told of what is due or late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.notices import Contacts, Due, Entry, Notice
    from reconciler.settings import Settings


@click.group()
def command() -> None:
    """Preview, send and list reminders, escalations and digests."""


@command.command()
@options.config
@options.as_of
@options.as_json
def preview(settings: Settings, *, as_of: datetime | None, machine: bool) -> None:
    """Show every notice that is due and was not sent, the mail or event that it is; connect to nothing, send nothing.

    With --json: an object with `notices`, each with recipient, channel, kind, about, stage, role, subject and text,
    and `unaddressed`: whom nobody knows how to reach.
    """
    from reconciler import clock, notices
    from reconciler.cli import output
    from reconciler.log import redact
    from reconciler.notices import letters
    from reconciler.report.wording import count

    at = as_of or clock.now()
    owed, contacts = _owed(settings, at)
    plan = notices.planned(settings, owed, contacts, at=at)
    over = {one.key for one in notices.Ledger(settings.database_url, to_read=True).all() if one.state in _OVER}
    shown = [one for one in plan.notices if one.key not in over]
    zone = settings.config.estate.time_zone
    told = [
        {
            "recipient": one.recipient,
            "channel": one.channel,
            "kind": one.kind,
            "about": one.about,
            "stage": one.stage,
            "role": one.role,
            "subject": letters.subject(one, time_zone=zone),
            "text": _text(settings, one),
        }
        for one in shown
    ]
    if machine:
        output.emit({"enabled": settings.config.notices.enabled, "notices": told, "unaddressed": plan.unaddressed})
        return
    for each in told:
        click.secho(redact(f"{each['channel']} to {each['recipient']}: {each['subject']}"), bold=True)
        click.echo(redact(each["text"]))
    for line in plan.unaddressed:
        click.secho(redact(line), fg="yellow")
    section = settings.config.notices
    if section.smtp is None and section.webhook is None:
        click.echo("There is neither [notices.smtp] nor [notices.webhook]: nobody can be told.")
    click.echo(f"{count(len(told), 'notice')} would be sent" + ("." if section.enabled else ", were notices enabled."))


@command.command()
@options.config
@click.option("--again", "number", type=int, metavar="NUMBER", help="Send this one again, which failed or is unknown.")
@click.option("--by", default="", metavar="PERSON_ID", help="Who wants it sent again.")
@click.option("--reason", default="", metavar="TEXT", help="Why.")
@options.as_json
def send(settings: Settings, *, number: int | None, by: str, reason: str, machine: bool) -> int:
    """Send every notice that is due and was not sent; exit code 5 where somebody was not surely told."""
    from reconciler import clock, notices
    from reconciler.cli import output
    from reconciler.errors import FilingError
    from reconciler.log import redact

    notices.refuse_disabled(settings)
    at = clock.now()
    owed, contacts = _owed(settings, at)
    if number is not None:
        due = {one.key for one in notices.planned(settings, owed, contacts, at=at).notices}
        notices.Ledger(settings.database_url).again(number, due, by=by, reason=reason)
    with output.working("sending"):
        sent = notices.send(settings, owed, contacts, at=at)
    if machine:
        output.emit(sent)
    else:
        for line in (*sent.errors, *sent.unaddressed):
            click.secho(redact(line), fg="yellow")
        click.echo(f"{sent.sent} sent, {sent.waiting} wait, {sent.unknown} unknown, {sent.failed} failed.")
    return 0 if sent.complete else FilingError.exit_code


@command.command(name="list")
@options.config
@click.option(
    "--state",
    type=click.Choice(["waiting", "sending", "sent", "unknown", "failed", "dropped"]),
    help="Only these.",
)
@options.everything
@options.as_json
def list_notices(settings: Settings, *, state: str | None, everything: bool, machine: bool) -> None:
    """List what was sent, is to be sent, or could not be, newest first."""
    from reconciler.cli import output
    from reconciler.notices import Ledger

    found = [one for one in Ledger(settings.database_url, to_read=True).all() if state in {None, one.state}]
    if machine:
        output.emit(found)
        return
    if not found:
        click.echo("No notices match.")
        return
    headings = ("number", "kind", "about", "stage", "to", "state", "sent", "why")
    output.table(headings, [_row(one) for one in found], most=None if everything else output.LISTED)


_OVER = ("sent", "sending", "unknown", "failed")


def _text(settings: Settings, one: Notice) -> str:
    """Return what would be sent: the text of a mail, or the event."""
    import msgspec

    from reconciler.notices import letters

    estate, personal_data = settings.config.estate.name, settings.config.filing.personal_data
    if one.channel == "mail":
        zone = settings.config.estate.time_zone
        return letters.text(one, estate=estate, time_zone=zone, personal_data=personal_data)
    event = letters.event(one, estate=estate, now=one.due_at, personal_data=personal_data)
    return msgspec.json.format(msgspec.json.encode(event), indent=2).decode()


def _row(one: Entry) -> tuple[str, ...]:
    sent = one.sent_at.isoformat(timespec="seconds") if one.sent_at else ""
    return str(one.number), one.kind, one.about, one.stage, one.recipient, one.state, sent, one.error or ""


def _owed(settings: Settings, at: datetime) -> tuple[list[Due], Contacts]:
    """Return what is owed as the last run left it, and who can be told."""
    from reconciler import afterwards, notices
    from reconciler.nonconformity.store import NonconformityStore
    from reconciler.snapshot import SnapshotStore

    last = SnapshotStore(settings.snapshots).latest_of(settings.config.estate.name)
    found = NonconformityStore.open(settings.database_url, to_read=True).owing()
    return notices.listed(settings, last, found, holders=afterwards.holders(settings, last, as_of=at))
