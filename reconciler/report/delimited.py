"""The report as CSV: findings, and every gap as a row of its own, so that a short file is never taken for calm."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from reconciler.report.excepted import effect, reach
from reconciler.report.model import ReportModel
from reconciler.report.neutral import neutral
from reconciler.report.rows import Row, finding_columns, finding_row, stamp
from reconciler.report.treated import told
from reconciler.report.wording import count, joined


def to_csv(model: ReportModel) -> bytes:
    """Write the report as RFC 4180 CSV in UTF-8 with a byte-order mark, every field quoted and neutralised."""
    text = io.StringIO(newline="")
    columns = ["record", *finding_columns(model), "estate", "as_of", "run_id", "snapshot"]
    writer = csv.DictWriter(
        text, columns, restval="", quoting=csv.QUOTE_ALL, lineterminator="\r\n", doublequote=True, strict=True
    )
    writer.writeheader()
    common = {
        "estate": model.run.estate,
        "as_of": stamp(model.run.as_of),
        "run_id": model.run.run_id,
        "snapshot": model.run.snapshot,
    }
    for row in _rows(model):
        writer.writerow({column: neutral(value) for column, value in (row | common).items()})
    return text.getvalue().encode("utf-8-sig")


def _rows(model: ReportModel) -> Iterator[Row]:
    yield {"record": "run", "reason": model.headline}
    for read in model.coverage.missing:
        parts = f" (partitions {joined(read.incomplete)})" if read.incomplete else ""
        yield {
            "record": "not_read",
            "verdict": "not_evaluable",
            "source": read.source,
            "reason": f"{read.table}: {read.status}{parts}. {' '.join(read.gaps)}",
        }
    for blocked in model.coverage.blocked:
        yield {
            "record": "not_judged",
            "verdict": "not_evaluable",
            "severity": blocked.rule.severity,
            "rule_id": blocked.rule.rule_id,
            "rule": blocked.rule.name,
            "source": blocked.source or "",
            "reason": " ".join(blocked.reasons),
        }
    for reason in model.run.exceptions_unread:
        yield {"record": "exceptions_not_read", "reason": f"{reason}. What stood suppressed stays so."}
    for state in model.exceptions:
        yield {
            "record": "exception",
            "rule_id": state.rule_id or "",
            "source": state.source or "",
            "person_id": state.person_id or "",
            "exception": state.exception_id,
            "exception_owner": state.owner or "",
            "excepted_until": stamp(state.expires_at),
            "reason": "; ".join(
                part
                for part in (f"suppresses {count(state.suppresses, 'finding')}", effect(state), reach(state))
                if part
            ),
        }
    for one in model.nonconformities:
        yield {
            "record": "nonconformity",
            "severity": one.severity,
            "state": one.state,
            "rule_id": one.rule_id,
            "source": one.source or "",
            "person_id": one.owner or "",
            "reason": told(one),
            "first_seen": stamp(one.detected_at),
        }
    for finding in model.findings:
        yield {"record": "finding", **finding_row(finding, model.answers(finding))}
