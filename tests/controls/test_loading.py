"""Files of controls: the bundled one is whole, and every fault of one is told with file, line, field and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.bundled import root
from reconciler.controls import Catalogue, load, read
from reconciler.controls.control import LAYERS, STAGES
from reconciler.engine import load as load_rules
from reconciler.errors import ConfigurationError

BUNDLED = root("rules") / "controls.toml"
OWN = """\
[frameworks]
house = "House rules, 2026"

[[control]]
id = "ACME-C-01"
title = "Nobody keeps a key"
stage = "governance"
owner_role = "keeper"
rules = ["IG-LVR-001"]
evidence = { policy = "a", workflow = "b", enforcement = "c" }
retention_days = 365
evidence_days = 7
clauses.house = ["1"]
clauses.iso27001 = ["A.5.18"]
"""


@pytest.fixture(scope="module")
def bundled() -> Catalogue:
    return read(BUNDLED)


def test_the_bundled_controls_cover_every_rule_and_name_no_other(bundled: Catalogue) -> None:
    there = {rule.info.rule_id for rule in load_rules([root("rules")])}
    named = [rule for control in bundled.controls for rule in control.rules]
    assert there <= set(named)
    assert set(named) <= there
    assert len(named) == len(set(named))


def test_the_bundled_controls_span_the_lifecycle_and_every_framework(bundled: Catalogue) -> None:
    assert {control.stage for control in bundled.controls} == set(STAGES)
    assert {name for control in bundled.controls for name in control.clauses} == set(bundled.frameworks)
    assert len(bundled.frameworks) == 9
    assert len(bundled.controls) == 25
    for control in bundled.controls:
        assert set(control.evidence) == set(LAYERS)
        assert control.test_days


def test_no_control_cites_a_clause_that_was_withdrawn(bundled: Catalogue) -> None:
    cited = {clause for control in bundled.controls for clause in control.clauses.get("nist80053", ())}
    assert not cited & {"AC-2(10)", "AC-13", "AC-15"}, "revision 5 has them no more"


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_own_controls_are_added_to_the_bundled_ones(tmp_path: Path, bundled: Catalogue) -> None:
    catalogue = load(BUNDLED, write(tmp_path, OWN), ["IG-LVR-001"])
    assert [control.control_id for control in catalogue.controls[-2:]] == ["IG-C-25", "ACME-C-01"]
    assert catalogue.frameworks == {**bundled.frameworks, "house": "House rules, 2026"}
    assert catalogue.controls[-1].test_days is None
    assert load(BUNDLED, None).controls == bundled.controls


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('"IG-LVR-001"]', '"IG-LVR-01"]', 9, "rules.1: there is no rule IG-LVR-01. Did you mean IG-LVR-001?"),
        ('"IG-LVR-001"]', '"IG-LVR-001", "IG-LVR-001"]', 9, "rules.2: IG-LVR-001 is named twice"),
        ('"IG-LVR-001"]', "]", 9, "rules: no rule shows whether it holds"),
        ('"IG-LVR-001"]', "7]", 9, "rules.1: is no text"),
        ('rules = ["IG-LVR-001"]', 'rules = "IG-LVR-001"', 9, "rules: is no list"),
        ("clauses.house", "clauses.hose", 13, "clauses.hose: there is no framework hose. Did you mean house?"),
        ('house = ["1"]', "house = []", 13, "clauses.house: names no clause"),
        ('clauses.house = ["1"]\nclauses.iso27001 = ["A.5.18"]', "clauses = 3", 13, "clauses: is no table"),
        ("ACME-C-01", "IG-C-01", 5, "id: IG-C-01 is taken by the bundled controls. Give the control an id of its own."),
        ("ACME-C-01", "acme", 5, "id: 'acme' is no id. Write for example ACME-C-01."),
        ('"governance"', '"retirement"', 7, "stage: 'retirement' is none. Use one of: access_request"),
        ('owner_role = "keeper"\n', "", 4, 'owner_role: is missing. Write owner_role = "..."'),
        ('"keeper"', '" "', 8, "owner_role: is blank"),
        ('"keeper"', "4", 8, "owner_role: is no text"),
        ("retention_days = 365", "retention_days = 0", 11, "retention_days: 0 is no number of days"),
        ("retention_days = 365", "retention_days = true", 11, "retention_days: True is no number of days"),
        ("evidence_days = 7\n", "", 4, "evidence_days: is missing"),
        ("evidence_days = 7", "evidence_day = 7", 12, "evidence_day: unknown key. Did you mean evidence_days?"),
        ("evidence_days = 7", "evidence_days = 7\nzzz = 1", 13, "zzz: unknown key. Use: id, title"),
        (', enforcement = "c"', "", 10, "evidence.enforcement: is missing"),
        ("evidence = {", "evidence = 1 # {", 10, "evidence: is no table"),
        ("evidence_days = 7", 'evidence_days = 7\nassurance = "all"', 13, "assurance: 'all' is no such figure"),
        ('house = "House', 'iso9001 = "House', 2, "frameworks.iso9001: is declared before as 'ISO 9001:2015'"),
        ('house = "House rules, 2026"', 'house = ""', 2, "frameworks.house: has no title"),
        ('house = "House', 'House = "House', 2, "frameworks.House: is no name"),
        ("[frameworks]\n", "frameworks = 1\n[[x]]\n", 1, "frameworks: is no table"),
    ],
)
def test_a_fault_names_file_line_field_and_remedy(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    path = write(tmp_path, OWN.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load(BUNDLED, path, ["IG-LVR-001", "IG-LVR-002"])
    lines = caught.value.message.splitlines()
    assert any(told.startswith(f"{path}:{line}: ") and said in told for told in lines), caught.value.message
    assert caught.value.advice


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(write(tmp_path, OWN.replace("keeper", "").replace("governance", "x")))
    assert len(caught.value.message.splitlines()) == 3


@pytest.mark.parametrize("text", ["", "control = []", "control = 3", "control = [1]"])
def test_a_file_without_controls_is_a_mistake(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError, match="Write each control as a table"):
        read(write(tmp_path, text))


def test_two_own_controls_of_one_id(tmp_path: Path) -> None:
    path = write(tmp_path, OWN + OWN.partition("\n\n")[2])
    with pytest.raises(ConfigurationError, match=r"control\.2\.id: ACME-C-01 is taken by .*own\.toml:5"):
        load(BUNDLED, path, ["IG-LVR-001"])
