"""One nonconformity as a file that stands by itself: JSON, HTML or CSV, with history, findings and evidence."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from reconciler.report.neutral import neutral
from reconciler.report.rows import stamp
from reconciler.report.wording import count

if TYPE_CHECKING:
    from jinja2 import Template

    from reconciler.nonconformity.evidence import Attached, Looked
    from reconciler.nonconformity.record import Transition
    from reconciler.nonconformity.store import Dossier

Format = Literal["json", "html", "csv"]

COLUMNS = (
    "record",
    "name",
    "at",
    "who",
    "text",
    "why",
    "rule_id",
    "source",
    "account_id",
    "subject",
    "run_id",
    "snapshot",
    "digest",
)
_FOLDER = Path(__file__).parent / "templates"


def write(dossier: Dossier, fmt: Format, *, exported_at: datetime) -> bytes:
    """Return the file, UTF-8."""
    if fmt == "json":
        return _json(dossier, exported_at)
    return _csv(dossier, exported_at) if fmt == "csv" else _html(dossier, exported_at)


def _json(dossier: Dossier, exported_at: datetime) -> bytes:
    whole = {"exported_at": exported_at, **msgspec.structs.asdict(dossier)}
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _html(dossier: Dossier, exported_at: datetime) -> bytes:
    from markupsafe import Markup

    style = (_FOLDER / "nonconformity.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = _template().render(
        it=dossier,
        nc=dossier.nonconformity,
        entries=list(entries(dossier)),
        exported_at=exported_at,
        style=Markup(style),  # noqa: S704 - our own file, no data in it
        style_hash=f"sha256-{digest}",
        instant=stamp,
        subject=subject,
        did=did,
        changes=changes,
    )
    return page.encode()


@cache
def _template() -> Template:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("nonconformity.html.jinja")


class Told(msgspec.Struct, frozen=True):
    """One thing that somebody entered, or that the machine saw, in words."""

    name: str
    text: str
    who: str
    at: datetime


def entries(dossier: Dossier) -> Iterator[Told]:
    """Yield what was entered and seen, in the order of the gates."""
    nc = dossier.nonconformity
    for name, entry in (("containment", nc.containment), ("correction", nc.correction)):
        if entry is not None:
            yield Told(name, entry.text, entry.by, entry.at)
    if nc.analysis is not None:
        method = nc.analysis.method.replace("_", " ")
        yield Told("cause", f"{nc.analysis.text} (method: {method})", nc.analysis.by, nc.analysis.at)
    if nc.action is not None:
        due = f"{nc.action.owner_role} answers for it, due on {nc.action.due_on}"
        yield Told("action", f"{nc.action.text} ({due})", nc.action.by, nc.action.at)
        if nc.action.done_by is not None and nc.action.done_at is not None:
            yield Told("action done", "done", nc.action.done_by, nc.action.done_at)
    seen = nc.verification
    if seen is not None:
        until = f"watched until {stamp(seen.watch_until)}"
        yield Told(
            "findings gone", f"run {seen.gone_run} saw none of its findings; {until}", "reconciler", seen.gone_at
        )
        if seen.verified_run is not None and seen.verified_at is not None:
            still = f"run {seen.verified_run} saw them still gone"
            yield Told("verification", still, "reconciler", seen.verified_at)
    if nc.set_aside is not None:
        yield Told("set aside", nc.set_aside.text, nc.set_aside.by, nc.set_aside.at)
    if nc.closed is not None:
        yield Told("closed", nc.closed.text, nc.closed.by, nc.closed.at)


def _csv(dossier: Dossier, exported_at: datetime) -> bytes:
    """Write RFC 4180 CSV with a byte-order mark, every field quoted and kept from being taken for a formula."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", quoting=csv.QUOTE_ALL, lineterminator="\r\n", strict=True)
    writer.writeheader()
    for row in _rows(dossier, exported_at):
        writer.writerow({column: neutral(value) for column, value in row.items()})
    return text.getvalue().encode("utf-8-sig")


