"""Zero rows: proven by what Graph itself shows, or left in doubt."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.sdk.connector import Status
from tests.connectors.entra.conftest import EVERYTHING, Opener, pull_whole, read, sealed, settings
from tests.simulators.graph.sample import sample
from tests.simulators.graph.server import GraphSimulator
from tests.simulators.graph.tenant import Tenant
from tests.simulators.http_injection import FaultKind


def quiet() -> Tenant:
    """The company as it is where nobody is eligible for anything, has a factor, or did anything these days."""
    tenant = sample()
    for name, rows in tenant.collections.items():
        if "eligibility" in name.lower():
            rows.clear()
    for user, methods in tenant.authentication.items():
        tenant.authentication[user] = [one for one in methods if "password" in one["@odata.type"]]
    for name in ("auditLogs/directoryAudits", "auditLogs/signIns"):
        for row in tenant.collections[name]:
            row["activityDateTime" if name.endswith("Audits") else "createdDateTime"] = "2026-06-01T08:00:00Z"
    return tenant


@pytest.fixture
def still() -> Iterator[GraphSimulator]:
    with GraphSimulator(quiet(), roles=EVERYTHING) as server:
        yield server


async def test_a_quiet_tenant_is_complete_on_its_first_night_but_for_what_nothing_proves(
    still: GraphSimulator, opened: Opener, tmp_path: Path
) -> None:
    found = sealed(await pull_whole(opened(still), settings(still), tmp_path / "first"))
    doubted = {part for part, one in found.items() if one.status is not Status.COMPLETE}
    assert doubted == {("grants", "eligible for groups")}
    for part in (
        ("grants", "eligible roles"),
        ("credentials", "authentication methods"),
        ("events", "directory audits"),
        ("events", "sign-ins"),
    ):
        assert found[part].keys == frozenset()
    readme = (Path(__file__).parents[3] / "connectors" / "entra" / "README.md").read_text(encoding="utf-8")
    assert 'may_be_empty = ["grants/eligible for groups"]' in readme
    given = {"may_be_empty": ["grants/eligible for groups"]}
    found = sealed(await pull_whole(opened(still, **given), settings(still, **given), tmp_path / "second"))
    assert {one.status for one in found.values()} == {Status.COMPLETE}


async def test_logs_without_anything_in_them_prove_nothing(still: GraphSimulator, opened: Opener) -> None:
    still.tenant.collections["auditLogs/signIns"].clear()  # type: ignore[attr-defined] # the tenant of these tests is one of explicit objects
    found = await read(opened(still), "events", "sign-ins")
    assert (found.rows, found.total) == ([], None)


async def test_no_eligible_role_is_proven_only_by_a_permission_that_shows_the_active_ones_too(opened: Opener) -> None:
    narrow = EVERYTHING - {"RoleManagement.Read.Directory"}
    with GraphSimulator(quiet(), roles=narrow) as graph:
        assert (await read(opened(graph), "grants", "eligible roles")).total is None
    tenant = quiet()
    tenant.collections["roleManagement/directory/roleAssignmentScheduleInstances"].clear()
    with GraphSimulator(tenant, roles=EVERYTHING) as graph:
        assert (await read(opened(graph), "grants", "eligible roles")).total is None


async def test_an_eligible_owner_proves_that_no_member_is_eligible(opened: Opener) -> None:
    tenant = sample()
    rows = tenant.collections["identityGovernance/privilegedAccess/group/eligibilityScheduleInstances"]
    rows[:] = [row for row in rows if row["accessId"] == "owner"]
    with GraphSimulator(tenant, roles=EVERYTHING) as graph:
        found = await read(opened(graph), "grants", "eligible for groups")
    assert (found.rows, found.total) == ([], 0)


async def test_no_group_that_pim_can_manage_has_nobody_eligible(opened: Opener) -> None:
    tenant = quiet()
    for group in tenant.collections["groups"]:
        group["onPremisesSyncEnabled"] = True
    with GraphSimulator(tenant, roles=EVERYTHING) as graph:
        found = await read(opened(graph), "grants", "eligible for groups")
        assert (found.rows, found.total, found.gaps) == ([], 0, [])
        graph.faults.add(FaultKind.EMPTY_END, path=r"/groups\?")
        found = await read(opened(graph), "grants", "eligible for groups")
    assert found.total is None
    assert found.gaps


async def test_microsofts_own_services_are_no_accounts_unless_asked_for(graph: GraphSimulator, opened: Opener) -> None:
    source = opened(graph)
    found = await read(source, "accounts", "service principals")
    assert (len(found.rows), found.total, found.gaps) == (4, 4, [])
    named = {row.name for row in (await read(source, "entitlements", "applications")).rows}
    assert "Microsoft Graph" in named
    found = await read(opened(graph, microsoft_service_principals=True), "accounts", "service principals")
    assert "Microsoft Graph" in found.by("display_name")


async def test_a_tenant_with_none_but_microsofts_services_has_no_such_accounts(opened: Opener) -> None:
    tenant = sample()
    rows = tenant.collections["servicePrincipals"]
    rows[:] = [row for row in rows if row["displayName"] == "Microsoft Graph"]
    with GraphSimulator(tenant, roles=EVERYTHING) as graph:
        found = await read(opened(graph), "accounts", "service principals")
    assert (found.rows, found.total) == ([], 0)
