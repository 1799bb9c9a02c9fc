"""``reconciler exceptions``: what each exception of the register suppresses, or why it suppresses nothing."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
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
    output.table(("exception", "from", "owner", "until", "suppresses", "why nothing"), rows, right=("suppresses",))
    click.echo(
        f"{count(len(known), 'exception')}. `reconciler findings list --state suppressed` lists what they suppress."
    )
