"""A large estate made by SQL and sealed as a snapshot, in minutes rather than by pulling ten million records.

Two identity sources and a governance source; ten grants an account, an approval for each, groups nested to depth six
with cycles among them, and five in a hundred of everything wrong in every way that a rule looks for. What is drawn
depends on a row's number alone: the same size gives the same rows with the same version of DuckDB.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from reconciler import __version__
from reconciler.estate.tables import ApprovalScope, Conflict, Control, ControlRule, RoleMap, Table, tables
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Record
from reconciler.snapshot import Snapshot, manifest
from reconciler.snapshot.manifest import CoverageEntry, FileEntry, Manifest, SourceEntry

AS_OF = datetime(2026, 3, 1, tzinfo=UTC)
SIZES = {"S": 10_000, "M": 100_000, "L": 1_000_000}
"""Accounts of each size; grants are ten times as many."""

_ID = "20260301T000000Z-000001"
_IDENTITY = ("directory", "cloud")

_MACROS = """
-- whether row n has the anomaly that is numbered so: in `percent` of a hundred rows
CREATE MACRO odd(n, anomaly, percent) AS hash(n, anomaly) % 1000 < percent * 10;
CREATE MACRO pick(n, salt, many) AS CAST(hash(n, salt) % many AS BIGINT);
CREATE MACRO day(n, salt, since, days) AS CAST(since AS DATE) + CAST(hash(n, salt) % days AS INTEGER);
CREATE MACRO moment(n, salt, since, days) AS
  CAST(since AS TIMESTAMPTZ) + to_minutes(CAST(hash(n, salt) % (days * 1440) AS INTEGER));
"""

_PLAN = """
CREATE TABLE plan AS
SELECT i, i >= {own} AS cloud, CASE WHEN i < {own} THEN 'directory' ELSE 'cloud' END AS source,
       concat(CASE WHEN i < {own} THEN 'u' ELSE 'c' END, i) AS account_id,
       -- cloud accounts are partly of people who have one in the directory, too
       CASE WHEN odd(i, 1, 5) THEN NULL WHEN i < {own} THEN i ELSE i - {own} + {shared} END AS person,
       odd(i, 2, 5) AS machine
