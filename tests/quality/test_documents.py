"""Documents that must agree with the code."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest

import reconciler
from reconciler.cli.main import reconciler as command

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_help_text_as_it_is() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "reconciler", "--help"],
        capture_output=True,
        text=True,
        check=True,
        env={"COLUMNS": "100"},
    ).stdout.replace("python -m reconciler", "reconciler")
    block = README.partition("<!-- help: begin -->\n")[2].partition("<!-- help: end -->")[0]
    assert block == f"```\n{shown}```\n"


def _commands(text: str) -> list[list[str]]:
    blocks = re.findall(r"```(?:sh|)\n(.*?)```", text, re.DOTALL)
    lines = [line.split("#")[0].split() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line[:1] == ["reconciler"]]


def test_every_command_in_the_readmes_exists_with_its_options() -> None:
    seen = 0
    for path in [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("*/*/README.md")]:
        for words in _commands(path.read_text(encoding="utf-8")):
            found: click.Command = command
            context = click.Context(found)
            rest = words[1:]
            while rest and isinstance(found, click.Group) and not rest[0].startswith("-"):
                child = found.get_command(context, rest[0])
                assert child is not None, f"{path}: {' '.join(words)}"
                found, rest = child, rest[1:]
            known = {name for parameter in found.params for name in parameter.opts} | {"--help", "--version"}
            strays = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known]
            assert not strays, f"{path}: {' '.join(words)}"
            seen += 1
    assert seen > 5


def test_the_changelog_and_the_package_agree_on_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == reconciler.__version__
    assert f"## {reconciler.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


READMES = [p for p in sorted(ROOT.glob("**/README.md")) if not {".venv", ".uv"} & set(p.relative_to(ROOT).parts)]


@pytest.mark.parametrize("path", READMES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_in_readmes_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path}: {target}"


def test_the_top_level_holds_what_the_readme_says_and_nothing_else() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    top = {name.split("/")[0] for name in listed}
    folders = {"reconciler", "connectors", "rules", "config", "tests", "deploy", ".ci"}
    files = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "Makefile",
        "uv.lock",
        ".gitignore",
    }
    assert top <= folders | files
