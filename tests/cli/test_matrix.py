"""``reconciler assurance`` and ``reconciler matrix`` over files, as their users run them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler import clock, engine, run, settings
from reconciler.bundled import root
from reconciler.cli.main import reconciler
from reconciler.errors import ConfigurationError
from reconciler.findings import FindingStore

CONFIG = """\
[estate]
name = "acme"
[sources.crm]
connector = "files"
path = "crm"
"""
FILES = {
    "accounts": "account_id,login,employee_id,status,can_sign_in\na,ada,E1,enabled,true\nb,bob,E2,disabled,false\n",
    "entitlements": "entitlement_id,name\ne1,Finance\n",
    "grants": "principal_kind,principal_id,entitlement_id,assignment\naccount,a,e1,direct\n",
    "people": "person_id,full_name,employee_id\np1,Ada,E1\np2,Bob,E2\n",
    "approvals": "approval_id,kind,person_id,system,entitlement,decision,decided_at\n"
    "A1,access_request,p1,crm,Finance,approved,2026-01-10T09:00:00Z\n"
    "A2,termination,p2,,,approved,2026-01-10T09:00:00Z\n",
    "events": "event_id,occurred_at,action,target_id,entitlement_id,approval_ref\n"
    "v1,2026-01-11T09:00:00Z,entitlement_granted,a,e1,A1\n",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "crm").mkdir()
    for name, text in FILES.items():
        (tmp_path / "crm" / f"{name}.csv").write_text(text, encoding="utf-8")
    path = tmp_path / "reconciler.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def recorded(config: Path) -> Path:
    """Record a run with two rules of the catalogue."""
    chosen = settings.load(config)
    store = FindingStore.open(chosen.database_url)
    snapshot = run.pull(chosen, store, as_of=clock.parse_instant("2026-02-03T00:00:00Z"), progress=lambda _: None)
    rules = [rule for rule in engine.load([root("rules")]) if rule.info.rule_id in {"IG-ORP-001", "IG-CRD-001"}]
    run.record(chosen, store, snapshot, run.evaluate(chosen, snapshot, rules, as_of=snapshot.as_of))
    return config


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(reconciler, [str(word) for word in words], standalone_mode=False)


def test_assurance_prints_figures_and_writes_rows(recorded: Path, tmp_path: Path) -> None:
    shown = call("assurance", "-c", recorded, "-o", tmp_path / "rows.csv")
    assert shown.exception is None
    assert "decision A2: no event from 2026-01-10 09:00:00 to 2026-01-13 09:00:00" in shown.output
    assert "2 rows written" in shown.output
    told = json.loads(call("assurance", "-c", recorded, "--json", "--source", "crm", "--verdict", "proven").output)
    assert told["figures"][0]["verdicts"]["proven"] == 1
    assert [row["decision_id"] for row in told["examples"]] == ["A1"]
    assert told["rows_written"] is None


def test_assurance_refuses_what_there_is_not(recorded: Path, tmp_path: Path) -> None:
    for words in (["--source", "okta"], ["-o", tmp_path / "rows.txt"], ["--snapshot", "x"]):
        assert isinstance(call("assurance", "-c", recorded, *words).exception, ConfigurationError)
    assert "is no duration" in str(call("assurance", "-c", recorded, "--window", "3 days").exception)


def test_assurance_before_the_first_pull(config: Path) -> None:
    assert "no sealed snapshot" in str(call("assurance", "-c", config).exception)


def test_assurance_says_where_nothing_is_judged(recorded: Path) -> None:
    (recorded.parent / "crm" / "events.csv").unlink()
    (recorded.parent / "crm" / "entitlements.csv").unlink()
    chosen = settings.load(recorded)
    store = FindingStore.open(chosen.database_url)
    run.pull(chosen, store, as_of=clock.parse_instant("2026-02-04T00:00:00Z"), progress=lambda _: None)
    shown = call("assurance", "-c", recorded).output
    assert "grants of crm: nothing is judged: crm: entitlements is " in shown


def test_the_matrix_is_printed_whole_and_by_framework_and_by_control(recorded: Path) -> None:
    whole = call("matrix", "-c", recorded)
    assert whole.exception is None
    assert "IG-C-01 never run: no rule of it was part of the run" in whole.output
    assert "Who holds the owners' roles is not known: no source reports role_holders" in whole.output
    dora = call("matrix", "-c", recorded, "--framework", "dora").output
    assert "RTS 20(2)(a)" in dora
    assert "ISO/IEC 27001" not in dora
    assert "Without evidence: " in dora
    one = call("matrix", "-c", recorded, "--control", "IG-C-11").output
    assert "IG-CRD-001 not judged in whole estate: no source reports credentials" in one
    assert "evidence, enforcement: The credentials of each source" in one
    layers = call("matrix", "-c", recorded, "--control", "IG-C-16").output
    assert "three layers, revocations of crm: 1: 1 revocation unproven" in layers


def test_the_matrix_is_written_in_each_format(recorded: Path, tmp_path: Path) -> None:
    for ending in ("html", "xlsx", "csv", "json"):
        path = tmp_path / f"m.{ending}"
        assert call("matrix", "-c", recorded, "-o", path).output == f"{path}\n"
        assert path.stat().st_size > 1000
    told = json.loads(call("matrix", "-c", recorded, "--json").output)
    assert told["controls"][5]["standing"] == "in part"
    for words in (["-o", tmp_path / "m.pdf"], ["--format", "xlsx"], ["--run", "x"], ["--framework", "sox"]):
        assert isinstance(call("matrix", "-c", recorded, *words).exception, ConfigurationError)


def test_the_matrix_of_a_run_whose_snapshot_is_gone(recorded: Path) -> None:
    (snapshot,) = [path for path in (recorded.parent / "snapshots").iterdir() if path.is_dir()]
    snapshot.rename(recorded.parent / "elsewhere")
    shown = call("matrix", "-c", recorded)
    assert shown.exception is None
    assert "No figures of the three layers: there is no snapshot" in shown.output


def test_the_matrix_before_the_first_run(config: Path) -> None:
    FindingStore.open(settings.load(config).database_url)
    assert "no run is recorded yet" in str(call("matrix", "-c", config).exception)
