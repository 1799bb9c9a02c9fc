"""Texts of a small rule, to be bent by tests."""

from __future__ import annotations

from pathlib import Path

SQL = """\
select a.source, a.account_id,
       case when a.can_sign_in is null then 'not_evaluable' else 'violation' end as verdict,
       concat('account ', a.account_id) as reason
from accounts a
where coalesce(a.can_sign_in, true) and a.created_at < $as_of - $age
"""

TOML = """\
id = "OWN-TEST-001"
version = 1
title = "Old account"
severity = "low"
stage = "governance"
layer = "enforcement"
status = "draft"
why = "A test."
remedy = "None."
known_gaps = []
reads = ["accounts"]
population = "accounts"
identity = ["source", "account_id"]
[params.age]
type = "duration"
default = "P1D"
[[case]]
name = "fires"
as_of = 2026-02-03T00:00:00Z
given.accounts = [{ source = "s", account_id = "a", can_sign_in = true, created_at = 2026-01-01T00:00:00Z }]
expect = [{ source = "s", account_id = "a", verdict = "violation" }]
[[case]]
name = "silent"
as_of = 2026-02-03T00:00:00Z
expect = []
[[case]]
name = "unknown"
as_of = 2026-02-03T00:00:00Z
given.accounts = [{ source = "s", account_id = "a", created_at = 2026-01-01T00:00:00Z }]
expect = [{ source = "s", account_id = "a", verdict = "not_evaluable" }]
"""


def write_rule(folder: Path, sql: str = SQL, toml: str = TOML, name: str = "old_account") -> Path:
    """Write a pair and return its path without suffix."""
    stem = folder / "own" / name
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".sql").write_text(sql, encoding="utf-8")
    stem.with_suffix(".toml").write_text(toml, encoding="utf-8")
    return stem
