"""Second signals: what vouches for a chain where Graph counts, and what is said where it does not."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connectors.entra import shapes
from connectors.entra.client import Ask
from connectors.entra.live import application_credentials, user_credentials
from reconciler.sdk.connector import LiveCredentials, Presence
from reconciler.sdk.errors import Misbehaved
from tests.connectors.entra.conftest import EVERYTHING, Opener, read
from tests.simulators.graph import objects as make
from tests.simulators.graph import service
from tests.simulators.graph.sample import sample
from tests.simulators.graph.server import GraphSimulator
from tests.simulators.http_injection import FaultKind

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PAST, FUTURE = datetime(2025, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


async def test_role_assignments_that_pim_lists_must_come(graph: GraphSimulator, opened: Opener) -> None:
    graph.faults.add(FaultKind.EMPTY_END, path=r"roleAssignments\?.*principal")
    found = await read(opened(graph), "grants", "directory roles")
    assert found.rows == []
    assert found.total is None
    assert any("did not come" in gap.reason for gap in found.gaps)


async def test_activated_roles_must_come_too(graph: GraphSimulator, opened: Opener) -> None:
    source = opened(graph)
    await source.check()
    graph.faults.add(FaultKind.EMPTY_END, path=r"roleAssignmentScheduleInstances", at=3)
    found = await read(source, "grants", "activated roles")
    assert found.rows == []
    assert any("did not come" in gap.reason for gap in found.gaps)


async def test_where_graph_does_not_count_consents_nothing_is_vouched_for_by_a_count(
    graph: GraphSimulator, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = service._PAGED["oauth2PermissionGrants"]
    monkeypatch.setitem(service._PAGED, "oauth2PermissionGrants", replace(kind, countable=False))
    monkeypatch.setattr(service, "_ASSIGNMENTS", replace(service._ASSIGNMENTS, countable=False))
    source = opened(graph)
    assert len((await read(source, "grants", "consents")).rows) == 4
    assigned = await read(source, "grants", "app role assignments")
    assert (len(assigned.rows), assigned.total, assigned.gaps) == (4, None, [])


async def test_a_group_that_goes_away_while_it_is_read_is_a_gap(graph: GraphSimulator, opened: Opener) -> None:
    ghost = make.group(77, "Ghost")
    graph.lag.lingering["groups"] = [ghost]
    found = await read(opened(graph), "grants", "group members")
    assert [(gap.subject, gap.reason) for gap in found.gaps] == [(ghost["id"], "it went away while it was read")]
    assert (len(found.rows), found.total) == (15, None)
    owned = await read(opened(graph), "entitlements", "groups")
    assert [gap.subject for gap in owned.gaps] == [ghost["id"]]


async def test_a_user_who_is_deleted_while_the_methods_are_read_has_none_and_is_no_gap(
    graph: GraphSimulator, opened: Opener
) -> None:
    deleted = graph.tenant.deleted("user").window(0, 1)[0]
    graph.lag.lingering["users"] = [deleted]
    found = await read(opened(graph), "credentials", "authentication methods")
    assert found.gaps == []
    assert deleted["id"] not in {row.account_id for row in found.rows}
    graph.lag.lingering["users"] = [make.user(88, "ghost", "Ghost")]
    found = await read(opened(graph), "credentials", "authentication methods")
    assert [gap.subject for gap in found.gaps] == [make.guid("user", 88)]


async def test_what_pim_does_not_show_leaves_role_assignments_in_doubt(opened: Opener) -> None:
    pim = {"RoleManagement.Read.Directory", "RoleAssignmentSchedule.Read.Directory"}
    with GraphSimulator(sample(), roles=EVERYTHING) as graph:
        graph.faults.add(FaultKind.FORBIDDEN, path="roleAssignmentScheduleInstances", times=None)
        found = await read(opened(graph), "grants", "directory roles")
    assert found.total is None
    assert {gap.missing_permission for gap in found.gaps} <= pim
    assert any("activated for a time is not known" in gap.reason for gap in found.gaps)


async def test_pims_list_that_goes_round_is_no_list(opened: Opener) -> None:
    with GraphSimulator(sample(), roles=EVERYTHING) as graph:
        link = f"{graph.url}/v1.0/roleManagement/directory/roleAssignmentScheduleInstances?$skiptoken=x"
        source = opened(graph)
        await source.check()

        async def round_(ask: Ask) -> bytes:
            del ask
            return json.dumps({"value": [], "@odata.nextLink": link}).encode()

        source._client.get = round_  # type: ignore[method-assign] # a server that goes round for ever
        with pytest.raises(Misbehaved, match="leads back"):
            await read(source, "grants", "directory roles")


async def test_a_user_that_the_index_does_not_know_yet_is_no_loss(opened: Opener) -> None:
    tenant = sample()
    with GraphSimulator(tenant, roles=EVERYTHING) as graph:
        graph.lag.unseen.add(make.guid("user", 1))
        found = await read(opened(graph), "accounts", "users")
    assert (len(found.rows), found.total, found.gaps) == (11, 11, [])


async def test_a_user_that_the_index_still_counts_is_in_doubt(graph: GraphSimulator, opened: Opener) -> None:
    graph.lag.lingering["users"] = [make.user(88, "ghost", "Ghost")]
    found = await read(opened(graph), "accounts", "users")
    assert found.total is None
    assert "Graph counts 12" in found.gaps[0].reason


def _kinds(told: tuple[LiveCredentials, ...]) -> dict[str, Presence]:
    return {one.kind: one.presence for one in told}


def _secret(end: datetime | None) -> list[shapes.PasswordCredential]:
    return [shapes.PasswordCredential(key_id="k", end_date_time=end)]


@pytest.mark.parametrize(
    ("account", "own", "registered", "presence"),
    [
        (Presence.PRESENT, FUTURE, shapes.Application(id="a"), Presence.PRESENT),
        (Presence.PRESENT, PAST, shapes.Application(id="a"), Presence.DISABLED),
        (Presence.DISABLED, FUTURE, shapes.Application(id="a"), Presence.DISABLED),
        (Presence.PRESENT, PAST, None, Presence.NOT_EVALUABLE),
        (Presence.PRESENT, PAST, "refused", Presence.NOT_EVALUABLE),
        (Presence.NOT_EVALUABLE, FUTURE, shapes.Application(id="a"), Presence.NOT_EVALUABLE),
    ],
)
def test_secrets_of_an_application(
    account: Presence, own: datetime, registered: shapes.Application | str | None, presence: Presence
) -> None:
    item = shapes.ServicePrincipal(id="s", app_id="x", password_credentials=_secret(own))
    assert _kinds(application_credentials(item, registered, account, NOW))["client_secret"] is presence


def test_an_application_without_secrets_has_none_only_where_its_registration_was_seen() -> None:
    item = shapes.ServicePrincipal(id="s", app_id="x")
    seen = application_credentials(item, shapes.Application(id="a"), Presence.PRESENT, NOW)
    assert _kinds(seen)["certificate"] is Presence.GONE
    elsewhere = application_credentials(item, None, Presence.PRESENT, NOW)
    assert _kinds(elsewhere)["certificate"] is Presence.NOT_EVALUABLE


def test_methods_of_an_unknown_type_may_be_factors() -> None:
    user = shapes.User(id="u", user_principal_name="u@x.test")
    strange = [shapes.Method(id="m", type="#microsoft.graph.novelty")]
    assert _kinds(user_credentials(user, Presence.PRESENT, strange, []))["mfa_factor"] is Presence.NOT_EVALUABLE
    assert _kinds(user_credentials(user, Presence.PRESENT, [], "refused"))["mfa_factor"] is Presence.GONE
    guest = shapes.User(id="g", user_principal_name="a_b.test#EXT#@x.test")
    assert _kinds(user_credentials(guest, Presence.PRESENT, [], []))["password"] is Presence.GONE
    unknown = _kinds(user_credentials(user, Presence.NOT_EVALUABLE, [shapes.Method(id="f", type=FIDO)], []))
    assert set(unknown.values()) == {Presence.NOT_EVALUABLE}


FIDO = "#microsoft.graph.fido2AuthenticationMethod"
