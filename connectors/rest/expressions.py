"""JMESPath expressions of the configuration, compiled when it is loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_NAME = re.compile(r'[A-Za-z_]\w*|"[^"\\]*"', re.ASCII)
_PATH = re.compile(rf"(?:{_NAME.pattern})(?:\.(?:{_NAME.pattern}))*", re.ASCII)


class Expression(str):
    """An expression that is known to be one; ``search`` gives null (None) for what is not there."""

    __slots__ = ("_compiled",)

    _compiled: Any

    def __new__(cls, text: str) -> Self:
        """Compile ``text``; raise ``ValueError`` saying what is wrong with it."""
        made = super().__new__(cls, text)
        try:
            made._compiled = jmespath.compile(text)
        except (JMESPathError, ValueError) as error:
            reason = str(error).partition("\n")[0]
            message = f"{text!r} is not a JMESPath expression: {reason}"
            raise ValueError(message) from None
        return made

    def search(self, found: Any) -> Any:
        """Return what the expression gives for ``found``.

        Raises ``ValueError`` where a function of it cannot take what it finds.
        """
        try:
            return self._compiled.search(found)
        except (JMESPathError, TypeError, AttributeError) as error:
            message = str(error).partition("\n")[0]
            raise ValueError(message) from None

    def search_all(self, items: Sequence[Mapping[str, Any]]) -> list[Any]:
        """Return what the expression gives for each of many objects; raise as ``search`` does."""
        if not (names := self.names()):
            return [self.search(item) for item in items]
        # A plain path needs no interpreter.
        first, *deeper = names
        found = [item.get(first) for item in items]
        for name in deeper:
            found = [each.get(name) if isinstance(each, dict) else None for each in found]
        return found

    def names(self) -> list[str]:
        """Return the names that a plain path (`a`, `a.b`) is made of; none for any other expression."""
        return [name.strip('"') for name in _NAME.findall(self)] if _PATH.fullmatch(self) else []

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate as text, then as an expression."""
        del source
        return core_schema.no_info_after_validator_function(cls, handler(str))
