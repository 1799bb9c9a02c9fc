"""Run rules on a server that speaks the Spark Connect protocol (Apache Spark, Sail), over the snapshot's own Parquet.

Only the rules' SELECTs run there. What is small is sent; what is made of large tables is made there of the same text.
The rows come back as Arrow and are typed, counted and digested by the same code as DuckDB's.
"""

from __future__ import annotations

import re
import socket
import threading
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa

from reconciler.clock import zones as iana_zones
from reconciler.engine.access import CLOSURE, EFFECTIVE_ACCESS
from reconciler.engine.built import SELECTS, VIEWED
from reconciler.engine.dialect import Untranslatable, Zones, literal, translate
from reconciler.engine.rule import Problem, Rule, RuleError
from reconciler.engine.runner import Relation
from reconciler.engine.sandbox import RuleFailed, Sandbox
from reconciler.errors import ConfigurationError, StoreError
from reconciler.estate.tables import tables
from reconciler.log import hide
from reconciler.snapshot import Snapshot

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

_TYPES = {"VARCHAR": "STRING", "TIMESTAMPTZ": "TIMESTAMP", "VARCHAR[]": "ARRAY<STRING>", "INTEGER": "INT"}
_THERE = {name: SELECTS[name] for name in ("covering", *VIEWED)} | {"effective_access": EFFECTIVE_ACCESS}
"""Built tables that may be as large as the grants: made on the server."""

Columns = Sequence[tuple[str, str]]
"""Names, each with DuckDB's name of its type."""

_BROKEN_RULE = "org.apache.spark.sql.catalyst.optimizer.RemoveRedundantAliases"
_CHUNK = 100_000
_REACH_SECONDS = 10.0
_RETRIES = 3
_PORT = 15002
_FIRST, _LAST = date(1970, 1, 1), date(2099, 12, 31)
_ROWS = "emitted_rows"
_REACH = "Check that the server runs and that `engine.engine` names its host and port; nothing was recorded."
_AGAIN = "Look at the server's log and run again; nothing was recorded."
_SAME = "The server must read the snapshot folder under the same path as this machine; nothing was recorded."


