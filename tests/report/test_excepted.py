"""Every format lists what is suppressed, by which exception, until when, and who answers for it."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import msgspec
import openpyxl  # type: ignore[import-untyped]  # openpyxl ships no types
import pytest

from reconciler.estate.results import ExceptionState, State
from reconciler.report.delimited import to_csv
from reconciler.report.machine import to_json
from reconciler.report.model import ReportModel, build
from reconciler.report.page import to_html
from reconciler.report.workbook import to_xlsx
from tests.report.made_up import AS_OF, finding, run

UNTIL = AS_OF + timedelta(days=9)
IN_FORCE = ExceptionState(
    exception_id="X1", rule_id="IG-LVR-001", source="aws", account_id="a1", owner="Ada Byron", expires_at=UNTIL
)
IDLE = ExceptionState(exception_id="X2", control_id="C-1", no_effect="nobody answers for it: =1+1")


@pytest.fixture
def model() -> ReportModel:
    covered: dict[str, Any] = {"state": State.SUPPRESSED, "excepted_until": UNTIL}
    findings = [
        finding(1),
        finding(2, exception="X1", **covered),
        finding(3, exception="X1", **covered),
        finding(4, exception="X9", verified=False, **covered),
    ]
    night = run(exceptions=(IN_FORCE, IDLE), exceptions_unread=("qms: exceptions is FAILED",))
    return build(night, findings, time_zone="UTC")


def sheet(model: ReportModel, name: str) -> list[dict[str, Any]]:
    head, *body = openpyxl.load_workbook(io.BytesIO(to_xlsx(model)))[name].iter_rows(values_only=True)
    return [dict(zip(head, line, strict=True)) for line in body]


def test_the_workbook_has_a_sheet_of_exceptions(model: ReportModel) -> None:
    doubt, *rows = sheet(model, "Exceptions")
    assert doubt["why_nothing"] == "NOT READ WHOLE: qms: exceptions is FAILED. What stood suppressed stays so."
    told = [(row["exception"], row["suppresses"], row["owner"], row["expires_at"], row["why_nothing"]) for row in rows]
    assert told == [
        ("X1", 2, "Ada Byron", f"{UNTIL:%Y-%m-%dT%H:%M:%SZ}", None),
        ("X2", 0, None, None, "nobody answers for it: =1+1"),
        ("X9", 1, None, f"{UNTIL:%Y-%m-%dT%H:%M:%SZ}", "not read by the last run"),
    ]
    found = {row["finding_id"]: row["exception_owner"] for row in sheet(model, "Findings") if row["exception"] == "X1"}
    assert list(found.values()) == ["Ada Byron", "Ada Byron"]


def test_csv_has_a_row_for_each_exception(model: ReportModel) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(model).decode("utf-8-sig"), newline="")))
    (doubt,) = (row["reason"] for row in rows if row["record"] == "exceptions_not_read")
    assert doubt == "qms: exceptions is FAILED. What stood suppressed stays so."
    told = [(r["exception"], r["exception_owner"], r["reason"]) for r in rows if r["record"] == "exception"]
    assert told == [
        ("X1", "Ada Byron", "suppresses 2 findings; IG-LVR-001, in aws, account a1"),
        ("X2", "", "suppresses 0 findings; nobody answers for it: =1+1; control C-1"),
        ("X9", "", "suppresses 1 finding; not read by the last run"),
    ]
    owners = [(r["exception"], r["exception_owner"]) for r in rows if r["record"] == "finding"]
    assert sorted(owners) == [("", ""), ("X1", "Ada Byron"), ("X1", "Ada Byron"), ("X9", "")]


def test_json_counts_what_each_suppresses_and_names_who_answers(model: ReportModel) -> None:
    told = msgspec.json.decode(to_json(model))
    assert [(e["exception_id"], e["suppresses"]) for e in told["exceptions"]] == [("X1", 2), ("X2", 0), ("X9", 1)]
    owners = [(f["exception"], f["exception_owner"]) for f in told["findings"]]
    assert owners.count(("X1", "Ada Byron")) == 2
    assert (None, None) in owners


def test_the_page_lists_the_register(model: ReportModel) -> None:
    page = b"".join(to_html(model)).decode()
    assert f"exception X1, until {UNTIL:%Y-%m-%d %H:%M}, Ada Byron answers" in page
    assert "The register: 3 exceptions, 1 of them suppressing nothing" in page
    assert "IG-LVR-001, in aws, account a1" in page
    assert '<b class="no">NOT READ WHOLE</b> qms: exceptions is FAILED' in page


def test_the_page_lists_exceptions_that_suppress_nothing() -> None:
    page = b"".join(to_html(build(run(exceptions=(IDLE,)), [finding(1)], time_zone="UTC"))).decode()
    assert "Nothing is suppressed." in page
    assert "nobody answers for it: =1+1" in page


def test_an_estate_without_exceptions_has_no_such_section() -> None:
    model = build(run(), [finding(1)], time_zone="UTC")
    assert "Suppressed by exceptions</h2>" not in b"".join(to_html(model)).decode()
    assert sheet(model, "Exceptions") == []
