"""The report as one HTML file that asks nothing of any network and reads without JavaScript."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from reconciler.estate.results import SEVERITIES, Finding, Scope
from reconciler.report.excepted import effect, reach
from reconciler.report.model import STANDINGS, Group, ReportModel, pass_rate, standing
from reconciler.report.wording import count, joined, percent

FOLD = 200
"""Rows of a group that are shown at once; the rest stands in the file, folded."""

OPEN_ROWS = 300
"""Groups stand open, worst first, until so many rows are in view; the first always does."""

EARLIER = 500
"""Findings resolved by earlier runs that the page lists, latest first; the other formats list all."""

_FOLDER = Path(__file__).parent / "templates"


def to_html(model: ReportModel) -> Iterator[bytes]:
    """Yield the page in pieces, UTF-8."""
    style, script = _asset("report.css"), _asset("report.js")
    stream = (
        _environment()
        .get_template("report.html.jinja")
        .stream(
            model=model,
            run=model.run,
            seen=model.coverage,
            style=Markup(style),  # noqa: S704  our own file, no data in it
            script=Markup(script),  # noqa: S704  our own file, no data in it
            style_hash=_hash(style),
            script_hash=_hash(script),
            fold=FOLD,
            opened=_opened(model.violations),
            resolved=_resolved(model),
            severities=SEVERITIES,
            standings=STANDINGS,
            sources=sorted({finding.source for finding in model.findings if finding.source}),
            effect=effect,
            reach=reach,
            instant=lambda at: _instant(model, at),
            day=lambda at: _day(model, at),
        )
    )
    stream.enable_buffering(64)
    for piece in stream:
        yield piece.encode()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, count=count, joined=joined)
    environment.globals.update(pass_rate=pass_rate, standing=standing, slices=_slices, evaluated=_evaluated)
    return environment


@cache
def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _opened(groups: tuple[Group, ...]) -> frozenset[tuple[str, str | None]]:
    rows = 0
    opened: set[tuple[str, str | None]] = set()
    for group in groups:
        rows += min(len(group.findings), FOLD)
        if opened and rows > OPEN_ROWS:
            break
        opened.add((group.rule_id, group.source))
    return frozenset(opened)


def _resolved(model: ReportModel) -> dict[str, Any]:
    """Return the groups of what this run resolved, the latest of what earlier ones did, and how many are left out."""
    gone = [finding for group in model.resolved for finding in group.findings]
    now = [finding for finding in gone if model.resolved_by_this_run(finding)]
    earlier = [finding for finding in gone if not model.resolved_by_this_run(finding)]
    earlier.sort(key=_resolved_at, reverse=True)
    return {"now": now, "earlier": earlier[:EARLIER], "omitted": max(0, len(earlier) - EARLIER), "count": len(gone)}


def _resolved_at(finding: Finding) -> datetime:
    return finding.resolved_at or datetime.min.replace(tzinfo=UTC)


def _instant(model: ReportModel, at: datetime | None) -> str:
    return f"{model.local(at):%Y-%m-%d %H:%M}" if at else ""


def _day(model: ReportModel, at: datetime) -> str:
    local = model.local(at)
    return f"{local:%A}, {local.day} {local:%B %Y, %H:%M}"


def _evaluated(scope: Scope) -> int:
    return scope.passes + scope.violations + scope.excepted


def _slices(scope: Scope) -> list[tuple[str, float, float]]:
    """Return (class, start, width) of each part of the population bar, 0 to 100."""
    parts = [
        ("violation", scope.violations),
        ("excepted", scope.excepted),
        ("unknown", scope.not_evaluable),
        ("pass", scope.passes),
        ("other", scope.not_applicable),
    ]
    total = sum(figure for _, figure in parts if figure > 0)
    slices, start = [], 0.0
    for name, figure in parts:
        if figure > 0:
            # A sliver stays visible: one violation in a million must not round to nothing.
            width = max(100 * figure / total, 0.6)
            slices.append((name, round(start, 2), round(min(width, 100 - start), 2)))
            start += width
    return slices
