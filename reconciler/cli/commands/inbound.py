"""``reconciler inbound``: the webhooks that reached us, and what came of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.settings import Settings
    from reconciler.web.api.deliveries import Delivery, State

_MOST = 300
"""Characters of what came of a delivery in a list: one may name hundreds of records."""


@click.group()
def command() -> None:
    """List the webhooks that reached us, show one, and have one looked at again."""


@command.command(name="list")
@options.config
@click.option("--endpoint", help="Only those of [inbound.NAME].")
@click.option("--state", type=click.Choice(["waiting", "done", "failed"]), help="Only these.")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many, newest first.")
@options.as_json
def list_deliveries(
    settings: Settings, *, endpoint: str | None, state: State | None, limit: int, machine: bool
) -> None:
    """List deliveries, newest first, with what came of each; `show` says all of it.

    With --json: one array; each item has endpoint, delivery_id, received_at, sha256, state, attempts, conflicts,
    next_at, done_at, headers and outcome.
    """
    from reconciler.cli import output
    from reconciler.errors import ConfigurationError
    from reconciler.web.api.deliveries import Deliveries

    found = Deliveries(settings.database_url, to_read=True).all(endpoint=endpoint, state=state, limit=limit)
    if machine:
        output.emit([_plain(one) for one in found])
        return
    if not found and endpoint is not None and endpoint not in settings.config.inbound:
        raise ConfigurationError(
            f"nothing came to {endpoint}, and {settings.path} has no section [inbound.{endpoint}]",
            advice=f"Use one of: {', '.join(settings.config.inbound)}."
            if settings.config.inbound
            else "Write a section [inbound.NAME], as config/examples/inbound shows.",
        )
    if not found:
        click.echo("No deliveries match.")
        return
    rows = [
        (
            one.received_at.isoformat(timespec="seconds"),
            one.endpoint,
            one.delivery_id,
            one.state,
            _short(one.outcome.said if one.outcome else "") + _conflicts(one),
        )
        for one in found
    ]
    output.table(("received", "endpoint", "delivery", "state", "what came of it"), rows)


@command.command()
@options.config
@click.argument("endpoint")
@click.argument("delivery")
@click.option("--body", is_flag=True, help="Print the body alone, byte for byte as it came.")
@options.as_json
def show(settings: Settings, endpoint: str, delivery: str, *, body: bool, machine: bool) -> None:
    """Show DELIVERY of ENDPOINT: when it came, how it was signed, and everything that was said of it since."""
    from reconciler.cli import output
    from reconciler.web.api.deliveries import Deliveries

    found = Deliveries(settings.database_url, to_read=True).show(endpoint, delivery)
    if body:
        click.echo(found.body, nl=False)
    elif machine:
        output.emit(_plain(found))
    else:
        _tell(found)


@command.command()
@options.config
@click.argument("endpoint")
@click.argument("delivery")
@click.option("--by", required=True, metavar="PERSON_ID", help="Who wants it.")
@click.option("--reason", required=True, metavar="TEXT", help="Why.")
@options.as_json
def retry(settings: Settings, endpoint: str, delivery: str, *, by: str, reason: str, machine: bool) -> int:
    """Look again, now, at what DELIVERY of ENDPOINT hints at; exit code 3 where it could not be told."""
    from reconciler import clock, run
    from reconciler.cli import output
    from reconciler.web.api import prepare
    from reconciler.web.api.deliveries import Deliveries
    from reconciler.web.api.tickets import read_back
    from reconciler.web.api.work import work

    endpoints = prepare(settings)
    deliveries = Deliveries(settings.database_url)
    found = deliveries.show(endpoint, delivery)
    deliveries.put_back(found, by=by, reason=reason, at=clock.now())
    with output.working("asking"):
        begun = deliveries.begin(found, clock.now())
        done = work(settings, endpoints, deliveries, begun, read_back)
    if machine:
        output.emit(_plain(done))
    else:
        _tell(done)
    return 0 if done.state == "done" else run.EXIT_SOURCE


def _short(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."


def _conflicts(delivery: Delivery) -> str:
    bodies = "1 other body" if delivery.conflicts == 1 else f"{delivery.conflicts} other bodies"
    return f" ({bodies} came under this id)" if delivery.conflicts else ""


def _plain(delivery: Delivery) -> dict[str, object]:
    return {
        "endpoint": delivery.endpoint,
        "delivery_id": delivery.delivery_id,
        "received_at": delivery.received_at,
        "sha256": delivery.digest,
        "bytes": len(delivery.body),
        "state": delivery.state,
        "attempts": delivery.attempts,
        "conflicts": delivery.conflicts,
        "next_at": delivery.next_at if delivery.state == "waiting" else None,
        "done_at": delivery.done_at,
        "headers": delivery.headers,
        "outcome": delivery.outcome,
    }


def _tell(delivery: Delivery) -> None:
    from reconciler.cli import output

    lines = [
        ("received", delivery.received_at.isoformat()),
        ("state", delivery.state + _conflicts(delivery)),
        ("SHA-256", delivery.digest),
        ("bytes", str(len(delivery.body))),
        *((name, value) for name, value in sorted(delivery.headers.items())),
    ]
    if delivery.outcome is not None:
        lines += [
            ("event", delivery.outcome.event),
            ("concerns", ", ".join(delivery.outcome.subjects)),
            ("check", delivery.outcome.check),
        ]
    output.table((f"{delivery.endpoint} {delivery.delivery_id}", ""), lines)
    if delivery.outcome is not None:
        click.echo()
        history = [(one.at.isoformat(), one.by, one.said) for one in delivery.outcome.history]
        output.table(("at", "by", "what was said"), history)
