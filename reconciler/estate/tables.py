"""Tables and columns of the estate, derived from the records and the few tables that the product builds."""

from __future__ import annotations

import types
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pyarrow as pa

from reconciler.sdk.records import GOVERNANCE, IDENTITY, Record, doc, key

_ARROW: dict[Any, pa.DataType] = {
    str: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    datetime: pa.timestamp("us", tz="UTC"),
    date: pa.date32(),
    list[str]: pa.list_(pa.string()),
}
_SQL: dict[Any, str] = {
    str: "VARCHAR",
    bool: "BOOLEAN",
    int: "BIGINT",
    float: "DOUBLE",
    datetime: "TIMESTAMPTZ",
    date: "DATE",
    list[str]: "VARCHAR[]",
}
_NAMES: dict[Any, str] = {
    str: "text",
    bool: "yes/no",
    int: "integer",
    float: "number",
    datetime: "instant (UTC)",
    date: "date",
    list[str]: "list of text",
}


class Link(Record, frozen=True, kw_only=True, gc=False):
    """Account to person, one row an account; person_id is null unless the link holds (linked, manual)."""

    source: Annotated[str, key("Source of the account.")]
    account_id: Annotated[str, key("The account.")]
    person_id: Annotated[str | None, doc("The person, where the link holds.")] = None
    method: Annotated[str | None, doc("The matcher that decided.")] = None
    confidence: Annotated[float | None, doc("0 to 1, by the matcher.")] = None
    state: Annotated[
        Literal["linked", "proposed", "ambiguous", "manual", "rejected"] | None, doc("Whether the link holds.")
    ] = None
    since: Annotated[datetime | None, doc("When the link was first made.")] = None
    candidates: Annotated[
        list[str] | None, doc("person_ids that fit now, where that is not the linked person alone.")
    ] = None


class EffectiveAccess(Record, frozen=True, kw_only=True, gc=False):
    """Account to every entitlement it reaches through nested grants; cycle-safe, shortest path."""

    source: Annotated[str, key("Source.")]
    account_id: Annotated[str, key("The account.")]
    entitlement_id: Annotated[str, key("The entitlement reached.")]
    depth: Annotated[int | None, doc("1: held directly.")] = None
    path: Annotated[str | None, doc("Entitlement names from the one held to the one reached: A > B > C.")] = None


class Nesting(Record, frozen=True, kw_only=True, gc=False):
    """Entitlement to every entitlement that holding it gives, itself among them; for rules that ask about a few."""

    source: Annotated[str, key("Source.")]
    held_id: Annotated[str, key("The entitlement held.")]
    entitlement_id: Annotated[str, key("The entitlement that it gives.")]
    depth: Annotated[int | None, doc("1: itself.")] = None
    path: Annotated[str | None, doc("Entitlement names from the one held to the one given: A > B > C.")] = None
    privileged: Annotated[bool | None, doc("Whether the one given is privileged; null: nobody knows.")] = None


class Coverage(Record, frozen=True, kw_only=True, gc=False):
    """What was read and what was not, per source, table and partition of this snapshot."""

    source: Annotated[str, key("Source.")]
    table_name: Annotated[str, key("Estate table.")]
    partition: Annotated[str, key("Part of the table.")]
    status: Annotated[Literal["COMPLETE", "PARTIAL", "FAILED"] | None, doc("How much was read.")] = None
    rows: Annotated[int | None, doc("Rows read.")] = None
    provider_count: Annotated[int | None, doc("The provider's own count.")] = None
    gaps: Annotated[list[str] | None, doc("What could not be read, in words.")] = None
    canaries: Annotated[list[str] | None, doc("Canaries that came back.")] = None


class Special(Record, frozen=True, kw_only=True, gc=False):
    """The register of special accounts, resolved to the account's own id: by id, login, DN or ARN."""

    source: Annotated[str, key("Source.")]
    account_id: Annotated[str, key("The account, by the source's own immutable id.")]
    kind: Annotated[str | None, doc("What it is: break_glass, service, shared, agent.")] = None
    owner_role: Annotated[str | None, doc("Governance role that answers for it.")] = None
    steward: Annotated[str | None, doc("person_id of who looks after it.")] = None
    purpose: Annotated[str | None, doc("What it is for.")] = None
    reviewed_on: Annotated[date | None, doc("Last review.")] = None
    review_due_on: Annotated[date | None, doc("Next review.")] = None