FROM range({accounts}) t(i);
CREATE TABLE held AS
SELECT n, n % {accounts} AS i, p.source, p.account_id, p.person,
       concat(CASE WHEN p.cloud THEN 'x' ELSE 'e' END,
              (p.i * 7 + (n // {accounts}) * 977) % CASE WHEN p.cloud THEN {cloud_things}
                ELSE {things} END) AS entitlement_id,
       moment(n, 3, '2025-01-01', 300) AS granted_at
FROM range({grants}) t(n) JOIN plan p ON p.i = n % {accounts};
"""

_ACCOUNTS = """
SELECT source, account_id, CASE WHEN person IS NULL THEN concat('stray', i) ELSE concat('user', person) END AS login,
       CASE WHEN machine THEN concat('Service ', i) WHEN person IS NULL THEN concat('Stray ', i)
            ELSE concat('Given', person % 500, ' Family', person) END AS display_name,
       CASE WHEN person IS NULL OR odd(i, 10, 5) THEN NULL ELSE concat('user', person, '@example.test') END AS email,
       CASE WHEN person IS NULL THEN NULL ELSE CAST(person AS VARCHAR) END AS employee_id,
       CASE WHEN odd(i, 11, 1) THEN NULL WHEN machine THEN 'service' WHEN person % 20 = 3 THEN 'guest'
         ELSE 'human' END AS kind,
       CASE WHEN odd(i, 12, 1) THEN NULL WHEN person % 20 = 7 AND NOT odd(i, 13, 40) THEN 'disabled'
            WHEN odd(i, 14, 5) THEN 'disabled' WHEN odd(i, 15, 1) THEN 'suspended' ELSE 'enabled' END AS status,
       CASE WHEN status IS NULL THEN NULL ELSE status = 'enabled' END AS can_sign_in,
       moment(i, 16, '2020-01-01', 1800) AS created_at,
       CASE WHEN odd(i, 17, 5) THEN moment(i, 18, '2024-01-01', 300) WHEN odd(i, 19, 2) THEN NULL
            ELSE moment(i, 18, '2026-01-15', 40) END AS last_sign_in_at,
       CASE WHEN odd(i, 20, 2) THEN NULL ELSE 'replicated every 14 days' END AS last_sign_in_basis,
       moment(i, 21, '2025-01-01', 400) AS password_changed_at,
       concat('user', person // 20 * 20) AS manager_ref,
       CASE WHEN machine THEN concat('user', pick(i, 22, {people})) END AS owner_ref,
       concat('dept', person % 200) AS department,
       CASE WHEN odd(i, 23, 2) THEN NULL ELSE NOT odd(i, 24, 5) END AS mfa_enrolled,
       concat('{{"dn": "uid=', account_id, ',dc=example"}}') AS attributes
FROM plan WHERE source = '{source}'
"""

_ENTITLEMENTS = """
SELECT '{source}' AS source, concat('{letter}', k) AS entitlement_id, 'group' AS kind,
       CASE WHEN odd(k, 30, 1) THEN NULL ELSE concat('Group {letter}', k) END AS name,
       CASE WHEN odd(k, 31, 1) THEN NULL ELSE odd(k, 32, 5) END AS privileged,
       CASE WHEN odd(k, 33, 5) THEN NULL WHEN k % 3 = 0 THEN 'test' ELSE 'production' END AS environment,
       concat('user', pick(k, 34, {people})) AS owner_ref,
       CASE WHEN odd(k, 35, 2) THEN 'dynamic' ELSE 'assigned' END AS membership
FROM range({many}) t(k)
"""

_GRANTS = """
SELECT source, 'account' AS principal_kind, account_id AS principal_id, entitlement_id,
       CASE WHEN odd(n, 40, 2) THEN 'dynamic' WHEN odd(n, 41, 2) THEN 'eligible' WHEN odd(n, 42,
         1) THEN 'just_in_time'
            ELSE 'direct' END AS assignment,
       CASE WHEN odd(n, 43, 1) THEN NULL ELSE granted_at END AS granted_at,
       CASE WHEN odd(n, 44, 5) THEN moment(n, 45, '2026-04-01', 300) END AS expires_at
FROM held WHERE source = '{source}'
UNION ALL
-- half of the entitlements stand in chains of six; the end of every twentieth chain leads back to its start
SELECT '{source}', 'entitlement', concat('{letter}', k),
       concat('{letter}', CASE WHEN k % 12 = 5 THEN k - 5 ELSE k + 1 END), 'direct', NULL, NULL
FROM range({many}) t(k)
WHERE k % 12 < 5 AND k + 5 < {many} OR (k % 12 = 5 AND (k // 12) % 20 = 0)
"""

_CREDENTIALS = """
SELECT source, concat('k', i) AS credential_id, account_id,
       CASE pick(i, 50, 5) WHEN 0 THEN 'password' WHEN 1 THEN 'access_key' WHEN 2 THEN 'client_secret'
                           WHEN 3 THEN 'certificate' ELSE 'api_token' END AS kind,
       CASE WHEN odd(i, 51, 1) THEN NULL WHEN odd(i, 52, 5) THEN 'inactive' ELSE 'active' END AS status,
       moment(i, 53, CASE WHEN odd(i, 54, 5) THEN '2024-01-01' ELSE '2025-12-10' END, 60) AS created_at,
       concat('user', pick(i, 55, {people})) AS created_by,
       CASE WHEN odd(i, 56, 5) THEN moment(i, 57, '2026-02-01', 30) ELSE moment(i, 57, '2026-09-01',
         300) END AS expires_at,
       CASE WHEN odd(i, 58, 5) THEN moment(i, 59, '2024-06-01', 90) WHEN odd(i, 60, 2) THEN NULL
            ELSE moment(i, 59, '2026-02-01', 25) END AS last_used_at,
       'last use, to the day' AS last_used_basis
FROM plan WHERE source = '{source}'
"""

_EVENTS = """
WITH given AS (
  SELECT source, concat('g', n) AS event_id, granted_at AS occurred_at, 'entitlement_granted' AS action,
         'add member' AS raw_action,
         account_id AS target_id, 'account' AS target_kind, entitlement_id,
         CASE WHEN odd(n, 70, 5) THEN NULL WHEN odd(n, 71, 5) THEN 'A-unknown' ELSE concat('A', n) END AS approval_ref
  FROM held WHERE n % 10 = 0
),
closed AS (
  SELECT source, concat('d', i), CAST(CASE WHEN odd(i, 72, 5) THEN '2026-02-20'
         ELSE '2026-01-31 20:00:00' END AS TIMESTAMPTZ),
         'account_disabled', 'disable', account_id, 'account', CAST(NULL AS VARCHAR), CAST(NULL AS VARCHAR)
  FROM plan WHERE person % 20 = 7 AND NOT odd(i, 73, 5)
),
opened AS (
  SELECT source, concat('o', i), moment(i, 74, '2026-02-03', 20), 'account_enabled', 'enable', account_id,
         'account', NULL, NULL
  FROM plan WHERE person % 20 = 7 AND odd(i, 75, 5)
),
moved AS (
  SELECT source, concat('m', i), moment(i, 76, '2025-09-01', 60), 'role_changed', 'department changed', account_id,
         'account', NULL,
         CASE WHEN odd(i, 77, 5) THEN NULL ELSE concat('M', person) END
  FROM plan WHERE person % 20 = 11
),
used AS (
  SELECT p.source, concat('s', p.i, '-', r), moment(p.i * 7 + r, 78, '2026-01-01', 59), 'sign_in',
         CASE WHEN p.machine AND NOT odd(p.i, 79, 5) THEN 'network' ELSE 'interactive' END, p.account_id,
           'account', NULL, NULL
  FROM plan p, range({sign_ins}) t(r)
)
SELECT source, event_id, occurred_at, concat('admin', hash(event_id) % 50) AS actor_id, action, raw_action,
         target_id, target_kind,
       entitlement_id, approval_ref, CASE WHEN hash(event_id) % 100 = 1 THEN NULL ELSE 'success' END AS outcome
FROM (SELECT * FROM given UNION ALL SELECT * FROM closed UNION ALL SELECT * FROM opened UNION ALL SELECT * FROM moved
      UNION ALL SELECT * FROM used)
WHERE source = '{source}'
"""

_PEOPLE = """
SELECT concat('P', p) AS person_id, concat('Given', p % 500, ' Family', p) AS full_name,
       [concat('user', p, '@example.test')] AS emails, [concat('user', p)] AS logins,
         CAST(p AS VARCHAR) AS employee_id,
       CASE WHEN odd(p, 80, 1) THEN NULL WHEN p % 10 = 3 THEN 'supplier' ELSE 'employee' END AS kind,
       CASE WHEN p % 20 = 7 THEN 'terminated' ELSE 'active' END AS status,
       day(p, 81, '2015-01-01', 3000) AS starts_on,
       CASE WHEN p % 20 = 7 THEN CASE WHEN odd(p, 82, 2) THEN NULL ELSE DATE '2026-01-31' END
            WHEN odd(p, 83, 5) THEN day(p, 84, '2026-04-01', 300) END AS ends_on,
       CASE WHEN odd(p, 85, 1) THEN 'Mars/Olympus' WHEN p % 2 = 0 THEN 'Europe/Amsterdam' END AS time_zone,
       concat('P', p // 20 * 20) AS manager_id, CASE WHEN odd(p, 86, 1) THEN NULL ELSE concat('dept',
         p % 200) END AS department,
       CASE WHEN p % 10 = 3 AND NOT odd(p, 87, 5) THEN concat('S', p % 1000) END AS supplier_id,
       CASE WHEN p % 10 = 3 AND NOT odd(p, 88, 5) THEN concat('C', p % 5000) END AS contract_id
FROM range({people}) t(p)
"""

_APPROVALS = """
SELECT concat('A', n) AS approval_id, CASE WHEN odd(n, 100, 1) THEN NULL ELSE 'access_request' END AS kind,
       concat('P', person) AS person_id, source AS system,
       CASE WHEN odd(n, 101, 15) THEN concat('group ', entitlement_id) WHEN odd(n, 102,
         1) THEN concat(left(entitlement_id, 3), '*')
            ELSE entitlement_id END AS entitlement,
       concat('P', CASE WHEN odd(n, 103, 5) THEN pick(n, 121, {approvers}) * 20 ELSE person END) AS requested_by,
       CASE WHEN odd(n, 105, 5) THEN requested_by WHEN odd(n, 106, 5) THEN concat('P', pick(n, 107, {people}))
            ELSE concat('P', pick(n, 104, {approvers}) * 20) END AS approved_by,
       concat('P', pick(n, 122, 20) * 20 + 1) AS executed_by, 'needed for work' AS justification,
       CASE WHEN odd(n, 108, 1) THEN NULL WHEN odd(n, 109, 5) THEN 'rejected' ELSE 'approved' END AS decision,
       CASE WHEN odd(n, 110, 5) THEN granted_at + to_days(20) ELSE granted_at - to_days(3) END AS decided_at,
       granted_at - to_days(3) AS valid_from,
       CASE WHEN odd(n, 111, 5) THEN moment(n, 112, '2026-01-01', 40) END AS valid_until,
       CASE WHEN odd(n, 123, 5) THEN 'production' END AS environment, concat('CHG', n) AS change_ref
FROM held WHERE person IS NOT NULL AND NOT odd(n, 113, 5)
UNION ALL
-- what nobody carried out
SELECT concat('U', p), 'access_request', concat('P', p), 'directory', concat('e', pick(p, 114, {things})),
         concat('P', p),
       concat('P', pick(p, 115, {approvers}) * 20), NULL, NULL, 'approved', moment(p, 116, '2025-10-01', 60), NULL,
         NULL, NULL, NULL
FROM range({people}) t(p) WHERE odd(p, 117, 5)
UNION ALL
SELECT concat('T', p), 'termination', concat('P', p), NULL, NULL, NULL, concat('P', pick(p, 118,
         {approvers}) * 20), NULL, NULL,
       'approved', TIMESTAMPTZ '2026-01-20', TIMESTAMPTZ '2026-01-31', NULL, NULL, NULL
FROM range({people}) t(p) WHERE p % 20 = 7
UNION ALL
SELECT concat('M', p), 'role_change', concat('P', p), NULL, NULL, NULL, concat('P', pick(p, 119,
         {approvers}) * 20), NULL, NULL,
       'approved', TIMESTAMPTZ '2025-09-30', TIMESTAMPTZ '2025-09-30', NULL, NULL, concat('CHG-M', p)
FROM range({people}) t(p) WHERE p % 20 = 11 AND NOT odd(p, 120, 5)
"""

_REVIEWS = """
SELECT concat('R', n) AS review_id, source, account_id, entitlement_id, concat('Q', n % 4) AS campaign,
       CASE WHEN odd(n, 130, 1) THEN NULL WHEN odd(n, 131, 5) THEN concat('P', person)
            ELSE concat('P', pick(n, 132, {approvers}) * 20) END AS reviewer_id,
       CASE WHEN odd(n, 133, 5) THEN 'revoke' WHEN odd(n, 134, 5) THEN 'undecided' ELSE 'keep' END AS decision,
       CASE WHEN odd(n, 134, 5) AND NOT odd(n, 133, 5) THEN NULL
            WHEN pick(n, 132, {approvers}) % 20 = 0 THEN
              TIMESTAMPTZ '2025-12-01 10:00:00' + to_seconds(CAST(n % 600 AS INTEGER))
            ELSE moment(n, 135, '2025-11-01', 60) END AS decided_at,
       moment(n, 136, '2026-01-01', 20) AS due_at
FROM held WHERE n % 10 = 1
"""

_GOVERNANCE = {
    "people": _PEOPLE,
    "approvals": _APPROVALS,
    "reviews": _REVIEWS,
    "suppliers": """
SELECT concat('S', s) AS supplier_id, concat('Supplier ', s) AS name, [concat('supplier', s, '.test')] AS domains,
       CASE WHEN odd(s, 140, 5) THEN 'suspended' ELSE 'qualified' END AS status,
       CASE WHEN odd(s, 141, 5) THEN DATE '2026-01-31' ELSE DATE '2027-01-31' END AS qualified_until,
         concat('role', s % 50) AS owner_role
FROM range(1000) t(s)""",
    "contracts": """
SELECT concat('C', c) AS contract_id, concat('S', c % 1000) AS supplier_id, 'active' AS status,
         DATE '2024-01-01' AS starts_on,
       CASE WHEN odd(c, 150, 5) THEN DATE '2026-01-31' WHEN odd(c, 151, 5) THEN DATE '2026-03-20'
         ELSE DATE '2027-01-31' END AS ends_on,
       'Europe/Amsterdam' AS time_zone, CASE WHEN odd(c, 152, 5) THEN ['group e1*'] ELSE ['group *'] END AS scope,
       CASE WHEN odd(c, 153, 5) THEN 1 ELSE 1000 END AS headcount, concat('P', c * 20 % {people}) AS business_owner
FROM range(5000) t(c)""",
    "exceptions": """
SELECT concat('X', x) AS exception_id, CASE WHEN x % 2 = 0 THEN 'IG-LVR-001' ELSE 'IG-APR-001' END AS rule_id,
         source, account_id,
       CASE WHEN x % 2 = 0 THEN NULL ELSE entitlement_id END AS entitlement_id, 'agreed' AS reason,
       CASE WHEN odd(x, 160, 5) THEN NULL ELSE 'reviewed by hand' END AS compensating_control, 'P0' AS approved_by,
       TIMESTAMPTZ '2025-12-01' AS approved_at,
       CASE WHEN odd(x, 161, 5) THEN TIMESTAMPTZ '2026-02-01' ELSE TIMESTAMPTZ '2026-06-01' END AS expires_at,
       concat('P', x * 20 % {people}) AS review_owner, 'active' AS status
FROM (SELECT n AS x, * FROM held WHERE n < 5000)""",
    "trainings": """
SELECT concat('P', a * 20) AS person_id, 'privileged access' AS course, DATE '2025-06-01' AS completed_on,
       CASE WHEN odd(a, 170, 5) THEN DATE '2025-12-31' ELSE DATE '2026-12-31' END AS valid_until
FROM range({approvers}) t(a) WHERE NOT odd(a, 171, 5)""",
    "documents": """
SELECT concat('D', d) AS document_id, concat('Policy ', d) AS title, 'policy' AS kind, concat('role',
         d % 50) AS owner_role, '1' AS version,
       TIMESTAMPTZ '2025-01-01' AS approved_at, CASE WHEN odd(d, 180, 5) THEN DATE '2026-01-01'
         ELSE DATE '2027-01-01' END AS next_review_on
FROM range(1000) t(d)""",
    "role_holders": """
SELECT 'access approver' AS role, concat('P', a * 20) AS person_id, DATE '2020-01-01' AS since,
       CASE WHEN odd(a, 190, 5) THEN DATE '2025-06-30' END AS until
FROM range({approvers}) t(a) WHERE NOT odd(a, 191, 5)
UNION ALL
SELECT concat('role', r), concat('P', r * 20), DATE '2020-01-01', NULL FROM range(50) t(r) WHERE r % 20 <> 7""",
    "special_accounts": """
SELECT source, CASE WHEN i % 2 = 0 THEN account_id ELSE concat('uid=', account_id, ',dc=example') END AS account_id,
       CASE WHEN i % 50 = 0 THEN 'break_glass' ELSE 'service' END AS kind, concat('role', i % 60) AS owner_role,
       CASE WHEN odd(i, 200, 5) THEN NULL ELSE concat('P', pick(i, 201, {people})) END AS steward,
         'runs something' AS purpose,
       DATE '2025-09-01' AS reviewed_on, CASE WHEN odd(i, 202, 5) THEN DATE '2026-01-01'
         ELSE DATE '2026-09-01' END AS review_due_on
FROM plan WHERE machine AND NOT odd(i, 203, 5)""",
    "control_tests": """
SELECT concat('CT-', c) AS control_id, concat('T', c) AS test_id, TIMESTAMPTZ '2026-01-10' AS performed_at,
         'P0' AS performed_by,
       CASE WHEN c % 20 = 7 THEN 'failed' ELSE 'passed' END AS outcome
FROM range(25) t(c) WHERE c % 20 <> 3""",
}

_REPORTED = {
    "accounts": _ACCOUNTS,
    "entitlements": _ENTITLEMENTS,
    "grants": _GRANTS,
    "credentials": _CREDENTIALS,
    "events": _EVENTS,
}


def declared() -> dict[str, Sequence[Record]]:
    """Return what this estate's organisation declares: three toxic combinations, scope, positions and controls."""
    return {
        "conflicts": [
            Conflict(
                conflict=f"conflict {n}",
                side=side,  # type: ignore[arg-type]  # one of the two below
                number=1,
                source=None,
                entitlement=f"group {letter}{n}",
                why=None,
            )
            for n in range(1, 4)
            for side, letter in (("left", "e"), ("right", "x"))
        ],
        "approval_scope": [
            ApprovalScope(number=n, source="directory", entitlement=f"group e{n}", approval="not_required")
            for n in range(1, 6)
        ],
        "role_maps": [
            RoleMap(number=n, department=f"dept{n}", source=None, entitlement=f"group e{n}*") for n in range(1, 11)
        ],
        "controls": [
            Control(control_id=f"CT-{n}", title=f"Control {n}", owner_role=f"role{n}", evidence_days=60, test_days=90)
            for n in range(25)
        ],
        "control_rules": [ControlRule(control_id=f"CT-{n}", rule_id="IG-LVR-001") for n in range(25)],
    }


def seal(store: Path, accounts: int) -> Snapshot:
    """Make the estate of so many accounts and ten times as many grants, and seal it in the folder of snapshots."""
    folder = store / _ID
    folder.mkdir(parents=True)
    numbers = _numbers(accounts)
    coverage: list[CoverageEntry] = []
    reports: dict[str, dict[str, tuple[str, ...]]] = {}
    with duckdb.connect(str(store / "plan.duckdb"), config={"threads": 2, "memory_limit": "2GiB"}) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
        connection.execute(_MACROS)
        connection.execute(_PLAN.format_map(numbers))
        for source, letter, many in (("directory", "e", numbers["things"]), ("cloud", "x", numbers["cloud_things"])):
            values = numbers | {"source": source, "letter": letter, "many": many}
            for name, select in _REPORTED.items():
                coverage.append(_write(connection, folder, source, tables()[name], select.format_map(values)))
        for name, select in _GOVERNANCE.items():
            coverage.append(_write(connection, folder, "qms", tables()[name], select.format_map(numbers)))
    (store / "plan.duckdb").unlink()
    for entry in coverage:
        columns = tuple(column.name for column in tables()[entry.table].columns)
        reports.setdefault(entry.source, {})[entry.table] = columns
    (folder / manifest.NAME).write_bytes(
        manifest.encode(
            Manifest(
                snapshot_id=_ID,
                estate="bench",
                as_of=AS_OF,
                started_at=AS_OF,
                sealed_at=AS_OF,
                product_version=__version__,
                sources=tuple(
                    SourceEntry(name=name, connector="bench", version="1", endpoint="none", reports=reported)
                    for name, reported in reports.items()
                ),
                coverage=tuple(coverage),
            )
        )
    )
    return Snapshot(folder)


def _numbers(accounts: int) -> dict[str, object]:
    own = accounts * 7 // 10
    things = max(200, accounts // 50)
    return {
        "accounts": accounts,
        "grants": accounts * 10,
        "own": own,
        "shared": accounts * 6 // 10,
        "people": accounts * 9 // 10,
        "things": things * 7 // 10,
        "cloud_things": things * 3 // 10,
        "approvers": max(20, accounts // 1000),
        "sign_ins": 1,
    }


def _write(
    connection: duckdb.DuckDBPyConnection, folder: Path, source: str, table: Table, select: str
) -> CoverageEntry:
    """Write one table of one source as one Parquet file, with every column of the estate."""
    given = {name for name, *_ in connection.execute(f"DESCRIBE {select}").fetchall()}
    listed = ", ".join(
        f'CAST({f"{chr(34)}{c.name}{chr(34)}" if c.name in given else "NULL"} AS {c.sql}) AS "{c.name}"'
        for c in table.columns
    )
    name = f"{source}/{table.name}.parquet"
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    connection.execute(
        f"COPY (SELECT {listed} FROM ({select})) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 65536)"  # noqa: S608  # a path and names of this module
    )
    counted = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(path)]).fetchone()
    rows = int(counted[0]) if counted else 0
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    file = FileEntry(path=name, rows=rows, bytes=path.stat().st_size, sha256=digest)
    return CoverageEntry(
        source=source, table=table.name, partition="all", status=Status.COMPLETE, rows=rows, files=(file,)
    )
