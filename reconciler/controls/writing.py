"""Write the matrix as JSON, CSV, XLSX or HTML, from the same values."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # xlsxwriter ships no types

from reconciler.controls.control import LAYERS
from reconciler.controls.matrix import STANDINGS, ControlRow, Counts, FrameworkTotal, Matrix
from reconciler.engine.assurance import VERDICTS, Figure
from reconciler.errors import StoreError
from reconciler.report.neutral import neutral

Format = Literal["json", "csv", "xlsx", "html"]
FORMATS: tuple[Format, ...] = ("json", "csv", "xlsx", "html")
_COUNTS = Counts.__struct_fields__
_CELL_LIMIT = 32_767
_FOLDER = Path(__file__).parent / "templates"

Cells = dict[str, str | int]
"""Column -> text or number."""


def write(matrix: Matrix, fmt: Format, path: Path) -> None:
    """Write the matrix to ``path``; an older file is replaced only by a whole new one.

    Raises ``StoreError`` where it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("xb") as target:
                target.write(text(matrix, fmt))
                target.flush()
                os.fsync(target.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"{path} could not be written: {error.strerror or error}", advice="Name a path that can be written."
        ) from error


def text(matrix: Matrix, fmt: Format) -> bytes:
    """Return the whole file."""
    makers: dict[Format, Callable[[Matrix], bytes]] = {
        "json": lambda one: msgspec.json.format(msgspec.json.encode(one), indent=2) + b"\n",
        "csv": _csv,
        "xlsx": _xlsx,
        "html": _html,
    }
    return makers[fmt](matrix)


def rows(matrix: Matrix) -> Iterator[Cells]:
    """Yield one row a control, then one for each of its rules; counts are left out where nothing was judged."""
    for row in matrix.controls:
        control = row.control
        shared: Cells = {
            "control_id": control.control_id,
            "control": control.title,
            "stage": control.stage,
            "owner_role": control.owner_role,
            "owner": row.owner,
        }
        judged = any(rule.judged for rule in row.rules)
        yield {
            "record": "control",
            **shared,
            "standing": row.standing,
            **(_numbers(row.counts) if judged else {}),
            "because": row.because,
            "clauses": "; ".join(row.clauses),
            **{f"evidence_{layer}": control.evidence.get(layer, "") for layer in LAYERS},
            "retention_days": control.retention_days,
        }
        for rule in row.rules:
            yield {
                "record": "rule",
                **shared,
                "rule_id": rule.rule_id,
                "rule": rule.title,
                "layer": rule.layer,
                "standing": rule.standing,
                **(_numbers(rule.counts) if rule.judged else {}),
                "because": " | ".join(rule.blocked),
            }


COLUMNS = (
    *("record", "control_id", "control", "stage", "owner_role", "owner", "rule_id", "rule", "layer", "standing"),
    *_COUNTS,
    *("because", "clauses", *(f"evidence_{layer}" for layer in LAYERS), "retention_days"),
)


def _numbers(counts: Counts) -> Cells:
    return {name: int(getattr(counts, name)) for name in _COUNTS}


def _framework(total: FrameworkTotal) -> Cells:
    return {
        "framework": total.title,
        "clauses": total.clauses,
        "with_evidence": total.with_evidence,
        "judged_whole": total.whole,
        "without_evidence": "; ".join(total.without),
    }


def figures(matrix: Matrix) -> tuple[Figure, ...]:
    """Return the figures of the three layers that the controls shown rest on, each once."""
    return tuple({(f.kind, f.source): f for row in matrix.controls for f in row.assurance}.values())


def _figure(figure: Figure) -> Cells:
    counts: Cells = {"population": figure.population, **{verdict: figure.verdicts[verdict] for verdict in VERDICTS}}
    return {
        "kind": figure.kind,
        "source": figure.source or "(none named)",
        **({} if figure.blocked else counts),
        "blocked": "; ".join(figure.blocked),
        "events_unread": figure.events_unread,
    }


def _csv(matrix: Matrix) -> bytes:
    file = io.StringIO(newline="")
    common: Cells = {"estate": matrix.estate, "as_of": matrix.as_of.isoformat(), "run_id": matrix.run_id}
    writer = csv.DictWriter(file, [*COLUMNS, *common], restval="", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writeheader()
    for row in rows(matrix):
        writer.writerow({name: neutral(str(value)) for name, value in (row | common).items()})
    return file.getvalue().encode("utf-8-sig")


def _xlsx(matrix: Matrix) -> bytes:
    target = io.BytesIO()
    with Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}) as book:
        book.set_properties({"created": matrix.as_of.replace(tzinfo=None)})
        sheets: list[tuple[str, Sequence[Cells], Sequence[str]]] = [
            ("Matrix", list(rows(matrix)), COLUMNS),
            ("Frameworks", [_framework(total) for total in matrix.frameworks], ()),
            ("Three layers", [_figure(figure) for figure in figures(matrix)] or [_unknown(matrix)], ()),
        ]
        head = book.add_format({"bold": True, "bg_color": "#E8EBF0", "bottom": 1})
        plain = book.add_format({"valign": "top", "text_wrap": True})
        for name, found, given in sheets:
            columns = given or list(dict.fromkeys(column for row in found for column in row)) or ["nothing"]
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            for number, column in enumerate(columns):
                wide = column in {"control", "because", "rule", "without_evidence", "blocked", "events_unread"}
                sheet.set_column(number, number, 50 if wide or "evidence_" in column else 16)
                sheet.write_string(0, number, column, head)
            for at, row in enumerate(found, start=1):
                for number, column in enumerate(columns):
                    value = row.get(column, "")
                    if isinstance(value, int):
                        sheet.write_number(at, number, value, plain)
                    elif value:
                        sheet.write_string(at, number, neutral(value)[:_CELL_LIMIT], plain)
            sheet.autofilter(0, 0, len(found), len(columns) - 1)
    return target.getvalue()


def _unknown(matrix: Matrix) -> Cells:
    return {"three layers": matrix.assurance_unknown or "No control shown here rests on them."}


def _html(matrix: Matrix) -> bytes:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = (_FOLDER / "matrix.css").read_text(encoding="utf-8")
    values: dict[str, Any] = {
        "m": matrix,
        "style": Markup(style),  # noqa: S704  # our own file, no data in it
        "style_hash": "sha256-" + base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        "layers": LAYERS,
        "verdicts": VERDICTS,
        "figures": figures(matrix),
        "stages": list(dict.fromkeys(row.control.stage for row in matrix.controls)),
        "tally": tally(matrix.controls),
    }
    return environment.get_template("matrix.html.jinja").render(**values).encode()


def tally(controls: Sequence[ControlRow]) -> dict[str, int]:
    """Count controls by how they stand, those that ask for attention first."""
    return {name: n for name in STANDINGS if (n := sum(row.standing == name for row in controls))}
