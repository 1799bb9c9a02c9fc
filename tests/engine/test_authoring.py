from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.bundled import root
from reconciler.engine import explain, load, new, run_cases
from reconciler.errors import ConfigurationError
from tests.engine.rulebook import SQL, TOML, write_rule


def test_a_new_rule_lints_and_passes_its_cases(tmp_path: Path) -> None:
    paths = new(tmp_path, "credential", "idle_account")
    assert [path.name for path in paths] == ["idle_account.sql", "idle_account.toml"]
    (rule,) = load([tmp_path])
    assert rule.info.rule_id == "OWN-CREDENTIAL-IDLE-ACCOUNT"
    assert rule.info.title == "Idle account"
    assert [result.detail for result in run_cases([rule]) if not result.passed] == []


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    new(tmp_path, "own", "idle")
    with pytest.raises(ConfigurationError, match="already there"):
        new(tmp_path, "own", "idle")


@pytest.mark.parametrize(("family", "name"), [("../x", "a"), ("own", "Two Words"), ("", "a")])
def test_a_name_that_is_none_is_refused(tmp_path: Path, family: str, name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no name for a rule"):
        new(tmp_path, family, name)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="name too long"):
        new(tmp_path, "own", "a" * 300)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("a file")
    with pytest.raises(ConfigurationError, match="own"):
        new(tmp_path, "own", "idle")


def test_every_bundled_rule_explains_itself() -> None:
    for rule in load([root("rules")]):
        text = explain(rule)
        for part in (rule.info.why, rule.info.remedy, rule.sql.strip(), *rule.info.known_gaps):
            assert part in text
        assert "None" not in text


def test_an_explanation_shows_the_parameters_in_force() -> None:
    (rule,) = (r for r in load([root("rules")], {"IG-LVR-001": {"grace": "PT4H"}}) if r.info.rule_id == "IG-LVR-001")
    text = explain(rule)
    assert "- `grace` = 4 hours (default 24 hours), duration." in text
    (short,) = (r for r in load([root("rules")]) if r.info.rule_id == "IG-REC-004")
    assert "- `within` = 60 seconds, duration." in explain(short)
    assert "- `people`: People whom the organisation answers for. (needs ends_on)" in text


@pytest.mark.parametrize(
    ("sql", "toml", "detail"),
    [
        (SQL.replace("< $as_of", "> $as_of"), TOML, "was expected: violation"),
        (
            SQL,
            TOML.replace(
                '[{ source = "s", account_id = "a", verdict = "not', '[{ source = "t", account_id = "a", verdict = "not'
            ),
            "was not expected: not_evaluable",
        ),
        (
            SQL,
            TOML.replace('verdict = "violation" }]', 'verdict = "violation", reason = "other" }]'),
            "reason is 'account a', not 'other'",
        ),
        (
            SQL,
            TOML.replace('verdict = "violation" }]', 'verdict = "violation", login = "x" }]'),
            "which the rule does not select",
        ),
        (SQL.replace("concat('account ', a.account_id)", "a.title"), TOML, "has no reason"),
        (SQL.replace("from accounts a", "from accounts a, (values (1), (2)) as v(n)"), TOML, "emitted twice"),
        (SQL.replace("a.account_id)", "cast(a.account_id as date))"), TOML, "it failed: Conversion Error"),
    ],
)
def test_a_case_that_fails_says_how_and_where(tmp_path: Path, sql: str, toml: str, detail: str) -> None:
    write_rule(tmp_path, sql=sql, toml=toml)
    failed = [result for result in run_cases(load([tmp_path])) if not result.passed]
    assert failed
    assert any(detail in result.detail for result in failed), [result.detail for result in failed]
    assert all("old_account.toml:" in result.detail for result in failed)
