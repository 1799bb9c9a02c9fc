"""``exceptions list``: calm where there is no register of exceptions, loud where it could not be read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler.cli.main import reconciler

CONFIG = """\
[estate]
name = "acme"
[sources.crm]
connector = "files"
path = "crm"
"""
ACCOUNTS = "account_id,login,employee_id,status,can_sign_in\na,ada,E1,enabled,true\n"
REGISTER = "exception_id,rule_id,control_id,source,account_id,person_id,entitlement_id,reason,approved_by,review_owner,"
REGISTER += "status,approved_at,expires_at\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "crm").mkdir()
    (tmp_path / "crm" / "accounts.csv").write_text(ACCOUNTS, encoding="utf-8")
    path = tmp_path / "reconciler.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(reconciler, [str(word) for word in words], standalone_mode=False)


def listed(config: Path, *more: str) -> str:
    ran = call("run", "-c", config)
    assert ran.exception is None, ran.exception
    told = call("exceptions", "list", "-c", config, *more)
    assert told.exception is None, told.exception
    return told.stdout


def test_an_estate_without_a_register_is_told_calmly(config: Path) -> None:
    assert listed(config) == "No source reports exceptions: nothing is suppressed.\n"
    assert json.loads(listed(config, "--json"))["unread"] == []


def test_a_register_without_rows_is_a_register(config: Path) -> None:
    (config.parent / "crm" / "exceptions.csv").write_text(REGISTER, encoding="utf-8")
    told = listed(config)
    assert "NOT READ WHOLE" not in told
    assert "No source reports" not in told
    assert "0 exceptions." in told


def test_a_register_that_vanished_is_told_loudly(config: Path) -> None:
    register = config.parent / "crm" / "exceptions.csv"
    register.write_text(
        f"{REGISTER}X1,IG-ORP-001,,crm,a,,,why,Ada,Ada,active,2020-01-01T00:00:00Z,2099-01-01T00:00:00Z\n",
        encoding="utf-8",
    )
    assert "X1" in listed(config)
    register.unlink()
    told = listed(config)
    assert "NOT READ WHOLE: crm: exceptions is PARTIAL: held by the mass-change stop" in told
    assert "No source reports" not in told
