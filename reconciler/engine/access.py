"""The view ``effective_access``: every entitlement that an account reaches through nested grants.

Only the graph of groups is closed (group -> every group above it); it is small. The accounts are joined to it
where a rule asks, for all of them at once would be tens of millions of rows.

The view's grouping stands between a rule's filter and the grants: DuckDB makes the whole of it first. A rule that asks
about a few entitlements reads ``nesting`` (``reconciler.engine.built``) and joins the grants to it by itself.
"""

from __future__ import annotations

import duckdb

CLOSED = frozenset({"nesting", "effective_access"})
"""Tables that are made of ``group_closure``."""

EFFECTIVE_ACCESS = """
WITH held AS (
  SELECT DISTINCT g.source, g.principal_id AS account_id, g.entitlement_id, coalesce(e.name, g.entitlement_id) AS path
  FROM grants g LEFT JOIN entitlements e USING (source, entitlement_id)
  WHERE g.principal_kind = 'account'
)
SELECT source, account_id, entitlement_id, CAST(min(depth) AS BIGINT) AS depth, arg_min(path, (depth, path)) AS path
FROM (
  SELECT source, account_id, entitlement_id, 1 AS depth, path FROM held
  UNION ALL
  SELECT h.source, h.account_id, c.above, c.depth + 1, h.path || ' > ' || c.path
  FROM held h JOIN group_closure c ON c.source = h.source AND c.below = h.entitlement_id
)
GROUP BY source, account_id, entitlement_id
"""
"""The view, over ``grants``, ``entitlements`` and ``group_closure``."""

CLOSURE = (("source", "VARCHAR"), ("below", "VARCHAR"), ("above", "VARCHAR"), ("depth", "INTEGER"), ("path", "VARCHAR"))
"""Columns of ``group_closure``, with DuckDB's type."""


def close_groups(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the table ``group_closure`` (source, below, above, depth, path) of ``grants`` and ``entitlements``.

    Breadth first, so that the first path found is a shortest one; of several the first by name stays. A pair
    that was reached before is not followed again, so that cycles end.
    """
    connection.execute(
        """
        CREATE OR REPLACE TABLE group_closure AS
        SELECT source, principal_id AS below, entitlement_id AS above, 1 AS depth,
               min(coalesce(e.name, entitlement_id)) AS path
        FROM grants LEFT JOIN entitlements e USING (source, entitlement_id)
        WHERE principal_kind = 'entitlement' AND principal_id <> entitlement_id
        GROUP BY ALL
        """
    )
    depth = 1
    while _count(connection, depth):
        connection.execute(
            """
            INSERT INTO group_closure
            SELECT c.source, c.below, n.above, c.depth + 1, min(c.path || ' > ' || n.path)
            FROM group_closure c
            JOIN group_closure n ON n.source = c.source AND n.below = c.above AND n.depth = 1
            WHERE c.depth = ? AND n.above <> c.below
              AND NOT EXISTS (
                SELECT 1 FROM group_closure o WHERE o.source = c.source AND o.below = c.below AND o.above = n.above
              )
            GROUP BY ALL
            """,
            [depth],
        )
        depth += 1


def _count(connection: duckdb.DuckDBPyConnection, depth: int) -> int:
    row = connection.execute("SELECT count(*) FROM group_closure WHERE depth = ?", [depth]).fetchone()
    return int(row[0]) if row else 0
