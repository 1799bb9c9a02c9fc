"""Rules: load, lint, try their cases, and evaluate them over a sealed snapshot."""

from reconciler.engine.authoring import explain, new
from reconciler.engine.cases import CaseResult, run_cases
from reconciler.engine.evaluation import evaluate
from reconciler.engine.loading import load
from reconciler.engine.memo import remember
from reconciler.engine.rule import Param, Problem, Rule, RuleError
from reconciler.engine.versions import write_lock
from reconciler.engine.workspace import Options

__all__ = [
    "CaseResult",
    "Options",
    "Param",
    "Problem",
    "Rule",
    "RuleError",
    "evaluate",
    "explain",
    "load",
    "new",
    "remember",
    "run_cases",
    "write_lock",
]
