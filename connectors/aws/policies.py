"""Read policy documents: what gives administrative power, and whom a role trusts. Pure; no policy is evaluated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

_ASSUMING = ("sts:assumerole", "sts:assumerolewithsaml", "sts:assumerolewithwebidentity")
_ADMINISTRATIVE = frozenset({"*", "*:*", "iam:*"})


@dataclass(frozen=True, slots=True)
class Trust:
    """One principal that a trust policy names, and the condition put on it (JSON text, None: none)."""

    kind: str
    principal: str
    condition: str | None


def statements(document: Any) -> list[Mapping[str, Any]]:
    """Return the statements of a policy document, given as a mapping or as (URL-encoded) JSON text.

    Raises ``ValueError`` for what is no policy document: the caller must not take it for one that allows nothing.
    """
    if isinstance(document, str):
        document = json.loads(document if document.lstrip().startswith("{") else unquote(document))
    if not isinstance(document, Mapping) or "Statement" not in document:
        message = "not a policy document"
        raise ValueError(message)
    found = document["Statement"]
    listed = [found] if isinstance(found, Mapping) else found
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        message = "not a policy document: Statement is neither an object nor a list of objects"
        raise ValueError(message)
    return listed


def is_administrative(document: Any) -> bool:
    """Say whether a statement allows every action, or all of IAM, on every resource.

    Conditions and Deny statements are not weighed: what may give administration counts as administrative.
    """
    return any(_allows_everything(one) for one in statements(document))


def _allows_everything(statement: Mapping[str, Any]) -> bool:
    if statement.get("Effect") != "Allow":
        return False
    if "*" not in _texts(statement.get("Resource")) and "NotResource" not in statement:
        return False
    if "NotAction" in statement:
        return True
    return any(re.sub(r"\*+", "*", one.lower()) in _ADMINISTRATIVE for one in _texts(statement.get("Action")))


def matches(patterns: Sequence[str], name: str, arn: str) -> bool:
    """Say whether a policy's name or ARN fits one of the patterns (* and ?)."""
    return any(fnmatchcase(name, one) or fnmatchcase(arn, one) for one in patterns)


def trusts(document: Any) -> Iterator[Trust]:
    """Yield every principal that a trust policy allows to assume the role, with its condition."""
    for statement in statements(document):
        if statement.get("Effect") != "Allow":
            continue
        actions = [one.lower() for one in _texts(statement.get("Action"))]
        if "NotAction" not in statement and not any(
            fnmatchcase(assuming, action) for assuming in _ASSUMING for action in actions
        ):
            continue
        condition = statement.get("Condition")
        text = json.dumps(condition, sort_keys=True) if condition else None
        if "NotPrincipal" in statement:
            yield Trust("NotPrincipal", json.dumps(statement["NotPrincipal"], sort_keys=True), text)
        principal = statement.get("Principal")
        if isinstance(principal, Mapping):
            for kind, named in principal.items():
                for one in _texts(named):
                    yield Trust(str(kind), one, text)
        else:
            for one in _texts(principal):
                yield Trust("AWS", one, text)


def denies(document: Any) -> bool:
    """Say whether a document holds a Deny statement, which may take back what another allows."""
    return any(one.get("Effect") == "Deny" for one in statements(document))


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
