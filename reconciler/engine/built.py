"""The tables that are made of others by one SELECT: what several rules would else say each in its own words.

Each is made once for all rules that read it, and only where one does; those in ``VIEWED`` may have a row for each
grant or event, and are worked out where a rule asks. ``links`` and ``effective_access`` need more than a SELECT and
stand in modules of their own.
"""

from __future__ import annotations

from reconciler.estate import correlate

SPECIALS = """
WITH names AS (
  SELECT source, account_id, lower(trim(account_id)) AS name FROM accounts
  UNION ALL
  SELECT source, account_id, lower(trim(login)) FROM accounts
  UNION ALL
  SELECT source, account_id, lower(trim(json_extract_string(attributes, '$.dn')))
  FROM accounts WHERE json_valid(attributes)
  UNION ALL
  SELECT source, account_id, lower(trim(json_extract_string(attributes, '$.arn')))
  FROM accounts WHERE json_valid(attributes)
)
SELECT n.source, n.account_id, min(s.kind) AS kind, min(s.owner_role) AS owner_role, min(s.steward) AS steward,
       min(s.purpose) AS purpose, max(s.reviewed_on) AS reviewed_on, min(s.review_due_on) AS review_due_on
FROM special_accounts s
JOIN names n ON n.source = s.source AND n.name = lower(trim(s.account_id))
GROUP BY n.source, n.account_id
"""

_PATTERN = r"""CASE WHEN regexp_matches(entitlement, '[*?]') THEN
           -- LIKE, since a regular expression of each row's own would be compiled for each row
           replace(replace(replace(replace(replace(lower(trim(entitlement)),
             '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         END"""

COVERING = rf"""
WITH held AS (
  SELECT g.source, g.account_id, g.entitlement_id, l.person_id, lower(g.source) AS system,
         lower(g.entitlement_id) AS id_key, lower(trim(e.name)) AS name_key, lower(trim(e.environment)) AS environment
  FROM (
    SELECT DISTINCT source, principal_id AS account_id, entitlement_id FROM grants WHERE principal_kind = 'account'
  ) g
  JOIN links l ON l.source = g.source AND l.account_id = g.account_id AND l.person_id IS NOT NULL
  LEFT JOIN entitlements e ON e.source = g.source AND e.entitlement_id = g.entitlement_id
),
asked AS (
  SELECT approval_id, person_id, lower(trim(system)) AS system, lower(trim(environment)) AS environment,
         lower(trim(entitlement)) AS wanted,
         {_PATTERN} AS pattern
  FROM approvals
  WHERE entitlement IS NOT NULL
),
fitting AS (
  -- Nearly all approvals name one entitlement: these are looked up. No row comes from two of the four.
  SELECT h.source, h.account_id, h.entitlement_id, a.approval_id, h.person_id, true AS fits,
         h.system, h.environment, a.system AS asked_system, a.environment AS asked_environment
  FROM held h
  JOIN asked a ON a.person_id = h.person_id AND a.wanted = h.id_key
  UNION ALL
  SELECT h.source, h.account_id, h.entitlement_id, a.approval_id, h.person_id, true,
         h.system, h.environment, a.system, a.environment
  FROM held h
  JOIN asked a ON a.person_id = h.person_id AND a.wanted = h.name_key
  WHERE h.name_key <> h.id_key
  UNION ALL
  SELECT h.source, h.account_id, h.entitlement_id, a.approval_id, h.person_id, true,
         h.system, h.environment, a.system, a.environment
  FROM held h
  JOIN asked a ON a.person_id = h.person_id
  WHERE a.pattern IS NOT NULL AND a.wanted <> h.id_key AND a.wanted IS DISTINCT FROM h.name_key
    AND (h.id_key LIKE a.pattern ESCAPE '\' OR coalesce(h.name_key LIKE a.pattern ESCAPE '\', false))
  UNION ALL
  SELECT h.source, h.account_id, h.entitlement_id, a.approval_id, h.person_id, false,
         h.system, h.environment, a.system, a.environment
  FROM held h
  JOIN asked a ON a.person_id = h.person_id
  WHERE h.name_key IS NULL AND a.wanted <> h.id_key AND NOT coalesce(h.id_key LIKE a.pattern ESCAPE '\', false)
)
SELECT source, account_id, entitlement_id, approval_id, person_id,
       CASE WHEN NOT fits THEN 'nameless' WHEN asked_environment IS NOT NULL AND environment IS NULL THEN 'placeless'
            ELSE 'sure' END AS fit
FROM fitting
WHERE (asked_system IS NULL OR asked_system = system)
  AND (asked_environment IS NULL OR environment IS NULL OR asked_environment = environment)
"""  # noqa: S608  # all of it is our own text

