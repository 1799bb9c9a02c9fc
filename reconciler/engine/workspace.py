"""Load what the rules read from a snapshot into a DuckDB file of its own, build what is built, then lock it."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from reconciler.engine import linking
from reconciler.engine.access import CLOSED, EFFECTIVE_ACCESS, close_groups
from reconciler.engine.built import READS, SELECTS, VIEWED
from reconciler.engine.idle import Idle, Key
from reconciler.engine.rule import Rule
from reconciler.engine.runner import Here, Runner
from reconciler.engine.sandbox import Sandbox
from reconciler.errors import StoreError
from reconciler.estate import correlate
from reconciler.estate.results import NewLink
from reconciler.estate.tables import Coverage, tables
from reconciler.sdk.records import Record
from reconciler.snapshot import Snapshot

_DAMAGED = "Run `reconciler evaluate` on another snapshot, or pull again; verify() names an altered file."
ROOM = "Free disk space in the temporary folder (TMPDIR), or raise engine.memory_mb."


@dataclass(frozen=True, slots=True)
class Options:
    """How to evaluate.

    ``time_zone`` is the estate's IANA zone, for dates that name none; ``matchers`` link accounts to people in
    order of trust; ``folder`` takes the temporary files (None: the system's folder for these). ``engine`` is
    ``duckdb``, or the URL of the Spark Connect server that runs the rules' SELECTs over the same files.
    """

    time_zone: str = "UTC"
    matchers: Sequence[str] = correlate.DEFAULT
    plus_addressing: bool = False
    threads: int = 2
    memory_limit_mb: int = 2048
    rule_seconds: float = 3600.0
    declared: Mapping[str, Sequence[Record]] = field(default_factory=dict)
    """Rows that the configuration declares, by table: declared tables, and special accounts beside the reported."""
    folder: Path | None = None
    engine: str = field(default="duckdb", repr=False)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A locked sandbox that holds the tables; ``faults`` says which governance tables contradict themselves.

    ``idle`` are the ways to the entries of the configuration that fit nothing; ``made`` the links made just now.
    """

    sandbox: Sandbox
    faults: dict[str, tuple[str, ...]]
    idle: tuple[Key, ...] = ()
    made: tuple[NewLink, ...] = ()
    runner: Runner = field(default_factory=Here)
    """Where the rules' SELECTs run."""


@contextmanager
def open_workspace(
    snapshot: Snapshot, rules: Sequence[Rule], options: Options, *, also: Mapping[str, Collection[str]] | None = None
) -> Iterator[Workspace]:
    """Load the columns that the rules read, and those of ``also``; the folder is removed at the end, whatever happens.

    Raises ``StoreError`` where the rows cannot be read, or memory or disk do not suffice.
    """
    wanted = _columns(rules, also or {})
    with _open(options) as sandbox:
        workspace = _fill(sandbox, snapshot, wanted, options)
        if options.engine == "duckdb":
            yield workspace
            return
        from reconciler.engine import spark  # noqa: PLC0415  # its client is an extra, and slow to import

        zones = _zones(sandbox, wanted)
        with spark.running(
            options.engine,
            snapshot,
            sandbox,
            wanted,
            estate_zone=options.time_zone,
            zones=zones,
            declared=[name for name, rows in options.declared.items() if rows],
        ) as there:
            yield replace(workspace, runner=there)


@contextmanager
def open_links(snapshot: Snapshot, options: Options) -> Iterator[Sandbox]:
    """Load accounts and people and link them, without any rule; what stands beside ``links`` is kept.

    Raises ``StoreError`` as ``open_workspace`` does.
    """
    with _open(options) as sandbox:
        _load_all(sandbox, snapshot, {name: set(columns) for name, columns in correlate.READS.items()}, options)
        linking.link(sandbox, snapshot, options.matchers, plus_addressing=options.plus_addressing)
        sandbox.lock()
        yield sandbox


@contextmanager
def _open(options: Options) -> Iterator[Sandbox]:
    try:
        folder = tempfile.TemporaryDirectory(prefix="reconciler-", dir=options.folder)
    except OSError as error:
        raise StoreError(f"no temporary folder can be made: {error.strerror}", advice=ROOM) from error
    with folder as name, _storing(Path(name), options) as sandbox:
        yield sandbox


@contextmanager
def _storing(folder: Path, options: Options) -> Iterator[Sandbox]:
    try:
        sandbox = Sandbox(folder=folder, threads=options.threads, memory_limit_mb=options.memory_limit_mb)
        try:
            yield sandbox
        finally:
            sandbox.close()
    except duckdb.Error as error:
        raise StoreError(f"the rows could not be worked on: {error}", advice=ROOM) from error


def _fill(sandbox: Sandbox, snapshot: Snapshot, wanted: Mapping[str, set[str]], options: Options) -> Workspace:
    faults = _load_all(sandbox, snapshot, wanted, options)
    sandbox.zones(options.time_zone, _zones(sandbox, wanted))
    made: tuple[NewLink, ...] = ()
    if "links" in wanted:
        linking.link(sandbox, snapshot, options.matchers, plus_addressing=options.plus_addressing)
        made = linking.made(sandbox, snapshot, people_are_clear="people" not in faults)
        linking.forget(sandbox)
    _build(sandbox, snapshot, wanted)
    sandbox.lock()
    idle = tuple(Idle(sandbox.connection, snapshot, wanted).entries(options.declared))
    return Workspace(sandbox, faults, idle, made)


def _load_all(
    sandbox: Sandbox, snapshot: Snapshot, wanted: Mapping[str, set[str]], options: Options
) -> dict[str, tuple[str, ...]]:
    """Load what is reported and declared of the tables in ``wanted``; return which contradict themselves, and how."""
    faults: dict[str, tuple[str, ...]] = {}
    for name, columns in wanted.items():
        table = tables()[name]
        if table.group == "built":
            continue
        chosen = [column.name for column in table.columns if column.name in columns]
        sandbox.create(table, chosen)
        for source in snapshot.sources_of(name):
            _load(sandbox, snapshot, name, source, chosen)
        given = options.declared.get(name, ())
        _insert(sandbox, name, given, chosen)
        if table.group == "governance" and (repeated := _repeated(sandbox, snapshot, name, given)):
            faults[name] = repeated
    return faults


def _build(sandbox: Sandbox, snapshot: Snapshot, wanted: Collection[str]) -> None:
    """Make those of the tables in ``wanted`` that are made of others, or of what is sealed beside the rows."""
    if CLOSED.intersection(wanted):
        close_groups(sandbox.connection)
    for name, select in SELECTS.items():
        if name in wanted and name in VIEWED:
            sandbox.connection.execute(f'CREATE VIEW "{name}" AS {select}')
        elif name in wanted:
            sandbox.create(tables()[name])
            sandbox.connection.execute(f'INSERT INTO "{name}" BY NAME {select}')
    if "effective_access" in wanted:
        sandbox.connection.execute(f"CREATE VIEW effective_access AS {EFFECTIVE_ACCESS}")
    if "coverage" in wanted:
        _cover(sandbox, snapshot.coverage())
    for name, rows in (("freshness", snapshot.freshness), ("rule_evaluations", snapshot.rule_evaluations)):
        if name in wanted:
            table = tables()[name]
            sandbox.create(table)
            _insert(sandbox, name, rows(), [column.name for column in table.columns])


def _insert(sandbox: Sandbox, name: str, rows: Sequence[Record], columns: Sequence[str]) -> None:
    """Add rows that the configuration declares, or that are few."""
    marks = ", ".join("?" for _ in columns)
    for row in rows:
        values = [getattr(row, column) for column in columns]
        sandbox.connection.execute(f'INSERT INTO "{name}" VALUES ({marks})', values)  # noqa: S608  # a name of the estate


def _columns(rules: Sequence[Rule], also: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """Return table -> columns to load, in estate order, with those that built tables are made of."""
    wanted = {name: set(columns) for name, columns in also.items()}
    for rule in rules:
        for name, columns in rule.columns.items():
            wanted.setdefault(name, set()).update(columns)
    # A built table may be made of another one: those come after it in READS, turned round.
    for built, reads in reversed(READS.items()):
        if built in wanted:
            for name, needed in reads.items():
                wanted.setdefault(name, set()).update(needed)
    return {name: wanted[name] for name in tables() if name in wanted}


def _load(sandbox: Sandbox, snapshot: Snapshot, name: str, source: str, columns: Sequence[str]) -> None:
    """Insert the sealed rows of one source; the snapshot's writer held each row to its source's name."""
    files = snapshot.files(name, source)
    if not files:
        return
    listed = ", ".join(f'"{column}"' for column in columns)
    try:
        sandbox.connection.execute(
            f'INSERT INTO "{name}" SELECT {listed} FROM read_parquet($files)',  # noqa: S608  # names of the estate
            {"files": [str(path) for path in files]},
        )
    except duckdb.Error as error:
        raise StoreError(f"{name} of {source} cannot be read: {error}", advice=_DAMAGED) from error


def _repeated(sandbox: Sandbox, snapshot: Snapshot, name: str, declared: Sequence[Record]) -> tuple[str, ...]:
    """Say which keys of a governance table were given more than once, and by which sources; empty for none."""
    key = tables()[name].key
    listed = ", ".join(f'"{column}"' for column in key)
    twice = sandbox.connection.execute(
        f'SELECT {listed} FROM "{name}" GROUP BY ALL HAVING count(*) > 1 ORDER BY ALL LIMIT 3'  # noqa: S608  # names of the estate
    ).fetchall()
    told = []
    for values in twice:
        match = " AND ".join(f'"{column}" = ?' for column in key)
        givers = [
            source
            for source in snapshot.sources_of(name)
            if (files := [str(path) for path in snapshot.files(name, source)])
            and sandbox.connection.execute(
                f"SELECT 1 FROM read_parquet(?) WHERE {match} LIMIT 1",  # noqa: S608  # names of the estate
                [files, *values],
            ).fetchone()
        ]
        if any(
            all(getattr(row, column) == value for column, value in zip(key, values, strict=True)) for row in declared
        ):
            givers.append("the configuration")
        shown = ", ".join(f"{column} {value}" for column, value in zip(key, values, strict=True))
        told.append(f"{name}: {shown} is given more than once ({', '.join(givers)}); which row counts is unknown")
    return tuple(told)


def _zones(sandbox: Sandbox, wanted: Mapping[str, set[str]]) -> list[str]:
    parts = [f'SELECT time_zone FROM "{name}"' for name, columns in wanted.items() if "time_zone" in columns]  # noqa: S608  # names of the estate
    if not parts:
        return []
    rows = sandbox.connection.execute(f"SELECT DISTINCT time_zone FROM ({' UNION ALL '.join(parts)})").fetchall()  # noqa: S608  # built above
    return [zone for (zone,) in rows if zone is not None]


def _cover(sandbox: Sandbox, coverage: Sequence[Coverage]) -> None:
    sandbox.create(tables()["coverage"])
    for part in coverage:
        row = [part.source, part.table_name, part.partition, part.status, part.rows, part.provider_count]
        sandbox.connection.execute(
            "INSERT INTO coverage VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [*row, part.gaps or [], part.canaries or []]
        )
