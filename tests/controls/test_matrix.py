"""The matrix over recorded runs: never better than what was seen."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import openpyxl  # type: ignore[import-untyped]  # openpyxl ships no types
import pytest

from reconciler.controls import Catalogue, Control, Matrix, build
from reconciler.controls.writing import FORMATS, text, write
from reconciler.engine.assurance import VERDICTS, Figure
from reconciler.errors import ConfigurationError, StoreError
from reconciler.estate.results import Run, Scope
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Person, RoleHolder
from reconciler.snapshot.people import Holder, Holders, holders
from tests.engine.conftest import NIGHT, Read, Seal
from tests.report import made_up

WHOLE = Scope(source="ldap", population=10, passes=8, not_applicable=2)
BROKEN = Scope(source="ldap", population=10, passes=7, violations=1, not_applicable=2)
UNSURE = Scope(source="ldap", population=10, passes=7, not_evaluable=3)
EXCEPTED = Scope(source="ldap", population=2, not_applicable=1, excepted=1)
NOBODY = Scope(source="ldap", population=4, not_applicable=4)
BLOCKED = Scope(source="aws", blocked=("aws: accounts is PARTIAL",))
ONE, TWO = "IG-LVR-001", "IG-ORP-001"


def control(control_id: str = "C-1", *rules: str, **changes: Any) -> Control:
    values: dict[str, Any] = {
        "title": "=Nobody",
        "stage": "governance",
        "owner_role": "Keeper",
        "evidence": {"policy": "p", "workflow": "w", "enforcement": "e"},
        "retention_days": 365,
        "evidence_days": 2,
        "clauses": {"iso": ("A.1",)},
    }
    return Control(control_id=control_id, rules=rules or (ONE,), **(values | changes))


def recorded(**scopes: tuple[Scope, ...]) -> Run:
    found = {name.replace("_", "-"): parts for name, parts in scopes.items()}
    return made_up.run(rules=[made_up.rule(name) for name in found], scopes=found)


def matrix(run: Run, *controls: Control, **asked: Any) -> Matrix:
    catalogue = Catalogue(frameworks={"iso": "ISO", "pci": "PCI"}, controls=controls or (control(),))
    return build(catalogue, run, **({"holders": Holders({"keeper": [Holder("p1", "Ada", date(2025, 1, 1))]})} | asked))


@pytest.mark.parametrize(
    ("scopes", "standing", "because"),
    [
        ((WHOLE,), "proven", ""),
        ((EXCEPTED,), "proven", ""),
        ((BROKEN, BLOCKED), "violated", "1 violated; IG-LVR-001 not judged everywhere: aws: aws: accounts is PARTIAL"),
        ((WHOLE, BLOCKED), "in part", "IG-LVR-001 not judged everywhere: aws: aws: accounts is PARTIAL"),
        ((UNSURE,), "in part", "3 subjects could not be judged"),
        ((Scope(source="ldap", population=1, not_evaluable=1),), "in part", "1 subject could not be judged"),
        ((NOBODY,), "no subject", "nothing that its rules apply to"),
        ((BLOCKED,), "not evaluable", "IG-LVR-001 nowhere judged: aws: aws: accounts is PARTIAL"),
        ((), "not evaluable", "IG-LVR-001 has no place to judge"),
    ],
)
def test_a_control_stands_no_better_than_what_was_seen(scopes: tuple[Scope, ...], standing: str, because: str) -> None:
    (row,) = matrix(recorded(IG_LVR_001=scopes)).controls
    assert (row.standing, row.because) == (standing, because)
    assert row.owner == "Ada"


def test_a_rule_that_never_ran_keeps_its_control_from_being_proven() -> None:
    (row,) = matrix(recorded(IG_LVR_001=(WHOLE,)), control("C-1", ONE, "IG-NEW-001")).controls
    assert (row.standing, row.because) == ("in part", "IG-NEW-001 never run")
    assert [rule.standing for rule in row.rules] == ["proven", "never run"]
    (never,) = matrix(recorded(), control()).controls
    assert (never.standing, never.because) == ("never run", "no rule of it was part of the run")


def test_a_blocked_rule_beside_a_proven_one_is_no_proof() -> None:
    (row,) = matrix(recorded(IG_LVR_001=(WHOLE,), IG_ORP_001=(BLOCKED,)), control("C-1", ONE, TWO)).controls
    assert row.standing == "in part"
    assert [rule.standing for rule in row.rules] == ["proven", "not evaluable"]
    assert row.counts.population == 10


def test_clauses_have_evidence_only_where_something_was_judged() -> None:
    controls = (
        control("C-1", ONE, clauses={"iso": ("A.1", "A.2"), "pci": ("7",)}),
        control("C-2", TWO, clauses={"iso": ("A.2", "A.3")}),
    )
    run = recorded(IG_LVR_001=(WHOLE,), IG_ORP_001=(BLOCKED,), IG_CRD_001=(WHOLE,))
    found = matrix(run, *controls)
    iso, pci = found.frameworks
    assert (iso.clauses, iso.with_evidence, iso.whole, iso.without) == (3, 2, 1, ("A.3",))
    assert (pci.clauses, pci.with_evidence, pci.whole) == (1, 1, 1)
    assert found.without_control == ("IG-CRD-001",)
    assert found.controls[0].clauses == ("iso A.1", "iso A.2", "pci 7")


def test_a_framework_shows_its_controls_and_its_clauses_alone() -> None:
    controls = (control("C-1", clauses={"iso": ("A.1",), "pci": ("7",)}), control("C-2"))
    found = matrix(recorded(IG_LVR_001=(WHOLE,)), *controls, framework="pci")
    assert [(row.control.control_id, row.clauses) for row in found.controls] == [("C-1", ("7",))]
    assert [total.framework for total in found.frameworks] == ["pci"]
    one = matrix(recorded(IG_LVR_001=(WHOLE,)), *controls, control="C-2")
    assert [row.control.control_id for row in one.controls] == ["C-2"]
    for asked in ({"framework": "sox"}, {"control": "C-9"}):
        with pytest.raises(ConfigurationError, match="there is no"):
            matrix(recorded(), **asked)


def test_the_holder_of_a_role_is_known_only_where_it_was_read_whole(seal: Seal) -> None:
    rows = [
        RoleHolder(role="Keeper", person_id="p1", since=date(2025, 1, 1)),
        RoleHolder(role="keeper", person_id="p2", since=date(2025, 1, 1), until=date(2026, 2, 3)),
        RoleHolder(role="keeper", person_id="p3", since=date(2025, 1, 1), until=date(2026, 2, 2)),
        RoleHolder(role="keeper", person_id="p4", since=date(2026, 2, 4)),
    ]
    known = [Person(person_id="p1", full_name="Ada"), *(Person(person_id=f"p{n}") for n in (2, 3, 4))]
    people = Read("hr", "people", known)

    def asked(snapshot: Any, zone: str = "UTC") -> Holders:
        return holders(snapshot, as_of=NIGHT, time_zone=zone)

    found = asked(seal([Read("qms", "role_holders", rows), people]))
    assert found.of("KEEPER ") == "Ada, p2"
    assert found.of("nobody's") == "held by nobody"
    assert asked(seal([Read("qms", "role_holders", rows), people]), "America/New_York").of("keeper") == "Ada, p2, p3"
    partial = asked(seal([Read("qms", "role_holders", rows, Status.PARTIAL)]))
    assert partial.of("keeper") == "holder not known: role_holders of qms were not read whole"
    assert asked(seal([people])).unknown == "no source reports role_holders"
    assert asked(None).unknown == "the run's snapshot is no longer there"


@pytest.fixture
def shown() -> Matrix:
    counts: dict[str, int] = {str(verdict): 0 for verdict in VERDICTS} | {"proven": 5, "revocation_unproven": 1}
    figures = (
        Figure(kind="revocations", source="ldap", population=6, verdicts=counts, layers={}),
        Figure(kind="revocations", source="aws", population=0, verdicts=counts, layers={}, blocked=("aws: unread",)),
        Figure(kind="grants", source="ldap", population=9, verdicts=counts, layers={}),
    )
    controls = (control("C-1", ONE, TWO, assurance="revocations"), control("C-2", "IG-NEW-001"))
    run = recorded(IG_LVR_001=(BROKEN,), IG_ORP_001=(BLOCKED,))
    return matrix(run, *controls, assurance=figures)


def test_csv_has_a_row_for_each_control_and_rule_and_no_number_where_nothing_was_judged(shown: Matrix) -> None:
    rows = list(csv.DictReader(io.StringIO(text(shown, "csv").decode("utf-8-sig"))))
    assert [(row["record"], row["rule_id"], row["standing"], row["violated"]) for row in rows] == [
        ("control", "", "violated", "1"),
        ("rule", ONE, "violated", "1"),
        ("rule", TWO, "not evaluable", ""),
        ("control", "", "never run", ""),
        ("rule", "IG-NEW-001", "never run", ""),
    ]
    assert rows[0]["control"] == "'=Nobody"


def test_the_workbook_has_matrix_frameworks_and_layers(shown: Matrix, tmp_path: Path) -> None:
    write(shown, "xlsx", tmp_path / "new" / "m.xlsx")
    book = openpyxl.load_workbook(tmp_path / "new" / "m.xlsx")
    assert book.sheetnames == ["Matrix", "Frameworks", "Three layers"]
    layers = list(book["Three layers"].values)
    assert layers[1][:4] == ("revocations", "ldap", 6, 5)
    assert layers[2][2] is None
    write(matrix(recorded(), assurance_unknown="no snapshot"), "xlsx", tmp_path / "m2.xlsx")
    assert list(openpyxl.load_workbook(tmp_path / "m2.xlsx")["Three layers"].values)[1] == ("no snapshot",)


def test_the_page_says_what_was_not_judged_and_takes_no_text_for_markup(shown: Matrix) -> None:
    page = text(shown, "html").decode()
    assert "aws: accounts is PARTIAL" in page
    assert "not part of this run" in page
    assert "not judged: aws: unread" in page
    assert "6 revocations, 5 proven, 1 revocation unproven" in page
    bad = text(matrix(recorded(), control(title="<b>x</b>"), framework="iso"), "html").decode()
    assert "&lt;b&gt;x" in bad


def test_json_is_the_whole_of_it(shown: Matrix) -> None:
    told = json.loads(text(shown, "json"))
    assert told["controls"][0]["control"]["control_id"] == "C-1"
    assert told["controls"][0]["assurance"][1]["blocked"] == ["aws: unread"]


def test_what_waits_for_acceptance_and_what_exceptions_could_not_be_read_is_said() -> None:
    run = msgspec.structs.replace(recorded(IG_LVR_001=(BROKEN,)), held=1_200, exceptions_unread=("qms: is FAILED",))
    page = text(matrix(run), "html").decode()
    assert "wait for acceptance: 1,200." in page
    assert "Exceptions were not read whole (qms: is FAILED)" in page


def test_what_cannot_be_written_is_said_and_nothing_is_replaced(shown: Matrix, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    for fmt in FORMATS:
        with pytest.raises(StoreError, match="could not be written"):
            write(shown, fmt, tmp_path / "file" / "m")