_OUTSIDE = "coalesce(given, CASE WHEN person_id IS NULL THEN 'its account is linked to nobody' END) AS outside"

HOLDINGS = f"""
SELECT *, {_OUTSIDE}
FROM (
  SELECT g.source, g.principal_kind, g.principal_id, g.entitlement_id, g.assignment, g.granted_at, l.person_id,
         e.name, e.privileged,
         CASE
           WHEN g.principal_kind <> 'account' THEN 'it nests one entitlement in another'
           WHEN g.assignment IN ('dynamic', 'inherited') OR e.membership = 'dynamic' THEN 'it follows from a rule'
           WHEN e.membership = 'primary' THEN 'it is the account''s primary group'
           WHEN s.account_id IS NOT NULL THEN 'its account is registered as special'
         END AS given
  FROM grants g
  LEFT JOIN entitlements e ON e.source = g.source AND e.entitlement_id = g.entitlement_id
  LEFT JOIN links l ON g.principal_kind = 'account' AND l.source = g.source AND l.account_id = g.principal_id
  LEFT JOIN specials s ON g.principal_kind = 'account' AND s.source = g.source AND s.account_id = g.principal_id
)
"""  # noqa: S608  # all of it is our own text


def _matched(things: str, entries: str, column: str) -> str:
    """Return WITH queries, the last ``matched``: what entries of the configuration say of the entitlements of things.

    One that may fit, for the entitlement's name is unknown, does not fit (``fits``), but stands there, too.
    """
    return rf"""
WITH named AS (
  SELECT t.source, t.entitlement_id, lower(t.entitlement_id) AS id_key, lower(trim(e.name)) AS name_key
  FROM (SELECT DISTINCT source, entitlement_id FROM {things}) t
  LEFT JOIN entitlements e ON e.source = t.source AND e.entitlement_id = t.entitlement_id
),
entries AS (
  SELECT number, {column}, lower(trim(source)) AS system, lower(trim(entitlement)) AS wanted,
         {_PATTERN} AS pattern
  FROM {entries}
),
compared AS (
  SELECT t.source, t.entitlement_id, n.number, n.{column}, t.name_key IS NULL AS nameless,
         n.wanted = t.id_key OR coalesce(n.wanted = t.name_key, false)
           OR coalesce(t.id_key LIKE n.pattern ESCAPE '\', false)
           OR coalesce(t.name_key LIKE n.pattern ESCAPE '\', false) AS fits
  FROM named t
  CROSS JOIN entries n
  WHERE n.system IS NULL OR n.system = lower(t.source)
),
matched AS (
  SELECT source, entitlement_id, number, {column}, fits FROM compared WHERE fits OR nameless
)"""  # noqa: S608  # all of it is our own text


_FREED = """,
decided AS (
  SELECT source, entitlement_id,
         min(CASE WHEN approval = 'not_required' THEN number END) AS may_free,
         min(CASE WHEN approval = 'not_required' AND fits THEN number END) AS frees,
         min(CASE WHEN approval = 'required' THEN number END) AS may_ask,
         min(CASE WHEN approval = 'required' AND fits THEN number END) AS asks
  FROM matched
  GROUP BY source, entitlement_id
)
-- The first entry that fits decides; one that may fit leaves it open.
SELECT source, entitlement_id, coalesce(frees < coalesce(may_ask, frees + 1), false) AS sure
FROM decided
WHERE may_free < coalesce(asks, may_free + 1)
"""

_HELD = "grants WHERE principal_kind = 'account'"

FREE_TO_HOLD = _matched(_HELD, "approval_scope", "approval") + _FREED

