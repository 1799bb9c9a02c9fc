"""Find entries of the configuration that have no effect: a conflict, scope, role map or special account of nothing.

An entry is only called idle where everything that it could fit was read whole: what was not read may hold it. An entry
of the approval scope is idle, too, where entries before it decide on all that it fits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import duckdb

from reconciler.estate.tables import ApprovalScope, Conflict, RoleMap
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Record, SpecialAccount
from reconciler.snapshot import Snapshot

Key = tuple[str | int, ...]
"""The way to an entry in the configuration: ``("rules", "conflicts", 0, "left", 1)``."""

_LISTED = "SELECT source, entitlement_id, name FROM entitlements"
_HELD = """
UNION ALL
SELECT g.source, g.entitlement_id, NULL
FROM (SELECT DISTINCT source, entitlement_id FROM grants) g
ANTI JOIN entitlements e ON e.source = g.source AND e.entitlement_id = g.entitlement_id
"""
"""What is held counts, though its source does not list it."""
_FITS = r"""(? IS NULL OR source = ?)
  AND (lower(entitlement_id) LIKE ? ESCAPE '\' OR lower(trim(name)) LIKE ? ESCAPE '\')"""
"""Null where the name is unknown, by which it may fit."""
_DEPARTMENT = "SELECT count(*) FROM people WHERE lower(trim(department)) = $department"
_ACCOUNT = """
SELECT count(*) FROM accounts
WHERE source = $source
  AND $wanted IN (lower(trim(account_id)), lower(trim(login)),
                  CASE WHEN json_valid(attributes) THEN lower(trim(json_extract_string(attributes, '$.dn'))) END,
                  CASE WHEN json_valid(attributes) THEN lower(trim(json_extract_string(attributes, '$.arn'))) END)
"""


class Idle:
    """Asks a workspace that holds the rows; ``loaded`` are the columns that it holds, by table."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, loaded: Mapping[str, set[str]]
    ) -> None:
        self._connection = connection
        self._snapshot = snapshot
        self._loaded = loaded

    def entries(self, declared: Mapping[str, Sequence[Record]]) -> list[Key]:
        """Return the way to each entry that fits nothing, in the order of the configuration."""
        rows = {table: declared.get(table, ()) for table in self._loaded}
        if self._holds("entitlements", "source", "entitlement_id", "name"):
            # Made once: of a large estate the grants are many, and so may the entries be.
            held = _HELD if self._holds("grants", "source", "entitlement_id") else ""
            self._connection.execute(f"CREATE TEMP TABLE known AS {_LISTED} {held}")
        return [
            *self._conflicts(rows.get("conflicts", ())),
            *self._scopes(rows.get("approval_scope", ())),
            *self._role_maps(rows.get("role_maps", ())),
            *self._special_accounts(rows.get("special_accounts", ())),
        ]

    def _conflicts(self, rows: Sequence[Record]) -> Iterator[Key]:
        places: dict[str, int] = {}
        for row in rows:
            if isinstance(row, Conflict):
                place = places.setdefault(row.conflict, len(places))
                if self._no_entitlement(row.source, row.entitlement):
                    yield ("rules", "conflicts", place, row.side, row.number - 1)

    def _scopes(self, rows: Sequence[Record]) -> Iterator[Key]:
        earlier: list[tuple[str | None, str | None]] = []
        for row in rows:
            if isinstance(row, ApprovalScope):
                if self._no_entitlement(row.source, row.entitlement, earlier):
                    yield ("rules", "approval_scope", row.number - 1)
                earlier.append((row.source, row.entitlement))

    def _role_maps(self, rows: Sequence[Record]) -> Iterator[Key]:
        for row in rows:
            if isinstance(row, RoleMap) and (
                self._no_entitlement(row.source, row.entitlement) or self._no_department(row.department)
            ):
                yield ("rules", "role_maps", row.number - 1)

    def _special_accounts(self, rows: Sequence[Record]) -> Iterator[Key]:
        for place, row in enumerate(rows):
            if isinstance(row, SpecialAccount) and self._no_account(row.source, row.account_id):
                yield ("special_accounts", place)

    def _no_entitlement(
        self, source: str | None, wanted: str | None, earlier: Sequence[tuple[str | None, str | None]] = ()
    ) -> bool:
        """Say whether an entry fits no entitlement but those that ``earlier`` ones fit."""
        if wanted is None or not self._whole("entitlements", source, "entitlement_id", "name"):
            return False
        granted = any(source in {None, reporting} for reporting in self._snapshot.sources_of("grants"))
        if granted and not self._whole("grants", source, "entitlement_id"):
            return False
        tests = f"coalesce({_FITS}, true)" + f" AND NOT coalesce({_FITS}, false)" * len(earlier)
        values = [value for entry in ((source, wanted), *earlier) for value in _sought(*entry)]
        return not self._count(f"SELECT count(*) FROM known WHERE {tests}", values)  # noqa: S608  # all of it is our own text

    def _no_department(self, department: str | None) -> bool:
        whole = self._whole("people", None, "department")
        return whole and not self._count(_DEPARTMENT, {"department": department})

    def _no_account(self, source: str, account: str) -> bool:
        if not self._whole("accounts", source, "account_id", "login", "attributes"):
            return False
        return not self._count(_ACCOUNT, {"source": source, "wanted": account.strip().lower()})

    def _whole(self, table: str, source: str | None, *columns: str) -> bool:
        """Say whether every row that an entry could fit was read, and is loaded."""
        if not self._holds(table, *columns):
            return False
        sources = self._snapshot.sources_of(table)
        asked = sources if source is None else [source]
        return bool(asked) and all(s in sources and self._snapshot.status(s, table) == Status.COMPLETE for s in asked)

    def _holds(self, table: str, *columns: str) -> bool:
        return set(columns) <= self._loaded.get(table, set())

    def _count(self, sql: str, values: Mapping[str, object] | list[str | None]) -> int:
        row = self._connection.execute(sql, values).fetchone()
        return int(row[0]) if row else 0


def _sought(source: str | None, wanted: str | None) -> list[str | None]:
    """Return the values of one test of ``_FITS``; text without a wildcard is a pattern of itself."""
    escaped = {"\\": "\\\\", "%": "\\%", "_": "\\_", "*": "%", "?": "_"}
    pattern = "".join(escaped.get(letter, letter) for letter in wanted or "")
    return [source, source, pattern, pattern]
