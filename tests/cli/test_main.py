"""The entry point: fast help, exit codes, and errors without a traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.bundled import root

HEAVY = (
    "boto3",
    "botocore",
    "ldap3",
    "duckdb",
    "pyarrow",
    "sqlmodel",
    "sqlalchemy",
    "pydantic",
    "httpx",
    "rich",
    "jinja2",
)


def ask(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reconciler", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["findings", "list", "--help"], ["--version"]])
def test_help_loads_no_vendor_sdk_and_no_engine(arguments: list[str]) -> None:
    program = (
        "import sys, json\n"
        f"sys.argv = ['reconciler', *{arguments!r}]\n"
        "from reconciler.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('\\n' + json.dumps(sorted(sys.modules)))\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(json.loads(answer.stdout.splitlines()[-1]))
    assert "reconciler.cli.main" in loaded
    assert not loaded & set(HEAVY)


def test_every_command_and_subcommand_explains_itself() -> None:
    import click

    from reconciler.cli.main import reconciler

    context = click.Context(reconciler)
    names = reconciler.list_commands(context)
    assert names == [
        "assurance",
        "config",
        "db",
        "evaluate",
        "exceptions",
        "filing",
        "findings",
        "inbound",
        "init",
        "links",
        "matrix",
        "nonconformities",
        "notices",
        "pull",
        "report",
        "rules",
        "run",
        "serve",
        "sources",
    ]
    pending = [(name, reconciler.get_command(context, name)) for name in names]
    while pending:
        name, command = pending.pop()
        assert command is not None
        assert command.help, name
        for parameter in command.params:
            assert isinstance(parameter, click.Argument) or parameter.help, (name, parameter.name)
        if isinstance(command, click.Group):
            pending += [(f"{name} {child}", command.commands[child]) for child in command.commands]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frobnicate"], "No such command"),
        (["run", "--config", "nowhere.toml"], "nowhere.toml"),
        (["run", "--as-of", "2026-01-01"], "time zone"),
        (["run", "--fail-on", "loud"], "loud"),
    ],
)
def test_a_wrong_command_line_exits_with_2_and_no_traceback(arguments: list[str], said: str, tmp_path: Path) -> None:
    answer = ask(*arguments, cwd=tmp_path)
    assert answer.returncode == 2
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout


def test_init_writes_an_example_that_passes_its_own_check_but_for_secrets(tmp_path: Path) -> None:
    assert ask("init", cwd=tmp_path).returncode == 0
    again = ask("init", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    shown = ask("config", "show", "--json", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["estate"]["name"] == "acme"


def test_linting_rules_speaks_json_too(tmp_path: Path) -> None:
    good = ask("rules", "lint", "--json")
    assert json.loads(good.stdout)["problems"] == []
    assert json.loads(good.stdout)["rules"] == len(list(root("rules").glob("*/*.sql")))
    (tmp_path / "family").mkdir()
    (tmp_path / "family" / "lonely.sql").write_text("select 1")
    bad = ask("rules", "lint", tmp_path, "--json")
    assert bad.returncode == 2
    (problem,) = json.loads(bad.stdout)["problems"]
    assert problem["at"].endswith("lonely.sql:1:1")
    assert problem["advice"]


def test_an_explanation_says_what_a_rule_reads_and_cannot_see() -> None:
    said = ask("rules", "explain", "ig-lvr-001").stdout
    assert "IG-LVR-001" in said
    assert "grace" in said
    missing = ask("rules", "explain", "IG-LVR-01")
    assert missing.returncode == 2
    assert "Did you mean IG-LVR-001?" in missing.stderr


def test_the_cases_of_a_rule_can_be_tried_alone() -> None:
    answer = ask("rules", "test", "IG-ORP-001", "--json")
    assert answer.returncode == 0
    assert {result["rule_id"] for result in json.loads(answer.stdout)} == {"IG-ORP-001"}
    assert all(result["passed"] for result in json.loads(answer.stdout))


def test_the_rules_of_a_folder_can_be_tried_and_explained_before_they_are_configured(tmp_path: Path) -> None:
    said = ask("rules", "new", tmp_path / "own", "leaver", "own_rule").stdout
    assert f"`reconciler rules test --folder {tmp_path / 'own'}`" in said
    answer = ask("rules", "test", "--folder", tmp_path / "own", "--json")
    assert {result["rule_id"] for result in json.loads(answer.stdout)} == {"OWN-LEAVER-OWN-RULE"}
    assert "# OWN-LEAVER-OWN-RULE" in ask("rules", "explain", "own_rule", "--folder", tmp_path / "own").stdout


def test_rules_are_locked_by_a_command(tmp_path: Path) -> None:
    assert ask("rules", "new", tmp_path, "leaver", "own_rule").returncode == 0
    assert ask("rules", "lock", tmp_path).returncode == 0
    path = tmp_path / "leaver" / "own_rule.sql"
    path.write_text(path.read_text() + "\n-- changed\n")
    sql = path.read_text().replace("select", "select distinct", 1)
    path.write_text(sql)
    changed = ask("rules", "lint", tmp_path)
    assert changed.returncode == 2
    assert "version" in changed.stderr


def test_a_log_level_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECONCILER_LOG", "loud")
    (tmp_path / "reconciler.toml").write_text('[estate]\nname = "a"\n[sources.a]\nconnector = "files"\npath = "."\n')
    answer = ask("config", "show", cwd=tmp_path)
    assert answer.returncode == 2
    assert "RECONCILER_LOG is 'loud'; set it to one of: DEBUG, INFO" in answer.stderr


def test_a_defect_is_no_finding(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from reconciler.cli import main as entry

    def broken(**_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(entry.reconciler, "main", broken)
    monkeypatch.setenv("RECONCILER_LOG", "debug")
    with pytest.raises(SystemExit) as ended:
        entry.main()
    assert ended.value.code == entry.EXIT_DEFECT
    assert "ZeroDivisionError: a defect" in capsys.readouterr().err
