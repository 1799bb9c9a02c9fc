"""The tables that are made of others by one SELECT: the register of special accounts, and what approvals speak of.

Each is made once for all rules that read it, and only where one does. ``links`` and ``effective_access`` need more
than a SELECT and stand in modules of their own.
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

COVERING = r"""
WITH held AS (
  SELECT DISTINCT g.source, g.principal_id AS account_id, g.entitlement_id, l.person_id, lower(g.source) AS system,
         lower(g.entitlement_id) AS id_key, lower(trim(e.name)) AS name_key, lower(trim(e.environment)) AS environment
  FROM grants g
  JOIN links l ON l.source = g.source AND l.account_id = g.principal_id AND l.person_id IS NOT NULL
  LEFT JOIN entitlements e ON e.source = g.source AND e.entitlement_id = g.entitlement_id
  WHERE g.principal_kind = 'account'
),
asked AS (
  SELECT approval_id, person_id, lower(trim(system)) AS system, lower(trim(environment)) AS environment,
         lower(trim(entitlement)) AS wanted,
         CASE WHEN regexp_matches(entitlement, '[*?]') THEN
           -- LIKE, since a regular expression of each row's own would be compiled for each row
           replace(replace(replace(replace(replace(lower(trim(entitlement)),
             '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'), '?', '_')
         END AS pattern
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
  SELECT source, entitlement_id, coalesce(name, entitlement_id) AS name FROM entitlements
  UNION ALL
  -- held, but not listed by its source
  SELECT g.source, g.entitlement_id, g.entitlement_id
  FROM (
    SELECT DISTINCT source, entitlement_id FROM grants
    UNION
    SELECT DISTINCT source, principal_id FROM grants WHERE principal_kind = 'entitlement'
  ) g
  LEFT JOIN entitlements e ON e.source = g.source AND e.entitlement_id = g.entitlement_id
  WHERE e.entitlement_id IS NULL
)
SELECT source, entitlement_id AS held_id, entitlement_id, 1 AS depth, name AS path FROM known
UNION ALL
SELECT k.source, k.entitlement_id, c.above, c.depth + 1, k.name || ' > ' || c.path
FROM known k JOIN group_closure c ON c.source = k.source AND c.below = k.entitlement_id
"""
"""Over ``group_closure``, which ``access.close_groups`` makes."""

SELECTS = {"nesting": NESTING, "specials": SPECIALS, "covering": COVERING, "governance_roles": GOVERNANCE_ROLES}
"""Built table -> the SELECT that makes it of the tables that ``READS`` names."""

COUNTED = frozenset({"freshness", "governance_roles"})
"""Built tables that may be a population: what they list is listed nowhere else."""

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
        "grants": ("source", "principal_kind", "principal_id", "entitlement_id", "assignment"),
        "entitlements": ("source", "entitlement_id", "name", "environment"),
        "approvals": ("approval_id", "person_id", "system", "entitlement", "environment"),
        "links": ("source", "account_id", "person_id"),
    },
    "nesting": {
        "grants": ("source", "principal_kind", "principal_id", "entitlement_id", "assignment"),
        "entitlements": ("source", "entitlement_id", "name"),
    },
    "effective_access": {
        "grants": ("source", "principal_kind", "principal_id", "entitlement_id", "assignment"),
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
