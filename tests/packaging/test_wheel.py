"""The wheel as a stranger gets it: installed in a clean environment and run from ``/``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = [sys.executable, "-m", "uv"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel once."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run([*UV, "build", "--wheel", "--quiet", "--out-dir", folder, ROOT], check=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a clean environment; return its ``reconciler``."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([*UV, "venv", "--quiet", "--python", sys.executable, folder], check=True)
    subprocess.run([*UV, "pip", "install", "--quiet", "--python", folder / "bin" / "python", wheel], check=True)
    return folder / "bin" / "reconciler"


def ask(command: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL", "COV", "RECONCILER"))}
    return subprocess.run(
        [command, *map(str, arguments)], cwd="/", env=environment, capture_output=True, text=True, check=False
    )


def test_the_only_top_level_name_is_reconciler(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"reconciler"}


def test_data_that_ships_and_data_that_does_not(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert any(name.startswith("reconciler/_bundled/rules/") and name.endswith(".sql") for name in names)
    assert "reconciler/_bundled/config/reconciler.toml" in names
    assert any(name.startswith("reconciler/database/migrations/versions/") for name in names)
    assert "reconciler/py.typed" in names
    assert not [name for name in names if "/fixtures/" in name or "/expected/" in name or "tests/" in name]


def test_help_answers_from_the_root_folder(command: Path) -> None:
    answer = ask(command, "--help")
    assert answer.returncode == 0, answer.stderr
    assert "Exit codes" in answer.stdout


def test_the_bundled_rules_are_found(command: Path) -> None:
    answer = ask(command, "rules", "list", "--json")
    assert answer.returncode == 0, answer.stderr
    assert {"IG-LVR-001", "IG-LVR-002", "IG-ORP-001", "IG-APR-001"} <= {r["rule_id"] for r in json.loads(answer.stdout)}


def test_a_run_from_the_root_folder_finds_a_leaver(command: Path, tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "people.csv").write_text(
        "person_id,full_name,employee_id,ends_on,time_zone\np1,Ada Byron,7,2026-01-31,UTC\n"
    )
    (folder / "accounts.csv").write_text(
        "account_id,login,employee_id,status,can_sign_in\nu1,ada,7,enabled,true\nu2,ghost,,enabled,true\n"
    )
    (folder / "grants.csv").write_text("principal_kind,principal_id,entitlement_id,assignment\naccount,u1,e1,direct\n")
    (folder / "approvals.csv").write_text(
        "approval_id,kind,person_id,system,entitlement,decision,decided_at\n"
        "A1,access_request,p1,hr,e1,approved,2026-01-10T09:00:00Z\n"
        "A2,termination,p1,,,approved,2026-01-10T09:00:00Z\n"
    )
    config = tmp_path / "reconciler.toml"
    config.write_text('[estate]\nname = "acme"\n[sources.hr]\nconnector = "files"\npath = "exports"\n')
    answer = ask(command, "run", "--config", config, "--as-of", "2026-03-01T00:00:00Z")
    assert answer.returncode == 1, answer.stdout + answer.stderr
    found = json.loads(ask(command, "findings", "list", "--config", config, "--json").stdout)
    assert {(f["rule_id"], f["subject"].get("account_id")) for f in found} >= {
        ("IG-LVR-001", "u1"),
        ("IG-ORP-001", "u2"),
    }
    assert list((tmp_path / "reports").glob("*.html"))
    for words in (["links", "list"], ["assurance"], ["matrix"], ["exceptions", "list"]):
        said = ask(command, *words, "--config", config)
        assert said.returncode == 0, f"{words}: {said.stderr}"
