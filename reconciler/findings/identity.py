"""What makes a finding the same finding tomorrow: its rule and the immutable ids of its subject."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b, sha256

import msgspec

from reconciler.errors import ConfigurationError
from reconciler.estate.results import Outcome, RuleInfo, Verdict

DIGITS = 20
"""Hexadecimal digits of a finding id: 80 bits, so that among ten million findings two share an id with a
probability of about 4 in 100 thousand million."""


def canonical(subject: Mapping[str, str | None]) -> bytes:
    """Return the subject as JSON in one form only: keys sorted, UTF-8, no spaces, unknown as null."""
    return msgspec.json.encode(dict(subject), order="sorted")


def finding_id(rule_id: str, subject: Mapping[str, str | None]) -> str:
    """Return ``F-`` and 20 hexadecimal digits, the same for the same rule id and subject for ever.

    Logins, e-mail addresses, runs and rule versions play no part. Raises ``ConfigurationError`` for a subject
    without any value: all such subjects would be taken for one.
    """
    if not any(subject.values()):
        columns = ", ".join(subject) or "none"
        raise ConfigurationError(
            f"rule {rule_id} gave a subject without any value (identity columns: {columns})",
            advice=f"let the identity columns of {rule_id} be keys of the table it reads, which are never null",
        )
    return "F-" + sha256(rule_id.encode() + b"\n" + canonical(subject)).hexdigest()[:DIGITS]


def content(rule: RuleInfo, verdict: Verdict) -> str:
    """Return a fingerprint of what a verdict says, without its subject: equal means that nothing changed."""
    covered = verdict.exception is not None and verdict.verdict is Outcome.VIOLATION
    said = (
        verdict.verdict,
        verdict.source,
        verdict.person_id,
        verdict.reason,
        rule.name,
        rule.version,
        rule.severity,
        *((verdict.exception, verdict.excepted_until) if covered else ()),
    )
    return blake2b(msgspec.json.encode(said), digest_size=8).hexdigest()
