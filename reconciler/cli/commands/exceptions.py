"""``reconciler exceptions``: what each exception of the register suppresses, or why it suppresses nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.estate.results import ExceptionState
    from reconciler.settings import Settings


@click.group()
def command() -> None:
    """See what exceptions suppress."""


@command.command(name="list")
@options.config
@options.as_json
def list_exceptions(settings: Settings, *, machine: bool) -> None:
    """List the exceptions of the last recorded run: what each suppresses, and why one has no effect.

    With --json: an object with the run, `unread` (why the register could not be read whole: nothing new is
    suppressed then, and what stood suppressed stays so) and `exceptions`, each with the findings that it suppresses.
    """
    import msgspec

    from reconciler.cli import output
    from reconciler.errors import ConfigurationError
    from reconciler.estate.results import ExceptionState, State
    from reconciler.findings import FindingStore

    store = FindingStore.open(settings.database_url, to_read=True)
    last = store.last_run()
    if last is None:
        raise ConfigurationError("no run is recorded yet", advice="Do `reconciler run` first.")
    findings: dict[str, list[str]] = defaultdict(list)
    until = {}
    for finding in store.findings(state=State.SUPPRESSED):
        name = finding.exception or ""
        findings[name].append(finding.finding_id)
        until[name] = finding.excepted_until
    known = {state.exception_id: state for state in last.exceptions}
    for name in sorted(set(findings) - set(known)):
        # Its register was not read: what is known of it is what it suppresses.
        known[name] = ExceptionState(exception_id=name, expires_at=until[name], no_effect="not read by the last run")
    if machine:
        output.emit(
            {
                "run_id": last.run_id,
                "unread": last.exceptions_unread,
                "exceptions": [
                    {**msgspec.structs.asdict(state), "suppresses": len(findings[name]), "findings": findings[name]}
                    for name, state in known.items()
                ],
            }
        )
        return
    for reason in last.exceptions_unread:
        click.secho(f"NOT READ WHOLE: {reason}. What stood suppressed stays so.", fg="red", bold=True)
    if not known and all(part.table_name != "exceptions" for part in last.coverage):
        click.echo("No source reports exceptions: nothing is suppressed.")
        return
    rows = [
        (
            name,
            _scope(state),
            state.owner or "",
            f"{state.expires_at:%Y-%m-%d}" if state.expires_at else "",
            str(len(findings[name])),
            state.no_effect or ("" if findings[name] else "in force; nothing that it fits was found"),
        )
        for name, state in known.items()
    ]
    output.table(("exception", "from", "owner", "until", "suppresses", "why nothing"), rows, right=("suppresses",))
    click.echo(f"{len(known)} exceptions. `reconciler findings list --state suppressed` lists what they suppress.")


def _scope(state: ExceptionState) -> str:
    parts = (
        state.rule_id,
        state.control_id and f"control {state.control_id}",
        state.source and f"in {state.source}",
        state.account_id and f"account {state.account_id}",
        state.person_id and f"person {state.person_id}",
        state.entitlement_id and f"entitlement {state.entitlement_id}",
    )
    return ", ".join(part for part in parts if part)
