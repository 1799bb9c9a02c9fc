"""Write a report to a file: whole, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from xlsxwriter.exceptions import XlsxWriterException  # type: ignore[import-untyped]  # xlsxwriter ships no types

from reconciler.errors import StoreError
from reconciler.report.delimited import to_csv
from reconciler.report.machine import to_json
from reconciler.report.model import ReportModel
from reconciler.report.page import to_html
from reconciler.report.workbook import to_xlsx

Format = Literal["html", "xlsx", "csv", "json"]

_PIECES: dict[Format, Callable[[ReportModel], Iterable[bytes]]] = {
    "html": to_html,
    "xlsx": lambda model: [to_xlsx(model)],
    "csv": lambda model: [to_csv(model)],
    "json": lambda model: [to_json(model)],
}


def write(model: ReportModel, fmt: Format, path: Path) -> None:
    """Write the report to ``path``; see ``put``."""
    put(path, _pieces(model, fmt))


def _pieces(model: ReportModel, fmt: Format) -> Iterator[bytes]:
    yield from _PIECES[fmt](model)  # only now, where what goes wrong is caught


def put(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file at ``path``, creating its folder; an older file is replaced only by a whole new one.

    Raises:
        StoreError: The file could not be written; what stood at ``path`` still stands.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("xb") as target:
                target.writelines(pieces)
                target.flush()
                os.fsync(target.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except (OSError, XlsxWriterException) as problem:
        raise StoreError(
            f"the report {path} could not be written: {problem}",
            advice="Check that its folder may be written and has space, or name another path; nothing was replaced.",
        ) from problem
