"""The connector inside the product: whole pulls, sealed, and the kit's rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.entra.source import TABLES
from reconciler import clock
from reconciler.sdk.connector import Status
from reconciler.sdk.testing import check_source
from tests.connectors.entra.conftest import EVERYTHING, Opener, pull_whole, read, sealed, settings
from tests.simulators.graph import objects as make
from tests.simulators.graph.sample import ANNA, BEN, DEPLOYER, FINANCE, sample
from tests.simulators.graph.server import GraphSimulator
from tests.simulators.graph.tenant import Tenant


def lively() -> Tenant:
    """The company with something that happened an hour ago."""
    tenant = sample()
    when = (clock.now() - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    anna, ben = (tenant.rows("users").find(name) or {} for name in (ANNA, BEN))
    changed = make.target(ben, "User")
    tenant.add(
        "auditLogs/directoryAudits", *(make.audit(900 + n, when, "Update user", anna, changed) for n in range(5))
    )
    finance = tenant.rows("groups").find(FINANCE) or {}
    joined = make.target(ben, "User", **{"Group.ObjectID": FINANCE})
    added = make.audit(950, when, "Add member to group", anna, joined, make.target(finance, "Group"))
    tenant.add("auditLogs/directoryAudits", added)
    tenant.add("auditLogs/signIns", *(make.sign_in(900 + n, when, anna) for n in range(5)))
    return tenant


@pytest.fixture
def busy() -> Iterator[GraphSimulator]:
    with GraphSimulator(lively(), roles=EVERYTHING) as server:
        yield server


async def test_a_whole_tenant_is_sealed_complete_in_every_part(
    busy: GraphSimulator, opened: Opener, tmp_path: Path
) -> None:
    given = settings(busy, canaries=["anna@contoso.onmicrosoft.com", FINANCE, DEPLOYER])
    source = opened(busy, canaries=given.canaries)
    found = sealed(await pull_whole(source, given, tmp_path))
    assert {part: (one.status, one.gaps) for part, one in found.items()} == {
        (table, part): (Status.COMPLETE, ()) for table, parts in TABLES.items() for part in parts
    }


async def test_small_pages_give_the_same_rows(busy: GraphSimulator, opened: Opener, tmp_path: Path) -> None:
    large = sealed(await pull_whole(opened(busy), settings(busy), tmp_path / "large"))
    small = sealed(await pull_whole(opened(busy, page_size=2), settings(busy), tmp_path / "small"))
    assert small == large


async def test_the_kit_finds_nothing_wrong(busy: GraphSimulator, opened: Opener) -> None:
    problems = await check_source(
        opened(busy, attributes=["usageLocation"]),
        unfilled={"credentials": {"last_used_at", "last_used_basis"}},
    )
    assert problems == []


async def test_a_tenant_without_licences_has_no_pim_and_says_what_else_is_unknown(
    opened: Opener, tmp_path: Path
) -> None:
    with GraphSimulator(sample(licences=()), roles=EVERYTHING) as graph:
        snapshot = await pull_whole(opened(graph), settings(graph), tmp_path)
    found = sealed(snapshot)
    for part in ("activated roles", "eligible roles", "eligible for groups"):
        one = found["grants", part]
        assert (one.status, one.keys) == (Status.COMPLETE, frozenset())
    assert found["accounts", "users"].status is Status.COMPLETE
    unknown = snapshot.manifest.sources[0].unknown
    assert set(unknown) == {"accounts.last_sign_in_at", "accounts.last_sign_in_basis"}
    assert all("premium license" in reason and "licence" in reason for reason in unknown.values())
    assert found["events", "sign-ins"].status is Status.FAILED
    assert "premium license" in found["events", "sign-ins"].gaps[0]
    assert len(found["grants", "directory roles"].keys) == 5  # without PIM all of them are held directly


async def test_what_is_switched_off_is_neither_read_nor_claimed(graph: GraphSimulator, opened: Opener) -> None:
    given = {"sign_in_activity": False, "sign_ins": False, "authentication_methods": False, "group_pim": False}
    source = opened(graph, **given)
    assert await source.check() == []
    assert "last_sign_in_at" not in source.reports["accounts"]
    names = [part.name for table in TABLES for part in await source.partitions(table, None)]  # type: ignore[arg-type] # not looked at
    assert not {"sign-ins", "authentication methods", "eligible for groups"} & set(names)
    await read(source, "accounts", "users")
    assert not any("signInActivity" in request.query.get("$select", "") for request in graph.requests)


async def test_members_that_v1_leaves_out_or_lists_come_once(opened: Opener) -> None:
    for listed in (False, True):
        with GraphSimulator(sample(), roles=EVERYTHING, service_principal_members=listed) as graph:
            source = opened(graph)
            users = await read(source, "grants", "group members")
            services = await read(source, "grants", "service principals in groups")
        assert users.gaps == services.gaps == []
        assert DEPLOYER not in {row.principal_id for row in users.rows}
        assert [(row.principal_id, row.entitlement_id) for row in services.rows] == [(DEPLOYER, FINANCE)]


async def test_hidden_members_are_a_gap_without_the_permission(opened: Opener) -> None:
    tenant = sample()
    tenant.add("groups", make.group(70, "Secret", visibility="HiddenMembership"))
    with GraphSimulator(tenant, roles=EVERYTHING - {"Member.Read.Hidden"}) as graph:
        found = await read(opened(graph), "grants", "group members")
    assert [(gap.subject, gap.missing_permission) for gap in found.gaps] == [
        (make.guid("group", 70), "Member.Read.Hidden")
    ]
    assert found.total is None


async def test_a_fan_out_over_hundreds_of_users_reads_all(opened: Opener) -> None:
    tenant = sample()
    for number in range(100, 450):
        tenant.add("users", make.user(number, f"u{number}", f"User {number}"))
        tenant.authentication[make.guid("user", number)] = [make.method("fido2", number)]
    with GraphSimulator(tenant, roles=EVERYTHING) as graph:
        found = await read(opened(graph), "credentials", "authentication methods")
        posts = [request for request in graph.requests if request.path.endswith("/$batch")]
    assert len(found.by("credential_id")) == 354
    assert len(posts) <= 361 // 20 + 3


async def test_canaries_come_back_where_they_are(graph: GraphSimulator, opened: Opener) -> None:
    source = opened(graph, canaries=["ANNA@contoso.onmicrosoft.com", "nobody@contoso.onmicrosoft.com"])
    gaps = await source.check()
    assert [gap.subject for gap in gaps] == ["nobody@contoso.onmicrosoft.com"]
    found = await read(source, "accounts", "users")
    assert found.canaries == {"ANNA@contoso.onmicrosoft.com"}
    assert ANNA in found.by("account_id")
