"""Exceptions, honoured once for every rule: which are in force, which subjects of a verdict they fit, and why not.

A rule knows nothing of this. After it has spoken, its violations are matched with the exceptions from it, in the
words in which exceptions are matched everywhere: a source, account, person or entitlement that is left out means any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import duckdb
import msgspec

from reconciler.engine.rule import Rule
from reconciler.engine.sandbox import EPOCH, instant
from reconciler.engine.scopes import Coverage
from reconciler.engine.workspace import ROOM
from reconciler.errors import StoreError
from reconciler.estate.results import ExceptionState
from reconciler.estate.tables import Table, tables
from reconciler.sdk.connector import Status
from reconciler.sdk.records import ExceptionRecord, Record
from reconciler.snapshot import Snapshot

WORDS = ("active", "approved", "accepted", "open", "in force", "in_force", "valid", "granted", "renewed")
"""Statuses, in lower case, of exceptions in force, where the rule on ended exceptions declares no others."""

_WORDS_OF = ("IG-EXC-001", "in_force_words")
"""The rule and parameter that say which words of the register let an exception stand."""

_TEXTS = (
    *("exception_id", "rule_id", "control_id", "source", "account_id", "person_id", "entitlement_id"),
    *("reason", "approved_by", "review_owner", "status"),
)
_DIMENSIONS = ("source", "account_id", "person_id", "entitlement_id")
_ABOUT = (*_DIMENSIONS, "principal_id", "principal_kind", "target_id", "target_kind")
"""Columns of a population that say what its rows are about."""

_NAMED = """
CREATE OR REPLACE TEMP TABLE named AS
SELECT DISTINCT n.source, n.account_id, n.name
FROM (
  SELECT source, account_id, lower(trim(account_id)) AS name FROM accounts
  UNION ALL
  SELECT source, account_id, lower(trim(login)) FROM accounts
  UNION ALL
  SELECT source, account_id, lower(trim(json_extract_string(attributes, '$.dn')))
  FROM accounts WHERE json_valid(attributes)
  UNION ALL
  SELECT source, account_id, lower(trim(json_extract_string(attributes, '$.arn')))
  FROM accounts WHERE json_valid(attributes)
) n
JOIN (SELECT DISTINCT account_key FROM in_force) k ON k.account_key = n.name
"""
_ENTITLED = """
CREATE OR REPLACE TEMP TABLE entitled AS
SELECT DISTINCT t.source, t.entitlement_id, t.name
FROM (
  SELECT source, entitlement_id, lower(trim(entitlement_id)) AS name FROM entitlements
  UNION ALL
  SELECT source, entitlement_id, lower(trim(name)) FROM entitlements
) t
JOIN (SELECT DISTINCT entitlement_key FROM in_force) k ON k.entitlement_key = t.name
"""
# What no source describes, but a verdict names, is known by its own id.
_CALLED = """
CREATE OR REPLACE TEMP TABLE {name}_here AS
SELECT source, {column}, name FROM {name}
UNION
SELECT DISTINCT s.source, s.{column}, k.{key} FROM subjects s JOIN fitting k ON k.{key} = lower(trim(s.{column}))
"""
_JOINS = {
    "source": ("", "e.source_key = lower(trim(s.source))"),
    "account_id": (
        "JOIN named_here a ON a.name = e.account_key",
        "a.source = s.source AND a.account_id = s.account_id",
    ),
    "person_id": ("", "e.person_key = s.person_id"),
    "entitlement_id": (
        "JOIN entitled_here t ON t.name = e.entitlement_key",
        "t.source = s.source AND t.entitlement_id = s.entitlement_id",
    ),
}
"""What an exception names -> what resolves its words, and what the subject must agree in."""


def words(rules: Sequence[Rule]) -> Collection[str]:
    """Return the statuses that let an exception stand, as the rule on ended exceptions has them."""
    rule_id, name = _WORDS_OF
    for rule in rules:
        told = rule.params[name].value if rule.info.rule_id == rule_id and name in rule.params else None
        if isinstance(told, list | tuple):
            return frozenset(map(str, told))
    return frozenset(WORDS)


def reads(snapshot: Snapshot, rules: Sequence[Rule]) -> dict[str, set[str]]:
    """Return table -> columns that exceptions are matched by; nothing where the snapshot holds no exception."""
    registered = any(snapshot.files("exceptions", source) for source in snapshot.sources_of("exceptions"))
    if not registered and not snapshot.accepted_risks():
        return {}
    wanted = {
        "exceptions": {*_TEXTS, "approved_at", "expires_at"},
        "accounts": {"source", "account_id", "login", "attributes"},
        "entitlements": {"source", "entitlement_id", "name"},
        "links": {"source", "account_id", "person_id"},
    }
    for rule in rules:
        population = tables()[rule.info.population]
        told = {column.name for column in population.columns if column.name in {*population.key, *_ABOUT}}
        if population.group in {"identity", "governance"}:
            wanted.setdefault(population.name, set()).update(told)
    return wanted


class Exceptions:
    """The exceptions of one snapshot as of one instant; made in a sandbox that holds what ``reads`` asked for."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        coverage: Coverage,
        faults: Mapping[str, Sequence[str]],
        rules: Sequence[Rule],
        *,
        control_rules: Sequence[Record] = (),
        accepted: Sequence[ExceptionRecord] = (),
        as_of: datetime,
    ) -> None:
        """Take the register, and risks ``accepted`` here.

        One that the register holds, too, stands as it does there, unless it was ended here: what either says is over
        is over.
        """
        self._connection, self._coverage = connection, coverage
        self._columns: dict[str, set[str]] = {}
        for table, column in self._query("SELECT table_name, column_name FROM duckdb_columns()"):
            self._columns.setdefault(table, set()).add(column)
        self.unread = tuple(dict.fromkeys(self._unread(faults)))
        register = _Register(rules, control_rules, as_of)
        rows = {str(row["exception_id"]): row for row in self._rows()}
        for risk in map(_row, accepted):
            if risk["exception_id"] not in rows or not register.holds(risk["status"]):
                rows[risk["exception_id"]] = risk
        told = [] if self.unread else [register.judge(row) for row in rows.values()]
        self._states = {state.exception_id: state for state, _ in told}
        self._in_force = {state.exception_id: names for state, names in told if not state.no_effect}
        self._suppressing: dict[str, int] = {}
        if self._in_force:
            self._prepare()
            for name, said in self._unlisted():
                self._states[name] = msgspec.structs.replace(self._states[name], unlisted=said)

    def match(self, rule: Rule, population: Table) -> None:
        """Make the table ``excepted``: row number in ``judged``, exception and end, the longest for each row."""
        shapes = sorted({tuple(d for d in _DIMENSIONS if getattr(s, d)) for s in self._of(rule)})
        self._query("CREATE OR REPLACE TEMP TABLE excepted (n BIGINT, exception VARCHAR, until BIGINT)")
        if not shapes:
            return
        self._query(
            "CREATE OR REPLACE TEMP TABLE fitting AS SELECT * FROM in_force WHERE list_contains(rules, $1)",
            [rule.info.rule_id],
        )
        self._query(f"CREATE OR REPLACE TEMP TABLE subjects AS {self._subjects(rule, population)}")
        for name, column, key in (
            ("named", "account_id", "account_key"),
            ("entitled", "entitlement_id", "entitlement_key"),
        ):
            self._query(_CALLED.format(name=name, column=column, key=key))
        parts = []
        for shape in shapes:
            joins = " ".join(_JOINS[dimension][0] for dimension in shape)
            agree = " AND ".join(_JOINS[dimension][1] for dimension in shape)
            parts.append(
                f"SELECT s.n, e.exception_id, e.until FROM fitting e {joins} JOIN subjects s ON {agree} "  # noqa: S608  # names of the estate
                f"WHERE e.shape = '{' '.join(shape)}'"
            )
        # Of several that cover a subject the one that lasts longest counts, and then the first by its number.
        self._query(
            "INSERT INTO excepted SELECT n, first(exception_id ORDER BY until DESC, exception_id), max(until) "  # noqa: S608  # built above
            f"FROM ({' UNION ALL '.join(parts)}) GROUP BY n"
        )

    def unmatched(self, rule: Rule, source: str | None) -> tuple[str, ...]:
        """Say what could not be read of that by which exceptions from a rule are matched in a source (None: in all)."""
        needed: set[str] = set()
        for state in self._of(rule):
            if state.source and source and _key(state.source) != _key(source):
                continue
            needed |= {"accounts"} if state.account_id or state.person_id else set()
            needed |= {"entitlements"} if state.entitlement_id else set()
            needed |= {"people"} if state.person_id else set()
        said: list[str] = []
        for table in sorted(needed):
            for giver in self._coverage.sources_of(table):
                if source in {None, giver} or table == "people":
                    said += self._incomplete(giver, table)
        return tuple(said)

    def count(self) -> None:
        """Count the violations among ``judged`` for the exceptions that cover them."""
        for name, many in self._query(
            "SELECT x.exception, count(*) FROM excepted x JOIN judged j ON j.rowid = x.n "
            "WHERE j.verdict = 'violation' GROUP BY ALL"
        ):
            self._suppressing[name] = self._suppressing.get(name, 0) + many

    def states(self) -> tuple[ExceptionState, ...]:
        """Return every exception, by its number, with how many violations were counted for it."""
        return tuple(
            msgspec.structs.replace(self._states[name], suppresses=self._suppressing.get(name, 0))
            for name in sorted(self._states)
        )

    def _of(self, rule: Rule) -> list[ExceptionState]:
        return [self._states[name] for name, rules in self._in_force.items() if rule.info.rule_id in rules]

    def _unlisted(self) -> Iterator[tuple[str, str]]:
        """Yield exceptions in force that name what no source lists, though all that could list it was read whole."""
        known = {_key(source) for table in tables() for source in self._coverage.sources_of(table)}
        for name in self._in_force:
            source = self._states[name].source
            if source and _key(source) not in known:
                yield name, f"no source is called {source}"
        for table, names, key in (
            ("entitlements", "entitled", "entitlement_key"),
            ("accounts", "named", "account_key"),
        ):
            for name, source in self._query(
                f"SELECT e.exception_id, e.source_key FROM in_force e WHERE e.{key} IS NOT NULL AND NOT EXISTS ("  # noqa: S608  # names of our own
                f"SELECT 1 FROM {names} n WHERE n.name = e.{key} AND lower(trim(n.source)) = coalesce(e.source_key, "
                "lower(trim(n.source))))"
            ):
                givers = [each for each in self._coverage.sources_of(table) if source in {None, _key(each)}]
                if givers and all(self._coverage.status(each, table) == Status.COMPLETE for each in givers):
                    asked = getattr(self._states[name], f"{table.removesuffix('s')}_id")
                    yield name, f"no {table.removesuffix('s')} {asked} is listed in {', '.join(givers)}"

    def _unread(self, faults: Mapping[str, Sequence[str]]) -> Iterator[str]:
        # Where no source reports exceptions there is nothing to read; a register that vanished is held as PARTIAL.
        for source in self._coverage.sources_of("exceptions"):
            yield from self._incomplete(source, "exceptions")
            for column in (*_TEXTS, "approved_at", "expires_at"):
                if why := self._coverage.why_unknown(source, "exceptions", column):
                    yield f"{source}: exceptions.{column} is unknown: {why}"
        yield from faults.get("exceptions", ())

    def _incomplete(self, source: str, table: str) -> Iterator[str]:
        status = self._coverage.status(source, table)
        if status != Status.COMPLETE:
            why = "; ".join(self._coverage.gaps(source, table)) or "no reason was given"
            yield f"{source}: {table} is {status.value}: {why}"

    def _rows(self) -> list[dict[str, Any]]:
        if not {*_TEXTS, "approved_at", "expires_at"} <= self._columns.get("exceptions", set()):
            return []
        listed = ", ".join(f'"{name}"' for name in _TEXTS)
        found = self._query(f"SELECT {listed}, epoch_us(approved_at), epoch_us(expires_at) FROM exceptions")  # noqa: S608  # names of the estate
        names = (*_TEXTS, "approved_at", "expires_at")
        rows = [dict(zip(names, row, strict=True)) for row in found]
        for row in rows:
            row.update({name: _stripped(row[name]) for name in _TEXTS})
            row.update({name: instant(row[name]) for name in names[-2:]})
        return rows

    def _prepare(self) -> None:
        """Make the tables of what is in force, and of the accounts and entitlements that it names."""
        self._query(
            "CREATE TEMP TABLE in_force (exception_id VARCHAR, until BIGINT, source_key VARCHAR, account_key VARCHAR, "
            "person_key VARCHAR, entitlement_key VARCHAR, shape VARCHAR, rules VARCHAR[])"
        )
        rows = []
        for name, rules in self._in_force.items():
            state = self._states[name]
            until = ((state.expires_at or EPOCH) - EPOCH) // timedelta(microseconds=1)
            keys = [_key(state.source), _key(state.account_id), state.person_id, _key(state.entitlement_id)]
            shape = " ".join(d for d in _DIMENSIONS if getattr(state, d))
            rows.append([name, until, *keys, shape, sorted(rules)])
        columns = [list(column) for column in zip(*rows, strict=True)]
        self._query("INSERT INTO in_force SELECT " + ", ".join(f"unnest(${n})" for n in range(1, 9)), columns)
        for name, table, column, sql in (
            ("named", "accounts", "account_id", _NAMED),
            ("entitled", "entitlements", "entitlement_id", _ENTITLED),
        ):
            empty = f"CREATE TEMP TABLE {name} (source VARCHAR, {column} VARCHAR, name VARCHAR)"
            self._query(sql if table in self._columns else empty)

    def _subjects(self, rule: Rule, population: Table) -> str:
        """Return the SELECT of what each row of ``judged`` is about: source, account, entitlement and person."""
        judged = {name: f'j."i_{name}"' for name in rule.info.identity}
        judged = {name: f'j."k_{name}"' for name in population.key} | judged
        there = self._columns.get(population.name, set())
        plain = all(population.column(name).sql == "VARCHAR" for name in population.key)  # type: ignore[union-attr]  # a key is a column
        joined = ""
        if plain and set(population.key) <= there:
            equal = " AND ".join(f'p."{name}" = {judged[name]}' for name in population.key)
            joined = f'LEFT JOIN "{population.name}" p ON {equal}'
            judged = {
                column.name: f'p."{column.name}"' for column in population.columns if column.name in there
            } | judged
        source = f"coalesce(j.source, {judged.get('source', 'NULL')})"
        account = judged.get("account_id") or _account(judged)
        person = f"coalesce(j.person_id, {judged.get('person_id', 'NULL')}"
        if "links" in self._columns:
            joined += f" LEFT JOIN links l ON l.source = {source} AND l.account_id = {account}"
            person += ", l.person_id"
        return (
            f"SELECT j.rowid AS n, {source} AS source, {account} AS account_id, {person}) AS person_id, "  # noqa: S608  # names of the estate
            f"{judged.get('entitlement_id', 'CAST(NULL AS VARCHAR)')} AS entitlement_id "
            f"FROM judged j {joined} WHERE j.verdict IN ('violation', 'not_evaluable')"
        )

    def _query(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql, list(params)).fetchall()
        except duckdb.Error as error:
            raise StoreError(f"exceptions could not be matched: {error}", advice=ROOM) from error


