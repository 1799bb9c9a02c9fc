"""``versions.lock``: the hash of each rule's SQL and parameters at its version, so that neither moves unseen.

A verdict is only comparable with last night's where the rule was the same. The file stands in the folder of
the rules; a folder without one is not locked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from reconciler.engine.rule import Problem, Rule, RuleError
from reconciler.errors import ConfigurationError

NAME = "versions.lock"
_ADVICE = "Run `reconciler rules lock`."


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the file."""

    line: int
    version: int
    digest: str


def fingerprint(rule: Rule) -> str:
    """Return the SHA-256 of what decides the rule's verdicts: its SQL and its parameters' defaults."""
    lines = "\n".join(line.rstrip() for line in rule.sql.strip().splitlines())
    params = {name: [param.type, str(param.default)] for name, param in rule.params.items()}
    facts: list[object] = [lines, params, rule.optional, rule.needs, rule.info.identity]
    text = json.dumps([*facts, rule.across] if rule.across else facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_lock(folder: Path) -> dict[str, Entry] | None:
    """Read the folder's lock: rule id -> entry; None where the folder has none."""
    path = folder / NAME
    if not path.is_file():
        return None
    found: dict[str, Entry] = {}
    try:
        lines = path.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
    except OSError as error:
        told = f"cannot be read: {error.strerror or error}"
        raise RuleError([Problem(f"{path}:1:1", told, "Check that this user may read the file.")]) from error
    for number, text in enumerate(lines, start=1):
        parts = text.split()
        if not parts or text.startswith("#"):
            continue
        if len(parts) != 3 or not parts[1].isdecimal() or parts[0] in found:  # noqa: PLR2004  # id, version, hash
            raise RuleError([Problem(f"{path}:{number}:1", f"{text!r} is no line of a lock", _ADVICE)])
        found[parts[0]] = Entry(number, int(parts[1]), parts[2])
    return found


def check_lock(folder: Path, rules: Iterable[tuple[Rule, str]]) -> list[Problem]:
    """Compare rules (each with the ``file:line`` of its version) with the folder's lock."""
    lock = read_lock(folder)
    if lock is None:
        return []
    problems, seen = [], set()
    for rule, at in rules:
        rule_id, version = rule.info.rule_id, rule.info.version
        seen.add(rule_id)
        entry = lock.get(rule_id)
        if entry is None:
            problems.append(Problem(at, f"{rule_id} is not in {NAME}", _ADVICE))
        elif version < entry.version:
            problems.append(Problem(at, f"version {version} is older than {entry.version} in {NAME}", "Raise it."))
        elif version > entry.version:
            problems.append(Problem(at, f"version {version} is not in {NAME} yet", _ADVICE))
        elif entry.digest != fingerprint(rule):
            advice = f"Write version = {version + 1}, then run `reconciler rules lock`."
            problems.append(Problem(at, "the rule has changed, its version has not", advice))
    for rule_id, entry in lock.items():
        if rule_id not in seen:
            message = f"{rule_id} is locked, but there is no such rule"
            problems.append(
                Problem(f"{folder / NAME}:{entry.line}:1", message, "Retire a rule by its status; keep it.")
            )
    return problems


def write_lock(folder: Path, rules: Iterable[Rule]) -> Path:
    """Write the lock of the rules in ``folder``; refuse one that has changed under the version it had."""
    rules = sorted((rule for rule in rules if rule.sql_path.is_relative_to(folder)), key=lambda r: r.info.rule_id)
    old = read_lock(folder) or {}
    problems = []
    for rule in rules:
        entry, version = old.get(rule.info.rule_id), rule.info.version
        if entry and (version < entry.version or (version == entry.version and entry.digest != fingerprint(rule))):
            advice = f"Write version = {entry.version + 1} first."
            problems.append(Problem(f"{rule.toml_path}:1:1", "the rule has changed, its version has not", advice))
    if problems:
        raise RuleError(problems)
    lines = [f"{rule.info.rule_id} {rule.info.version} {fingerprint(rule)}" for rule in rules]
    path = folder / NAME
    text = "\n".join(["# Written by `reconciler rules lock`; do not edit.", *lines, ""])
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        told = f"{path}: {error.strerror or error}"
        raise ConfigurationError(told, advice="Choose a folder that can be written.") from error
    return path
