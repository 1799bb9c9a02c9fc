"""Evaluate rules over a sealed snapshot: verdicts where everything was read, and the reason where it was not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
import msgspec
import pyarrow as pa

from reconciler.engine.exceptions import Exceptions, reads
from reconciler.engine.lint import TOO_MUCH, required_identity
from reconciler.engine.rule import Problem, Rule, RuleError
from reconciler.engine.sandbox import RuleFailed
from reconciler.engine.scopes import Scoping
from reconciler.engine.workspace import ROOM, Options, Workspace, open_workspace
from reconciler.errors import StoreError
from reconciler.estate import packed
from reconciler.estate.results import Evaluation, Outcome, RuleResult, Scope, Verdict
from reconciler.estate.tables import tables
from reconciler.snapshot import Snapshot

_EMITTED = tuple(outcome.value for outcome in Outcome)


def evaluate(
    snapshot: Snapshot, rules: Sequence[Rule], *, as_of: datetime, options: Options | None = None
) -> Evaluation:
    """Judge a snapshot by the rules; retired ones are left out.

    The same snapshot, rules, parameters and ``as_of`` give the same verdicts and digest for ever. Raises
    ``RuleError`` where a rule breaks its contract on these rows, ``StoreError`` where the rows cannot be read
    or the disk has no room to work.
    """
    options = options or Options()
    judged = [rule for rule in rules if rule.info.status != "retired"]
    with open_workspace(snapshot, judged, options, also=reads(snapshot, judged)) as workspace:
        read = _Read(snapshot)
        scoping = Scoping(read, options.matchers, workspace.faults, options.declared)
        _count_this_run(workspace, [rule for rule in judged if not all(scoping.scopes(rule).values())], as_of)
        excepting = Exceptions(
            workspace.sandbox.connection,
            read,
            workspace.faults,
            judged,
            control_rules=options.declared.get("control_rules", ()),
            accepted=snapshot.accepted_risks(),
            as_of=as_of,
        )
        digest = _Digest(as_of, excepting.unread)
        results = tuple(_Judge(rule, workspace, as_of, options, excepting).result(scoping, digest) for rule in judged)
    return Evaluation(
        snapshot=snapshot.snapshot_id,
        as_of=as_of.astimezone(UTC),
        results=results,
        digest=digest.hexdigest(),
        exceptions=excepting.states(),
        exceptions_unread=excepting.unread,
        idle=workspace.idle,
        links=workspace.made,
    )


def _count_this_run(workspace: Workspace, evaluable: Sequence[Rule], as_of: datetime) -> None:
    """Let the table ``rule_evaluations``, where a rule reads it, know of the rules that are evaluated now."""
    connection = workspace.sandbox.connection
    if not connection.execute("SELECT 1 FROM duckdb_tables() WHERE table_name = 'rule_evaluations'").fetchone():
        return
    for rule in evaluable:
        connection.execute("DELETE FROM rule_evaluations WHERE rule_id = ?", [rule.info.rule_id])
        connection.execute("INSERT INTO rule_evaluations VALUES (?, ?)", [rule.info.rule_id, as_of])
    workspace.runner.changed("rule_evaluations")


class _Read:
    """A snapshot as ``Scoping`` asks about it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.sources_of = snapshot.sources_of
        self.status = snapshot.status
        self.gaps = snapshot.gaps
        self._reports = {source.name: source.reports for source in snapshot.manifest.sources}
        self._unknown = {source.name: source.unknown for source in snapshot.manifest.sources}

    def columns_of(self, source: str, table: str) -> Sequence[str]:
        return self._reports[source].get(table, ())

    def why_unknown(self, source: str, table: str, column: str) -> str:
        return self._unknown[source].get(f"{table}.{column}", "")