class Covering(Record, frozen=True, kw_only=True, gc=False):
    """Which approvals speak of which entitlement that an account holds, whatever their decision and dates."""

    source: Annotated[str, key("Source.")]
    account_id: Annotated[str, key("The account that holds it.")]
    entitlement_id: Annotated[str, key("The entitlement held.")]
    approval_id: Annotated[str, key("An approval of the account's person, for this system, that may mean it.")]
    person_id: Annotated[str | None, doc("The person that the account is linked to.")] = None
    fit: Annotated[
        Literal["sure", "nameless", "placeless"] | None,
        doc(
            "sure; nameless: the entitlement's name is unknown; placeless: the environment that the approval asks for."
        ),
    ] = None


class FreeToHold(Record, frozen=True, kw_only=True, gc=False):
    """Entitlements that accounts hold and the approval scope frees of approval, or may free."""

    source: Annotated[str, key("Source.")]
    entitlement_id: Annotated[str, key("The entitlement held.")]
    sure: Annotated[bool | None, doc("no: its name is unknown, by which an entry may fit.")] = None


class FreeToGive(Record, frozen=True, kw_only=True, gc=False):
    """Entitlements that events name and the approval scope frees of approval, or may free."""

    source: Annotated[str, key("Source.")]
    entitlement_id: Annotated[str, key("The entitlement that an event names.")]
    sure: Annotated[bool | None, doc("no: its name is unknown, by which an entry may fit.")] = None


class Position(Record, frozen=True, kw_only=True, gc=False):
    """Entitlements that accounts hold and a department's role map gives, or may give."""

    source: Annotated[str, key("Source.")]
    entitlement_id: Annotated[str, key("The entitlement held.")]
    department: Annotated[str, key("people.department, in lower case.")]
    sure: Annotated[bool | None, doc("no: its name is unknown, by which an entry may fit.")] = None


class Holding(Record, frozen=True, kw_only=True, gc=False):
    """Every grant, with whose it is and why nobody asks for it."""

    source: Annotated[str, key("Source.")]
    principal_kind: Annotated[str, key("Kind of the holder, as in grants.")]
    principal_id: Annotated[str, key("The holder.")]
    entitlement_id: Annotated[str, key("What it holds.")]
    assignment: Annotated[str, key("How it holds it, as in grants.")]
    granted_at: Annotated[datetime | None, doc("When it was granted, by the system's own record.")] = None
    person_id: Annotated[str | None, doc("The person that the account is linked to.")] = None
    name: Annotated[str | None, doc("Name of the entitlement.")] = None
    privileged: Annotated[bool | None, doc("Whether the entitlement is privileged.")] = None
    given: Annotated[
        str | None,
        doc("Why nobody asks for it: nested, by a rule, primary, of a special account; null: somebody does."),
    ] = None
    outside: Annotated[str | None, doc("The same, or that its account is linked to nobody.")] = None


class Approvable(Record, frozen=True, kw_only=True, gc=False):
    """Every grant, with whose it is and whether it needs an approval of its own."""

    source: Annotated[str, key("Source.")]
    principal_kind: Annotated[str, key("Kind of the holder, as in grants.")]
    principal_id: Annotated[str, key("The holder.")]
    entitlement_id: Annotated[str, key("What it holds.")]
    assignment: Annotated[str, key("How it holds it, as in grants.")]
    granted_at: Annotated[datetime | None, doc("When it was granted, by the system's own record.")] = None
    person_id: Annotated[str | None, doc("The person that the account is linked to.")] = None
    owner: Annotated[str | None, doc("The person's name, or person_id.")] = None
    name: Annotated[str | None, doc("Name of the entitlement.")] = None
    privileged: Annotated[bool | None, doc("Whether the entitlement is privileged.")] = None
    given: Annotated[
        str | None,
        doc("Why it needs none: as in holdings, or by the approval scope or a role map; null: it does, or see doubt."),
    ] = None
    doubt: Annotated[
        Literal["scope", "position"] | None,
        doc("What may free it of one: a name or department is unknown. Only where given is null does it count."),
    ] = None
    outside: Annotated[str | None, doc("What given says, or that its account is linked to nobody.")] = None


