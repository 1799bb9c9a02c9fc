"""``reconciler exceptions``: what each exception suppresses, and risks that people ask to accept here."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC
from typing import TYPE_CHECKING

import click

from reconciler.cli import acting, options

if TYPE_CHECKING:
    from datetime import datetime

    from reconciler.nonconformity.risks import Reach, Register, Risk, Standing
    from reconciler.settings import Settings

REACHES = ("subject", "account", "person")
STANDINGS = ("requested", "approved", "rejected", "withdrawn", "ended")


@click.group()
def command() -> None:
    """See what exceptions suppress; ask for one from a finding, and decide on what others asked for."""


@command.command(name="list")
@options.config
@options.everything
@options.as_json
def list_exceptions(settings: Settings, *, everything: bool, machine: bool) -> None:
    """List the exceptions of the last recorded run: what each suppresses, and why one has no effect.

    With --json: an object with the run, `unread` (why the register could not be read whole: nothing new is
    suppressed then, and what stood suppressed stays so) and `exceptions`, each with the findings that it suppresses.
    """
    import msgspec

    from reconciler.cli import output
    from reconciler.errors import ConfigurationError
    from reconciler.estate.results import State
    from reconciler.findings import FindingStore
    from reconciler.report.excepted import effect, exceptions, reach
    from reconciler.report.wording import count

    store = FindingStore.open(settings.database_url, to_read=True)
    last = store.last_run()
    if last is None:
        raise ConfigurationError("no run is recorded yet", advice="Do `reconciler run` first.")
    suppressed = store.findings(state=State.SUPPRESSED)
    known = exceptions(last, suppressed)
    if machine:
        findings: dict[str, list[str]] = defaultdict(list)
        for finding in suppressed:
            findings[finding.exception or ""].append(finding.finding_id)
        told = [{**msgspec.structs.asdict(state), "findings": findings[state.exception_id]} for state in known]
        output.emit({"run_id": last.run_id, "unread": last.exceptions_unread, "exceptions": told})
        return
    for reason in last.exceptions_unread:
        click.secho(f"NOT READ WHOLE: {reason}. What stood suppressed stays so.", fg="red", bold=True)
    if not known and all(part.table_name != "exceptions" for part in last.coverage):
        click.echo("No source reports exceptions: nothing is suppressed.")
        return
    rows = [
        (
            state.exception_id,
            reach(state),
            state.owner or "",
            f"{state.expires_at:%Y-%m-%d}" if state.expires_at else "",
            str(state.suppresses),
            effect(state),
        )
        for state in known
    ]
    headings = ("exception", "from", "owner", "until", "suppresses", "why nothing")
    output.table(headings, rows, right=("suppresses",), most=None if everything else output.LISTED)
    click.echo(
        f"{count(len(known), 'exception')}. `reconciler findings list --state suppressed` lists what they suppress."
    )


@command.command()
@options.config
@click.argument("finding_id")
@click.option("--by", required=True, metavar="PERSON_ID", help="Who asks.")
@click.option("--reason", required=True, help="Why the risk is accepted.")
@click.option("--instead", required=True, metavar="TEXT", help="The compensating control: what is done instead.")
@click.option(
    "--until", required=True, type=click.DateTime(["%Y-%m-%d"]), help="Last day, inclusive, in the estate's zone."
)
@click.option("--review-owner", required=True, metavar="PERSON_ID", help="Who reviews it.")
@click.option(
    "--reach",
    type=click.Choice(REACHES),
    default="subject",
    show_default=True,
    help="How far it reaches: the finding's very subject, all of its account, or all of its person.",
)
@options.as_json
def request(
    settings: Settings,
    *,
    finding_id: str,
    by: str,
    reason: str,
    instead: str,
    until: datetime,
    review_owner: str,
    reach: Reach,
    machine: bool,
) -> None:
    """Ask to accept the risk of a finding. It holds once somebody else approved it, from the next run on."""
    from reconciler import accepting, clock, run
    from reconciler.findings import FindingStore
    from reconciler.nonconformity.risks import Asked, Register

    finding, _ = FindingStore.open(settings.database_url, to_read=True).show(finding_id)
    asked = Asked(
        reason=reason,
        compensating_control=instead,
        review_owner=acting.person(settings, review_owner),
        expires_at=accepting.end_of(settings, until.date()),
        reach=reach,
    )
    longest = accepting.longest(run.load_rules(settings))
    risk = Register.open(settings.database_url).request(
        finding, asked, by=acting.person(settings, by), at=clock.now(), longest=longest
    )
    _tell(risk, machine=machine)


@command.command()
@options.config
@click.argument("risk_id")
@click.option("--by", required=True, metavar="PERSON_ID", help="Who approves: neither who asked nor whom it is about.")
@click.option("--reason", required=True, help="Why.")
@options.as_json
def approve(settings: Settings, *, risk_id: str, by: str, reason: str, machine: bool) -> None:
    """Approve what somebody else asked for; it is written to the QMS where that holds exceptions."""
    _decide(settings, risk_id, approve=True, by=by, why=reason, machine=machine)


@command.command()
@options.config
@click.argument("risk_id")
@click.option("--by", required=True, metavar="PERSON_ID", help="Who rejects: not who asked.")
@click.option("--reason", required=True, help="Why.")
@options.as_json
def reject(settings: Settings, *, risk_id: str, by: str, reason: str, machine: bool) -> None:
    """Reject what somebody else asked for."""
    _decide(settings, risk_id, approve=False, by=by, why=reason, machine=machine)


@command.command()
@options.config
@click.argument("risk_id")
@click.option("--by", required=True, metavar="PERSON_ID", help="Who ends it.")
@click.option("--reason", required=True, help="Why.")
@options.as_json
def end(settings: Settings, *, risk_id: str, by: str, reason: str, machine: bool) -> None:
    """Withdraw what was asked for, or end what was approved before its time."""
    from reconciler import clock
    from reconciler.nonconformity.risks import Register

    register = Register.open(settings.database_url)
    _write(
        settings,
        register,
        register.end(risk_id, by=acting.person(settings, by), at=clock.now(), why=reason),
        machine=machine,
    )


@command.command()
@options.config
@click.option("--state", type=click.Choice(STANDINGS), help="Only this state.")
@options.everything
@options.as_json
def requests(settings: Settings, *, state: Standing | None, everything: bool, machine: bool) -> None:
    """List what people asked to accept here, newest first."""
    from reconciler.cli import output
    from reconciler.nonconformity.risks import Register

    found = Register.open(settings.database_url, to_read=True).listed(state=state)
    if machine:
        output.emit(found)
        return
    rows = [
        (
            risk.risk_id,
            risk.state,
            risk.rule_id,
            _limits(risk),
            f"{risk.expires_at:%Y-%m-%d %H:%M}",
            risk.requested_by,
            risk.decided_by or "",
            risk.written_to or "",
        )
        for risk in found
    ]
    headings = ("number", "state", "rule", "limited to", "until (UTC)", "asked by", "decided by", "written to")
    output.table(headings, rows, most=None if everything else output.LISTED)
    waiting = sum(risk.state == "requested" for risk in found)
    click.echo(f"{len(found)} asked for, {waiting} of them to be decided.")


def _decide(settings: Settings, risk_id: str, *, approve: bool, by: str, why: str, machine: bool) -> None:
    from reconciler import clock
    from reconciler.nonconformity.risks import Register

    register = Register.open(settings.database_url)
    risk = register.decide(risk_id, approve=approve, by=acting.person(settings, by), at=clock.now(), why=why)
    _write(settings, register, risk, machine=machine)


def _write(settings: Settings, register: Register, risk: Risk, *, machine: bool) -> None:
    """Write what was decided to the QMS, and say what came of it."""
    from reconciler import accepting
    from reconciler.errors import FilingError

    problems = [each for each in accepting.write(settings, register) if each.problem]
    _tell(register.show(risk.risk_id), machine=machine)
    if problems:
        said = "; ".join(f"{each.register}: {each.risk_id}: {each.problem}" for each in problems)
        raise FilingError(said, advice="What was decided stands; the next run or decision writes it again.")


def _tell(risk: Risk, *, machine: bool) -> None:
    from reconciler.cli import output

    if machine:
        output.emit(risk)
        return
    click.echo(f"{risk.risk_id} is {risk.state}: {risk.rule_id}, limited to {_limits(risk)}, until")
    click.echo(f"  {risk.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC; {risk.review_owner} reviews it.")
    if risk.state == "requested":
        click.echo(f"  It holds once somebody other than {risk.requested_by} approves it.")
    if risk.written_to:
        click.echo(f"  Written to {risk.written_to}.")


def _limits(risk: Risk) -> str:
    said = {
        "": risk.source,
        "account ": risk.account_id,
        "person ": risk.person_id,
        "entitlement ": risk.entitlement_id,
    }
    return ", ".join(f"{what}{name}" for what, name in said.items() if name)
