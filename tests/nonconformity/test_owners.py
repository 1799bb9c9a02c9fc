"""Who answers: the holder, the role above a vacant one, and nothing new where it is not known."""

from __future__ import annotations

import pytest

from reconciler.nonconformity.owners import Answer, above, answer
from reconciler.snapshot.people import Holders
from tests.nonconformity.worlds import roles

UP = ("lead", "ciso", "board")


@pytest.mark.parametrize(
    ("role", "up"),
    [("ops", "lead"), (" Lead ", "ciso"), ("ciso", None)],
)
def test_the_role_above_is_the_next_that_is_not_vacant(role: str, up: str | None) -> None:
    assert above(role, UP, roles(lead="P-1", ciso="P-2")) == up


def test_the_holder_answers_and_a_change_is_said() -> None:
    asked = {"holders": roles(ops="P-1"), "escalate_to": UP}
    assert answer("Ops", **asked) == Answer("P-1", None, "P-1 holds role Ops")  # type: ignore[arg-type]  # mixed values
    assert answer("ops", owner="P-1", **asked).why == ""  # type: ignore[arg-type]  # mixed values


def test_a_vacant_role_goes_up_past_those_that_are_vacant_too() -> None:
    found = answer("ops", holders=roles(board="P-3"), escalate_to=UP)
    assert found == Answer("P-3", "board", "role ops is vacant: it goes up to board", vacant=True)
    further = answer("ops", holders=roles(board="P-3"), escalate_to=UP, owner="P-1", escalated_to="lead")
    assert further == Answer("P-3", "board", "role ops is vacant, and so is lead: it goes up to board", vacant=True)
    nobody = answer("ops", holders=roles(), escalate_to=UP)
    assert nobody == Answer(None, None, "role ops is vacant, and no role above it is held")


def test_what_went_up_already_stays_there_while_that_role_is_held() -> None:
    found = answer("ops", holders=roles(ciso="P-2", lead="P-1"), escalate_to=UP, owner="P-0", escalated_to="ciso")
    assert found == Answer("P-2", "ciso", "role ops is vacant; P-2 holds role ciso, which it went up to")
    again = answer("ops", holders=roles(ciso="P-2"), escalate_to=UP, owner="P-2", escalated_to="ciso")
    assert again == Answer("P-2", "ciso")


def test_it_comes_down_again_only_where_it_went_up_because_the_role_was_vacant() -> None:
    held = roles(ops="P-1", lead="P-2")
    came = answer("ops", holders=held, escalate_to=UP, owner="P-2", escalated_to="lead", for_vacancy=True)
    assert came == Answer("P-1", None, "role ops is held again")
    late = answer("ops", holders=held, escalate_to=UP, owner="P-1", escalated_to="lead")
    assert late == Answer("P-1", "lead")


def test_what_is_not_known_changes_nothing() -> None:
    unknown = Holders(unknown="role_holders of qms were not read whole")
    assert answer("ops", holders=unknown, escalate_to=UP, owner="P-1", escalated_to="lead") == Answer("P-1", "lead")
    assert answer("ops", holders=unknown, escalate_to=UP) == Answer(None, None)
