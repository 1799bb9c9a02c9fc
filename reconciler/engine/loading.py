"""Find rules in folders, read each pair of files, check everything, and raise once with all that is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconciler.engine.lint import Lint, bind
from reconciler.engine.metadata import MetadataReader
from reconciler.engine.rule import Notes, Problem, Rule, RuleError
from reconciler.engine.sandbox import RuleFailed, Sandbox
from reconciler.engine.versions import check_lock
from reconciler.errors import ConfigurationError
from reconciler.toml import Document, read, read_text


def load(
    folders: Sequence[Path], params: Mapping[str, Mapping[str, object]] | None = None, *, locked: bool = True
) -> list[Rule]:
    """Load every rule of the folders, ordered by id, with the configured parameters.

    ``params`` maps rule id -> parameter -> value. ``locked=False`` leaves ``versions.lock`` unread (for
    writing a new one). Raises ``RuleError`` listing every problem, and ``ConfigurationError`` for parameters
    of a rule that is not there.
    """
    problems: list[Problem] = []
    rules: dict[str, Rule] = {}
    with _bench() as sandbox:
        for folder in folders:
            if not folder.is_dir():
                raise ConfigurationError(f"{folder}: there is no such folder", advice="Name a folder of rules.")
            problems += _misplaced(folder)
            found = list(_read_folder(folder, sandbox, problems))
            for rule, document in found:
                first = rules.setdefault(rule.info.rule_id, rule)
                if first is not rule and rule.info.rule_id:
                    message = f"id {rule.info.rule_id} is taken by {first.toml_path}"
                    problems.append(Problem(document.exactly("id"), message, "Give the rule an id of its own."))
            if locked:
                entries = ((rule, document.exactly("version")) for rule, document in found)
                problems += check_lock(folder, entries) if not problems else []
        if problems:
            raise RuleError(sorted(problems))
        configured = _configure(rules, params or {}, sandbox)
    return [rule for _, rule in sorted(configured.items())]


@contextmanager
def _bench() -> Iterator[Sandbox]:
    """Open a locked sandbox with every estate table, empty."""
    sandbox = Sandbox()
    try:
        sandbox.create_all()
        sandbox.zones("UTC", ())
        sandbox.lock()
        yield sandbox
    finally:
        sandbox.close()


def _misplaced(folder: Path) -> Iterator[Problem]:
    """Name what would never be read: rules that stand beside the families or below them, and a folder without any."""
    advice = "A rule is FOLDER/FAMILY/NAME.sql and .toml; `reconciler rules new` writes one."
    stray = sorted([*folder.glob("*.sql"), *folder.glob("*/*/*.sql")])
    for path in stray:
        yield Problem(f"{path}:1:1", "a rule in no family of the folder is never read", advice)
    if not stray and not any(folder.glob("*/*.sql")):
        yield Problem(f"{folder}:1:1", "no rule can be found in this folder", advice)


def _read_folder(folder: Path, sandbox: Sandbox, problems: list[Problem]) -> Iterable[tuple[Rule, Document]]:
    pairs = sorted({path.parent / path.stem for suffix in ("sql", "toml") for path in folder.glob(f"*/*.{suffix}")})
    for stem in pairs:
        sql_path, toml_path = Path(f"{stem}.sql"), Path(f"{stem}.toml")
        if not sql_path.is_file() or not toml_path.is_file():
            here, there = (toml_path, sql_path) if toml_path.is_file() else (sql_path, toml_path)
            problems.append(
                Problem(f"{here}:1:1", f"{there.name} is missing", "A rule is a .sql and a .toml of one name.")
            )
            continue
        try:
            sql = read_text(sql_path)
            document = read(toml_path)
        except ConfigurationError as error:
            at, _, message = error.message.partition(": ")
            place = f"{at}:1:1" if at in {str(sql_path), str(toml_path)} else at
            problems.append(Problem(place, message, error.advice))
            continue
        notes = Notes(document)
        rule = MetadataReader(notes, sql_path).rule(sql)
        if not notes.problems:
            rule = Lint(rule, notes, sandbox).check()
        problems += notes.problems
        yield rule, document


def _configure(
    rules: Mapping[str, Rule], params: Mapping[str, Mapping[str, object]], sandbox: Sandbox
) -> dict[str, Rule]:
    configured = dict(rules)
    for rule_id, values in params.items():
        if rule_id not in rules:
            close = difflib.get_close_matches(rule_id.upper(), rules, n=1)
            raise ConfigurationError(
                f"rules.params.{rule_id}: parameters are configured for rule {rule_id!r}, which does not exist",
                advice=f"Did you mean {close[0]}?" if close else "`reconciler rules list` names them.",
            )
        if not values or rules[rule_id].info.status == "retired":
            why = "the rule is retired, and not evaluated" if values else "no parameter is given"
            raise ConfigurationError(f"rules.params.{rule_id}: {why}", advice="Take the section out: it does nothing.")
        try:
            configured[rule_id] = rules[rule_id].configured(values)
            bind(configured[rule_id], sandbox)
        except (ValueError, RuleFailed) as error:
            where = f"rules.params.{rule_id}{'.' if isinstance(error, ValueError) else ': '}{error}"
            raise ConfigurationError(where, advice=f"`reconciler rules explain {rule_id}` lists them.") from error
    return configured