FREE_TO_GIVE = _matched("events WHERE entitlement_id IS NOT NULL", "approval_scope", "approval") + _FREED

POSITIONS = (
    _matched(_HELD, "role_maps", "department")
    + """
SELECT source, entitlement_id, department, bool_or(fits) AS sure
FROM matched
WHERE department IS NOT NULL
GROUP BY source, entitlement_id, department
"""
)

APPROVABLE = f"""
SELECT *, {_OUTSIDE}
FROM (
  SELECT h.source, h.principal_kind, h.principal_id, h.entitlement_id, h.assignment, h.granted_at, h.person_id,
         coalesce(p.full_name, h.person_id) AS owner, h.name, h.privileged,
         CASE
           WHEN h.given IS NOT NULL THEN h.given
           WHEN f.sure THEN 'the approval scope asks no approval of it'
           WHEN m.sure THEN concat('the role map of ', p.department, ' gives it')
         END AS given,
         CASE
           WHEN f.entitlement_id IS NOT NULL THEN 'scope'
           WHEN m.entitlement_id IS NOT NULL
             OR (n.entitlement_id IS NOT NULL AND nullif(trim(p.department), '') IS NULL) THEN 'position'
         END AS doubt
  FROM holdings h
  LEFT JOIN people p ON p.person_id = h.person_id
  LEFT JOIN free_to_hold f ON f.source = h.source AND f.entitlement_id = h.entitlement_id
  LEFT JOIN positions m ON m.source = h.source AND m.entitlement_id = h.entitlement_id
    AND m.department = lower(trim(p.department))
  LEFT JOIN (SELECT DISTINCT source, entitlement_id FROM positions) n
    ON n.source = h.source AND n.entitlement_id = h.entitlement_id
)
"""  # noqa: S608  # all of it is our own text

CITED = """
SELECT e.source, e.event_id, a.approval_id
FROM events e
JOIN approvals a ON lower(trim(a.approval_id)) = lower(trim(e.approval_ref))
WHERE trim(e.approval_ref) <> ''
UNION ALL
SELECT e.source, e.event_id, a.approval_id
FROM events e
JOIN approvals a ON lower(trim(a.change_ref)) = lower(trim(e.approval_ref))
WHERE trim(e.approval_ref) <> '' AND lower(trim(a.change_ref)) <> lower(trim(a.approval_id))
"""

GOVERNANCE_ROLES = """
WITH named AS (
  SELECT owner_role AS role, concat('supplier ', coalesce(name, supplier_id)) AS named_by FROM suppliers
  UNION ALL
  SELECT owner_role, concat('document ', coalesce(title, document_id)) FROM documents
  UNION ALL
  SELECT owner_role, concat('special account ', account_id, ' of ', source) FROM special_accounts
  UNION ALL
  SELECT owner_role, concat('control ', control_id) FROM controls
  UNION ALL
  SELECT role, named_by FROM named_roles
  UNION ALL
  SELECT role, CAST(NULL AS VARCHAR) FROM role_holders
)
SELECT lower(trim(role)) AS role, min(trim(role)) AS name, min(named_by) AS named_by
FROM named
WHERE trim(role) <> ''
GROUP BY lower(trim(role))
"""

NESTING = """
WITH known AS (
  SELECT source, entitlement_id, coalesce(name, entitlement_id) AS name, privileged FROM entitlements
  UNION ALL
  -- held, but not listed by its source
  SELECT g.source, g.entitlement_id, g.entitlement_id, CAST(NULL AS BOOLEAN)
  FROM (
    SELECT DISTINCT source, entitlement_id FROM grants
    UNION
    SELECT DISTINCT source, principal_id FROM grants WHERE principal_kind = 'entitlement'
  ) g
  LEFT JOIN entitlements e ON e.source = g.source AND e.entitlement_id = g.entitlement_id
  WHERE e.entitlement_id IS NULL
)
SELECT k.source, k.entitlement_id AS held_id, k.entitlement_id, 1 AS depth, k.name AS path, k.privileged FROM known k
UNION ALL
SELECT k.source, k.entitlement_id, c.above, c.depth + 1, k.name || ' > ' || c.path, e.privileged
FROM known k
JOIN group_closure c ON c.source = k.source AND c.below = k.entitlement_id
LEFT JOIN entitlements e ON e.source = c.source AND e.entitlement_id = c.above
"""
"""Over ``group_closure``, which ``access.close_groups`` makes."""

