"""Tables fit the screen that they are read on, and long lists say how long they are."""

from __future__ import annotations

import re

import pytest
from rich.console import Console

from reconciler.cli import output

HEADINGS = ("number", "severity", "what", "owed next", "due", "findings")
ROW = (
    "NC-000001",
    "critical, major",
    "A leaver keeps a usable account, in corp-ldap",
    "containment by identity-governance-lead",
    "2026-11-22 OVERDUE",
    "12 of 12",
)
ARN = "arn:aws:iam::111122223333:user/ada.byron.of.the.analytical.engine"


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> int:
    width: int = request.param
    monkeypatch.setattr(output, "console", lambda: Console(width=width, highlight=False))
    return width


@pytest.mark.parametrize("screen", [40, 80, 100, 120, 200], indirect=True)
def test_no_line_is_wider_than_the_screen_and_nothing_is_lost(screen: int, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(HEADINGS, [ROW, ("NC-000002", "", "", "", "", "")], right=("findings",))
    said = capsys.readouterr().out
    assert max(map(len, said.splitlines())) <= screen
    words = set(re.split(r"[\s·]+", said))
    assert {word for cell in (*ROW, *HEADINGS[1:]) for word in cell.split()} <= words | {
        word.rstrip(":") for word in words
    }
    assert "NC-000002" in words


@pytest.mark.parametrize("screen", [80], indirect=True)
def test_a_value_without_room_for_a_column_stands_beside_its_heading(
    screen: int, capsys: pytest.CaptureFixture[str]
) -> None:
    del screen
    output.table(HEADINGS, [ROW], title="What is owed")
    first, second, *_ = capsys.readouterr().out.splitlines()
    assert first == "What is owed"
    assert second == "NC-000001"
    output.table(("", "source", "account"), [("GONE", "", "00u1")])
    assert capsys.readouterr().out.split() == ["source", "account", "GONE", "00u1"]


@pytest.mark.parametrize("screen", [120], indirect=True)
def test_an_id_stays_in_one_piece(screen: int, capsys: pytest.CaptureFixture[str]) -> None:
    del screen
    output.table(("account", "reason"), [(ARN, "a reason in words " * 20)])
    assert ARN in capsys.readouterr().out
    output.table(("account", "reason", "until"), [(ARN, "a reason in words " * 20, "2026-01-01")])
    assert ARN in capsys.readouterr().out


@pytest.mark.parametrize("screen", [80], indirect=True)
def test_a_long_list_says_how_many_more_there_are(screen: int, capsys: pytest.CaptureFixture[str]) -> None:
    del screen
    rows = [(f"row {number}", "x", "y") for number in range(1_250)]
    output.table(("a", "b", "c"), rows, most=output.LISTED)
    said = capsys.readouterr().out
    assert "row 99 " in said
    assert "row 100 " not in said
    assert said.endswith("and 1,150 more: --all lists them.\n")
    output.table(("a", "b", "c"), rows[:100], most=output.LISTED)
    assert "more" not in capsys.readouterr().out


@pytest.mark.parametrize("screen", [80], indirect=True)
def test_markup_in_data_is_shown_and_not_obeyed(screen: int, capsys: pytest.CaptureFixture[str]) -> None:
    del screen
    output.table(("a", "b", "c"), [("[red]x[/red]", "[link=http://x]y", "")])
    output.lines([("[bold]", "z")])
    said = capsys.readouterr().out
    assert "[red]x[/red]" in said
    assert "[link=http://x]y" in said
    assert "[bold]" in said
