"""Nested groups closed: what an account reaches, whole or for a few entitlements only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.engine.access import EFFECTIVE_ACCESS, close_groups
from reconciler.engine.built import NESTING
from reconciler.engine.sandbox import Sandbox

JOINED = """
SELECT g.source, g.principal_id AS account_id, n.entitlement_id, min(n.depth) AS depth,
       arg_min(n.path, (n.depth, n.path)) AS path
FROM nesting n
JOIN grants g ON g.source = n.source AND g.entitlement_id = n.held_id AND g.principal_kind = 'account'
GROUP BY ALL
"""
Edge = tuple[str, str, str]
"""Who holds what: kind of the holder, holder, entitlement."""


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Return empty tables of the estate."""
    made = Sandbox()
    made.create_all()
    yield made
    made.close()


def fill(sandbox: Sandbox, edges: list[Edge], listed: list[str]) -> None:
    """Put the edges in place of what was there, and make what is made of them."""
    for table in ("grants", "entitlements", "nesting"):
        sandbox.connection.execute(f"TRUNCATE {table}")
    for kind, holder, held in dict.fromkeys(edges):
        sandbox.connection.execute(
            "INSERT INTO grants BY NAME SELECT 's' AS source, $1 AS principal_kind, "
            "$2 AS principal_id, $3 AS entitlement_id, 'direct' AS assignment",
            [kind, holder, held],
        )
    for name in dict.fromkeys(listed):
        sandbox.connection.execute(
            "INSERT INTO entitlements BY NAME SELECT 's' AS source, $1 AS entitlement_id, upper($1) AS name", [name]
        )
    close_groups(sandbox.connection)
    sandbox.connection.execute(f"INSERT INTO nesting {NESTING}")  # our own text


GROUPS = st.sampled_from(["g0", "g1", "g2", "g3", "g4"])
EDGES = st.one_of(
    st.tuples(st.just("account"), st.sampled_from(["a", "b"]), GROUPS),
    st.tuples(st.just("entitlement"), GROUPS, GROUPS),
)


@settings(max_examples=60)
@given(edges=st.lists(EDGES, max_size=14), listed=st.lists(GROUPS, max_size=5))
def test_grants_joined_to_nesting_are_effective_access(sandbox: Sandbox, edges: list[Edge], listed: list[str]) -> None:
    fill(sandbox, edges, listed)
    whole = sandbox.connection.execute(f"{EFFECTIVE_ACCESS} ORDER BY ALL").fetchall()
    assert sandbox.connection.execute(f"{JOINED} ORDER BY ALL").fetchall() == whole


def test_a_cycle_ends_and_what_is_held_gives_itself(sandbox: Sandbox) -> None:
    fill(sandbox, [("entitlement", "g0", "g1"), ("entitlement", "g1", "g0"), ("entitlement", "g1", "g1")], ["g0"])
    rows = sandbox.connection.execute(
        "SELECT held_id, entitlement_id, depth, path FROM nesting ORDER BY ALL"
    ).fetchall()
    assert rows == [
        ("g0", "g0", 1, "G0"),
        ("g0", "g1", 2, "G0 > g1"),
        ("g1", "g0", 2, "g1 > G0"),
        ("g1", "g1", 1, "g1"),
    ]