class Cited(Record, frozen=True, kw_only=True, gc=False):
    """Which approvals an event names, by their own number or their change record's, whatever they decide."""

    source: Annotated[str, key("Source of the event.")]
    event_id: Annotated[str, key("The event.")]
    approval_id: Annotated[str, key("An approval that it names.")]


class Freshness(Record, frozen=True, kw_only=True, gc=False):
    """When each table of each configured source was last read whole."""

    source: Annotated[str, key("Source, as configured.")]
    table_name: Annotated[str, key("Estate table.")]
    complete_at: Annotated[datetime | None, doc("Start of the last pull that read it whole; null: none is known.")] = (
        None
    )


class RuleEvaluation(Record, frozen=True, kw_only=True, gc=False):
    """When each rule was last evaluated somewhere, in this run or one before."""

    rule_id: Annotated[str, key("Rule.")]
    evaluated_at: Annotated[datetime | None, doc("The instant judged by the last such run.")] = None


class GovernanceRole(Record, frozen=True, kw_only=True, gc=False):
    """Every governance role that suppliers, documents, special accounts, controls, configuration or holders name."""

    role: Annotated[str, key("Name of the role, in lower case.")]
    name: Annotated[str | None, doc("Its name as it is written.")] = None
    named_by: Annotated[str | None, doc("What needs it; null: it is only held.")] = None


BUILT: dict[str, type[Record]] = {
    "links": Link,
    "nesting": Nesting,
    "effective_access": EffectiveAccess,
    "coverage": Coverage,
    "specials": Special,
    "covering": Covering,
    "free_to_hold": FreeToHold,
    "free_to_give": FreeToGive,
    "positions": Position,
    "holdings": Holding,
    "approvable": Approvable,
    "cited": Cited,
    "freshness": Freshness,
    "rule_evaluations": RuleEvaluation,
    "governance_roles": GovernanceRole,
}
"""Tables that the product builds from a snapshot and what is sealed with it."""


class Conflict(Record, frozen=True, kw_only=True, gc=False):
    """Toxic combinations: nobody may hold something of both sides."""

    conflict: Annotated[str, key("Name of the combination.")]
    side: Annotated[Literal["left", "right"], key("Which of the two sides.")]
    number: Annotated[int, key("Place among the entries of the side, from 1.")]
    source: Annotated[str | None, doc("Source it is limited to; null: any.")] = None
    entitlement: Annotated[str | None, doc("Entitlement id, name or pattern (* and ?), in lower case.")] = None
    why: Annotated[str | None, doc("Why nobody may hold both.")] = None


class ApprovalScope(Record, frozen=True, kw_only=True, gc=False):
    """Which entitlements need an approval; the first entry that fits decides, and what none fits needs one."""

    number: Annotated[int, key("Place in the configuration, from 1.")]
    source: Annotated[str | None, doc("Source it is limited to; null: any.")] = None
    entitlement: Annotated[str | None, doc("Entitlement id, name or pattern (* and ?), in lower case.")] = None
    approval: Annotated[Literal["required", "not_required"] | None, doc("Whether an approval is needed.")] = None


class RoleMap(Record, frozen=True, kw_only=True, gc=False):
    """What a department's people hold by their position, without an approval of their own."""

    number: Annotated[int, key("Place in the configuration, from 1.")]
    department: Annotated[str | None, doc("people.department, in lower case.")] = None
    source: Annotated[str | None, doc("Source it is limited to; null: any.")] = None
    entitlement: Annotated[str | None, doc("Entitlement id, name or pattern (* and ?), in lower case.")] = None