class Server:
    """A session of its own on the server at ``url`` (``sc://host:port/;token=...``)."""

    def __init__(self, url: str) -> None:
        hide(token(url))
        if not re.match(r"sc://[^/\s:;]", url):
            message = "the engine is neither duckdb nor the URL of a Spark Connect server"
            raise ConfigurationError(message, advice="Write sc://host:port.")
        self.name = _place(url)
        _reach(url)
        try:
            from pyspark.sql import SparkSession  # noqa: PLC0415  # the extra may not be installed
            from pyspark.sql.connect.client.retries import DefaultPolicy  # noqa: PLC0415  # the extra, too
        except ImportError as error:
            advice = "Install it: pip install 'reconciler[spark]'; or take engine.engine = \"duckdb\"."
            raise ConfigurationError(
                "engine.engine names a Spark Connect server, whose client is missing", advice=advice
            ) from error
        with self._asking("could not be asked"):
            self.session: SparkSession = SparkSession.builder.remote(url).create()
            self.session.client.set_retry_policies([DefaultPolicy(max_retries=_RETRIES, max_backoff=2000)])
            self.session.conf.set("spark.sql.session.timeZone", "UTC")
            self.session.conf.set("spark.sql.ansi.enabled", "true")
            # Spark 4.2 makes an invalid plan of IG-LVR-007 with it, and refuses that plan itself.
            self.session.conf.set("spark.sql.optimizer.excludedRules", _BROKEN_RULE)
        self._odd: dict[str, tuple[tuple[str, date, Any], ...]] = {}

    def close(self) -> None:
        """Forget the session and its views."""
        with suppress(Exception):  # the answer is here already; a server that is gone needs no farewell
            self.session.stop()

    def rows(self, text: str) -> pa.Table:
        """Return what a SELECT in Spark's dialect gives; ``StoreError`` where the server fails."""
        with self._asking("failed"):
            return self._rows(text)

    def _rows(self, text: str) -> pa.Table:
        with warnings.catch_warnings():
            # What the client warns of when it gives up is raised as well, and told in our words.
            warnings.filterwarnings("ignore", message=r"\[RETRIES_EXCEEDED\]")
            return self.session.sql(text).toArrow()

    def judge(
        self, rule: Rule, values: Mapping[str, object], zones: Zones, seconds: float, before: str = ""
    ) -> pa.Table:
        """Return the rows that a rule emits; ``before`` holds WITH queries that its tables are.

        Raises ``RuleError`` for a text that cannot be translated, ``RuleFailed`` for one that the server refuses.
        """
        text = f"{before}SELECT * FROM ({_translated(rule, values, zones)}) AS verdicts"  # noqa: S608  # a rule that passed every check
        stopped = threading.Event()

        def stop() -> None:
            stopped.set()
            self.session.interruptAll()

        timer = threading.Timer(seconds, stop)
        timer.daemon = True
        timer.start()
        try:
            return self._rows(text)
        except Exception as error:
            if stopped.is_set():
                raise RuleFailed(
                    f"did not end within {seconds:g} seconds and was stopped", None, stopped=True
                ) from error
            if _refused(error):
                raise RuleFailed(f"{self.name} refuses it: {_said(error)}", None) from error
            if _of_server(error):
                raise StoreError(f"{self.name} failed in {rule.info.rule_id}: {_said(error)}", advice=_AGAIN) from error
            raise
        finally:
            timer.cancel()

    def view(self, name: str, text: str) -> None:
        """Give the rows of a SELECT a name."""
        with self._asking(f"could not make {name}"):
            self.session.sql(text).createOrReplaceTempView(name)

    def send(self, name: str, columns: Columns, rows: pa.Table) -> None:
        """Send a table that is small."""
        if not rows.num_rows:
            self.view(name, given(columns, ()))
            return
        with self._asking(f"could not take {name}"):
            frame = self.session.createDataFrame(rows.slice(0, _CHUNK))
            for start in range(_CHUNK, rows.num_rows, _CHUNK):
                frame = frame.unionAll(self.session.createDataFrame(rows.slice(start, _CHUNK)))
            frame.createOrReplaceTempView(name)

    def read(self, name: str, columns: Columns, files: Collection[str], rows: int) -> None:
        """Name the rows of Parquet files, and hold the server to the ``rows`` that this machine counts in them."""
        schema = ", ".join(f"`{column}` {spark_type(kind)}" for column, kind in columns)
        with self._asking(f"could not read {name}"):
            frame = self.session.read.schema(schema).parquet(*files)
            frame.createOrReplaceTempView(name)
            found = frame.count()
        if found != rows:
            raise StoreError(f"{self.name} reads {found} rows of {name}, this machine {rows}", advice=_SAME)

    def zones(self, estate: str, named: Iterable[str], connection: duckdb.DuckDBPyConnection) -> Zones:
        """Return what ``access_deadline`` needs of the estate's zone and those that rows name."""
        asked = sorted(iana_zones() & {estate, *named})
        known = connection.execute(
            "SELECT DISTINCT name FROM pg_timezone_names() WHERE list_contains($1, name) ORDER BY name", [asked]
        ).fetchall()
        for (zone,) in known:
            if zone not in self._odd:
                self._odd[zone] = self._odd_days(zone, connection)
        names = tuple(zone for (zone,) in known)
        return Zones(estate, names, tuple(odd for zone in names for odd in self._odd[zone]))

    def _odd_days(self, zone: str, connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, date, Any], ...]:
        """Return the days that begin at another instant by the server than by DuckDB, with DuckDB's."""
        there = self.rows(
            f"SELECT d, to_utc_timestamp(CAST(d AS TIMESTAMP), {literal(zone)}) AS begins "  # noqa: S608  # a zone that IANA knows
            f"FROM (SELECT explode(sequence({literal(_FIRST)}, {literal(_LAST)}, INTERVAL '1' DAY)) AS d)"
        )
        connection.register("begins", there)
        try:
            found = connection.execute(
                "SELECT CAST(d AS DATE), timezone($1, CAST(CAST(d AS DATE) AS TIMESTAMP)) AS here FROM begins "
                "WHERE here IS DISTINCT FROM CAST(begins AS TIMESTAMPTZ) ORDER BY 1",
                [zone],
            ).fetchall()
        finally:
            connection.unregister("begins")
        return tuple((zone, day, instant) for day, instant in found)

    @contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if not _of_server(error):
                raise
            raise StoreError(f"{self.name} {what}: {_said(error)}", advice=_AGAIN) from error


class There:
    """The runner of a server: the tables of one evaluation as views of its session."""

    def __init__(self, server: Server, sandbox: Sandbox, zones: Zones) -> None:
        self.server = server
        self.sandbox = sandbox
        self.zones = zones

    def rows(self, rule: Rule, values: Mapping[str, object], seconds: float) -> Relation:
        """Return the rows that the server gave, typed as DuckDB would have typed them."""
        return emitted(self.sandbox, rule, self.server.judge(rule, values, self.zones, seconds)), {}

    def changed(self, table: str) -> None:
        """Send a built table anew."""
        columns = [(column.name, column.sql) for column in tables()[table].columns]
        self.server.send(table, columns, _arrow(self.sandbox, table, columns))


def emitted(sandbox: Sandbox, rule: Rule, rows: pa.Table) -> str:
    """Put a rule's rows before the sandbox; return the relation that reads them, typed as the rule's."""
    sandbox.connection.register(_ROWS, rows)
    columns = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in rule.types.items())
    return f"(SELECT {columns} FROM {_ROWS}) AS verdicts"  # noqa: S608  # names that the lint has checked


