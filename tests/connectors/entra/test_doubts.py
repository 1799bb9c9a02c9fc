"""Objects that do not say what a row's key hangs on: a gap that names them, and never a default."""

from __future__ import annotations

import pytest

from reconciler.sdk.errors import Refused
from tests.connectors.entra.conftest import Opener, read
from tests.simulators.graph.sample import GLOBAL_ADMINISTRATOR
from tests.simulators.graph.server import GraphSimulator
from tests.simulators.graph.tenant import Tenant
from tests.simulators.http_injection import FaultKind

_ACTIVE = r"roleAssignmentScheduleInstances\?"
_ELIGIBLE = r"roleEligibilityScheduleInstances\?"
_ASSIGNED = r"roleAssignments\?"


@pytest.mark.parametrize(
    ("table", "part", "path", "kind", "field", "words"),
    [
        ("grants", "group members", r"/groups\?", FaultKind.FIELD_MISSING, "groupTypes", "groupTypes did not come"),
        ("grants", "activated roles", _ACTIVE, FaultKind.UNKNOWN_VALUE, "assignmentType", "SOMETHING_NEW"),
        ("grants", "activated roles", _ACTIVE, FaultKind.UNKNOWN_VALUE, "memberType", "memberType SOMETHING_NEW"),
        ("grants", "activated roles", _ACTIVE, FaultKind.FIELD_MISSING, "endDateTime", "until when"),
        ("grants", "directory roles", _ACTIVE, FaultKind.FIELD_MISSING, "roleAssignmentOriginId", "activated"),
        ("grants", "directory roles", _ASSIGNED, FaultKind.FIELD_MISSING, "directoryScopeId", "over what"),
        ("grants", "eligible roles", _ELIGIBLE, FaultKind.UNKNOWN_VALUE, "memberType", "memberType SOMETHING_NEW"),
        ("grants", "eligible roles", _ELIGIBLE, FaultKind.FIELD_MISSING, "memberType", "memberType None"),
        ("grants", "eligible for groups", "eligibility", FaultKind.UNKNOWN_VALUE, "accessId", "accessId SOMETHING_NEW"),
        ("grants", "app role assignments", "appRoleAssignedTo", FaultKind.FIELD_MISSING, "appRoleId", "which app role"),
        ("grants", "consents", "oauth2Perm", FaultKind.UNKNOWN_VALUE, "consentType", "SOMETHING_NEW"),
        ("entitlements", "user consents", "oauth2Perm", FaultKind.UNKNOWN_VALUE, "consentType", "SOMETHING_NEW"),
        ("entitlements", "applications", "servicePrin", FaultKind.FIELD_MISSING, "appRoles", "roles or scopes"),
        ("entitlements", "directory roles", _ASSIGNED, FaultKind.FIELD_MISSING, "directoryScopeId", "over what"),
        ("entitlements", "directory roles", "roleDefinitions", FaultKind.EMPTY_END, "", "no role at all"),
        ("credentials", "passwords", r"/users\?", FaultKind.FIELD_MISSING, "userPrincipalName", "did not come"),
        ("credentials", "application credentials", "/applicat", FaultKind.FIELD_MISSING, "keyCredentials", "whole"),
        ("credentials", "service principal credentials", "s", FaultKind.FIELD_MISSING, "passwordCredentials", "whole"),
        ("credentials", "authentication methods", "methods", FaultKind.FIELD_MISSING, "@odata.type", "what its method"),
    ],
)
async def test_what_is_not_said_is_a_gap(  # noqa: PLR0917 - one place of a table
    graph: GraphSimulator, opened: Opener, table: str, part: str, path: str, kind: FaultKind, field: str, words: str
) -> None:
    graph.item_faults = graph.faults
    source = opened(graph)
    await source.check()
    graph.faults.add(kind, path=path, field=field, times=None)
    found = await read(source, table, part)
    assert graph.faults.fired
    assert any(words in gap.reason for gap in found.gaps), found.gaps
    assert found.total is None


async def test_a_role_that_is_held_must_be_listed(graph: GraphSimulator, opened: Opener) -> None:
    whole = await read(opened(graph), "entitlements", "directory roles")
    assert not whole.gaps
    assert isinstance(graph.tenant, Tenant)
    roles = graph.tenant.collections["roleManagement/directory/roleDefinitions"]
    roles[:] = [row for row in roles if row["id"] != GLOBAL_ADMINISTRATOR]
    cut = await read(opened(graph), "entitlements", "directory roles")
    assert [gap.subject for gap in cut.gaps] == [GLOBAL_ADMINISTRATOR]
    assert "ended early" in cut.gaps[0].reason


async def test_a_refusal_that_lasts_is_told_in_graph_s_own_words(graph: GraphSimulator, opened: Opener) -> None:
    source = opened(graph)
    await source.check()
    graph.faults.add(FaultKind.UNAUTHORIZED, path="/v1.0/", times=None)
    with pytest.raises(Refused, match="HTTP 401 InvalidAuthenticationToken"):
        await read(source, "accounts", "users")
    # Refused in parallel, by requests that each have the token replaced while others wait for it.
    with pytest.raises(Refused, match="HTTP 401 InvalidAuthenticationToken"):
        await read(source, "accounts", "service principals")