def _rows(dossier: Dossier, exported_at: datetime) -> Iterator[dict[str, str]]:
    nc = dossier.nonconformity
    about = {
        "number": nc.nc_id,
        "title": nc.title,
        "statement": nc.statement,
        "rule": nc.rule_id,
        "source": nc.source or "",
        "supplier": nc.supplier_id or "",
        "severity": nc.severity,
        "grade": f"{nc.grade}: {nc.grade_reason}",
        "state": nc.state.value,
        "detected at": stamp(nc.detected_at),
        "detected in run": nc.detected_run,
        "due at": stamp(nc.due_at),
        "owner role": nc.owner_role,
        "owner": nc.owner or "",
        "escalated to": nc.escalated_to or "",
        "times reopened": str(nc.times_reopened),
        "recurrence of": nc.recurrence_of or "",
        "recurred as": ", ".join(dossier.recurred_as),
        "findings standing": str(nc.standing),
        "exported at": stamp(exported_at),
    }
    for name, value in about.items():
        yield {"record": "nonconformity", "name": name, "text": value}
    for control in nc.controls:
        yield {"record": "control", "name": control}
    for framework, clauses in nc.clauses.items():
        for clause in clauses:
            yield {"record": "clause", "name": framework, "text": clause}
    for gate in dossier.gates:
        yield {"record": "gate", "name": gate.name, "text": gate.missing or ("met" if gate.needed else "not needed")}
    for told in entries(dossier):
        yield {"record": "entry", "name": told.name, "at": stamp(told.at), "who": told.who, "text": told.text}
    for one in dossier.findings:
        gone = (
            f"gone {stamp(one.detached_at)} in run {one.detached_run}: {one.detached_why}" if one.detached_run else ""
        )
        yield {
            "record": "finding",
            "name": one.finding_id,
            "at": stamp(one.attached_at),
            "text": gone or "stands",
            "why": one.reason,
            "rule_id": one.rule_id,
            "source": one.source or "",
            "account_id": one.account_id or "",
            "subject": subject(one),
            "run_id": one.attached_run,
        }
    yield from _evidence(dossier)


def _evidence(dossier: Dossier) -> Iterator[dict[str, str]]:
    """Yield the history, and the runs that show it."""
    for line in dossier.history:
        yield {
            "record": "history",
            "name": line.what,
            "at": stamp(line.at),
            "who": line.who,
            "why": line.why,
            "run_id": line.run_id or "",
            "text": "\n".join(changes(line)),
        }
    for looked in dossier.looked:
        yield {
            "record": "judged",
            "rule_id": looked.rule_id,
            "source": looked.source or "",
            "run_id": looked.run_id,
            "text": did(looked),
        }
    for run in dossier.runs:
        yield {
            "record": "run",
            "run_id": run.run_id,
            "at": stamp(run.as_of),
            "text": f"recorded {stamp(run.recorded_at)}",
            "snapshot": run.snapshot,
            "digest": run.digest,
        }


def subject(one: Attached) -> str:
    """Say what a finding is about, but for its source."""
    return ", ".join(f"{name} {value}" for name, value in one.subject.items() if value and name != "source")


def did(looked: Looked) -> str:
    """Say what a run did with one rule in one source."""
    version = "" if looked.rule_version is None else f"version {looked.rule_version}: "
    if looked.unread:
        return f"{version}not judged: {'; '.join(looked.unread)}"
    found = f"{count(looked.violations, 'violation')}, {looked.excepted:,} under exceptions, {looked.passes:,} passed"
    rest = f"{looked.not_applicable:,} not applicable, {looked.not_evaluable:,} not evaluable"
    return f"{version}judged {count(looked.population, 'subject')}: {found}, {rest}"


def changes(line: Transition) -> list[str]:
    """Say what a line of history changed, one column each: what was entered before is kept nowhere else."""
    before = line.before or {}
    return [f"{name}: {_said(before.get(name))} -> {_said(new)}" for name, new in (line.after or {}).items()]


def _said(value: object) -> str:
    return "nothing" if value is None else str(value)
