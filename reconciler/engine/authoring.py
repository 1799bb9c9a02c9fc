"""Explain a rule to an auditor, and write a new one to start from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from reconciler.engine.rule import Rule, in_words
from reconciler.errors import ConfigurationError
from reconciler.estate.tables import tables

_WORD = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*")

_SQL = """\
-- Say in one sentence what fires.
select a.source, a.account_id,
       case when a.can_sign_in is null or a.last_sign_in_at is null then 'not_evaluable'
            else 'violation' end as verdict,
       concat('account ', coalesce(a.login, a.account_id), ' was last used on ',
              coalesce(strftime(a.last_sign_in_at, '%Y-%m-%d'), 'an unknown day')) as reason
from accounts a
where coalesce(a.can_sign_in, true)
  and coalesce(a.last_sign_in_at < $as_of - $idle, true)
"""
_TOML = """\
id = "{rule_id}"
version = 1
title = "{title}"
severity = "medium"
stage = "governance"
layer = "enforcement"
status = "draft"
why = "Say why it matters, in a sentence an auditor would sign."
remedy = "Say what to do about it."
known_gaps = ["An account that was never used is not evaluable: no date says so."]
reads = ["accounts"]
needs = ["accounts.can_sign_in", "accounts.last_sign_in_at"]
population = "accounts"
identity = ["source", "account_id"]

[params.idle]
type = "duration"
default = "P90D"
about = "How long an account may go unused."

[[case]]
name = "an account that went unused for longer fires"
as_of = 2026-06-01T00:00:00Z
expect = [
  {{ source = "s", account_id = "a", verdict = "violation", reason = "account ada was last used on 2026-01-01" }},
]
[[case.given.accounts]]
source = "s"
account_id = "a"
login = "ada"
can_sign_in = true
last_sign_in_at = 2026-01-01T00:00:00Z

[[case]]
name = "an account in use stays silent"
as_of = 2026-06-01T00:00:00Z
given.accounts = [{{ source = "s", account_id = "a", can_sign_in = true, last_sign_in_at = 2026-05-31T00:00:00Z }}]
expect = []

[[case]]
name = "an account of unknown status, and one of unknown use, are not evaluable"
as_of = 2026-06-01T00:00:00Z
given.accounts = [
  {{ source = "s", account_id = "a", last_sign_in_at = 2026-01-01T00:00:00Z }},
  {{ source = "s", account_id = "b", can_sign_in = true }},
]
expect = [
  {{ source = "s", account_id = "a", verdict = "not_evaluable" }},
  {{ source = "s", account_id = "b", verdict = "not_evaluable", reason = "account b was last used on an unknown day" }},
]
"""


def explain(rule: Rule) -> str:
    """Return what an auditor asks of a rule, as Markdown: why, when, over what, what it cannot see, its text."""
    return "\n".join(_explained(rule)) + "\n"


def _explained(rule: Rule) -> Iterator[str]:
    info = rule.info
    yield f"# {info.rule_id} {info.title}"
    yield ""
    yield f"{info.why}"
    yield ""
    facts = ("severity", "stage", "layer", "status", "version")
    yield ", ".join(f"{fact} {getattr(info, fact)}" for fact in facts)
    yield ""
    yield f"**Remedy.** {info.remedy}"
    yield ""
    told = ", ".join(f"`{column}`" for column in info.identity)
    yield f"**Judges** every row of `{info.population}`; a subject is told by {told}."
    yield ""
    yield "**Reads**"
    yield ""
    for name in rule.reads:
        needed = [" or ".join(columns) for table, columns in rule.needs if table == name]
        notes = ["may be absent"] if name in rule.optional else []
        notes += ["of every source at once"] if name in rule.across else []
        notes += [f"needs {', '.join(needed)}"] if needed else []
        told = "; ".join(notes)
        yield f"- `{name}`: {tables()[name].doc}{f' ({told})' if notes else ''}"
    yield ""
    yield "Where one of these was not read whole, or a source does not report a needed column, nothing is judged there."
    yield ""
    if rule.params:
        yield "**Parameters**"
        yield ""
        for param in rule.params.values():
            default = "" if param.value == param.default else f" (default {in_words(param.default)})"
            yield f"- `{param.name}` = {in_words(param.value)}{default}, {param.type}. {param.about}".rstrip()
        yield ""
    yield "**Does not see**"
    yield ""
    yield from (f"- {gap}" for gap in info.known_gaps or ("Nothing known.",))
    yield ""
    yield "**Cases**"
    yield ""
    yield from (f"- {case.name}" for case in rule.cases)
    yield ""
    yield "```sql"
    yield rule.sql.rstrip()
    yield "```"


def new(folder: Path, family: str, name: str) -> list[Path]:
    """Write ``family/name.sql`` and ``.toml`` in ``folder``: a draft that lints and passes its cases.

    Raises ``ConfigurationError`` for a name that is none, or files that are already there.
    """
    for word in (family, name):
        if not _WORD.fullmatch(word):
            raise ConfigurationError(f"{word!r} is no name for a rule", advice="Use lower-case words: idle_account.")
    stem = folder / family / name
    paths = [stem.with_suffix(".sql"), stem.with_suffix(".toml")]
    rule_id = f"OWN-{family}-{name}".replace("_", "-").upper()
    title = name.replace("_", " ").capitalize()
    try:
        if taken := [path for path in paths if path.exists()]:
            raise ConfigurationError(f"{taken[0]} is already there", advice="Choose another name, or edit that rule.")
        stem.parent.mkdir(parents=True, exist_ok=True)
        paths[0].write_text(_SQL, encoding="utf-8")
        paths[1].write_text(_TOML.format(rule_id=rule_id, title=title), encoding="utf-8")
    except OSError as error:
        advice = "Choose a folder that can be written, and a name that a file can have."
        raise ConfigurationError(f"{stem.parent}: {error.strerror}", advice=advice) from error
    return paths
