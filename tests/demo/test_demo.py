"""Three nights of the demonstration: everything planted is found, nothing else is, and what is mended goes."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.bundled import root
from tests.demo import planted, story
from tests.demo.company import build

NOT_SHOWN = {"IG-GOV-003", "IG-GOV-005"}
"""They speak when rules or sources fail for days; a night or two of this story has neither."""
LATER = {"IG-ORP-003"}
"""Shown from the second night on: a link must have been made before."""
RULES = {tomllib.loads(path.read_text())["id"] for path in root("rules").glob("*/*.toml")} - NOT_SHOWN
NOT_EVERYWHERE = {
    *("IG-LVR-004", "IG-LVR-005", "IG-LVR-008", "IG-NHI-002"),  # the directory and AWS report no events here
    "IG-PRV-002",  # nor does the directory say who has a second factor, nor Entra for each account
    "IG-APR-009",  # Entra's events name no approval
    "IG-CRD-002",  # Okta does not say when a token was last used
}
BY_THE_QMS = {"IG-REC-001", "IG-REC-004"}
"""They judge the QMS's own record of reviews, and need no directory for it."""
FIRST = sorted(RULES - LATER)


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> list[story.Night]:
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        # What the caller's own environment may hold must not reach the demonstration.
        patch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        patch.setenv("AWS_PROFILE", "nobody")
        return [story.next_night(folder, blind=blind) for blind in (False, False, True)]


def per_rule(keys: frozenset[str]) -> dict[str, set[str]]:
    return {rule: {key for key in keys if key.startswith(rule)} for rule in RULES}


@pytest.mark.parametrize(("night", "rule"), [*((1, rule) for rule in FIRST), *((2, rule) for rule in sorted(RULES))])
def test_every_rule_finds_what_was_planted_and_nothing_else(nights: list[story.Night], night: int, rule: str) -> None:
    told = nights[night - 1]
    found, expected = per_rule(told.found)[rule], per_rule(told.expected)[rule]
    assert expected
    assert found == expected


def test_no_other_rule_finds_anything(nights: list[story.Night]) -> None:
    assert {key.split()[0] for key in nights[0].found} == RULES - LATER
    assert {key.split()[0] for key in nights[1].found} == RULES


def test_an_exception_suppresses_what_it_covers(nights: list[story.Night]) -> None:
    suppressed = {key for key in nights[0].found if " suppressed " in key}
    assert len(suppressed) >= 20
    assert suppressed <= nights[0].expected
    assert nights[0].said["suppressed"] == len(suppressed)


def test_everything_is_read_whole_and_the_run_says_that_there_are_findings(nights: list[story.Night]) -> None:
    for night in nights[:2]:
        assert night.exit_code == 1
        assert {part["status"] for part in night.said["coverage"]} == {"COMPLETE"}
        assert {said["rule_id"] for said in night.said["blocked"]} == NOT_EVERYWHERE


def test_the_second_night_shows_new_persisting_and_resolved(nights: list[story.Night]) -> None:
    first, second, _ = nights
    keys = {story._keys([f]): f["state"] for f in second.findings}
    states: Mapping[frozenset[str], Any] = keys
    for key in first.expected & second.expected:
        assert states[frozenset({key})] == ("suppressed" if " suppressed " in key else "persisting")
    for key in second.expected - first.expected:
        assert states[frozenset({key})] == ("suppressed" if " suppressed " in key else "new")
    for key in first.expected - second.expected:
        assert states[frozenset({key.replace(" suppressed ", " violation ")})] == "resolved"
    moves = Counter(f["state"] for f in second.findings)
    assert {state: second.said[state] for state in ("new", "persisting", "resolved", "suppressed")} == dict(moves)
    assert min(moves.values()) >= 10


def test_on_a_blind_night_nothing_of_the_directory_is_opened_or_resolved(nights: list[story.Night]) -> None:
    _, second, third = nights
    assert third.exit_code == 3
    assert third.found == third.expected
    of_directory = {story._keys([f]): f for f in third.findings if f["source"] == "corp-ldap"}
    for finding in (f for f in second.findings if f["source"] == "corp-ldap" and f["rule_id"] not in BY_THE_QMS):
        now = of_directory[story._keys([finding])]
        assert (now["state"] == "resolved") == (finding["state"] == "resolved")
        assert now["verified"] is False
    assert len(of_directory) == sum(f["source"] == "corp-ldap" for f in second.findings)
    out = io.StringIO()
    assert story.tell(third, out) == 0
    assert "corp-ldap accounts: PARTIAL" in out.getvalue()


def test_the_summary_names_the_report_and_the_figures(nights: list[story.Night]) -> None:
    out = io.StringIO()
    assert story.tell(nights[1], out) == 0
    said = out.getvalue()
    assert "Night 2: 2026-03-18 02:15 UTC, Meridian Instruments" in said
    assert "500 people" in said
    assert f"{len(nights[1].expected)} findings were planted: 0 missed, 0 too many" in said
    report = next(line.split(": ", 1)[1] for line in said.splitlines() if "Report:" in line)
    page = Path(report).read_text(encoding="utf-8")
    assert "okta does not report credentials.last_used_at" in page
    assert "Judged, and nothing found" in page


def test_each_command_that_is_printed_works_as_it_stands(nights: list[story.Night]) -> None:
    out = io.StringIO()
    story.tell(nights[2], out)
    commands = [line.strip() for line in out.getvalue().splitlines() if " --config " in line]
    assert [shlex.split(line)[1] for line in commands] == [
        "findings",
        "nonconformities",
        "matrix",
        "assurance",
        "links",
        "exceptions",
    ]
    for line in commands:
        done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), line
        assert done.stdout.strip()


def test_a_miss_is_told_and_ends_in_failure(nights: list[story.Night]) -> None:
    from dataclasses import replace

    out = io.StringIO()
    missed = replace(nights[1], expected=nights[1].expected | {"IG-LVR-001 violation {}"})
    assert story.tell(missed, out) == 1
    assert "missed   IG-LVR-001 violation {}" in out.getvalue()


def test_the_company_has_five_hundred_people_and_is_the_same_every_time() -> None:
    assert len(build().people) == 500
    assert planted.broken(2)[0] == planted.broken(2)[0]


def test_every_night_of_the_story_can_be_told() -> None:
    sizes = [len(planted.broken(night)[1]) for night in range(1, story.NIGHTS + 1)]
    assert min(sizes) >= 35
    assert sizes[2] > sizes[1]  # contracts and last days of the first day are over by then


def test_the_command_fails_plainly_where_its_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo", "--folder", str(tmp_path / "file")],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert "--folder FOLDER" in done.stderr
    assert "Traceback" not in done.stderr
