"""Secrets by reference: the configuration names where a secret lives and never holds one."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote, quote_plus

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from reconciler.errors import ConfigurationError
from reconciler.log import hide, redact


class SecretRef(str):
    """A setting that holds ``env:NAME`` or ``file:/path``; ``reveal`` gives the secret behind it."""

    __slots__ = ()

    def __new__(cls, reference: str) -> Self:
        """Take a reference; raise ``ValueError`` for anything else, without repeating it."""
        kind, separator, name = reference.partition(":")
        if not separator or kind not in {"env", "file"} or not name:
            message = "must be a reference, env:NAME or file:/path, never the secret itself"
            raise ValueError(message)
        if kind == "file" and not name.startswith("/"):
            message = "must name a file by its absolute path, file:/path"
            raise ValueError(message)
        return super().__new__(cls, reference)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate as text, then as a reference."""
        del source
        return core_schema.no_info_after_validator_function(cls, handler(str))


def reveal(reference: SecretRef) -> str:
    """Return the secret behind ``env:NAME`` or ``file:/path`` (its text without the final line break).

    Raises ``ConfigurationError`` naming the reference where the variable or file is missing or empty.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        value = os.environ.get(name, "")
        advice = f"Set the environment variable {name} before you start reconciler."
    else:
        try:
            value = Path(name).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the secret {reference}: {error.strerror}",
                advice="Create the file, readable by the account that runs reconciler only.",
            ) from error
        except UnicodeDecodeError:
            # The error carries the bytes of the file, so it must not travel as a cause.
            raise ConfigurationError(
                f"cannot read the secret {reference}: it is not UTF-8 text", advice="Save the file as UTF-8."
            ) from None
        advice = f"Write the secret into {name}."
    if not value:
        raise ConfigurationError(f"the secret {reference} is missing or empty", advice=advice)
    return conceal(value)


def conceal(secret: str) -> str:
    """Have ``redact`` hide ``secret`` in each form that a message may give it, and return it unchanged.

    These are: as it is, percent-encoded as in a URL, escaped as in JSON and in Python, and in base64. For
    secrets that no reference names, such as a token that was fetched.
    """
    if secret:
        forms = {
            secret,
            quote(secret, safe=""),
            quote(secret),
            quote_plus(secret),
            json.dumps(secret)[1:-1],
            json.dumps(secret, ensure_ascii=False)[1:-1],
            repr(secret)[1:-1],
            base64.b64encode(secret.encode()).decode(),
        }
        for form in forms:
            hide(form)
    return secret


__all__ = ["SecretRef", "conceal", "redact", "reveal"]