class _Judge:
    """Runs one rule and counts what it said."""

    def __init__(
        self, rule: Rule, workspace: Workspace, as_of: datetime, options: Options, excepting: Exceptions
    ) -> None:
        self.rule = rule
        self.excepting = excepting
        self.sandbox = workspace.sandbox
        self.runner = workspace.runner
        self.as_of = as_of
        self.seconds = options.rule_seconds
        self.population = tables()[rule.info.population]
        self.sourced = "source" in rule.output

    def result(self, scoping: Scoping, digest: _Digest) -> RuleResult:
        blocked = scoping.scopes(self.rule, self._named())
        if all(blocked.values()):
            scopes = tuple(Scope(source=source, blocked=reasons) for source, reasons in blocked.items())
            digest.scopes(self.rule, scopes)
            return RuleResult(rule=self.rule.info, scopes=scopes)
        self._run()
        try:
            self._hold_to_contract(blocked)
            open_scopes = [source for source, reasons in blocked.items() if not reasons]
            if len(open_scopes) < len(blocked):
                closed = "DELETE FROM judged WHERE NOT list_contains($1, coalesce(source, ''))"
                self._query(closed, [_texts(open_scopes)])
            self.excepting.match(self.rule, self.population)
            self.excepting.count()
            counts = self._counts()
            sizes = self._sizes(open_scopes)
            scopes = tuple(
                Scope(source=source, blocked=reasons) if reasons else self._scope(source, sizes[source], counts)
                for source, reasons in blocked.items()
            )
            digest.scopes(self.rule, scopes)
            return RuleResult(rule=self.rule.info, scopes=scopes, verdicts=self._verdicts(digest))
        finally:
            self._query("DROP TABLE IF EXISTS judged")

    def _named(self) -> list[str]:
        """Return the sources that a governance population's rows name."""
        if self.population.group == "identity" or not self.population.column("source") or not self.sourced:
            return []
        if "source" not in self.rule.columns.get(self.population.name, ()):
            return []
        rows = self._query(f'SELECT DISTINCT source FROM "{self.population.name}" WHERE source IS NOT NULL')  # noqa: S608  # a name of the estate
        return [source for (source,) in rows]

    def _run(self, *, named: bool = False) -> None:
        """Keep what the rule says in the table ``judged``: identity as i_*, the rest of the population's key as k_*.

        Of a large estate nearly nothing is applicable. Of those subjects the hash and the source suffice to hold the
        rule to its contract and to count them, unless ``named`` or where keys are finer than subjects.
        """
        info = self.rule.info
        listed = ", ".join(f'"{name}"' for name in info.identity)
        lacking = " OR ".join(f'"{name}" IS NULL' for name in required_identity(self.rule)) or "false"
        bare = not named and set(self.population.key) == set(info.identity)
        kept = f"verdict IS DISTINCT FROM 'not_applicable' OR {lacking}" if bare else "true"
        columns = [
            f"CASE WHEN {kept} THEN {_text(name, self._type(name))} END AS {column}"
            for name, column in self._stored().items()
        ]
        columns += [f"hash({listed}) AS subject", f"{lacking} AS lacking"]
        columns += ["verdict", "CASE WHEN verdict <> 'not_applicable' THEN reason END AS reason"]
        columns += ["source" if self.sourced else "CAST(NULL AS VARCHAR) AS source"]
        columns += ["person_id" if "person_id" in self.rule.output else "CAST(NULL AS VARCHAR) AS person_id"]
        try:
            relation, values = self.runner.rows(self.rule, self.rule.values(self.as_of), self.seconds)
            sql = f"CREATE TEMP TABLE judged AS SELECT {', '.join(columns)} FROM {relation}"  # noqa: S608  # a rule that passed every check
            self.sandbox.run(sql, values, self.seconds, before=1)
        except RuleFailed as error:
            if error.starved:
                raise StoreError(f"{info.rule_id} ran out of room: {error.message}", advice=ROOM) from error
            advice = TOO_MUCH if error.stopped else "Correct the rule."
            raise self._broken(error.message, advice, error.line or 1) from error

    def _stored(self) -> dict[str, str]:
        """Return the columns by which ``judged`` names subjects: name in the rule -> name there."""
        identity = self.rule.info.identity
        return {name: f'"i_{name}"' for name in identity} | {
            name: f'"k_{name}"' for name in self.population.key if name not in identity
        }

    def _type(self, name: str) -> str:
        return self.rule.types.get(name, "VARCHAR")

    def _hold_to_contract(self, blocked: Mapping[str | None, object]) -> None:
        """Raise ``RuleError`` for a row that no rule may emit."""
        identity = [f'"i_{name}"' for name in self.rule.info.identity]
        listed = ", ".join(identity)
        verdicts = ", ".join(f"'{value}'" for value in _EMITTED)
        wrong = self._query(
            f"SELECT {listed}, verdict FROM judged "  # noqa: S608  # checked names
            f"WHERE verdict IS NULL OR verdict NOT IN ({verdicts}) OR lacking ORDER BY ALL LIMIT 1"
        )
        if wrong:
            *subject, verdict = wrong[0]
            raise self._broken(
                f"{self._subject(subject)} has the verdict {verdict!r}",
                f"Identity is never null, and a verdict is one of: {', '.join(_EMITTED)}.",
            )
        # Hashes are counted first: where all differ the subjects do. Where not, names must tell.
        twice: list[tuple[Any, ...]] = []
        if not self._query("SELECT count(*) = count(DISTINCT subject) FROM judged")[0][0]:
            self._query("DROP TABLE judged")
            self._run(named=True)
            twice = self._query(f"SELECT {listed} FROM judged GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 1")  # noqa: S608  # checked names
        if twice:
            raise self._broken(f"{self._subject(twice[0])} is judged twice", "A subject has one verdict: see identity.")
        for (source,) in self._query("SELECT DISTINCT source FROM judged ORDER BY ALL"):
            if source not in blocked:
                raise self._broken(
                    f"a row names the source {source!r}, which does not report {self.population.name}",
                    "Take source from the population's own row.",
                )

    def _subject(self, values: Sequence[object]) -> str:
        return ", ".join(f"{name} {value}" for name, value in zip(self.rule.info.identity, values, strict=True))

    def _broken(self, message: str, advice: str, line: int = 1) -> RuleError:
        at = f"{self.rule.sql_path}:{line}"
        return RuleError([Problem(at, f"{self.rule.info.rule_id}: {message}", advice)])

    def _counts(self) -> dict[str | None, dict[str, int]]:
        """Return scope -> verdict -> rows, with the members of the population that have a row under "members".

        The violations that an exception covers are counted again under "excepted".
        """
        found: dict[str | None, dict[str, int]] = {}
        rows = self._query(
            "SELECT j.source, j.verdict, count(*), count(x.n) "
            "FROM judged j LEFT JOIN excepted x ON x.n = j.rowid GROUP BY ALL"
        )
        for source, verdict, count, excepted in rows:
            found.setdefault(source, {})[verdict] = count
            if verdict == Outcome.VIOLATION:
                found[source]["excepted"] = excepted
        stored = self._stored()
        key = ", ".join(stored[name] for name in self.population.key)
        inner = f"SELECT DISTINCT source, {key} FROM judged WHERE verdict <> 'pass'"  # noqa: S608  # names of the estate
        if set(self.population.key) == set(self.rule.info.identity):
            inner = "SELECT source FROM judged WHERE verdict <> 'pass'"
        for source, count in self._query(f"SELECT source, count(*) FROM ({inner}) GROUP BY source"):  # noqa: S608  # built above
            found[source]["members"] = count
        return found

    def _sizes(self, scopes: Sequence[str | None]) -> dict[str | None, int]:
        """Return scope -> rows of the population in it."""
        name = self.population.name
        by_source: dict[str | None, int] = {}
        if self.sourced and (self.population.group == "identity" or "source" in self.rule.columns.get(name, ())):
            by_source = dict(self._query(f'SELECT source, count(*) FROM "{name}" GROUP BY source'))  # noqa: S608  # a name of the estate
            # What names no source concerns every one of them.
            everywhere = by_source.get(None, 0)
        else:
            everywhere = self._query(f'SELECT count(*) FROM "{name}"')[0][0]  # noqa: S608  # a name of the estate
        sizes = {source: by_source.get(source, 0) + everywhere for source in scopes}
        if None in sizes:
            # Beside others, the scope without a source holds only the rows that the rule put there.
            named = self._query("SELECT count(*) FROM judged WHERE source IS NULL")[0][0]
            sizes[None] = everywhere if len(sizes) == 1 else named
        return sizes

    def _verdicts(self, digest: _Digest) -> Sequence[Verdict]:
        """Return what is no pass, ordered by subject, and take it into the digest."""
        batches: list[packed.Batch] = []
        for count, lines in self._lines():
            plain = packed.canonical(lines)
            digest.lines(plain)
            batches.append(packed.compress(count, plain, self.rule.info.identity))
        return packed.together(batches)

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield so many verdicts and their lines of JSON as ``_Digest`` has them: a large estate has a million."""
        info = self.rule.info
        subject = ", ".join(f"'{name}', j.\"i_{name}\"" for name in sorted(info.identity))
        listed = ", ".join(f'j."i_{name}"' for name in info.identity)
        ends = "replace(strftime(make_timestamp(x.until), '%Y-%m-%dT%H:%M:%S.%fZ'), '.000000Z', 'Z')"
        line = (
            f"json_object('excepted_until', {ends}, 'exception', x.exception, 'person_id', j.person_id, "
            f"'reason', coalesce(j.reason, $title), 'rule_id', $rule, 'source', j.source, "
            f"'subject', json_object({subject}), 'verdict', j.verdict)"
        )
        found = self.sandbox.connection.sql(
            f"SELECT CAST({line} AS VARCHAR) || chr(10) FROM judged j LEFT JOIN excepted x ON x.n = j.rowid "  # noqa: S608  # checked names
            "WHERE j.verdict IN ('violation', 'not_evaluable') "
            f"ORDER BY {listed}",
            params={"title": info.title, "rule": info.rule_id},
        )
        for rows in found.to_arrow_reader(packed.BATCH):
            _, offsets, text = rows.column(0).cast(pa.large_string()).buffers()
            ends_at = memoryview(offsets).cast("q")
            yield len(rows), bytes(memoryview(text)[ends_at[0] : ends_at[len(rows)]])

    def _scope(self, source: str | None, size: int, counts: Mapping[str | None, Mapping[str, int]]) -> Scope:
        found = counts.get(source, {})
        excepted = found.get("excepted", 0)
        return Scope(
            source=source,
            population=size,
            violations=found.get(Outcome.VIOLATION, 0) - excepted,
            passes=max(size - found.get("members", 0), 0),
            not_applicable=found.get(Outcome.NOT_APPLICABLE, 0),
            not_evaluable=found.get(Outcome.NOT_EVALUABLE, 0),
            excepted=excepted,
            unmatched=self.excepting.unmatched(self.rule, source),
        )

    def _query(self, sql: str, params: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        try:
            return self.sandbox.connection.execute(sql, list(params)).fetchall()
        except duckdb.Error as error:
            raise StoreError(
                f"{self.rule.info.rule_id} could not be counted: {error}",
                advice=ROOM,
            ) from error


def _text(name: str, kind: str) -> str:
    """Return the expression that writes a value of the subject as text: dates and instants as ISO 8601."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"""replace(strftime("{name}", '%Y-%m-%dT%H:%M:%S.%fZ'), '.000000Z', 'Z')"""
    return f'CAST("{name}" AS VARCHAR)'


def _texts(scopes: Sequence[str | None]) -> list[str]:
    return [source if source is not None else "" for source in scopes]


class _Digest:
    """The SHA-256 of rules, parameters, scopes and verdicts in canonical JSON, one line each, as they come."""

    def __init__(self, as_of: datetime, exceptions_unread: Sequence[str]) -> None:
        self._digest = hashlib.sha256()
        self._encoder = msgspec.json.Encoder(order="sorted")
        self._add(as_of.astimezone(UTC))
        self._add(exceptions_unread)

    def scopes(self, rule: Rule, scopes: Sequence[Scope]) -> None:
        """Take in a rule and where it was judged."""
        self._add([rule.info.rule_id, rule.info.version, {name: param.value for name, param in rule.params.items()}])
        for scope in scopes:
            self._add(scope)

    def lines(self, lines: bytes) -> None:
        """Take in verdicts of that rule, each written as ``_add`` would."""
        self._digest.update(lines)

    def hexdigest(self) -> str:
        """Return the digest of all so far, as lower-case hex."""
        return self._digest.hexdigest()

    def _add(self, value: object) -> None:
        self._digest.update(self._encoder.encode(value) + b"\n")
