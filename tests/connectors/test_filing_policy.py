"""The document of least privilege for filing has every connector that files, and every right that one names."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from connectors.rest.profiles import names
from reconciler import connectors
from reconciler.bundled import root

POLICY = (Path(__file__).parents[2] / "deploy" / "policies" / "filing.md").read_text(encoding="utf-8")
_PERMISSION = re.compile(r'missing_permission="([^"]+)"|"([A-Z]+_[A-Z_]*(?:ISSUES|PROJECTS|COMMENTS))"')


@pytest.mark.parametrize("name", sorted(connectors.filers()))
def test_every_right_that_a_connector_names_is_granted(name: str) -> None:
    _, _, after = POLICY.partition(f"\n## {name}\n")
    section = after.partition("\n## ")[0]
    assert section
    missed = [
        next(filter(None, found))
        for path in sorted((root("connectors") / name).glob("*.py"))
        for found in _PERMISSION.findall(path.read_text(encoding="utf-8"))
    ]
    if name in {"jira", "request_tracker"}:
        assert missed
    assert {right for right in missed if right.removeprefix("read on ") not in section} == set()


def test_every_profile_that_files_has_its_account() -> None:
    assert {name for name in names("tickets") if f"| `{name}` |" not in POLICY} == set()
