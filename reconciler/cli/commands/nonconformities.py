"""``reconciler nonconformities``: what is owed, what people enter, what the machine saw, and the close."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from reconciler.cli import acting, options

if TYPE_CHECKING:
    from reconciler.cli.dossier import Format
    from reconciler.nonconformity.gates import Gate
    from reconciler.nonconformity.record import Nonconformity
    from reconciler.nonconformity.store import Dossier, NonconformityStore
    from reconciler.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

STATES = ("open", "verifying", "closed", "set_aside")
SEVERITIES = ("critical", "high", "medium", "low")
GRADES = ("minor", "major")
METHODS = ("five_whys", "fishbone", "fault_tree", "is_is_not", "other")
FORMATS = ("json", "html", "csv")
_FINDINGS = 25
"""Findings of one that are shown unless all are asked for: what was done about it stands below them."""
_STEPS = {
    "containment": "contain {} --text TEXT",
    "correction": "correct {} --text TEXT",
    "cause": "cause {} --method METHOD --text TEXT",
    "action": "action {} --text TEXT --owner-role ROLE --due-on DATE",
    "action done": "action {} --done",
    "close": "close {} --reason TEXT",
}
"""The command that enters what is owed next."""


@click.group()
def command() -> None:
    """Work nonconformities: list what is owed, enter correction, cause and action, close, export.

    Only a run of reconciler verifies; who corrected or did the action does not close.
    """


def _acting(command: F) -> F:
    by = click.option("--by", required=True, metavar="PERSON_ID", help="Who acts: id, full name or e-mail address.")
    return by(command)


_WHY = "Why; needed where an entry that is there is amended."
_reason = click.option("--reason", metavar="TEXT", help=_WHY)


@command.command(name="list")
@options.config
@click.option("--state", type=click.Choice(STATES), help="Only this state.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Only this severity.")
@click.option("--grade", type=click.Choice(GRADES), help="Only this grade.")
@click.option(
    "--owner", metavar="ROLE", help="Only those that this role or person answers for, or that went up to this role."
)
@click.option("--rule", metavar="ID", help="Only this rule, by id or name.")
@click.option("--source", help="Only this source.")
@click.option("--overdue", is_flag=True, help="Only those that are late.")
@options.everything
@options.as_of
@options.as_json
def list_them(
    settings: Settings,
    *,
    overdue: bool,
    everything: bool,
    as_of: datetime | None,
    machine: bool,
    **asked: str | None,
) -> None:
    """List nonconformities, open ones and the worst first, with what is owed next, by whom, and until when.

    With --json: one array; each item is the whole record, with `owed` and `overdue`.
    """
    from zoneinfo import ZoneInfo

    import msgspec

    from reconciler import clock
    from reconciler.cli import output
    from reconciler.nonconformity import gates
    from reconciler.nonconformity.store import NonconformityStore
    from reconciler.report.wording import count

    at = (as_of or clock.now()).astimezone(ZoneInfo(settings.config.estate.time_zone))
    store = NonconformityStore.open(settings.database_url, to_read=True)
    found = store.listed(overdue=at if overdue else None, **asked)
    if machine:
        output.emit(
            [
                {**msgspec.structs.asdict(held), "owed": gates.owed(held), "overdue": gates.overdue(held, at)}
                for held in found
            ]
        )
        return
    if not found:
        click.echo("No nonconformities match.")
        return
    headings = ("number", "severity", "state", "what", "owed next", "due", "findings")
    most = None if everything else output.LISTED
    output.table(headings, [_line(held, at) for held in found], right=("findings",), most=most)
    late = sum(gates.overdue(held, at) for held in found)
    click.echo(
        f"{count(len(found), 'nonconformity', 'nonconformities')}, {late} overdue."
        " `reconciler nonconformities show NC` tells all of one."
    )


def _line(held: Nonconformity, at: datetime) -> tuple[str, ...]:
    from reconciler.cli.output import Alarm
    from reconciler.nonconformity import gates

    owed = gates.owed(held)
    due = owed.due_on.isoformat() if owed and owed.due_on else ""
    if gates.overdue(held, at):
        due = Alarm(f"{due} OVERDUE".strip())
    return (
        *(held.nc_id, f"{held.severity}, {held.grade}", held.state.value, held.title),
        f"{owed.what} by {owed.by}" if owed else "",
        due,
        f"{held.standing:,} of {held.findings:,}",
    )


@command.command()
@options.config
@click.argument("nc")
@click.option("--all", "everything", is_flag=True, help="Show all findings; default: the first 25.")
@options.as_json
def show(settings: Settings, nc: str, *, everything: bool, machine: bool) -> None:
    """Show one nonconformity: the record, its gates, what was entered and seen, findings, evidence and history.

    Findings that stand come before those that are gone. What it rests on are the runs that found it, saw its findings
    gone, and saw them still gone; `export` writes all of it.
    """
    from reconciler.cli import output
    from reconciler.cli.dossier import did, entries

    dossier = _store(settings, to_read=True).show(nc)
    if machine:
        output.emit(dossier)
        return
    held = dossier.nonconformity
    output.table((held.nc_id, held.title), _about(dossier))
    click.echo()
    gates = [(gate.name, _stands(gate), gate.missing) for gate in dossier.gates]
    output.table(("gate", "", "what is missing"), gates)
    click.echo()
    if told := [(each.name, each.text, each.who, _minute(each.at)) for each in entries(dossier)]:
        output.table(("entered or seen", "what", "by", "at"), told)
        click.echo()
    found = [
        (
            *(one.finding_id, one.rule_id, one.source or "whole estate", one.account_id or ""),
            _minute(one.attached_at),
            "stands" if one.detached_at is None else f"{_minute(one.detached_at)}: {one.detached_why}",
        )
        for one in sorted(dossier.findings, key=lambda one: one.detached_at is not None)
    ]
    headings = ("finding", "rule", "source", "account", "since", "gone")
    output.table(headings, found, most=None if everything else _FINDINGS)
    click.echo()
    snapshots = {run.run_id: run.snapshot for run in dossier.runs}
    rests_on = [
        (one.run_id, snapshots[one.run_id], one.rule_id, one.source or "whole estate", did(one))
        for one in dossier.looked
    ]
    output.table(("it rests on run", "snapshot", "rule", "source", "what the run did"), rests_on)
    click.echo()
    lines = [(_minute(line.at), line.who, line.what, line.why, line.run_id or "") for line in dossier.history]
    output.table(("at", "who", "what", "why", "run"), lines)
    if (owed := dossier.owed) and (step := _STEPS.get(owed.what)):
        click.echo(f"\nNext: `reconciler nonconformities {step.format(held.nc_id)} --by PERSON_ID`.")


def _stands(gate: Gate) -> str:
    from reconciler.cli.output import Alarm

    if not gate.met:
        return Alarm("missing")
    return "met" if gate.needed else "not needed"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _about(dossier: Dossier) -> list[tuple[str, str]]:
    held, owed = dossier.nonconformity, dossier.owed
    clauses = [f"{framework} {', '.join(those)}" for framework, those in held.clauses.items()]
    lines = [
        ("statement", held.statement),
        ("requirement", "; ".join([*held.controls, *clauses]) or "no control names the rule"),
        ("severity", held.severity),
        ("grade", f"{held.grade}: {held.grade_reason}"),
        ("state", held.state.value + (f", reopened {_times(held.times_reopened)}" if held.times_reopened else "")),
        ("detected", f"{_minute(held.detected_at)} in run {held.detected_run}"),
        ("answers", f"{held.owner_role}: {held.owner or 'holder not known, or nobody'}"),
        ("escalated to", held.escalated_to or ""),
        ("due", _minute(held.due_at)),
        ("recurrence of", held.recurrence_of or ""),
        ("recurred as", ", ".join(dossier.recurred_as)),
        ("findings", f"{held.standing:,} standing of {held.findings:,}"),
        ("owed next", f"{owed.what} by {owed.by}" + (f", due {owed.due_on}" if owed.due_on else "") if owed else ""),
    ]
    return [(name, text) for name, text in lines if text]


@command.command()
@options.config
@click.argument("nc")
@click.option("--text", required=True, help="How its effect was held off at once.")
@_acting
@_reason
@options.as_json
def contain(settings: Settings, nc: str, *, text: str, by: str, reason: str | None, machine: bool) -> None:
    """Enter the containment: how the effect was held off at once. A major one cannot be closed without."""
    held = _store(settings).contain(nc, **_who(settings, by), text=text, why=reason)
    _tell(held, "containment entered", machine=machine)


@command.command()
@options.config
@click.argument("nc")
@click.option("--text", required=True, help="What was put right.")
@_acting
@_reason
@options.as_json
def correct(settings: Settings, nc: str, *, text: str, by: str, reason: str | None, machine: bool) -> None:
    """Enter the correction: what was put right."""
    held = _store(settings).correct(nc, **_who(settings, by), text=text, why=reason)
    _tell(held, "correction entered", machine=machine)


@command.command()
@options.config
@click.argument("nc")
@click.option("--method", required=True, help=f"How it was found: {', '.join(METHODS)}.")
@click.option("--text", required=True, help="The cause.")
@_acting
@_reason
@options.as_json
def cause(settings: Settings, nc: str, *, method: str, text: str, by: str, reason: str | None, machine: bool) -> None:
    """Enter the cause, and the method by which it was found."""
    held = _store(settings).analyse(nc, **_who(settings, by), method=method, text=text, why=reason)
    _tell(held, "cause entered", machine=machine)


@command.command()
@options.config
@click.argument("nc")
@click.option("--text", help="The corrective action: what keeps it from happening again.")
@click.option("--owner-role", metavar="ROLE", help="The governance role that answers for it.")
@click.option(
    "--due-on", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="The day on which it is due, as 2026-03-31."
)
@click.option("--done", is_flag=True, help="Enter that the planned action is done.")
@_acting
@_reason
@options.as_json
def action(
    settings: Settings,
    nc: str,
    *,
    text: str | None,
    owner_role: str | None,
    due_on: datetime | None,
    done: bool,
    by: str,
    reason: str | None,
    machine: bool,
) -> None:
    """Plan the corrective action (--text, --owner-role, --due-on), or enter that it is done (--done).

    A plan that changes is to be done anew. What a run saw before the action was done shows nothing of its effect.
    """
    planned = {"--text": text, "--owner-role": owner_role, "--due-on": due_on}
    if done:
        if given := [name for name, value in planned.items() if value is not None]:
            raise click.UsageError(f"--done enters that the planned action is done; it goes without {given[0]}")
        _tell(_store(settings).do(nc, **_who(settings, by), why=reason), "action done", machine=machine)
        return
    if text is None or owner_role is None or due_on is None:
        lacking = " and ".join(name for name, value in planned.items() if value is None)
        raise click.UsageError(f"a plan says what, who and by when: {lacking} is missing; a planned one is --done")
    held = _store(settings).plan(
        nc,
        **_who(settings, by),
        text=text,
        owner_role=owner_role,
        due_on=due_on.date(),
        known_roles=_roles(settings),
        why=reason,
    )
    _tell(held, "action planned", machine=machine)


@command.command()
@options.config
@click.argument("nc")
@options.as_json
def verify(settings: Settings, nc: str, *, machine: bool) -> None:
    """Show what the machine has seen so far, and what it waits for. Nobody can enter a verification."""
    from reconciler.cli import output
    from reconciler.nonconformity.evidence import LEFT_OUT

    dossier = _store(settings, to_read=True).show(nc)
    held, seen = dossier.nonconformity, dossier.nonconformity.verification
    waits = next(gate.missing for gate in dossier.gates if gate.by_machine)
    if machine:
        output.emit(
            {
                "nc_id": held.nc_id,
                "standing": held.standing,
                "verification": seen,
                "waits_for": waits,
                "judged": dossier.judged,
            }
        )
        return
    lines = [("findings", f"{held.standing:,} standing of {held.findings:,}")]
    if seen is not None:
        lines += [
            ("gone", f"{_minute(seen.gone_at)} in run {seen.gone_run}"),
            ("watched until", _minute(seen.watch_until)),
        ]
        if seen.verified_at is not None:
            lines.append(("still gone", f"{_minute(seen.verified_at)} in run {seen.verified_run}"))
    lines.append(("waits for", waits.removeprefix("the machine's verification: ") or "nothing: the effect is verified"))
    output.table((held.nc_id, held.title), lines)
    click.echo()
    judged = [
        (
            *(one.rule_id, one.source or "whole estate"),
            output.Alarm("not judged") if one.unread else "judged",
            _minute(one.last_judged) if one.last_judged else "never",
            "; ".join(one.unread),
        )
        for one in dossier.judged
    ]
    output.table(("rule", "source", "in the last run", "last judged", "could not be read"), judged)
    click.echo("Only a run verifies; nobody can enter it.")
    if any(LEFT_OUT in one.unread for one in dossier.judged):
        click.echo(f"What left the configuration no run verifies: `reconciler nonconformities set-aside {held.nc_id}`.")


@command.command()
@options.config
@click.argument("nc")
@_acting
@click.option("--reason", required=True, metavar="TEXT", help="Why it may be closed.")
@options.as_json
def close(settings: Settings, nc: str, *, by: str, reason: str, machine: bool) -> None:
    """Close it, where every gate is met; not for who corrected it or did its action."""
    _tell(_store(settings).close(nc, **_who(settings, by), reason=reason), "closed", machine=machine)


@command.command()
@options.config
@click.argument("nc")
@_acting
@click.option("--reason", required=True, metavar="TEXT", help="Why it was closed wrongly.")
@options.as_json
def reopen(settings: Settings, nc: str, *, by: str, reason: str, machine: bool) -> None:
    """Open a closed one again. Everything is owed anew; what was entered stays in its history."""
    _tell(_store(settings).reopen(nc, **_who(settings, by), reason=reason), "reopened", machine=machine)


@command.command(name="set-aside")
@options.config
@click.argument("nc")
@_acting
@click.option("--reason", required=True, metavar="TEXT", help="Why no run will look for it again.")
@options.as_json
def set_aside(settings: Settings, nc: str, *, by: str, reason: str, machine: bool) -> None:
    """Say that no run will look for it again: its source or its rule left the configuration.

    Nothing of it is owed meanwhile. It is not closed, for nobody saw its findings gone; a run that looks again takes
    it up again.
    """
    held = _store(settings).set_aside(nc, **_who(settings, by), reason=reason)
    _tell(held, "set aside; it is not closed, for no run saw its effect", machine=machine)


@command.command(name="take-up")
@options.config
@click.argument("nc")
@_acting
@click.option("--reason", required=True, metavar="TEXT", help="Why it is taken up again.")
@options.as_json
def take_up(settings: Settings, nc: str, *, by: str, reason: str, machine: bool) -> None:
    """Take up again what was set aside; a run that looks for it again does so by itself."""
    _tell(_store(settings).take_up(nc, **_who(settings, by), reason=reason), "taken up again", machine=machine)


@command.command()
@options.config
@click.argument("nc")
@click.option("--format", "fmt", type=click.Choice(FORMATS), default="html", show_default=True, help="Kind of file.")
@click.option("--output", "-o", "path", type=click.Path(path_type=Path, dir_okay=False), help="File; default: print.")
def export(settings: Settings, nc: str, *, fmt: Format, path: Path | None) -> None:
    """Write all of one: record, gates, entries, findings, history, and the runs and digests that show it."""
    from reconciler import clock
    from reconciler.cli import dossier
    from reconciler.log import redact
    from reconciler.report.writing import put

    whole = dossier.write(_store(settings, to_read=True).show(nc), fmt, exported_at=clock.now())
    written = redact(whole.decode())
    if path is None:
        click.echo(written, nl=False)
    else:
        put(path, [written.encode()])
        click.echo(f"{path} written.")


def _store(settings: Settings, *, to_read: bool = False) -> NonconformityStore:
    from reconciler.nonconformity.store import NonconformityStore

    return NonconformityStore.open(settings.database_url, to_read=to_read)


def _who(settings: Settings, by: str) -> dict[str, Any]:
    """Return who acts, and when, on the estate's clock: a day that is due is a day there."""
    from zoneinfo import ZoneInfo

    from reconciler import clock

    return {
        "by": acting.person(settings, by),
        "at": clock.now().astimezone(ZoneInfo(settings.config.estate.time_zone)),
    }


def _roles(settings: Settings) -> set[str]:
    """Return the roles that a control names, that the configuration names, or that a source says somebody holds."""
    from reconciler import declared
    from reconciler.snapshot import named

    section = settings.config.nonconformities
    of_rules = {rule.owner_role for rule in section.rules.values() if rule.owner_role}
    of_controls = {control.owner_role for control in declared.catalogue(settings).controls}
    return of_controls | of_rules | {section.owner_role, *section.escalate_to} | named.roles(acting.latest(settings))


def _minute(at: datetime) -> str:
    from datetime import UTC

    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M}Z"


def _tell(held: Nonconformity, what: str, *, machine: bool) -> None:
    from reconciler.cli import output
    from reconciler.nonconformity import gates

    if machine:
        output.emit(held)
        return
    owed = gates.owed(held)
    due = f", due {owed.due_on}" if owed and owed.due_on else ""
    click.echo(f"{held.nc_id}: {what}." + (f" Owed next: {owed.what} by {owed.by}{due}." if owed else ""))
