"""Tomorrow's rules on yesterday's snapshots: what would open and close, before anyone is woken. Nothing is recorded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import islice
from pathlib import Path

import msgspec

from reconciler import engine, run
from reconciler.errors import ConfigurationError
from reconciler.estate.results import Evaluation, Outcome, RuleResult, Verdict
from reconciler.settings import Limits, Settings
from reconciler.snapshot import Snapshot, SnapshotStore

_PARAM = re.compile(r"([A-Za-z0-9-]+)\.([a-z][a-z0-9_]*)=(.*)", re.DOTALL)
_BOOLEANS = {"true": True, "false": False}
_KEPT = {Outcome.VIOLATION, Outcome.NOT_EVALUABLE}


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """New violations of a rule in one source (None: the whole estate) that are more than its limit."""

    source: str | None
    violations: int
    limit: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What one changed rule would do to the findings of one snapshot.

    ``opens`` and ``closes`` are verdicts that only the changed or only the present rule gives; ``changes`` are those
    of both whose verdict or reason differs, as the changed rule says them. ``blocked`` says, per source, why the
    changed rule could not be judged there: nothing opens or closes in such a one. ``held`` are the sources in which
    more violations would be new than the rule's limit allows: all of them would wait for a person's acceptance.
    """

    rule_id: str
    opens: tuple[Verdict, ...]
    closes: tuple[Verdict, ...]
    changes: tuple[Verdict, ...]
    blocked: dict[str, tuple[str, ...]]
    held: tuple[Held, ...] = ()


