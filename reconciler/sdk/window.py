"""The span of time that events are read over."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler import clock


def lookback(days: float) -> tuple[datetime, datetime]:
    """Return (since, until) in UTC: the last ``days`` days, up to now.

    Ask once a chain and keep both in the cursor, so that the chain does not chase a moving end.
    """
    until = clock.now()
    return until - timedelta(days=days), until
