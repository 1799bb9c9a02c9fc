"""An estate in order: every rule is judged, and none finds anything."""

from __future__ import annotations

from typing import Literal

import pytest

from reconciler.estate.results import Evaluation
from reconciler.estate.tables import Conflict
from tests.truth.company import company, staff, supplier_staff
from tests.truth.judged import judge
from tests.truth.world import World


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    world = World()
    firm = company(world)
    for _ in range(30):
        staff(world, firm)
        supplier_staff(world, firm)
    sides: tuple[tuple[Literal["left", "right"], str], ...] = (("left", "office"), ("right", "cloud admins"))
    for side, entitlement in sides:
        world.declare("conflicts", Conflict(conflict="Desk and cloud", side=side, number=1, entitlement=entitlement))
    return judge(world, tmp_path_factory.mktemp("clean"))


def test_nothing_is_found(evaluation: Evaluation) -> None:
    found = [(v.rule_id, v.verdict, v.subject, v.reason) for r in evaluation.results for v in r.verdicts]
    assert found == []


def test_every_rule_is_judged_somewhere(evaluation: Evaluation) -> None:
    blocked = {r.rule.rule_id: r.scopes for r in evaluation.results if all(scope.blocked for scope in r.scopes)}
    assert blocked == {}
