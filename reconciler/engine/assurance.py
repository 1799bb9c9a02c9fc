"""Assurance: for every grant and every revocation, what policy, workflow and enforcement show of it.

**Rows.** Each grant that an account holds; each approval of access that nobody holds; each decision that access ends
(an approved termination, an approval or a review whose decision is to revoke), once an account or entitlement that it
means; and each event that ended access (entitlement_revoked, account_disabled, account_deleted) for which no decision
asked.

**How decision and event are joined.** By reference first: an event that names a decision which is on record belongs
to that one and to no other. Else by subject, target and time: the same account (of the person), the same entitlement,
and an instant from the decision to ``window`` after it (after ``valid_from`` where that is later), both ends
included. Of several events of one grant the last counts. An event whose outcome is known and is none of
``done_words`` (of an ending: ``ended_words``) did nothing.

**Layers.** Policy says whether a decision is needed: required, not_required, not_evaluable. Workflow says whether
there is one: proven, missing, not_required, not_evaluable. Enforcement says what the system did and holds: proven (an
event, and the present state agrees), held (the state alone: who granted it, and when, no event says), missing,
not_evaluable.

**Verdicts.**

- ``proven``: a decision in force, joined to an event that did not come before it, and the present state agrees; or
  policy needs no decision, and the state (of an ending: the event) is there.
- ``approved_not_executed``: access approved and in force, its window over, that no account of the person holds and no
  event shows granted, in a source whose events were read whole.
- ``executed_without_approval``: held or ended, and no decision that covers it is joined to it: none is there, it
  ended, the event came before it, or the event is outside its window and does not name it.
- ``revocation_unproven``: a decision that access ends whose account is not closed (or entitlement is still held) when
  its window is over, or which no event of a source read whole shows carried out.
- ``not_evaluable``: everything that one unknown value, unread table or unreported event could turn; the reason says
  which.

What was not read whole is not_evaluable: never proven, and never one of the three that accuse somebody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from reconciler.engine.layers import COLUMNS, STEPS
from reconciler.engine.rule import Rule
from reconciler.engine.sandbox import RuleFailed, Sandbox, instant
from reconciler.engine.workspace import ROOM, Options, open_workspace
from reconciler.errors import ConfigurationError, StoreError
from reconciler.sdk.connector import Status
from reconciler.snapshot import Snapshot

Verdict = Literal[
    "proven", "approved_not_executed", "executed_without_approval", "revocation_unproven", "not_evaluable"
]
VERDICTS: tuple[Verdict, ...] = (
    "proven",
    "approved_not_executed",
    "executed_without_approval",
    "revocation_unproven",
    "not_evaluable",
)
LAYERS = ("policy", "workflow", "enforcement")

_BATCH = 50_000
_PARAMETER = re.compile(r"\$(\w+)")
_COLUMNS: dict[str, tuple[str, ...]] = {
    "accounts": ("source", "account_id", "status", "can_sign_in"),
    "entitlements": ("source", "entitlement_id", "name", "membership"),
    "grants": ("source", "principal_kind", "principal_id", "entitlement_id", "assignment"),
    "events": ("source", "event_id", "occurred_at", "action", "target_id", "entitlement_id", "approval_ref", "outcome"),
    "people": ("person_id", "ends_on", "time_zone"),
    "approvals": (
        *("approval_id", "kind", "person_id", "system", "entitlement"),
        *("decision", "decided_at", "valid_from", "valid_until", "environment", "change_ref"),
    ),
    "reviews": ("review_id", "source", "account_id", "entitlement_id", "decision", "decided_at"),
    "links": ("source", "account_id", "person_id", "candidates"),
    "approvable": (),
    "cited": (),
    "covering": ("source", "account_id", "entitlement_id", "approval_id", "fit"),
}
_STATE = ("accounts", "entitlements", "grants")
_INSTANTS = ("decided_at", "event_at")
_EVENT_COLUMNS = ("occurred_at", "action", "target_id")


@dataclass(frozen=True, slots=True)
class Words:
    """What the organisation's systems call things, in lower case, and how long carrying out a decision may take.

    ``ordered_words`` say yes to a termination, as ``approved_words`` do to access; ``ended_words`` are the outcomes of
    an ending that took place, ``done_words`` those of a grant.
    """

    window: timedelta = timedelta(hours=72)
    approved_words: Sequence[str] = ("approved", "approve", "granted", "grant", "yes", "accepted")
    ordered_words: Sequence[str] = approved_words
    revoke_words: Sequence[str] = ("revoke", "revoked", "remove", "removed")
    done_words: Sequence[str] = ("success", "succeeded", "successful", "ok", "completed", "done", "allow", "allowed")
    ended_words: Sequence[str] = done_words


_WORDS_OF = {
    "approved_words": ("IG-APR-001", "approved_words"),
    "ordered_words": ("IG-LVR-004", "approved_words"),
    "done_words": ("IG-APR-009", "success_outcomes"),
    "ended_words": ("IG-LVR-004", "success_words"),
}
"""Words -> the rule and parameter that have them, too: what is an approval there is one here."""


def words(rules: Sequence[Rule], **said: Any) -> Words:
    """Return the words as the rules have them, which the configuration may have changed; ``said`` goes before."""
    params = {rule.info.rule_id: rule.params for rule in rules}
    told = {
        name: params[rule_id][param].value
        for name, (rule_id, param) in _WORDS_OF.items()
        if param in params.get(rule_id, {})
    }
    return Words(**{**told, **said})


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """Population figures of grants or revocations in one source (None: of decisions that name none).

    ``blocked`` says why nothing was judged there; the rows that are known are then all not evaluable, and how many
    there should be is unknown.
    """

    kind: Literal["grants", "revocations"]
    source: str | None
    population: int
    verdicts: dict[str, int]
    layers: dict[str, dict[str, int]]
    blocked: tuple[str, ...] = ()
    events_unread: str = ""
    """Why events of the source could not be used; empty where they could."""

    @property
    def known(self) -> str:
        """The population in words: endings that only events would show are not counted where none could be used."""
        whole = not self.blocked and not (self.kind == "revocations" and self.events_unread)
        return f"{self.population:,}" if whole else f"{self.population:,} known"


class Assurance:
    """The rows of one snapshot, in a locked sandbox, for as long as it is open."""

    def __init__(self, sandbox: Sandbox, places: Mapping[str, _Place], about: Mapping[str, str]) -> None:
        self._sandbox = sandbox
        self._places = places
        self._about = about

    def figures(self) -> tuple[Figure, ...]:
        """Count rows by kind, source, layer and verdict."""
        found: dict[tuple[str, str | None], list[tuple[Any, ...]]] = {
            (kind, source): [] for source in self._places for kind in ("grant", "revocation")
        }
        grouped = "SELECT kind, source, policy, workflow, enforcement, verdict, count(*) FROM assurance GROUP BY ALL"
        for kind, source, *rest in self._sandbox.connection.execute(grouped).fetchall():
            found.setdefault((kind, source), []).append(tuple(rest))
        order = sorted(found, key=lambda each: (each[0], each[1] is None, each[1] or ""))
        return tuple(self._figure(kind, source, found[kind, source]) for kind, source in order)

    def _figure(self, kind: str, source: str | None, groups: Sequence[tuple[Any, ...]]) -> Figure:
        verdicts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
        layers: dict[str, dict[str, int]] = {layer: {} for layer in LAYERS}
        for *said, verdict, count in groups:
            verdicts[verdict] += count
            for layer, word in zip(LAYERS, said, strict=True):
                layers[layer][word] = layers[layer].get(word, 0) + count
        place = self._places.get(source or "")
        blocked = (place.grants if kind == "grant" else place.revocations) if place else ()
        return Figure(
            kind="grants" if kind == "grant" else "revocations",
            source=source,
            population=sum(verdicts.values()),
            verdicts=verdicts,
            layers=layers,
            blocked=blocked,
            events_unread=place.events if place else "",
        )

    def examples(self, most: int, *, source: str | None = None, verdict: str | None = None) -> list[dict[str, Any]]:
        """Return the first ``most`` rows of each kind and verdict that is not proven, or of the one asked for."""
        chosen, values = _chosen(source, verdict)
        told = "" if verdict else " AND verdict <> 'proven'"
        listed = ", ".join(f"epoch_us({name})" if name in _INSTANTS else name for name in COLUMNS)
        found = self._sandbox.connection.execute(
            f"SELECT {listed} FROM assurance WHERE {chosen}{told} "  # noqa: S608  # names of our own
            f"QUALIFY row_number() OVER (PARTITION BY kind, verdict ORDER BY {', '.join(COLUMNS[1:])}) <= {most} "
            f"ORDER BY {', '.join(('kind', 'verdict', *COLUMNS[1:]))}",
            values,
        ).fetchall()
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in found]
        return [row | {name: instant(row[name]) for name in _INSTANTS} for row in rows]

    def write(self, path: Path, *, source: str | None = None, verdict: str | None = None) -> int:
        """Write the rows asked for to ``path``, as its ending says (.csv, .parquet), in batches; return how many.

        Each row names the estate, snapshot and instant too, so that the file alone says what it shows.
        Raises ``ConfigurationError`` for another ending, and ``StoreError`` where the file cannot be written; an older
        file is replaced only by a whole new one.
        """
        ending = path.suffix.lower()
        if ending not in {".csv", ".parquet"}:
            raise ConfigurationError(
                f"{path}: no format {ending or 'without an ending'}", advice="Use .csv or .parquet."
            )
        draft = path.with_name(f".{path.name}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                count = self._write(draft, ending, source, verdict)
                draft.replace(path)
            finally:
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(
                f"{path} could not be written: {error.strerror or error}", advice="Name a path that can be written."
            ) from error
        return count

    def _write(self, path: Path, ending: str, source: str | None, verdict: str | None) -> int:
        chosen, values = _chosen(source, verdict)
        names = (*COLUMNS, *self._about)
        cells = [_neutral(name) if ending == ".csv" and name not in _SAFE else name for name in names]
        about = ", ".join(f"CAST(? AS VARCHAR) AS {name}" for name in self._about)
        reader = self._sandbox.connection.sql(
            f"SELECT {', '.join(cells)} FROM (SELECT *, {about} FROM assurance) WHERE {chosen}",  # noqa: S608  # names of our own
            params=[*self._about.values(), *values],
        ).to_arrow_reader(_BATCH)
        count = 0
        writer: Any = (
            pa_csv.CSVWriter(path, reader.schema) if ending == ".csv" else pq.ParquetWriter(path, reader.schema)
        )
        with writer:
            for batch in reader:
                writer.write_table(pa.Table.from_batches([batch]))
                count += batch.num_rows
        return count


_SAFE = frozenset({"decided_at", "event_at", "kind", "policy", "workflow", "enforcement", "verdict", "joined_by"})


def _neutral(name: str) -> str:
    """Return the column with an apostrophe before whatever a spreadsheet might take for a formula."""
    formula = f"regexp_matches({name}, '^[\\s\"''`]*[=+@\\-\\t\\r\\n]')"
    return f"CASE WHEN {formula} THEN concat('''', {name}) ELSE {name} END AS {name}"


def _chosen(source: str | None, verdict: str | None) -> tuple[str, list[str]]:
    asked = {"source": source, "verdict": verdict}
    wanted = {name: value for name, value in asked.items() if value is not None}
    return " AND ".join(["true", *(f"{name} = ?" for name in wanted)]), list(wanted.values())


@dataclass(frozen=True, slots=True)
class _Place:
    """What keeps a source from being judged; empty: nothing does."""

    grants: tuple[str, ...]
    revocations: tuple[str, ...]
    events: str


@contextmanager
def open_assurance(
    snapshot: Snapshot, *, as_of: datetime, options: Options | None = None, words: Words | None = None
) -> Iterator[Assurance]:
    """Judge every grant and revocation of a sealed snapshot; all of it is removed at the end.

    Raises ``StoreError`` where the rows cannot be read, or memory, disk or time do not suffice.
    """
    options, words = options or Options(), words or Words()
    with open_workspace(snapshot, [], options, also=_COLUMNS) as workspace:
        sandbox = workspace.sandbox
        places = {name: _place(snapshot, name, workspace.faults) for name in _sources(snapshot)}
        sandbox.connection.execute(
            "CREATE TABLE places (source VARCHAR, grants_blocked VARCHAR, "
            "revocations_blocked VARCHAR, events_unread VARCHAR)"
        )
        for name, place in places.items():
            told = ["; ".join(place.grants) or None, "; ".join(place.revocations) or None, place.events or None]
            sandbox.connection.execute("INSERT INTO places VALUES (?, ?, ?, ?)", [name, *told])
        values: dict[str, object] = {
            "as_of": as_of,
            "window": words.window,
            "approved_words": list(words.approved_words),
            "ordered_words": list(words.ordered_words),
            "revoke_words": list(words.revoke_words),
            "done_words": list(words.done_words),
            "ended_words": list(words.ended_words),
        }
        for step in STEPS:
            asked = set(_PARAMETER.findall(step))
            try:
                sandbox.run(step, {name: values[name] for name in asked}, options.rule_seconds)
            except RuleFailed as error:
                raise StoreError(f"assurance could not be worked out: {error.message}", advice=ROOM) from error
        about = {
            "estate": snapshot.manifest.estate,
            "snapshot": snapshot.snapshot_id,
            "as_of": as_of.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        }
        yield Assurance(sandbox, places, about)


def _sources(snapshot: Snapshot) -> list[str]:
    return list(dict.fromkeys(source for table in (*_STATE, "events") for source in snapshot.sources_of(table)))


def _place(snapshot: Snapshot, source: str, faults: Mapping[str, Sequence[str]]) -> _Place:
    decided = [*_governance(snapshot, faults, ("people", "approvals"), ("special_accounts",))]
    ended = [*_governance(snapshot, faults, ("people", "approvals"), ("reviews",))]
    state = [words for table in _STATE for words in _unread(snapshot, source, table)]
    return _Place(
        grants=tuple(dict.fromkeys([*state, *decided])),
        revocations=tuple(dict.fromkeys([*state, *ended])),
        events="; ".join(_events_unread(snapshot, source)),
    )


def _governance(
    snapshot: Snapshot, faults: Mapping[str, Sequence[str]], tables: Sequence[str], optional: Sequence[str]
) -> Iterator[str]:
    for table in (*tables, *optional):
        sources = snapshot.sources_of(table)
        if not sources and table not in optional:
            yield f"no source reports {table}"
        for source in sources:
            yield from _unread(snapshot, source, table)
        yield from faults.get(table, ())


def _unread(snapshot: Snapshot, source: str, table: str) -> Iterator[str]:
    if source not in snapshot.sources_of(table):
        yield f"{source} does not report {table}"
    elif (status := snapshot.status(source, table)) != Status.COMPLETE:
        told = "; ".join(snapshot.gaps(source, table)[:3]) or "no reason was given"
        yield f"{source}: {table} is {status.value}: {told}"


def _events_unread(snapshot: Snapshot, source: str) -> Iterator[str]:
    unread = list(_unread(snapshot, source, "events"))
    yield from unread
    if not unread:
        columns = next(each.reports["events"] for each in snapshot.manifest.sources if each.name == source)
        missing = [f"events.{name}" for name in _EVENT_COLUMNS if name not in columns]
        if missing:
            yield f"{source} does not report {', '.join(missing)}"
