"""Changed rules and parameters over stored snapshots, by the command line, from CSV files alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reconciler.cli.main import reconciler
from reconciler.errors import ConfigurationError
from tests.engine.rulebook import SQL, TOML

CONFIG = """
[estate]
name = "acme"
[sources.qms]
connector = "files"
path = "qms"
[rules]
folders = ["own"]
"""
ACCOUNTS = """account_id,login,can_sign_in,created_at,status
a1,ada,true,2026-01-01T00:00:00Z,enabled
a2,bob,true,2026-01-09T12:00:00Z,enabled
a3,eve,,2026-01-01T00:00:00Z,enabled
"""
RULE = "OWN-TEST-001"


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    (tmp_path / "qms").mkdir()
    (tmp_path / "qms/accounts.csv").write_text(ACCOUNTS)
    (tmp_path / "reconciler.toml").write_text(CONFIG)
    write(tmp_path / "own", SQL, TOML)
    said = call(tmp_path, "pull", "--as-of", "2026-01-10T00:00:00Z", "--json")
    assert said["exit_code"] == 0
    return tmp_path


def write(folder: Path, sql: str, toml: str) -> Path:
    (folder / "own").mkdir(parents=True, exist_ok=True)
    (folder / "own/old_account.sql").write_text(sql)
    (folder / "own/old_account.toml").write_text(toml)
    return folder


def call(folder: Path, *words: str) -> Any:
    answer = CliRunner().invoke(
        reconciler, [*words, "--config", str(folder / "reconciler.toml")], standalone_mode=False
    )
    if answer.exception is not None:
        raise answer.exception
    return json.loads(answer.stdout) if "--json" in words else answer.stdout


def subjects(verdicts: list[dict[str, Any]]) -> set[str]:
    return {verdict["subject"]["account_id"] for verdict in verdicts}


def test_a_parameter_shows_what_would_open_and_close(estate: Path) -> None:
    (result,) = call(estate, "rules", "backtest", "--json", "--param", f"{RULE}.age=PT1H")
    (found,) = result["differences"]
    assert found["rule_id"] == RULE
    assert (subjects(found["opens"]), found["closes"], found["changes"]) == ({"a2"}, [], [])
    (result,) = call(estate, "rules", "backtest", "--json", "--param", f"{RULE}.age=P90D")
    (found,) = result["differences"]
    assert (found["opens"], subjects(found["closes"])) == ([], {"a1", "a3"})


def test_the_last_snapshots_are_the_newest_of_the_estate_the_oldest_of_them_first(estate: Path) -> None:
    pulled = [call(estate, "pull", "--as-of", f"2026-01-1{day}T00:00:00Z", "--json")["snapshot"] for day in (1, 2)]
    (estate / "other.toml").write_text(CONFIG.replace("acme", "other"))
    answer = CliRunner().invoke(reconciler, ["pull", "--config", str(estate / "other.toml")], standalone_mode=False)
    assert answer.exception is None
    words = ("rules", "backtest", "--json", "--param", f"{RULE}.age=PT1H")
    assert [result["snapshot"] for result in call(estate, *words)] == pulled[-1:]
    assert [result["snapshot"] for result in call(estate, *words, "--last", "2")] == pulled


def test_another_estates_snapshot_is_never_recorded(estate: Path) -> None:
    (estate / "other.toml").write_text(CONFIG.replace("acme", "other") + '[store]\ndatabase = "sqlite:///other.db"\n')
    run = CliRunner().invoke
    assert run(reconciler, ["pull", "--config", str(estate / "other.toml")], standalone_mode=False).exception is None
    recorded = call(estate, "evaluate", "--json", "--fail-on", "never")
    assert recorded["estate"] == "acme"
    foreign = run(reconciler, ["evaluate", recorded["snapshot"], "--config", str(estate / "other.toml")])
    assert isinstance(foreign.exception, ConfigurationError)
    assert "is of estate 'acme', not of 'other'" in foreign.exception.message


def test_a_changed_text_stands_in_for_the_rule_of_its_id(estate: Path) -> None:
    changed = SQL.replace("a.can_sign_in is null then 'not_evaluable'", "a.can_sign_in is null then 'violation'")
    folder = write(estate / "tomorrow", changed, TOML.replace('verdict = "not_evaluable"', 'verdict = "violation"'))
    with pytest.raises(ConfigurationError, match="no case in which the rule is not evaluable"):
        call(estate, "rules", "backtest", "--folder", str(folder))
    write(folder, SQL.replace("'account '", "'the account '"), TOML)
    (result,) = call(estate, "rules", "backtest", "--json", "--folder", str(folder))
    (found,) = result["differences"]
    assert (found["opens"], found["closes"], subjects(found["changes"])) == ([], [], {"a1", "a3"})
    assert {verdict["reason"] for verdict in found["changes"]} == {"the account a1", "the account a3"}


def test_a_new_rule_opens_all_that_it_finds_and_people_read_it(estate: Path) -> None:
    folder = write(estate / "tomorrow", SQL, TOML.replace("001", "002"))
    said = call(estate, "rules", "backtest", "--folder", str(folder))
    assert "OWN-TEST-002: would open 2, close 0, change 0" in said
    assert "+ violation: account a1" in said
    assert "+ not_evaluable: account a3" in said


def limited(estate: Path, limits: str) -> dict[str, Any]:
    (estate / "reconciler.toml").write_text(f"{CONFIG}[limits]\n{limits}\n")
    (result,) = call(estate, "rules", "backtest", "--json", "--param", f"{RULE}.age=PT1H")
    return dict(result["differences"][0])


def test_what_the_night_would_hold_is_said(estate: Path) -> None:
    held = limited(estate, "new_findings = 0")
    assert subjects(held["opens"]) == {"a2"}
    assert held["held"] == [{"source": "qms", "violations": 1, "limit": 0}]
    said = call(estate, "rules", "backtest", "--param", f"{RULE}.age=PT1H")
    assert "the night would hold 1 new violations in qms: more than the limit of 0" in said
    assert limited(estate, "new_findings = 1")["held"] == [], "as many as the limit are not held"
    own = limited(estate, f'new_findings = 0\n[limits.rules."{RULE}"]\nnew_findings = 1')
    assert own["held"] == [], "the rule's own limit counts"


def test_what_is_only_doubted_is_never_held(estate: Path) -> None:
    (estate / "reconciler.toml").write_text(f"{CONFIG}[limits]\nnew_findings = 1\n")
    folder = write(estate / "tomorrow", SQL, TOML.replace("001", "002"))
    (result,) = call(estate, "rules", "backtest", "--json", "--folder", str(folder))
    (found,) = result["differences"]
    assert len(found["opens"]) == 2
    assert found["held"] == [], "one violation, and one that is not evaluable"


def test_what_cannot_be_judged_neither_opens_nor_closes(estate: Path) -> None:
    needy = TOML.replace('identity = ["source"', 'needs = ["accounts.email"]\nidentity = ["source"')
    folder = write(estate / "tomorrow", SQL, needy)
    (result,) = call(estate, "rules", "backtest", "--json", "--folder", str(folder))
    (found,) = result["differences"]
    assert found["closes"] == found["opens"] == []
    assert "does not report accounts.email" in found["blocked"]["qms"][0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "nothing is changed"),
        (("--param", f"{RULE}.age=P1D"), "nothing is changed"),
        (("--param", "age=P1D"), "--param age=P1D: is none"),
        (("--param", "IG-XXX-001.age=P1D"), "no rule IG-XXX-001"),
        (("--param", f"{RULE}.age=soon"), f"{RULE}.age: 'soon' is no duration"),
        (("--param", f"{RULE}.ages=P1D"), "the rule has no parameter 'ages'"),
    ],
)
def test_a_test_of_nothing_or_of_what_is_not_there_is_refused(
    estate: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        call(estate, "rules", "backtest", *words)
    assert message in caught.value.message


def test_a_folder_that_is_not_there_names_its_line(estate: Path) -> None:
    (estate / "reconciler.toml").write_text(CONFIG.replace('"own"', '"own", "gone"'))
    with pytest.raises(ConfigurationError) as caught:
        call(estate, "rules", "backtest")
    assert caught.value.message == f"{estate}/reconciler.toml:8: rules.folders.1: there is no folder {estate}/gone"


def test_a_parameter_of_no_rule_names_its_line(estate: Path) -> None:
    with (estate / "reconciler.toml").open("a") as file:
        file.write('[rules.params.OWN-TEST-001]\nages = "P1D"\n')
    with pytest.raises(ConfigurationError) as caught:
        call(estate, "rules", "backtest")
    assert caught.value.message.startswith(f"{estate}/reconciler.toml:10: rules.params.OWN-TEST-001.ages: ")
