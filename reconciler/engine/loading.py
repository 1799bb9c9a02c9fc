"""Find rules in folders, read each pair of files, check everything, and raise once with all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconciler.engine.lint import Lint
from reconciler.engine.metadata import MetadataReader
from reconciler.engine.rule import Notes, Problem, Rule, RuleError
from reconciler.engine.sandbox import Sandbox
from reconciler.engine.versions import check_lock
from reconciler.errors import ConfigurationError
from reconciler.toml import Document, read


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
    return [rule for _, rule in sorted(_configure(rules, params or {}).items())]


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


def _read_folder(folder: Path, sandbox: Sandbox, problems: list[Problem]) -> Iterable[tuple[Rule, Document]]:
    pairs = sorted({path.with_suffix("") for suffix in ("sql", "toml") for path in folder.glob(f"*/*.{suffix}")})
    for stem in pairs:
        sql_path, toml_path = stem.with_suffix(".sql"), stem.with_suffix(".toml")
        if not sql_path.is_file() or not toml_path.is_file():
            here, there = (toml_path, sql_path) if toml_path.is_file() else (sql_path, toml_path)
            problems.append(
                Problem(f"{here}:1", f"{there.name} is missing", "A rule is a .sql and a .toml of one name.")
            )
            continue
        try:
            sql = sql_path.read_text(encoding="utf-8")
            document = read(toml_path)
        except UnicodeDecodeError:
            problems.append(Problem(f"{sql_path}:1", "not UTF-8 text", "Save the file as UTF-8."))
            continue
        except OSError as error:
            told = f"cannot be read: {error.strerror or error}"
            problems.append(Problem(f"{sql_path}:1", told, "Check that this user may read the file."))
            continue
        except ConfigurationError as error:
            at, _, message = error.message.partition(": ")
            problems.append(Problem(at, message, error.advice))
            continue
        notes = Notes(document)
        rule = MetadataReader(notes, sql_path).rule(sql)
        if not notes.problems:
            rule = Lint(rule, notes, sandbox).check()
        problems += notes.problems
        yield rule, document


def _configure(rules: Mapping[str, Rule], params: Mapping[str, Mapping[str, object]]) -> dict[str, Rule]:
    configured = dict(rules)
    for rule_id, values in params.items():
        if rule_id not in rules:
            raise ConfigurationError(
                f"rules.params.{rule_id}: parameters are configured for rule {rule_id!r}, which does not exist",
                advice=f"Use one of: {', '.join(sorted(rules))}.",
            )
        try:
            configured[rule_id] = rules[rule_id].configured(values)
        except ValueError as error:
            raise ConfigurationError(
                f"rules.params.{rule_id}.{error}", advice=f"`reconciler rules explain {rule_id}` lists them."
            ) from error
    return configured