class Backtest(msgspec.Struct, frozen=True, kw_only=True):
    """The differences on one snapshot, one for each changed rule."""

    snapshot: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A rule as it is (None: there is none yet) and as it would be."""

    present: engine.Rule | None
    changed: engine.Rule


def changes(settings: Settings, folders: Sequence[Path], params: Sequence[str]) -> list[Change]:
    """Return the rules that ``folders`` and ``params`` change, ordered by id.

    A rule in a folder stands in for the present one of its id, with the configured parameters, or is new;
    ``params`` are written ``IG-LVR-001.grace=PT4H``. Raises ``ConfigurationError`` where nothing is changed.
    """
    present = {rule.info.rule_id: rule for rule in run.load_rules(settings)}
    changed = dict(present)
    for rule in engine.load(list(folders), locked=False) if folders else ():
        values = settings.config.rules.params.get(rule.info.rule_id, {})
        changed[rule.info.rule_id] = _configured(rule, values)
    for rule_id, values in _params(params, changed).items():
        changed[rule_id] = _configured(changed[rule_id], values)
    found = [
        Change(present.get(rule_id), rule)
        for rule_id, rule in sorted(changed.items())
        if rule is not present.get(rule_id) and not _same(present.get(rule_id), rule)
    ]
    if not found:
        raise ConfigurationError(
            "nothing is changed: every rule and parameter is as it is now",
            advice="Name a folder of changed rules by --folder, or a parameter by --param IG-LVR-001.grace=PT4H.",
        )
    return found


def snapshots(settings: Settings, names: Sequence[str], last: int) -> list[Snapshot]:
    """Return the snapshots of ``names``, or the ``last`` sealed ones of the estate, oldest first."""
    store = SnapshotStore(settings.snapshots)
    newest = islice(store.of(settings.config.estate.name), 0 if names else last)
    found = [store.open(name) for name in names] or list(newest)[::-1]
    if not found:
        raise ConfigurationError(f"no sealed snapshot in {settings.snapshots}", advice="Run `reconciler pull` first.")
    return found


def over(settings: Settings, snapshot: Snapshot, changed: Sequence[Change]) -> Backtest:
    """Judge one snapshot by the present and by the changed rules, and say what differs."""
    before = run.evaluate(settings, snapshot, [c.present for c in changed if c.present], as_of=snapshot.as_of)
    after = run.evaluate(settings, snapshot, [c.changed for c in changed], as_of=snapshot.as_of)
    return Backtest(
        snapshot=snapshot.snapshot_id, differences=tuple(_differences(before, after, settings.config.limits))
    )


def _differences(before: Evaluation, after: Evaluation, limits: Limits) -> Iterator[Difference]:
    old = {result.rule.rule_id: result for result in before.results}
    for result in after.results:
        blocked = {scope.source: scope.blocked for scope in result.scopes if scope.blocked}
        was = _verdicts(old.get(result.rule.rule_id))
        now = _verdicts(result)
        yield Difference(
            rule_id=result.rule.rule_id,
            opens=tuple(verdict for key, verdict in now.items() if key not in was),
            closes=tuple(v for key, v in was.items() if key not in now and v.source not in blocked),
            changes=tuple(verdict for key, verdict in now.items() if key in was and verdict != was[key]),
            blocked={source or "": reasons for source, reasons in blocked.items()},
            held=tuple(_held(was, now, result, limits)),
        )


def _held(
    was: Mapping[tuple[str | None, ...], Verdict],
    now: Mapping[tuple[str | None, ...], Verdict],
    result: RuleResult,
    limits: Limits,
) -> Iterator[Held]:
    """Say in which sources a night would hold what is new, by the limits that a night has."""
    fresh = Counter(
        verdict.source for key, verdict in now.items() if _counts(verdict) and not (key in was and _counts(was[key]))
    )
    for scope in result.scopes:
        allowed = limits.allowed(result.rule.rule_id, scope.population)
        if fresh[scope.source] > allowed:
            yield Held(source=scope.source, violations=fresh[scope.source], limit=allowed)


def _counts(verdict: Verdict) -> bool:
    return verdict.verdict is Outcome.VIOLATION and verdict.exception is None


def _verdicts(result: RuleResult | None) -> dict[tuple[str | None, ...], Verdict]:
    found = result.verdicts if result else ()
    return {tuple(verdict.subject.values()): verdict for verdict in found if verdict.verdict in _KEPT}


def _same(present: engine.Rule | None, changed: engine.Rule) -> bool:
    """Say whether two rules judge alike: their files may lie in different places."""
    if present is None:
        return False
    values = ({name: param.value for name, param in rule.params.items()} for rule in (present, changed))
    alike = replace(changed, sql_path=present.sql_path, toml_path=present.toml_path, cases=(), params={})
    one, other = values
    return one == other and replace(present, cases=(), params={}) == alike


def _configured(rule: engine.Rule, values: Mapping[str, object]) -> engine.Rule:
    try:
        return rule.configured(values)
    except ValueError as error:
        raise ConfigurationError(
            f"{rule.info.rule_id}.{error}", advice=f"`reconciler rules explain {rule.info.rule_id}` lists them."
        ) from error


def _params(texts: Sequence[str], rules: Mapping[str, engine.Rule]) -> dict[str, dict[str, object]]:
    """Read ``ID.name=value``; a value is what the parameter's type makes of the text."""
    found: dict[str, dict[str, object]] = {}
    for text in texts:
        match = _PARAM.fullmatch(text)
        if match is None:
            raise ConfigurationError(f"--param {text}: is none", advice="Write IG-LVR-001.grace=PT4H.")
        rule_id, name, value = match.groups()
        if rule_id not in rules:
            raise ConfigurationError(f"--param {text}: no rule {rule_id}", advice="`reconciler rules list` names them.")
        kind = rules[rule_id].params[name].type if name in rules[rule_id].params else "text"
        found.setdefault(rule_id, {})[name] = _read(kind, value)
    return found


def _read(kind: str, value: str) -> object:
    """Return what the text means for a type, or the text itself, which the rule then refuses by name."""
    if kind.startswith("list"):
        return [part.strip() for part in value.split(",")]
    readers: dict[str, Callable[[str], object]] = {
        "integer": int,
        "number": float,
        "date": date.fromisoformat,
        "boolean": _BOOLEANS.__getitem__,
    }
    try:
        return readers[kind](value) if kind in readers else value
    except (ValueError, KeyError):
        return value
