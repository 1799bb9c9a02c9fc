from __future__ import annotations

import re
import tomllib

from reconciler.bundled import root
from reconciler.connectors import load
from tests.connectors.files.conftest import Folder

README = (root("connectors") / "files" / "README.md").read_text(encoding="utf-8")


def block(start: str) -> str:
    found = next(text for text in re.findall(r"```\w*\n(.*?)```", README, re.DOTALL) if text.startswith(start))
    return str(found)


def test_the_worked_example_works(folder: Folder) -> None:
    folder.write("people.csv", block("Personnel No"))
    section = tomllib.loads(block("[sources.qms]"))["sources"]["qms"]
    ann, bob = folder.rows("people", **section)
    assert (ann.person_id, ann.employee_id, ann.emails) == ("00017", "00017", ["ann@acme.test", "a.smith@acme.test"])
    assert (bob.kind, str(bob.ends_on)) == ("contractor", "2026-03-31")


def test_the_error_shown_is_the_error_given(folder: Folder) -> None:
    spoilt = block("Personnel No").replace("contractor;31.03", "contracter;31.02")
    folder.write("people.csv", spoilt)
    section = tomllib.loads(block("[sources.qms]"))["sources"]["qms"]
    assert block("qms/people.csv has 2").strip() in folder.error("people", **section)


def test_every_setting_is_in_the_table() -> None:
    common = {"connector", "concurrency", "retry_seconds"}
    for name in set(load("files").Settings.model_fields) - common:
        assert re.search(rf"^\| `{name}[`.]", README, re.MULTILINE), name


def test_every_format_is_in_the_table() -> None:
    suffixes = {".csv", ".json", ".jsonl", ".ndjson", ".xlsx", ".parquet"}
    assert {suffix for suffix in suffixes if f"`{suffix}`" in README} == suffixes
