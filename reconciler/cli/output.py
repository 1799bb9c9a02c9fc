"""How commands speak: tables and progress for people, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from reconciler.collect import Progress

SEVERITY_STYLE = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
STATUS_STYLE = {"COMPLETE": "green", "PARTIAL": "bold yellow", "FAILED": "bold red"}
_PRESENCE = {"PRESENT": "red", "DISABLED": "yellow", "GONE": "green", "NOT_EVALUABLE": "magenta"}
_INDENT = " " * 16


class Alarm(str):
    """A cell of a table that is to be seen first: bold and red on a terminal."""

    __slots__ = ()


def emit(value: Any) -> None:
    """Print ``value`` as JSON: structs by their fields, instants as ISO 8601."""
    import msgspec

    from reconciler.log import redact

    click.echo(redact(msgspec.json.format(msgspec.json.encode(value), indent=2).decode()))


def console(*, stderr: bool = False) -> Console:
    """Return a console; colours only on a terminal, and no wrapping in the middle of a pipe."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(
        stderr=stderr, highlight=False, width=None if stream.isatty() else 200, soft_wrap=not stream.isatty()
    )


def table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, title: str | None = None, right: Sequence[str] = ()
) -> None:
    """Print a table, the columns ``right`` flush right; cell texts are data: markup in them is shown, not obeyed."""
    from rich.table import Table
    from rich.text import Text

    from reconciler.log import redact

    shown = Table(title=title, box=None, header_style="bold", title_justify="left", pad_edge=False)
    for heading in headings:
        shown.add_column(heading, overflow="fold", justify="right" if heading in right else "left")
    for row in rows:
        shown.add_row(*(Text(redact(cell), style=_style(cell)) for cell in row))
    console().print(shown)


def _style(cell: str) -> str:
    return "bold red" if isinstance(cell, Alarm) else SEVERITY_STYLE.get(cell, STATUS_STYLE.get(cell, ""))


def paragraph(state: str, what: str, which: str, *remarks: str) -> None:
    """Print one thing that was looked at live: its state, what it is, and remarks below it, wrapped."""
    import textwrap

    from reconciler.log import redact

    click.echo(click.style(f"{state:<15}", fg=_PRESENCE.get(state)) + f" {what:<18} {redact(which)}".rstrip())
    for remark in filter(None, remarks):
        click.echo(textwrap.fill(redact(remark), 100, initial_indent=_INDENT, subsequent_indent=_INDENT))


@contextmanager
def pulling() -> Iterator[Callable[[Progress], None]]:
    """Show how far a pull is, one line a table, on a terminal; say nothing anywhere else."""
    if not sys.stderr.isatty():
        yield lambda _progress: None
        return
    from rich.progress import Progress as Bars
    from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.fields[rows]:>12,} rows"))
    with Bars(*columns, TimeElapsedColumn(), console=console(stderr=True), transient=True) as bars:
        tasks: dict[tuple[str, str], Any] = {}

        def report(progress: Progress) -> None:
            key = (progress.source, progress.table)
            if key not in tasks:
                tasks[key] = bars.add_task(f"{progress.source}: {progress.table}", total=None, rows=0)
            bars.update(tasks[key], rows=progress.rows)
            if progress.status is not None:
                bars.update(tasks[key], total=1, completed=1)

        yield report


@contextmanager
def working(what: str) -> Iterator[None]:
    """Show a spinner with ``what`` on a terminal."""
    if not sys.stderr.isatty():
        yield
        return
    with console(stderr=True).status(what):
        yield
