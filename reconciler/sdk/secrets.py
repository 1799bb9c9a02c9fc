"""Secrets by reference: the configuration names where a secret lives and never holds one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from reconciler.errors import ConfigurationError
from reconciler.log import hide, redact


def _check(reference: str) -> str:
    kind, separator, name = reference.partition(":")
    if not separator or kind not in {"env", "file"} or not name:
        message = "must be a reference, env:NAME or file:/path, never the secret itself"
        raise ValueError(message)
    return reference


SecretRef = Annotated[str, AfterValidator(_check)]
"""A setting that holds ``env:NAME`` or ``file:/path``; ``reveal`` gives the secret."""


def reveal(reference: str) -> str:
    """Return the secret behind ``env:NAME`` or ``file:/path`` (its text without the final line break).

    Raises ``ConfigurationError`` naming the reference where the variable or file is missing or empty.
    """
    kind, _, name = _check(reference).partition(":")
    if kind == "env":
        value = os.environ.get(name, "")
        advice = f"Set the environment variable {name} before you start reconciler."
    else:
        try:
            value = Path(name).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"cannot read the secret {reference}: {error}",
                advice="Create the file, readable by the account that runs reconciler only.",
            ) from error
        advice = f"Write the secret into {name}."
    if not value:
        raise ConfigurationError(f"the secret {reference} is missing or empty", advice=advice)
    hide(value)
    return value


__all__ = ["SecretRef", "redact", "reveal"]
