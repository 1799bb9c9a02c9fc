"""Source errors by remedy: wait, try again, grant access, or report a defect.

The page loop retries what may pass (``Unreachable``, ``Throttled``) and stops at what will not
(``Refused``, ``Misbehaved``). None of them ever turns into an empty list.
"""

from __future__ import annotations

from typing import ClassVar

from reconciler.errors import ConfigurationError, SourceError


class Unreachable(SourceError):  # noqa: N818 - named for the remedy
    """The system did not answer, or stopped answering: reset, time-out, 5xx, truncated body.

    ``restart`` says that the page chain cannot be resumed at its cursor (an LDAP paging cookie dies with
    its connection): the whole partition has to be read again from the start.
    """

    retriable: ClassVar[bool] = True

    def __init__(self, message: str, *, advice: str = "", restart: bool = False) -> None:
        super().__init__(message, advice=advice)
        self.restart = restart


class Throttled(SourceError):  # noqa: N818 - named for the remedy
    """The system asked us to wait; ``retry_after`` is its own figure in seconds, None where it gave none."""

    retriable: ClassVar[bool] = True

    def __init__(self, message: str, *, advice: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, advice=advice)
        self.retry_after = retry_after
        self.restart = False


class Refused(SourceError):  # noqa: N818 - named for the remedy
    """The system said no: wrong credentials or a missing permission, named where it is known."""

    retriable: ClassVar[bool] = False

    def __init__(self, message: str, *, advice: str = "", missing_permission: str = "") -> None:
        super().__init__(message, advice=advice)
        self.missing_permission = missing_permission


class Misbehaved(SourceError):  # noqa: N818 - named for the remedy
    """The answer breaks the system's own contract: empty 200, unknown shape, repeated cursor, foreign link."""

    retriable: ClassVar[bool] = False


__all__ = ["ConfigurationError", "Misbehaved", "Refused", "SourceError", "Throttled", "Unreachable"]