class Control(Record, frozen=True, kw_only=True, gc=False):
    """Controls, as controls.toml declares them."""

    control_id: Annotated[str, key("Id of the control.")]
    title: Annotated[str | None, doc("What it asks.")] = None
    owner_role: Annotated[str | None, doc("Governance role that owns it.")] = None
    evidence_days: Annotated[int | None, doc("Days for which evidence is fresh.")] = None
    test_days: Annotated[int | None, doc("Days between two tests of it; null: no test is asked.")] = None


class ControlRule(Record, frozen=True, kw_only=True, gc=False):
    """Which rules show whether a control works."""

    control_id: Annotated[str, key("Id of the control.")]
    rule_id: Annotated[str, key("Rule.")]


class NamedRole(Record, frozen=True, kw_only=True, gc=False):
    """Governance roles that the configuration names: who answers for nonconformities, and whom they go up to."""

    role: Annotated[str, key("Governance role.")]
    named_by: Annotated[str, key("Where it names it.")]


DECLARED: dict[str, type[Record]] = {
    "conflicts": Conflict,
    "approval_scope": ApprovalScope,
    "role_maps": RoleMap,
    "controls": Control,
    "control_rules": ControlRule,
    "named_roles": NamedRole,
}
"""Tables that the organisation declares in its configuration; they are always whole."""


Group = Literal["identity", "governance", "built", "declared"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, Python type, whether it is of the key, the values it may take, and what it means."""

    name: str
    type: Any
    key: bool
    values: tuple[str, ...]
    doc: str

    @property
    def arrow(self) -> pa.Field[Any]:
        """The Arrow field; key columns are not nullable."""
        return pa.field(self.name, _ARROW[self.type], nullable=not self.key)

    @property
    def sql(self) -> str:
        """The DuckDB type."""
        return _SQL[self.type]

    @property
    def type_name(self) -> str:
        """The type in words, for people."""
        return _NAMES[self.type]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the estate."""

    name: str
    group: Group
    doc: str
    columns: tuple[Column, ...]
    record: type[Record]

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the key columns, in order."""
        return tuple(column.name for column in self.columns if column.key)

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema."""
        return pa.schema([column.arrow for column in self.columns])

    def ddl(self, columns: Collection[str] | None = None, *, strict: bool = True) -> str:
        """``CREATE TABLE`` for DuckDB, empty, with all or some columns; not ``strict``: keys may be null."""
        lines = ", ".join(
            f'"{c.name}" {c.sql}' + (" NOT NULL" if strict and c.key else "")
            for c in self.columns
            if columns is None or c.name in columns
        )
        return f'CREATE TABLE "{self.name}" ({lines})'

    def column(self, name: str) -> Column | None:
        """Return the column of that name, None where there is none."""
        return next((column for column in self.columns if column.name == name), None)


def _column(name: str, hint: Any) -> Column:
    meta = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, msgspec.Meta)), None)
    if meta is None or not meta.description:
        message = f"column {name} has no description"
        raise TypeError(message)
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(bare) in {Union, types.UnionType}:
        bare = next(part for part in get_args(bare) if part is not type(None))
    values: tuple[str, ...] = ()
    if get_origin(bare) is Literal:
        values, bare = get_args(bare), str
    return Column(name, bare, bool(meta.extra and meta.extra.get("key")), values, meta.description)


@cache
def tables() -> dict[str, Table]:
    """Return every table of the estate by name: identity, governance, built, then declared ones."""
    found: dict[str, Table] = {}
    groups: dict[Group, dict[str, type[Record]]] = {
        "identity": IDENTITY,
        "governance": GOVERNANCE,
        "built": BUILT,
        "declared": DECLARED,
    }
    for group, name, record in ((group, *item) for group, records in groups.items() for item in records.items()):
        hints = get_type_hints(record, include_extras=True)
        columns = tuple(_column(field, hints[field]) for field in record.__struct_fields__)
        summary = (record.__doc__ or "").strip().splitlines()[0]
        found[name] = Table(name, group, summary, columns, record)
    return found
