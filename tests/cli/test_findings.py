"""``reconciler findings``: many are listed by cause, and one tells what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler.cli.main import reconciler
from reconciler.estate.results import Outcome
from reconciler.settings import load
from tests.findings.nights import record, result, rule, verdict
from tests.nonconformity.nights import NC, Nights

CONFIG = """\
[estate]
name = "acme"
[sources.hr]
connector = "files"
path = "hr"
"""
Call = Callable[..., str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "reconciler.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def call(config: Path) -> Call:
    def call(*words: str) -> str:
        ran = CliRunner().invoke(reconciler, ["findings", *words, "-c", str(config)], standalone_mode=False)
        assert ran.exception is None, ran.exception
        return ran.stdout

    return call


def test_of_many_the_first_of_each_cause_are_shown(config: Path, call: Call) -> None:
    nights = Nights(load(config).database_url)
    assert call("list") == "No run is recorded yet: `reconciler run` does the first.\n"
    nights.live(0, {f"account-{number:04}" for number in range(1_250)})
    said = call("list", "--open")
    assert f"high  {rule().rule_id} {rule().title}, in ldap: 1,250" in said
    assert said.count("\n  F-") == 100
    assert "and 1,150 more" in said
    assert "1,250 findings of 1 cause." in said
    assert "--all shows every one" in said
    assert call("list", "--all").count("\n  F-") == 1_250
    assert len(json.loads(call("list", "--json"))) == 1_250
    assert call("list", "--state", "resolved") == "No findings match.\n"


def test_what_stands_is_apart_from_what_is_resolved_and_from_what_nobody_knows(config: Path, call: Call) -> None:
    nights = Nights(load(config).database_url)
    nights.live(0, {"a", "b"})
    nights.live(1, {"b"})
    record(nights.findings, 2, result(verdict("b"), verdict("c", Outcome.NOT_EVALUABLE)))
    said = call("list")
    places = [said.index(word) for word in ("Open violations: 1", "Could not be judged: 1", "Resolved: 1")]
    assert places == sorted(places)
    assert "persisting" in said
    assert "3 findings of 3 causes." in said


def test_one_tells_its_remedy_and_where_it_is_worked_on(config: Path, call: Call) -> None:
    nights = Nights(load(config).database_url)
    nights.live(0, {"a"})
    (listed,) = json.loads(call("list", "--json"))
    said = call("show", listed["finding_id"][:12])
    assert rule().remedy in said
    assert f"{NC}, open: identity-governance-lead answers" in said
    assert f"reconciler rules explain {rule().rule_id}" in said
    told = json.loads(call("show", listed["finding_id"], "--json"))
    assert (told["nonconformity"], told["remedy"]) == (NC, rule().remedy)
    nights.live(1, set())
    assert NC in call("show", listed["finding_id"]), "it was worked on there"
