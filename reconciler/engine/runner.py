"""Where a rule's SELECT runs: in the sandbox beside the tables, or on a server that reads the same files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from reconciler.engine.lint import wrapped
from reconciler.engine.rule import Rule

Relation = tuple[str, Mapping[str, object]]
"""What stands behind FROM in DuckDB, with its parameters."""


class Runner(Protocol):
    """Runs rules; what becomes of their rows is the same code whoever ran them."""

    def rows(self, rule: Rule, values: Mapping[str, object], seconds: float) -> Relation:
        """Return the rows that the rule emits, as a relation of the sandbox.

        Raises ``RuleFailed`` or ``RuleError`` where the text cannot be run, ``StoreError`` where its server fails.
        """
        ...

    def changed(self, table: str) -> None:
        """Learn that rows of a built table were changed in the sandbox after the runner was made."""
        ...


class Here:
    """The sandbox's own DuckDB."""

    def rows(self, rule: Rule, values: Mapping[str, object], seconds: float) -> Relation:
        """Return the rule's own text: it runs where its rows are kept, under the sandbox's own time limit."""
        del seconds
        return wrapped(rule.sql), values

    def changed(self, table: str) -> None:
        """Do nothing: the rules read the sandbox's own tables."""
