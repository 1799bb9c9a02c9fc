"""Okta's rate limits: one bucket of requests a minute for each pattern of paths, and requests under way at once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from reconciler.clock import monotonic, now

DOCUMENTED: Mapping[str, int] = {
    r"^/oauth2/v1/token$": 2000,
    r"^/oauth2/v1/clients": 100,
    r"^/api/v1/logs": 120,
    r"^/api/v1/apps$": 100,
    r"^/api/v1/apps/": 500,
    r"^/api/v1/groups$": 500,
    r"^/api/v1/groups/": 1000,
    r"^/api/v1/users$": 600,
    r"^/api/v1/users/[^/]+$": 600,
    r"^/api/v1/users/": 600,
    r"^/api/v1/": 1200,
}
"""Requests a minute by pattern, in the order they are tried: figures of a usual workforce org."""
UNLIMITED: Mapping[str, int] = {r"": 1_000_000}


@dataclass
class _Bucket:
    end: float = 0.0
    reset: int = 0
    used: int = 0


@dataclass
class RateLimits:
    """Counts requests by bucket. A window begins with the first request after the last one ended."""

    limits: Mapping[str, int] = field(default_factory=lambda: UNLIMITED)
    window_seconds: float = 60.0
    refused: int = 0
    """Answers with 429 so far."""
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def count(self, path: str) -> tuple[bool, dict[str, str]]:
        """Count a request; return whether it is within its limit, and the headers that say so."""
        pattern = next((each for each in self.limits if re.search(each, path)), None)
        if pattern is None:
            return True, {}
        limit = self.limits[pattern]
        bucket = self._buckets.setdefault(pattern, _Bucket())
        moment = monotonic()
        if moment >= bucket.end:
            bucket.end = moment + self.window_seconds
            bucket.reset = math.ceil(now().timestamp() + self.window_seconds)
            bucket.used = 0
        within = bucket.used < limit
        bucket.used += 1
        self.refused += not within
        return within, headers(limit, max(0, limit - bucket.used), bucket.reset)


def headers(limit: int, remaining: int, reset: int) -> dict[str, str]:
    """Return Okta's three headers; ``reset`` is in seconds since 1970, UTC."""
    return {
        "X-Rate-Limit-Limit": str(limit),
        "X-Rate-Limit-Remaining": str(remaining),
        "X-Rate-Limit-Reset": str(reset),
    }
