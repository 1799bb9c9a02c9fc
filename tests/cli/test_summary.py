"""The page that a pull and a run print: short where many parts share one reason, and never short of a reason."""

from __future__ import annotations

from typing import Literal

import pytest

from reconciler.cli import summary
from reconciler.estate.results import Scope
from reconciler.estate.tables import Coverage


def part(
    table: str,
    name: str = "",
    *gaps: str,
    source: str = "okta",
    status: Literal["COMPLETE", "PARTIAL", "FAILED"] | None = None,
) -> Coverage:
    chosen = status or ("PARTIAL" if gaps else "COMPLETE")
    return Coverage(source=source, table_name=table, partition=name, status=chosen, rows=2, gaps=list(gaps))


def test_parts_of_a_table_that_came_alike_are_one_line() -> None:
    whole = [part("grants", name) for name in ("group members", "app users")]
    mixed = [part("accounts", "users"), part("accounts", "service apps", "refused")]
    assert summary._tables([*whole, *mixed, part("events", "system log")]) == [
        ("okta", "grants", "all 2", "COMPLETE", "4"),
        ("okta", "accounts", "users", "COMPLETE", "2"),
        ("okta", "accounts", "service apps", "PARTIAL", "2"),
        ("okta", "events", "system log", "COMPLETE", "2"),
    ]


@pytest.mark.parametrize(
    ("coverage", "said"),
    [
        ([part("accounts", "users", "no"), part("events", "log", "no")], "PARTIAL okta (all tables): no"),
        ([part("accounts", "users", "no"), part("accounts", "apps", "no"), part("events")], "okta (accounts): no"),
        ([part("accounts", "users", "no"), part("accounts", "apps")], "okta (accounts/users): no"),
        ([part("", "", "no", status="FAILED")], "FAILED okta (all tables): no"),
        ([part("accounts", "users", "a"), part("accounts", "apps", "b")], "okta (accounts/apps): b"),
    ],
)
def test_one_reason_names_the_largest_thing_it_is_about(
    capsys: pytest.CaptureFixture[str], coverage: list[Coverage], said: str
) -> None:
    summary._show_coverage(coverage)
    assert said in capsys.readouterr().out


def test_each_reason_that_blocks_rules_stands_once_with_all_that_it_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    def scope(source: str | None, *because: str) -> Scope:
        return Scope(source=source, blocked=because)

    twice = "people: person_id 1 is given more than once"
    summary._show_blocked(
        {
            "IG-A": [scope("okta", twice, "okta: accounts is FAILED: no answer"), scope("aws", twice)],
            "IG-B": [scope("okta", twice), scope("aws", twice)],
            "IG-C": [scope(None, "okta: accounts is FAILED: no answer")],
        }
    )
    said = capsys.readouterr().out
    assert said.count(twice) == 1
    assert "keeps IG-A, IG-B from judging okta, aws" in said
    assert "  okta: accounts is FAILED\n    keeps IG-A from judging okta\n    keeps IG-C from judging the whole" in said
    summary._show_blocked({"IG-A": [scope("okta")]})
    assert capsys.readouterr().out == ""
