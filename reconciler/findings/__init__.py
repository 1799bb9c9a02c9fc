"""What differs, kept: identity, lifecycle and history in a database."""

from reconciler.findings.store import FindingStore

__all__ = ["FindingStore"]
