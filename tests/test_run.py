"""What a night ends with."""

from __future__ import annotations

from typing import Literal

import pytest

from reconciler.estate.results import Scope
from reconciler.estate.tables import Coverage
from reconciler.run import exit_code


def part(status: Literal["COMPLETE", "PARTIAL", "FAILED"]) -> Coverage:
    return Coverage(source="ldap", table_name="accounts", partition="", status=status)


@pytest.mark.parametrize(
    ("statuses", "severities", "fail_on", "code"),
    [
        (["COMPLETE"], [], "high", 0),
        (["COMPLETE"], ["medium"], "high", 0),
        (["COMPLETE"], ["high"], "high", 1),
        (["COMPLETE"], ["critical"], "high", 1),
        (["COMPLETE"], ["high"], "critical", 0),
        (["COMPLETE"], ["low"], "low", 1),
        (["COMPLETE"], ["critical"], "never", 0),
        (["COMPLETE", "PARTIAL"], [], "high", 3),
        (["COMPLETE", "FAILED"], ["critical"], "high", 3),
    ],
)
def test_an_incomplete_source_comes_before_findings(
    statuses: list[Literal["COMPLETE", "PARTIAL", "FAILED"]], severities: list[str], fail_on: str, code: int
) -> None:
    assert exit_code([part(status) for status in statuses], [], severities, fail_on) == code


def test_a_night_that_could_judge_nothing_is_no_good_night() -> None:
    blocked, judged = Scope(source="ldap", blocked=("no people",)), Scope(source="aws")
    assert exit_code([part("COMPLETE")], [blocked], [], "high") == 3
    assert exit_code([part("COMPLETE")], [blocked, judged], [], "high") == 0


def test_findings_that_wait_for_acceptance_are_no_whole_answer() -> None:
    assert exit_code([part("COMPLETE")], [], ["critical"], "high", held=1) == 3


def test_what_could_not_be_filed_is_told_where_nothing_worse_is() -> None:
    whole, failed = part("COMPLETE"), part("FAILED")
    assert exit_code([whole], [], [], "high", unfiled=["itsm: no answer"]) == 5
    assert exit_code([whole], [], ["critical"], "high", unfiled=["itsm: no answer"]) == 5
    assert exit_code([failed], [], [], "high", unfiled=["itsm: no answer"]) == 3
    assert exit_code([whole], [], [], "high", idle=["x:1: y"], unfiled=["itsm: no answer"]) == 2
