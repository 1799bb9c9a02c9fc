"""The one vocabulary: schema, DDL and reference page derive from the records."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from reconciler.estate import reference
from reconciler.estate.tables import tables
from reconciler.sdk.records import GOVERNANCE, IDENTITY, RECORDS

ROOT = Path(__file__).parents[2]

EXPECTED_KEYS = {
    "accounts": ("source", "account_id"),
    "entitlements": ("source", "entitlement_id"),
    "grants": ("source", "principal_kind", "principal_id", "entitlement_id", "assignment"),
    "credentials": ("source", "credential_id"),
    "events": ("source", "event_id"),
    "people": ("person_id",),
    "approvals": ("approval_id",),
    "suppliers": ("supplier_id",),
    "contracts": ("contract_id",),
    "exceptions": ("exception_id",),
    "reviews": ("review_id", "source", "account_id", "entitlement_id"),
    "trainings": ("person_id", "course"),
    "documents": ("document_id",),
    "role_holders": ("role", "person_id", "since"),
    "special_accounts": ("source", "account_id"),
    "links": ("source", "account_id"),
    "nesting": ("source", "held_id", "entitlement_id"),
    "effective_access": ("source", "account_id", "entitlement_id"),
    "specials": ("source", "account_id"),
    "covering": ("source", "account_id", "entitlement_id", "approval_id"),
    "free_to_hold": ("source", "entitlement_id"),
    "free_to_give": ("source", "entitlement_id"),
    "positions": ("source", "entitlement_id", "department"),
    "holdings": ("source", "principal_kind", "principal_id", "entitlement_id", "assignment"),
    "approvable": ("source", "principal_kind", "principal_id", "entitlement_id", "assignment"),
    "cited": ("source", "event_id", "approval_id"),
    "freshness": ("source", "table_name"),
    "rule_evaluations": ("rule_id",),
    "governance_roles": ("role",),
    "conflicts": ("conflict", "side", "number"),
    "approval_scope": ("number",),
    "role_maps": ("number",),
    "controls": ("control_id",),
    "control_rules": ("control_id", "rule_id"),
    "named_roles": ("role", "named_by"),
    "control_tests": ("control_id", "test_id"),
    "coverage": ("source", "table_name", "partition"),
}


def test_every_table_stands_with_its_key() -> None:
    assert {name: table.key for name, table in tables().items()} == EXPECTED_KEYS


def test_only_key_columns_are_required() -> None:
    for table in tables().values():
        assert {field.name for field in table.schema if not field.nullable} == set(table.key)


@pytest.mark.parametrize("name", EXPECTED_KEYS)
def test_the_ddl_runs_and_agrees_with_the_arrow_schema(name: str) -> None:
    table = tables()[name]
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(table.ddl())
        found = connection.table(name).arrow().read_all().schema
    assert found.names == table.schema.names
    assert [_plain(f.type) for f in found] == [_plain(f.type) for f in table.schema]


def _plain(kind: pa.DataType) -> str:
    """A list's inner field has a name of its own in each library; the item type is what counts."""
    return f"list {kind.value_type}" if pa.types.is_list(kind) else str(kind)


def test_a_record_of_every_table_fits_its_schema() -> None:
    sample = {"text": "x", "yes/no": True, "integer": 1, "number": 0.5, "list of text": ["x"]}
    sample |= {"instant (UTC)": datetime(2026, 1, 1, tzinfo=UTC), "date": date(2026, 1, 1)}
    for name, record in RECORDS.items():
        table = tables()[name]
        values = {c.name: (c.values[0] if c.values else sample[c.type_name]) for c in table.columns}
        row = record(**values)
        built = pa.Table.from_pylist([{f: getattr(row, f) for f in row.__struct_fields__}], schema=table.schema)
        assert built.num_rows == 1


def test_identity_tables_come_in_the_order_they_are_pulled() -> None:
    assert list(IDENTITY) == ["accounts", "entitlements", "grants", "credentials", "events"]
    assert not set(IDENTITY) & set(GOVERNANCE)


def test_every_column_says_what_it_means() -> None:
    assert all(c.doc.endswith(".") for table in tables().values() for c in table.columns)


def test_the_reference_page_is_up_to_date() -> None:
    text = (ROOT / "reconciler" / "estate" / "README.md").read_text(encoding="utf-8")
    assert reference.replaced(text) == text, "run `python -m reconciler.estate.reference`"