SELECTS = {
    "nesting": NESTING,
    "specials": SPECIALS,
    "covering": COVERING,
    "free_to_hold": FREE_TO_HOLD,
    "free_to_give": FREE_TO_GIVE,
    "positions": POSITIONS,
    "holdings": HOLDINGS,
    "approvable": APPROVABLE,
    "cited": CITED,
    "governance_roles": GOVERNANCE_ROLES,
}
"""Built table -> the SELECT that makes it of the tables that ``READS`` names; those it reads in turn come before it."""

VIEWED = ("holdings", "approvable", "cited")
"""Of these the ones that are kept as views: they may have a row for each grant or event."""

COUNTED = frozenset({"freshness", "governance_roles"})
"""Built tables that may be a population: what they list is listed nowhere else."""

_GRANT = ("source", "principal_kind", "principal_id", "entitlement_id", "assignment")

READS: dict[str, dict[str, tuple[str, ...]]] = {
    "links": correlate.READS,
    "specials": {
        "accounts": ("source", "account_id", "login", "attributes"),
        "special_accounts": (
            "source",
            "account_id",
            "kind",
            "owner_role",
            "steward",
            "purpose",
            "reviewed_on",
            "review_due_on",
        ),
    },
    "covering": {
        "grants": _GRANT,
        "entitlements": ("source", "entitlement_id", "name", "environment"),
        "approvals": ("approval_id", "person_id", "system", "entitlement", "environment"),
        "links": ("source", "account_id", "person_id"),
    },
    "free_to_hold": {
        "grants": _GRANT,
        "entitlements": ("source", "entitlement_id", "name"),
        "approval_scope": ("number", "source", "entitlement", "approval"),
    },
    "free_to_give": {
        "events": ("source", "event_id", "entitlement_id"),
        "entitlements": ("source", "entitlement_id", "name"),
        "approval_scope": ("number", "source", "entitlement", "approval"),
    },
    "positions": {
        "grants": _GRANT,
        "entitlements": ("source", "entitlement_id", "name"),
        "role_maps": ("number", "department", "source", "entitlement"),
    },
    "holdings": {
        "grants": (*_GRANT, "granted_at"),
        "entitlements": ("source", "entitlement_id", "name", "privileged", "membership"),
        "links": ("source", "account_id", "person_id"),
        "specials": ("source", "account_id"),
    },
    "approvable": {
        "holdings": (),
        "people": ("person_id", "full_name", "department"),
        "free_to_hold": (),
        "positions": (),
    },
    "cited": {
        "events": ("source", "event_id", "approval_ref"),
        "approvals": ("approval_id", "change_ref"),
    },
    "nesting": {
        "grants": _GRANT,
        "entitlements": ("source", "entitlement_id", "name", "privileged"),
    },
    "effective_access": {
        "grants": _GRANT,
        "entitlements": ("source", "entitlement_id", "name"),
    },
    "governance_roles": {
        "suppliers": ("supplier_id", "name", "owner_role"),
        "documents": ("document_id", "title", "owner_role"),
        "special_accounts": ("source", "account_id", "owner_role"),
        "controls": ("control_id", "owner_role"),
        "named_roles": ("role", "named_by"),
        "role_holders": ("role", "person_id", "since"),
    },
    "coverage": {},
    "freshness": {},
    "rule_evaluations": {},
}
"""Built table -> the tables and columns that it is made of; those it reads in turn come before it."""


def made_of(name: str) -> list[str]:
    """Return the tables that sources report and that a table is made of: itself, where sources report it."""
    if name not in READS:
        return [name]
    return list(dict.fromkeys(base for table in READS[name] for base in made_of(table)))


def needed(name: str) -> list[str]:
    """Return every table that a table is made of, those that are built themselves among them, but for itself."""
    found = list(READS.get(name, ()))
    return list(dict.fromkeys([*found, *(deeper for table in found for deeper in needed(table))]))