class _Register:
    """Says of a row of the register whether it is in force: approved, dated, scoped and owned."""

    def __init__(self, rules: Sequence[Rule], control_rules: Sequence[Record], as_of: datetime) -> None:
        self._as_of = as_of
        self._words = words(rules)
        self._rules = {_key(rule.info.rule_id): rule.info.rule_id for rule in rules}
        self._controls: dict[str | None, set[str]] = {}
        for row in control_rules:
            control, rule = getattr(row, "control_id", None), getattr(row, "rule_id", None)
            if _key(rule) in self._rules:
                self._controls.setdefault(_key(control), set()).add(self._rules[_key(rule)])

    def judge(self, row: Mapping[str, Any]) -> tuple[ExceptionState, frozenset[str]]:
        """Return the exception, with why it has no effect where it has none, and the rules that it excepts from."""
        rules = self._rules_of(row)
        why = self._never(row) or self._not_now(row)
        if not why and not rules:
            why = f"no rule is {row['rule_id']}" if row["rule_id"] else f"no rule shows control {row['control_id']}"
            if row["rule_id"] and row["control_id"] and _key(row["rule_id"]) in self._rules:
                why = f"rule {row['rule_id']} is none of control {row['control_id']}"
        state = ExceptionState(
            **{name: row[name] for name in ("exception_id", "rule_id", "control_id", *_DIMENSIONS, "reason")},
            owner=row["review_owner"] or row["approved_by"],
            expires_at=row["expires_at"],
            no_effect=why,
        )
        return state, frozenset(rules)

    def holds(self, status: str | None) -> bool:
        """Return whether a status lets an exception stand; none does, where something else says it was approved."""
        return not status or status.lower() in self._words

    def _rules_of(self, row: Mapping[str, Any]) -> set[str]:
        rules = set(self._rules.values())
        if row["rule_id"]:
            rules &= {self._rules.get(_key(row["rule_id"]), "")}
        if row["control_id"]:
            rules &= self._controls.get(_key(row["control_id"]), set())
        return rules

    def _never(self, row: Mapping[str, Any]) -> str:
        """Say what is missing from an exception that could hold."""
        if not row["rule_id"] and not row["control_id"]:
            return "it names no rule and no control"
        if not any(row[name] for name in _DIMENSIONS):
            return "it names no source, account, person or entitlement"
        if not row["approved_by"] and not row["review_owner"]:
            return "nobody answers for it: approved_by and review_owner are empty"
        return "" if row["expires_at"] else "it has no end: expires_at is empty"

    def _not_now(self, row: Mapping[str, Any]) -> str:
        """Say why an exception does not hold at this instant."""
        status, approved_at = row["status"], row["approved_at"]
        if not self.holds(status):
            return f"its status is {status!r}"
        if row["expires_at"] < self._as_of:
            return f"it ended on {row['expires_at']:%Y-%m-%d}"
        if approved_at is not None and approved_at > self._as_of:
            return f"it is approved from {approved_at:%Y-%m-%d %H:%M} on only"
        return "" if status or approved_at else "nothing says that it was approved: status and approved_at are empty"


def _row(risk: ExceptionRecord) -> dict[str, Any]:
    """Return a risk accepted here as a row of the register."""
    texts: dict[str, Any] = {name: _stripped(getattr(risk, name)) for name in _TEXTS}
    return texts | {"approved_at": risk.approved_at, "expires_at": risk.expires_at}


def _stripped(text: str | None) -> str | None:
    return (text or "").strip() or None


def _account(judged: Mapping[str, str]) -> str:
    """Return the expression of the account that a row is about where no column is called so."""
    for what in ("principal", "target"):
        if f"{what}_id" in judged:
            kind = judged.get(f"{what}_kind")
            return f"CASE WHEN {kind} = 'account' THEN {judged[f'{what}_id']} END" if kind else judged[f"{what}_id"]
    return "CAST(NULL AS VARCHAR)"


def _key(text: str | None) -> str | None:
    return text.strip().lower() if text else None
