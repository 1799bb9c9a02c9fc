"""Judge a made-up world by the bundled rules, and say what each should have found and what it did find."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.bundled import root
from reconciler.engine import Options, Rule, evaluate, load
from reconciler.estate.results import Evaluation, Outcome
from tests.truth.world import AS_OF, Sealing, Subject, World


@cache
def rules() -> Sequence[Rule]:
    """Return the bundled rules."""
    return load([root("rules")])


def judge(world: World, folder: Path, **how: Any) -> Evaluation:
    """Seal the world in ``folder`` and evaluate it; ``how`` is a ``Sealing``."""
    options = Options(time_zone="Europe/Berlin", threads=2, declared=world.declared)
    return evaluate(world.seal(folder, Sealing(**how)), rules(), as_of=AS_OF, options=options)


def found(evaluation: Evaluation, outcome: Outcome) -> dict[str, set[Subject]]:
    """Return the subjects of each rule's verdicts."""
    return {
        result.rule.rule_id: {tuple(v.subject.values()) for v in result.verdicts if v.verdict is outcome}
        for result in evaluation.results
    }


def differences(world: World, evaluation: Evaluation) -> list[str]:
    """Say per rule what was missed and what was too much; empty where precision and recall are 1."""
    said = []
    for outcome, wanted in ((Outcome.VIOLATION, world.violations), (Outcome.NOT_EVALUABLE, world.not_evaluable)):
        for rule_id, subjects in found(evaluation, outcome).items():
            missed, extra = wanted.get(rule_id, set()) - subjects, subjects - wanted.get(rule_id, set())
            said += [f"{rule_id} missed {outcome.value} {subject}" for subject in sorted(missed, key=str)]
            said += [f"{rule_id} {outcome.value} too much {subject}" for subject in sorted(extra, key=str)]
    return said
