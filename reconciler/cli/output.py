"""How commands speak: tables and progress for people, JSON for machines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from reconciler.collect import Progress

SEVERITY_COLOUR = {"critical": "red", "high": "red", "medium": "yellow", "low": "cyan"}
SEVERITY_STYLE = SEVERITY_COLOUR | {"critical": "bold red"}
STATUS_STYLE = {"COMPLETE": "green", "PARTIAL": "bold yellow", "FAILED": "bold red"}
_PRESENCE = {"PRESENT": "red", "DISABLED": "yellow", "GONE": "green", "NOT_EVALUABLE": "magenta"}
_INDENT = " " * 16
_PROSE, _WORD, _GAP, _PAIR = 24, 60, 2, 2
"""Widths in a table: what prose needs, a word that stays whole, between columns; and columns that always stand."""

LISTED = 100
"""Rows that a list shows unless it is asked for all."""


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
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    title: str | None = None,
    right: Sequence[str] = (),
    most: int | None = None,
) -> None:
    """Print a table, the columns ``right`` flush right; cell texts are data: markup in them is shown, not obeyed.

    Where the screen is too narrow for its columns, each row is a paragraph instead, every value with its heading.
    ``most``: rows to print; how many more there are is said below.
    """
    from rich.table import Table
    from rich.text import Text

    from reconciler.log import redact

    screen = console()
    texts = [[redact(cell) for cell in row] for row in rows[:most]]
    widths = _widths(headings, texts, screen.width)
    cells = [
        [Text(text, style=_style(cell)) for text, cell in zip(shown, row, strict=True)]
        for shown, row in zip(texts, rows, strict=False)
    ]
    if widths is None:
        _paragraphs(screen, headings, cells, title)
    else:
        shown = Table(title=title, box=None, header_style="bold", title_justify="left", pad_edge=False)
        for heading, width in zip(headings, widths, strict=True):
            justify: Literal["left", "right"] = "right" if heading in right else "left"
            shown.add_column(heading, overflow="fold", justify=justify, width=width)
        for row_ in cells:
            shown.add_row(*row_)
        screen.print(shown)
    if len(rows) > len(texts):
        click.echo(f"and {len(rows) - len(texts):,} more: --all lists them.")


def lines(rows: Sequence[Sequence[str]]) -> None:
    """Print rows without headings, indented, the last column wrapped."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from reconciler.log import redact

    shown = Table(box=None, show_header=False, pad_edge=False)
    for row in rows:
        shown.add_row(*(Text(redact(cell), no_wrap=cell is not row[-1]) for cell in row))
    console().print(Padding(shown, (0, 0, 0, 2), expand=False))


def _widths(headings: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """Return how wide each column is to be; None where not all that must stay in one piece has room.

    A word, such as an id, stays in one piece, and so does a short text; what is left goes to longer ones.
    """
    from rich.cells import cell_len

    columns = list(zip(headings, *rows, strict=True))
    whole = [max(max(map(cell_len, text.splitlines()), default=0) for text in column) for column in columns]
    words = [max((cell_len(word) for text in column for word in text.split()), default=0) for column in columns]
    given = [min(all_of_it, max(_PROSE, min(word, _WORD))) for all_of_it, word in zip(whole, words, strict=True)]
    left = width - sum(given) - _GAP * (len(columns) - 1)
    if left < 0 and len(columns) > _PAIR:
        return None
    by_want = sorted(range(len(columns)), key=lambda n: whole[n] - given[n])
    for rank, n in enumerate(by_want):
        more = min(whole[n] - given[n], left // (len(by_want) - rank))
        given[n] += more
        left -= more
    return given


def _paragraphs(screen: Console, headings: Sequence[str], rows: Sequence[Sequence[Text]], title: str | None) -> None:
    from rich.padding import Padding
    from rich.text import Text

    if title:
        screen.print(title, style="italic")
    for first, *others in rows:
        screen.print(Text.assemble(first, style="bold"))
        told = [
            Text.assemble((f"{heading}: " if heading else "", "dim"), cell)
            for heading, cell in zip(headings[1:], others, strict=True)
            if cell
        ]
        screen.print(Padding(Text(" · ").join(told), (0, 0, 0, 4), expand=False))


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
