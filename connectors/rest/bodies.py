"""Templates of requests: Jinja in a sandbox over a few named values; what they name is checked when they are loaded."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from itertools import groupby
from typing import Any
from urllib.parse import quote

from jinja2 import StrictUndefined, TemplateError, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from reconciler.sdk.texts import fitting, one_line

_ONE = re.compile(r"\s*\{\{(?P<expression>(?:(?!\{\{|\}\}).)*)\}\}\s*", re.DOTALL)


def fill(template: Any, facts: Mapping[str, Any]) -> Any:
    """Return a value with every text in it filled in; one that is a single expression keeps the type of what it names.

    Raises ``ValueError`` for what cannot be filled in.
    """
    if isinstance(template, Mapping):
        return {key: fill(part, facts) for key, part in template.items()}
    if isinstance(template, list):
        return [fill(part, facts) for part in template]
    if not isinstance(template, str):
        return template
    try:
        if (whole := _ONE.fullmatch(template)) is not None:
            return _environment().compile_expression(whole["expression"], undefined_to_none=False)(**facts)
        return _environment().from_string(template).render(facts)
    except (TemplateError, TypeError, ValueError, LookupError) as error:
        message = f"{template!r} cannot be filled in: {error}"
        raise ValueError(message) from None


def path_of(template: str, facts: Mapping[str, Any]) -> str:
    """Return a path; nothing that is filled in can lead to another one. Raises ``ValueError`` as ``fill`` does."""
    for name in meta.find_undeclared_variables(_environment().parse(template)):
        if str(facts.get(name)) in {".", ".."}:
            message = f"{template!r} cannot be filled in: {name} would lead elsewhere"
            raise ValueError(message)
    quoted = {name: quote(str(value), safe="") for name, value in facts.items() if isinstance(value, str | int)}
    kept = {name: facts[name] for name in ("var", "fields") if name in facts}
    return str(fill(template, quoted | kept))


def unknown(template: Any, names: Collection[str]) -> Iterator[str]:
    """Yield what a template names and there is not, and what is no template."""
    if isinstance(template, Mapping | list):
        for part in template.values() if isinstance(template, Mapping) else template:
            yield from unknown(part, names)
    if isinstance(template, str):
        try:
            named = meta.find_undeclared_variables(_environment().parse(template))
        except TemplateError as error:
            yield f"{template!r} is no template: {error}"
            return
        for name in sorted(named - set(names)):
            yield f"unknown field {name} in {template!r}; known: {', '.join(names)}"


def paragraphs(text: str, longest: int = 60_000) -> str:
    """Return plain text as HTML: paragraphs, lists of what begins with ``- ``, nothing of it markup.

    The page has ``longest`` characters at most, tags and escapes counted.
    """
    return _page(fitting(text, longest, lambda cut: len(_page(cut))))


def _page(text: str) -> str:
    parts = []
    for block in re.split(r"\n\s*\n", text.strip()):
        lines = [html.escape(line) for line in block.splitlines()]
        for listed, group in groupby(lines, key=lambda line: line.startswith("- ")):
            part = list(group)
            items = "".join(f"<li>{line[2:]}</li>" for line in part)
            parts.append(f"<ul>{items}</ul>" if listed else f"<p>{'<br>'.join(part)}</p>")
    return "".join(parts)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    environment.filters |= {"html": paragraphs, "line": one_line, "fitting": fitting}
    return environment
