"""The records of a ServiceNow instance: tables, journals, encoded queries, access rules, one transform map.

As documented: fields that a table does not have, or that an access rule keeps, are dropped without a word, on the way
in and on the way out; a part of a query by such a field is ignored; rules hide rows after they were counted.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random

Row = dict[str, str]

TASK = [
    "sys_id",
    "number",
    "correlation_id",
    "correlation_display",
    "short_description",
    "description",
    "state",
    "active",
    "priority",
    "impact",
    "urgency",
    "assigned_to",
    "assignment_group",
    "due_date",
    "close_code",
    "close_notes",
    "work_notes",
    "comments",
    "sys_created_on",
    "sys_created_by",
    "sys_updated_on",
    "category",
]
COLUMNS: dict[str, list[str]] = {
    "incident": TASK,
    "sn_grc_issue": [*TASK, "item", "issue_source"],
    "sn_grc_m2m_issue_item": ["sys_id", "sn_grc_issue", "sn_grc_item", "sys_created_on"],
    "sys_journal_field": ["sys_id", "element_id", "element", "name", "value", "sys_created_by", "sys_created_on"],
    "u_reconciler_tickets": [f"u_{name}" for name in TASK],
}
CHOICES = {
    "incident": {"1": "New", "2": "In Progress", "3": "On Hold", "6": "Resolved", "7": "Closed", "8": "Canceled"},
    "sn_grc_issue": {"1": "New", "2": "Analyze", "3": "Closed Complete", "4": "Closed Incomplete"},
}
_NUMBERS = {"incident": "INC", "sn_grc_issue": "ISS"}
_ENDED = {"incident": {"7", "8"}, "sn_grc_issue": {"3", "4", "7"}}


class RefusedError(Exception):
    """What the instance says no with: status, message, detail."""

    def __init__(self, status: int, message: str, detail: str) -> None:
        super().__init__(message)
        self.status, self.message, self.detail = status, message, detail


@dataclass
class Instance:
    """The state; change its attributes to change what the instance does from then on."""

    tables: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in COLUMNS})
    hidden_rows: set[str] = field(default_factory=set)
    """sys_ids that an access rule hides from everybody here."""
    hidden_tables: set[str] = field(default_factory=set)
    """Tables of which no row shows."""
    denied: set[str] = field(default_factory=set)
    """Tables that answer 403."""
    hidden_fields: set[str] = field(default_factory=set)
    """Names of fields that can neither be read, written nor queried."""
    no_rows_on_invalid_query: bool = False
    rule: Callable[[str, Row], object] | None = None
    """A business rule: called with table and record before each write, and may change it."""
    coalesces: bool = True
    now: datetime = datetime(2026, 3, 1, 8, tzinfo=UTC)
    _random: Random = field(default_factory=lambda: Random(11))
    _numbers: int = 10_000

    def columns(self, table: str) -> list[str]:
        """Return the fields of a table that show; raise for a table that there is none of."""
        if table not in self.tables:
            raise RefusedError(400, f"Invalid table {table}", "")
        if table in self.denied:
            raise RefusedError(403, "User Not Authorized", f"Failed API level ACL Validation on {table}")
        return [name for name in COLUMNS[table] if name not in self.hidden_fields]

    def insert(self, table: str, values: Row, user: str) -> Row:
        """Make a record, and return it."""
        self.columns(table)
        row = dict.fromkeys(COLUMNS[table], "")
        row |= {"sys_id": self._id(), "sys_created_on": self._tick(), "sys_created_by": user}
        if table in _NUMBERS:
            self._numbers += 1
            row |= {"number": f"{_NUMBERS[table]}{self._numbers:07}", "state": "1", "active": "true"}
        return self._write(table, row, values, user)

    def update(self, table: str, sys_id: str, values: Row, user: str) -> Row:
        """Change a record, and return it."""
        self.columns(table)
        row = self.tables[table].get(sys_id)
        if row is None or self.hides(table, sys_id):
            raise RefusedError(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")
        return self._write(table, dict(row), values, user)

    def delete(self, table: str, sys_id: str) -> None:
        """Delete a record, as an administrator does."""
        del self.tables[table][sys_id]

    def transform(self, staging: str, values: Row, user: str) -> tuple[str, Row]:
        """Load a row through the transform map of a staging table: status, and the incident."""
        prefix = "u_"
        fields = {name.removeprefix(prefix): value for name, value in values.items() if name in self.columns(staging)}
        key = fields.get("correlation_id", "")
        for row in self.tables["incident"].values():
            if self.coalesces and row["correlation_id"] == key:
                same = all(row.get(name) == value for name, value in fields.items())
                return ("ignored", row) if same else ("updated", self._write("incident", dict(row), fields, user))
        return "inserted", self.insert("incident", fields, user)

    def select(self, table: str, query: str) -> list[Row]:
        """Return the rows that an encoded query matches, hidden ones too, in its order."""
        columns = self.columns(table)
        rows = list(self.tables[table].values())
        orders: list[tuple[str, bool]] = []
        for part in filter(None, query.split("^")):
            found = re.match(r"(ORDERBYDESC|ORDERBY)([a-z_]+)$|([a-z_]+?)(STARTSWITH|IN|=)(.*)$", part)
            name = (found[2] or found[3]) if found else ""
            if found is None or name not in columns:
                if self.no_rows_on_invalid_query:
                    return []
                continue
            if found[2]:
                orders.append((found[2], found[1] == "ORDERBYDESC"))
            else:
                rows = [row for row in rows if _fits(row[found[3]], found[4], found[5])]
        for name, down in reversed(orders):
            rows.sort(key=lambda row: row[name], reverse=down)
        return rows

    def hides(self, table: str, sys_id: str) -> bool:
        """Say whether an access rule hides a row."""
        return table in self.hidden_tables or sys_id in self.hidden_rows

    def journal(self, table: str, sys_id: str, element: str, said: str, user: str) -> None:
        """Write a remark, as a person does."""
        self._write(table, dict(self.tables[table][sys_id]), {element: said}, user)

    def _write(self, table: str, row: Row, values: Row, user: str) -> Row:
        if "sys_updated_on" in row:
            row["sys_updated_on"] = self._tick()
        shown = self.columns(table)
        kept = {name: str(value) for name, value in values.items() if name in shown}
        said = {name: kept.pop(name) for name in ("work_notes", "comments") if table in CHOICES and name in kept}
        row |= kept
        if self.rule is not None:
            self.rule(table, row)
        if table == "incident" and row["state"] == "6" and not (row["close_code"] and row["close_notes"]):
            detail = "Data Policy Exception: Close code is mandatory, Close notes is mandatory"
            raise RefusedError(403, "Operation Failed", detail)
        if table in _ENDED:
            row["active"] = str(row["state"] not in _ENDED[table]).lower()
        self.tables[table][row["sys_id"]] = row
        for element, text in said.items():
            entry = {"element_id": row["sys_id"], "element": element, "name": table, "value": text}
            made = dict.fromkeys(COLUMNS["sys_journal_field"], "") | entry
            made |= {"sys_id": self._id(), "sys_created_by": user, "sys_created_on": self._tick()}
            self.tables["sys_journal_field"][made["sys_id"]] = made
        return row

    def _id(self) -> str:
        return uuid.UUID(int=self._random.getrandbits(128)).hex

    def _tick(self) -> str:
        self.now += timedelta(seconds=1)
        return self.now.strftime("%Y-%m-%d %H:%M:%S")


def _fits(value: str, operator: str, wanted: str) -> bool:
    if operator == "STARTSWITH":
        return value.startswith(wanted)
    return value in wanted.split(",") if operator == "IN" else value == wanted
