"""The house rules that a machine can hold: sizes, names, who imports whom, one clock."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES_A_MODULE = 600
MOST_LINES_A_FUNCTION = 80
FORBIDDEN_NAMES = {"core", "base", "utils", "util", "helpers", "helper", "common", "manager"}


def _python_files() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return [ROOT / name for name in listed.stdout.split() if (ROOT / name).is_file()]


FILES = _python_files()


def test_there_are_files_to_judge() -> None:
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_well_named(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES_A_MODULE
    assert path.stem not in FORBIDDEN_NAMES
    too_long = [
        f"{node.name} at line {node.lineno}"
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_A_FUNCTION
    ]
    assert not too_long


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "connectors").rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_a_connector_imports_the_sdk_and_nothing_else_of_ours(path: Path) -> None:
    own = f"reconciler.connectors.{path.relative_to(ROOT / 'connectors').parts[0]}"
    allowed = ("reconciler.sdk", own)
    strays = {
        name
        for name in _imports(path)
        if name.split(".")[0] in {"reconciler", "connectors", "tests"}
        and name != "reconciler"
        and not any(name == prefix or name.startswith(prefix + ".") for prefix in allowed)
    }
    assert not strays


def test_the_product_never_names_a_concrete_connector() -> None:
    names = {folder.name for folder in (ROOT / "connectors").iterdir() if folder.is_dir()}
    for path in (ROOT / "reconciler").rglob("*.py"):
        strays = {name for name in _imports(path) if name.startswith("reconciler.connectors.")}
        assert not strays, path
    assert {"ldap", "aws", "files"} <= names


def test_rules_and_config_hold_no_python_and_connectors_is_no_package() -> None:
    assert not [*(ROOT / "rules").rglob("*.py"), *(ROOT / "config").rglob("*.py")]
    assert not (ROOT / "connectors" / "__init__.py").exists()
    assert not list((ROOT / "connectors").rglob("test_*.py"))


def test_each_top_level_folder_has_a_readme() -> None:
    for name in ("reconciler", "connectors", "rules", "config", "tests", "deploy"):
        assert (ROOT / name / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_nothing_committed_names_a_place_outside_the_repository() -> None:
    banned = ("../" + "shared", "/" + "work/main", "/" + "tmp/v0")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    strays = [
        name
        for name in listed
        if (ROOT / name).is_file()
        and any(word in (ROOT / name).read_text(encoding="utf-8", errors="ignore") for word in banned)
    ]
    assert not strays
