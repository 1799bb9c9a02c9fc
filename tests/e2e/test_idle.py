"""Entries of the configuration that fit nothing: told with file and line once all that they could fit was read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reconciler.cli.main import reconciler

CONFIG = """
[estate]
name = "acme"
[sources.qms]
connector = "files"
path = "qms"
[[rules.conflicts]]
name = "Pay and post"
why = "One pair of eyes."
left = [{ entitlement = "Payments*" }, { entitlement = "Payroll" }]
right = [{ source = "qms", entitlement = "g-2" }]
[[rules.approval_scope]]
entitlement = "Every?ne"
approval = "not_required"
[[rules.approval_scope]]
entitlement = "Nobody"
approval = "not_required"
[[rules.role_maps]]
department = "Sales"
entitlement = "POSTING"
[[rules.role_maps]]
department = "Salles"
entitlement = "Posting"
[[special_accounts]]
source = "qms"
account_id = "ADA"
kind = "service"
[[special_accounts]]
source = "qms"
account_id = "nobody"
kind = "service"
"""
SCOPE = """[[rules.approval_scope]]
entitlement = "G-2"
approval = "required"

"""
FILES = {
    "accounts": "account_id,login,status,attributes\na1,ada,enabled,\n",
    "entitlements": "entitlement_id,name\ng-1,Payments EU\ng-2,Posting\ng-3,Everyone\n",
    "people": "person_id,department\nP1,Sales\n",
}
IDLE = {
    "rules.conflicts.0.left.1": 10,
    "rules.approval_scope.1": 15,
    "rules.role_maps.1": 21,
    "special_accounts.1": 28,
}


@pytest.fixture
def estate(tmp_path: Path) -> Path:
    (tmp_path / "qms").mkdir()
    for name, text in FILES.items():
        (tmp_path / f"qms/{name}.csv").write_text(text)
    (tmp_path / "reconciler.toml").write_text(CONFIG)
    return tmp_path


def call(folder: Path, *words: str) -> tuple[int, str]:
    answer = CliRunner().invoke(
        reconciler, [*words, "--config", str(folder / "reconciler.toml")], standalone_mode=False
    )
    if answer.exception is not None:
        raise answer.exception
    return answer.return_value, answer.stdout


def idle(folder: Path) -> tuple[int, list[str]]:
    code, said = call(folder, "run", "--json", "--as-of", "2026-02-03T00:00:00Z")
    told: dict[str, Any] = json.loads(said)
    return code, told["idle"]


def test_each_is_named_with_its_line_and_the_exit_code_says_so(estate: Path) -> None:
    code, found = idle(estate)
    assert found == [f"{estate}/reconciler.toml:{line}: {key}" for key, line in IDLE.items()]
    assert code == 2
    assert f"NO EFFECT: {found[0]}" in call(estate, "evaluate")[1]


def test_what_was_not_read_may_hold_it(estate: Path) -> None:
    (estate / "qms/accounts.csv").write_text("account_id,login,status,attributes\n")
    (estate / "qms/entitlements.csv").unlink()
    (estate / "qms/people.csv").unlink()
    code, found = idle(estate)
    assert found == []
    assert code == 3


def test_an_entry_of_the_approval_scope_that_earlier_ones_decide_for_is_idle(estate: Path) -> None:
    text = CONFIG.replace("Nobody", "Post*").replace("[[rules.approval_scope]]", f"{SCOPE}[[rules.approval_scope]]", 1)
    (estate / "reconciler.toml").write_text(text)
    _, found = idle(estate)
    told = [entry.rpartition(": ")[2] for entry in found]
    assert "rules.approval_scope.2" in told, "all of Post* was decided by an entry before it"
    assert not {"rules.approval_scope.0", "rules.approval_scope.1"} & set(told)


def test_what_is_held_and_not_listed_may_be_meant(estate: Path) -> None:
    (estate / "qms/grants.csv").write_text(
        "principal_kind,principal_id,entitlement_id,assignment\naccount,a1,nobody,direct\n"
    )
    _, found = idle(estate)
    assert [entry.rpartition(": ")[2] for entry in found] == ["rules.role_maps.1", "special_accounts.1"]


def test_what_is_held_and_listed_is_known_by_its_name(estate: Path) -> None:
    _, before = idle(estate)
    (estate / "qms/grants.csv").write_text(
        "principal_kind,principal_id,entitlement_id,assignment\naccount,a1,g-1,direct\n"
    )
    _, found = idle(estate)
    assert found == before
    assert found


def test_what_has_no_name_may_be_meant(estate: Path) -> None:
    with (estate / "qms/entitlements.csv").open("a") as file:
        file.write("g-4,\n")
    _, found = idle(estate)
    assert [entry.rpartition(": ")[2] for entry in found] == ["rules.role_maps.1", "special_accounts.1"]
