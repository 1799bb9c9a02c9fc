"""Logging to standard error, and the one place that knows which texts must never be printed."""

from __future__ import annotations

import logging
import sys

from reconciler.errors import ReconcilerError

_CHATTY = ("httpx", "httpcore", "botocore", "boto3", "urllib3", "s3transfer", "alembic", "asyncio")
_SHORTEST = 4
_hidden: set[str] = set()


def hide(secret: str) -> None:
    """Take ``secret`` out of everything that is logged or printed from now on.

    A secret of fewer than four characters is left alone: taking it out would garble every message and protect
    nothing.
    """
    if len(secret) >= _SHORTEST:
        _hidden.add(secret)


def redact(text: str) -> str:
    """Return ``text`` with every hidden secret replaced by ``[redacted]``, longest first."""
    for secret in sorted(_hidden, key=len, reverse=True):
        text = text.replace(secret, "[redacted]")
    return text


def explained(error: Exception) -> str:
    """Say an error in one line without secrets, by its kind where nobody expected it."""
    return redact(error.told if isinstance(error, ReconcilerError) else f"{type(error).__name__}: {error}")


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def configure(level: str) -> None:
    """Log at ``level`` to standard error; libraries that print URLs and headers stay at WARNING."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
