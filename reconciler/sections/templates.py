"""The language of ticket templates: Jinja in a sandbox, over a flat mapping of documented facts and nothing else.

A template reads facts; it calls nothing, includes nothing and loops over nothing else. What a template names is
checked when the configuration is loaded, so that a typing error is not found on the night something must be filed.
"""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

FACTS: Mapping[str, Any] = {
    "number": "NC-000123",
    "title": "A leaver can sign in",
    "statement": "A leaver can sign in: 2 findings of rule IG-LVR-001 stand.",
    "rule_id": "IG-LVR-001",
    "source": "ldap",
    "supplier_id": "S-7",
    "controls": ["AC-2", "PS-4"],
    "clauses": {"iso27001": ["A.5.18"]},
    "severity": "high",
    "grade": "major",
    "owner_role": "identity-governance-lead",
    "detected_on": "2026-03-01",
    "due_on": "2026-03-08",
    "findings_count": 2,
    "findings": [{"finding_id": "F-5e0a", "account": "u-1001"}, {"finding_id": "F-77c1", "account": "u-1002"}],
    "more_findings": 1,
    "run_id": "20260301T021500Z-0a1b2c",
    "snapshot": "20260301T020000Z-3d4e5f",
}
"""Each fact with an example. Text that is not known is empty; dates are ISO 8601, in the estate's time zone.

``findings`` are those that are listed, ``more_findings`` how many are not, ``findings_count`` how many there are.
"""

PERSONAL: Mapping[str, Any] = {"owner": "P-17"}
"""Facts that there are with ``personal_data = true`` only; ``statement`` is then the whole statement."""

PERSONAL_OF_FINDING: Mapping[str, Any] = {"reason": "Ada Byron left on 2026-02-01", "person_id": "P-42"}
"""What a finding has, beside its id and its account, with ``personal_data = true`` only."""

_MAY_BE_EMPTY = frozenset(
    {"source", "supplier_id", "controls", "clauses", "findings_count", "findings", "more_findings", "owner"}
)
_ONE_EXPRESSION = re.compile(r"\s*\{\{-?(?P<expression>(?:(?!\{\{|\}\}|\{%|%\}).)*?)-?\}\}\s*", re.DOTALL)
_FAULTS = (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    return environment


def filled(template: str, facts: Mapping[str, Any]) -> str:
    """Return the template's text with the facts in their places; raise ``ValueError`` where that cannot be done."""
    try:
        return _environment().from_string(template).render(facts)
    except _FAULTS as error:
        raise ValueError(str(error)) from error


def value(template: Any, facts: Mapping[str, Any]) -> Any:
    """Return a configured value with every text in it filled in; what is no text stays as it is.

    A text that is one expression and nothing else keeps the type of its fact: ``"{{ findings_count }}"`` is a number.
    Raises ``ValueError`` where that cannot be done.
    """
    if isinstance(template, Mapping):
        return {key: value(part, facts) for key, part in template.items()}
    if isinstance(template, list):
        return [value(part, facts) for part in template]
    if not isinstance(template, str):
        return template
    whole = _ONE_EXPRESSION.fullmatch(template)
    if whole is None:
        return filled(template, facts)
    try:
        found = _environment().compile_expression(whole["expression"], undefined_to_none=False)(**facts)
    except _FAULTS as error:
        raise ValueError(str(error)) from error
    if isinstance(found, str | int | float | list | dict | None):
        return found
    return filled(template, facts)  # a generator of `map`, an undefined one: as text, or the error of it


def problem(template: str, *, personal_data: bool) -> tuple[int, str] | None:
    """Return what is wrong with a template and on which of its lines (from 1), None where nothing is."""
    try:
        tree = _environment().parse(template)
        named = meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as error:
        return error.lineno, f"is no template: {error.message}"
    facts = known(personal_data=personal_data)
    for name in sorted(named):
        if name not in facts:
            line = min((n.lineno for n in tree.find_all(nodes.Name) if n.name == name), default=1)
            return line, _unknown(name, facts, PERSONAL)
    of_finding = facts["findings"][0]
    for node in _of_findings(tree):
        if node.attr not in of_finding:
            return node.lineno, _unknown(node.attr, of_finding, PERSONAL_OF_FINDING, "finding.")
    empty = {name: type(fact)() if name in _MAY_BE_EMPTY else fact for name, fact in facts.items()}
    for sample in (facts, empty):
        try:
            _environment().from_string(template).render(sample)
        except _FAULTS as error:
            return _line(error), f"cannot be filled in: {error}"
    return None


def known(*, personal_data: bool) -> dict[str, Any]:
    """Return every fact that a template may name, with its example."""
    if not personal_data:
        return dict(FACTS)
    return {**FACTS, **PERSONAL, "findings": [finding | PERSONAL_OF_FINDING for finding in FACTS["findings"]]}


def _unknown(name: str, there: Mapping[str, Any], personal: Mapping[str, Any], prefix: str = "") -> str:
    if name in personal:
        return f"{prefix}{name} names people: it is there with personal_data = true only"
    close = difflib.get_close_matches(name, there, n=1, cutoff=0.4)
    hint = f"did you mean {prefix}{close[0]}?" if close else f"known: {', '.join(prefix + known for known in there)}"
    return f"unknown field {prefix}{name}; {hint}"


def _of_findings(tree: nodes.Template) -> Iterator[nodes.Getattr]:
    """Yield each attribute that is read of the variable of a loop over findings."""
    for loop in tree.find_all(nodes.For):
        over: nodes.Node | None = loop.iter
        while isinstance(over, nodes.Filter):
            over = over.node
        if isinstance(over, nodes.Name) and over.name == "findings" and isinstance(loop.target, nodes.Name):
            for node in loop.find_all(nodes.Getattr):
                if isinstance(node.node, nodes.Name) and node.node.name == loop.target.name:
                    yield node


def _line(error: BaseException) -> int:
    """Return the line of the template that an error arose on, 1 where that is not known."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return (lines[-1] or 1) if lines else 1
