"""Password policies of OpenLDAP (draft-behera-ldap-password-policy): how long a password lasts, and how long a lock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from .client import Client, Missing
from .dn import normalise

_KEPT = 1_000
"""Policies remembered; a directory has a handful."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a policy says; None is unknown: the attribute is absent, or hidden."""

    max_age: timedelta | None = None
    """After this a password has expired; zero: never."""
    lockout: timedelta | None = None
    """After this a lock has passed; zero: only an administrator ends it."""


@dataclass(slots=True)
class Policies:
    """Reads each policy once."""

    client: Client
    known: dict[str, Policy] = field(default_factory=dict)

    def __call__(self, dn: str) -> Policy:
        """Return the policy of this DN; one that is not shown is unknown in all it says. Raises ``SourceError``."""
        key = normalise(dn)
        if key not in self.known and len(self.known) < _KEPT:
            entry = self.client.entry(dn, ("pwdMaxAge", "pwdLockoutDuration"))
            if isinstance(entry, Missing):
                self.known[key] = Policy()
            else:
                self.known[key] = Policy(_seconds(entry.text("pwdMaxAge")), _seconds(entry.text("pwdLockoutDuration")))
        return self.known.get(key, Policy())


def _seconds(text: str | None) -> timedelta | None:
    return timedelta(seconds=int(text)) if text and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004 - 30 years
