"""Errors that carry the remedy.

Each class is one remedy and one exit code. ``advice`` is the sentence an operator needs; the command line
prints it beneath the message and never shows a traceback for these.
"""

from __future__ import annotations

from typing import ClassVar


class ReconcilerError(Exception):
    """An expected failure: a message that says what happened and advice that says what to do."""

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    @property
    def told(self) -> str:
        """What happened and what to do, as one line."""
        return f"{self.message.rstrip('.')}. {self.advice}".strip()


class ConfigurationError(ReconcilerError):
    """The configuration, a rule or an input file is wrong; nothing was read or written."""

    exit_code: ClassVar[int] = 2


class SourceError(ReconcilerError):
    """A source could not be read whole; nothing is concluded from what is missing."""

    exit_code: ClassVar[int] = 3


class StoreError(ReconcilerError):
    """The database or the snapshot folder could not be read or written."""

    exit_code: ClassVar[int] = 4


class FilingError(ReconcilerError):
    """A nonconformity could not be filed in the ticket system."""

    exit_code: ClassVar[int] = 5