@contextmanager
def running(
    url: str,
    snapshot: Snapshot,
    sandbox: Sandbox,
    wanted: Mapping[str, Collection[str]],
    *,
    estate_zone: str,
    zones: Iterable[str],
    declared: Collection[str],
) -> Iterator[There]:
    """Open a session in which the tables ``wanted`` (with their columns) are those of the sandbox.

    ``declared`` names the tables that have rows of the configuration. Raises ``StoreError`` where the server cannot be
    reached or does not see what this machine sees.
    """
    server = Server(url)
    try:
        for name, columns in wanted.items():
            if name not in _THERE:
                _table(server, snapshot, sandbox, name, columns, whole=name in declared)
        if "effective_access" in wanted:
            server.send("group_closure", CLOSURE, _arrow(sandbox, "group_closure", CLOSURE))
        for name in (name for name in _THERE if name in wanted):
            server.view(name, translate(_THERE[name], {}, Zones("UTC", ("UTC",))))
        yield There(server, sandbox, server.zones(estate_zone, zones, sandbox.connection))
    finally:
        server.close()


def _table(
    server: Server, snapshot: Snapshot, sandbox: Sandbox, name: str, columns: Collection[str], *, whole: bool
) -> None:
    table = tables()[name]
    chosen = [(c.name, c.sql) for c in table.columns if c.name in columns or table.group == "built"]
    files = [str(path.resolve()) for source in snapshot.sources_of(name) for path in snapshot.files(name, source)]
    if whole or not files or table.group in {"built", "declared"}:
        server.send(name, chosen, _arrow(sandbox, name, chosen))
        return
    counted = sandbox.connection.execute(f'SELECT count(*) FROM "{name}"').fetchall()  # noqa: S608  # a name of the estate
    server.read(name, chosen, files, int(counted[0][0]))


def _arrow(sandbox: Sandbox, name: str, columns: Columns) -> pa.Table:
    listed = ", ".join(f'"{column}"' for column, _ in columns)
    rows: pa.Table = sandbox.connection.sql(f'SELECT {listed} FROM "{name}"').to_arrow_table()  # noqa: S608  # names of the estate
    return rows


def given(columns: Columns, rows: Iterable[Mapping[str, Any]]) -> str:
    """Return a SELECT in Spark's dialect that gives these rows; a column that a row does not give is null."""
    typed = ", ".join(f"CAST(`{name}` AS {spark_type(kind)}) AS `{name}`" for name, kind in columns)
    listed = [", ".join((*(literal(row.get(name)) for name, _ in columns), "TRUE")) for row in rows]
    # A last row, of nulls, is left out again: thus every column may be null, as in Parquet. Sail trips over its own
    # plans where it knows that one may not.
    listed.append(", ".join((*("NULL" for _ in columns), "FALSE")))
    names = ", ".join((*(f"`{name}`" for name, _ in columns), "`there`"))
    shown = ", ".join(f"({values})" for values in listed)
    return f"SELECT {typed} FROM VALUES {shown} AS v({names}) WHERE `there`"  # noqa: S608  # names of the estate, written values


def spark_type(kind: str) -> str:
    """Return Spark's name of a type that DuckDB calls ``kind``."""
    return _TYPES.get(kind, kind)


def token(url: str) -> str:
    """Return the secret in a server's URL; empty for none."""
    found = re.search(r"[/;]token=([^;]*)", url)
    return found[1] if found else ""


def _translated(rule: Rule, values: Mapping[str, object], zones: Zones) -> str:
    try:
        return translate(rule.sql, values, zones)
    except Untranslatable as error:
        advice = 'Write it with what every engine has, or take engine.engine = "duckdb".'
        at = f"{rule.sql_path}:{error.line}"
        raise RuleError([Problem(at, f"{rule.info.rule_id}: {error.message}", advice)]) from error


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"sc://{parts.hostname}:{parts.port or _PORT}"


def _reach(url: str) -> None:
    """Raise ``StoreError`` at once where nothing listens: the client itself would try for minutes."""
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or _PORT), timeout=_REACH_SECONDS).close()
    except OSError as error:
        raise StoreError(f"{_place(url)} cannot be reached: {error.strerror or error}", advice=_REACH) from error


def _of_server(error: Exception) -> bool:
    return type(error).__module__.split(".", maxsplit=1)[0] in {"pyspark", "grpc"}


def _refused(error: Exception) -> bool:
    """Say whether the server refused the text or a value in it; else it failed."""
    from pyspark.errors import (  # noqa: PLC0415  # the extra may not be installed
        AnalysisException,
        ArithmeticException,
        DateTimeException,
        IllegalArgumentException,
        NumberFormatException,
        UnsupportedOperationException,
    )

    kinds = (AnalysisException, ArithmeticException, DateTimeException, IllegalArgumentException, NumberFormatException)
    return isinstance(error, (*kinds, UnsupportedOperationException))


def _said(error: Exception) -> str:
    """Return the first line of what a server said, never the whole plan."""
    details = getattr(error, "details", None)
    text = str(details() if callable(details) else error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)[:500]
