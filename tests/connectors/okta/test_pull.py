"""The whole organisation: every table whole, the contract kept, and what the credentials do not see said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from connectors.okta.source import OktaSource
from reconciler.sdk.connector import Status
from reconciler.sdk.testing import check_source
from tests.connectors.okta.conftest import pulled, read
from tests.simulators.http_injection import FaultKind
from tests.simulators.okta import shapes
from tests.simulators.okta.auth import Principal
from tests.simulators.okta.generated import GeneratedOrg, Sizes
from tests.simulators.okta.server import ADMIN, TOKEN, OktaSimulator
from tests.simulators.okta.small import small_org, uid

Opener = Callable[..., OktaSource]


async def test_the_source_keeps_the_contract(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta, attributes=["userType", "city"], kinds={"service": "service"})
    assert await check_source(source) == []


async def test_every_state_comes_and_is_mapped(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta, attributes=["userType", "gone"], kinds={"SERVICE": "service", "Contractor": "human"})
    rows = {row.account_id: row for row in (await read(source, "accounts", "users")).rows}
    mapped = {
        row.raw_status: (row.status, row.can_sign_in) for row in rows.values() if row.login.split("@")[0] != "ann"
    }
    assert mapped == {
        "STAGED": ("staged", False),
        "PROVISIONED": ("enabled", True),
        "ACTIVE": ("enabled", True),
        "RECOVERY": ("enabled", True),
        "PASSWORD_EXPIRED": ("enabled", True),
        "LOCKED_OUT": ("locked", False),
        "SUSPENDED": ("suspended", False),
        "DEPROVISIONED": ("disabled", False),
        "ACTIVE -> DEPROVISIONED": ("enabled", True),
    }
    ann, service = rows[uid("ann")], rows[uid("svc.backup")]
    assert (ann.manager_ref, ann.title, ann.employee_id, ann.mfa_enrolled) == (ADMIN, "Lead", "1010", True)
    assert (service.kind, json.loads(service.attributes), service.mfa_enrolled) == (
        "service",
        {"userType": "Service"},
        False,
    )
    assert rows[uid("contractor")].company == "Supplier Ltd"


async def test_groups_fed_by_an_active_rule_are_dynamic(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta, privileged=["Engineering"])
    groups = {row.name: row for row in (await read(source, "entitlements", "groups")).rows}
    assert {name: row.membership for name, row in groups.items() if row.membership == "dynamic"} == {
        "Everyone": "dynamic",
        "Contractors": "dynamic",
    }
    assert {name for name, row in groups.items() if row.privileged} == {"Engineering", "Admins of apps"}
    for part in ("groups", "apps"):
        known = {row.name: row.privileged for row in (await read(source, "entitlements", part)).rows}
        looked_at = opened(okta, privileged=["Engineering"], ordinary=[name for name in known if name])
        found = {row.name: row.privileged for row in (await read(looked_at, "entitlements", part)).rows}
        assert found == {name: bool(was) for name, was in known.items()}
    members = (await read(source, "grants", "group members")).rows
    assert {row.assignment for row in members if row.entitlement_id == "00g1simdynamic000000"} == {"dynamic"}


async def test_admin_roles_say_what_they_are_limited_to(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta)
    users = {
        (row.principal_id, row.entitlement_id): row
        for row in (await read(source, "grants", "admin roles of users")).rows
    }
    assert users[uid("ann"), "cr01simhelp000000000"].condition == "resource set Staff (iam1simstaff00000000)"
    assert users[uid("ann"), "GROUP_MEMBERSHIP_ADMIN"].condition == "groups 00g1simadmins0000000"
    assert users[ADMIN, "SUPER_ADMIN"].condition is None
    assert users[uid("bob"), "APP_ADMIN"].assignment == "inherited"
    (group,) = (await read(source, "grants", "admin roles of groups")).rows
    assert (group.principal_kind, group.assignment, group.condition) == (
        "entitlement",
        "direct",
        "apps 0oa1simwiki000000000",
    )


async def test_a_role_on_two_resource_sets_is_one_grant(okta: OktaSimulator, opened: Opener) -> None:
    path = f"/users/{uid('ann')}"
    okta.org.add(
        f"users/{uid('ann')}/roles",
        shapes.custom_role("irb1simann1111111111", "cr01simhelp000000000", "Help desk", "iam1simother00000000", path),
    )
    rows = (await read(opened(okta), "grants", "admin roles of users")).rows
    (both,) = [row for row in rows if row.entitlement_id == "cr01simhelp000000000"]
    assert both.condition == "resource set Staff (iam1simstaff00000000); resource set iam1simother00000000"


async def test_app_users_are_direct_or_by_a_group(okta: OktaSimulator, opened: Opener) -> None:
    rows = {
        (row.principal_id, row.entitlement_id): row for row in (await read(opened(okta), "grants", "app users")).rows
    }
    wiki = "0oa1simwiki000000000"
    assert rows[uid("ann"), wiki].assignment == "inherited"
    assert rows[uid("contractor"), wiki].assignment == "direct"
    assert rows[uid("suspended"), wiki].condition == "status SUSPENDED"


async def test_a_consent_of_a_user_is_his_own_grant(okta: OktaSimulator, opened: Opener) -> None:
    okta.org.add(
        "apps/0oa1simweb0000000000/grants",
        shapes.scope_grant("oag1simconsent000000", "calendar", "0oa1simweb0000000000", user_id=uid("ann")),
    )
    source = opened(okta)
    scopes = {row.entitlement_id for row in (await read(source, "entitlements", "scopes")).rows}
    grants = (await read(source, "grants", "scope grants")).rows
    assert "0oa1simweb0000000000/calendar" in scopes
    assert (uid("ann"), "0oa1simweb0000000000/calendar") in {(row.principal_id, row.entitlement_id) for row in grants}
    assert {row.entitlement_id for row in grants} == scopes


async def test_events_are_standard_and_keep_their_own_name(okta: OktaSimulator, opened: Opener) -> None:
    rows = (await read(opened(okta, event_page_size=2), "events", "system log")).rows
    assert [row.action for row in rows] == [
        "account_created",
        "account_enabled",
        "entitlement_granted",
        "sign_in",
        "role_changed",
        "credential_created",
        None,
    ]
    granted = rows[2]
    assert (granted.target_id, granted.entitlement_id, granted.actor_id) == (uid("ann"), "00g1simengineering00", ADMIN)
    assert rows[6].raw_action == "something.nobody.knows"
    assert {len(row.raw_digest) for row in rows} == {64}


async def test_an_approval_is_taken_from_where_the_settings_say(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta, approval_path="actor.alternateId", event_filter='eventType eq "user.lifecycle.create"')
    (row,) = (await read(source, "events", "system log")).rows
    assert row.approval_ref == "admin@example.test"


async def test_nobodys_admin_is_partial_not_empty(tmp_path: Path) -> None:
    with OktaSimulator(small_org(), tokens={TOKEN: Principal(role="", user_id=uid("ann"))}) as simulator:
        snapshot = await pulled(simulator, tmp_path)
    assert snapshot.status("okta", "accounts") is not Status.COMPLETE
    assert snapshot.status("okta", "grants") is not Status.COMPLETE


async def test_a_role_that_sees_part_is_a_gap_of_every_table(opened: Opener) -> None:
    some = Principal(role="USER_ADMIN", user_id=uid("ann"))
    with OktaSimulator(small_org(), tokens={TOKEN: Principal(user_id=uid("ann"))}) as simulator:
        gaps = await opened(simulator).check()
        assert "GROUP_MEMBERSHIP_ADMIN" in gaps[0].reason
        trusted = await opened(simulator, full_view_roles=["cr01simhelp000000000"]).check()
        assert not [gap for gap in trusted if not gap.table]
    assert some.role == "USER_ADMIN"


@pytest.mark.parametrize(
    ("path", "hidden"),
    [
        ("/factors$", {("accounts", "", "mfa_enrolled"), ("credentials", "factors", "")}),
        ("/groups/rules", {("entitlements", "", "membership"), ("grants", "group members", "")}),
        ("^/api/v1/logs", {("events", "system log", "")}),
        ("/api-tokens", {("credentials", "api tokens", "")}),
        ("/tokens$", {("credentials", "refresh tokens", "")}),
        ("/iam/roles", {("entitlements", "custom admin roles", "")}),
    ],
)
async def test_what_a_refusal_hides_is_named(
    path: str, hidden: set[tuple[str, str, str]], okta: OktaSimulator, opened: Opener
) -> None:
    denied = Principal(user_id=ADMIN, denied=[path])
    with OktaSimulator(small_org(), tokens={TOKEN: denied}) as simulator:
        gaps = await opened(simulator).check()
    assert {(gap.table, gap.subject, gap.column) for gap in gaps} == hidden | (
        {("credentials", "api tokens", "")}
        if path == "/tokens$" and ("credentials", "api tokens", "") in hidden
        else set()
    )
    assert all(gap.missing_permission for gap in gaps)
    del okta


async def test_without_factors_the_rest_is_whole(tmp_path: Path) -> None:
    denied = Principal(user_id=ADMIN, denied=["/factors$"])
    with OktaSimulator(small_org(), tokens={TOKEN: denied}) as simulator:
        snapshot = await pulled(simulator, tmp_path)
    assert snapshot.status("okta", "accounts") is Status.COMPLETE
    assert "accounts.mfa_enrolled" in snapshot.manifest.sources[0].unknown
    partial = {entry.partition for entry in snapshot.manifest.coverage if entry.status is not Status.COMPLETE}
    assert partial == {"factors"}


async def test_a_user_deleted_during_the_pull_is_no_gap(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta, parallel_calls=1)
    page = await source.page("credentials", (await source.partitions("credentials", None))[1], None)  # type: ignore[arg-type] # not used
    okta.org.delete("users", uid("svc.backup"))
    gaps = list(page.gaps)
    while page.next is not None:
        page = await source.page("credentials", (await source.partitions("credentials", None))[1], page.next)  # type: ignore[arg-type] # not used
        gaps += page.gaps
    assert gaps == []


async def test_a_rate_limit_is_used_and_never_broken(tmp_path: Path) -> None:
    org = GeneratedOrg(Sizes(users=30))
    with OktaSimulator(org, limits={r"/factors$": 30}, window_seconds=2.0) as simulator:
        snapshot = await pulled(simulator, tmp_path, tables=["accounts"], parallel_calls=4)
        assert simulator.rate.refused == 0
    assert snapshot.status("okta", "accounts") is Status.COMPLETE


async def test_a_limit_that_several_paths_share_does_not_use_up_the_patience(tmp_path: Path) -> None:
    shared = {r"^/api/v1/apps": 25, r"": 10_000}
    with OktaSimulator(small_org(), limits=shared, window_seconds=1.0, delay=0.02) as simulator:
        snapshot = await pulled(simulator, tmp_path, tables=["grants", "credentials"], factors=False, retry_seconds=0)
        assert simulator.rate.refused > 0
    assert {entry.status for entry in snapshot.manifest.coverage} == {Status.COMPLETE}


async def test_one_user_without_access_is_one_gap(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta)
    okta.faults.add(FaultKind.FORBIDDEN, path=f"{uid('bob')}/factors", times=None)
    found = await read(source, "credentials", "factors")
    assert [gap.subject for gap in found.gaps] == [uid("bob")]
    assert {row.account_id for row in found.rows} == {uid("ann")}


async def test_an_app_without_a_sign_on_mode_is_no_gap_and_one_that_leaves_it_out_is(
    okta: OktaSimulator, opened: Opener
) -> None:
    wiki = okta.org.get("apps", "0oa1simwiki000000000")
    assert wiki is not None
    okta.org.put("apps", {**wiki, "signOnMode": None})
    found = await read(opened(okta), "entitlements", "apps")
    assert found.gaps == []
    assert next(row for row in found.rows if row.entitlement_id == wiki["id"]).description == wiki["name"]
    okta.org.put("apps", {name: value for name, value in wiki.items() if name != "signOnMode"})
    (gap,) = (await read(opened(okta), "entitlements", "apps")).gaps
    assert gap.subject == wiki["id"]


async def test_one_app_that_has_no_such_list_is_one_gap(okta: OktaSimulator, opened: Opener) -> None:
    class Picky(OktaSimulator):
        def page(self, request: web.Request, *given: Any, **more: Any) -> web.Response:
            if request.path.endswith("0oa1simweb0000000000/credentials/secrets"):
                return web.json_response({"errorCode": "E0000001", "errorSummary": "Api validation failed"}, status=400)
            return super().page(request, *given, **more)

    with Picky(small_org()) as simulator:
        found = await read(opened(simulator), "credentials", "client secrets")
    whole = await read(opened(okta), "credentials", "client secrets")
    assert [gap.subject for gap in found.gaps] == ["0oa1simweb0000000000"]
    assert {row.credential_id for row in found.rows} == {
        row.credential_id for row in whole.rows if not row.credential_id.startswith("0oa1simweb")
    }


async def test_an_organisation_without_service_apps_has_none_on_okta_s_word(
    okta: OktaSimulator, opened: Opener, tmp_path: Path
) -> None:
    for app in ("0oa1simreconciler000", "0oa1simbatch00000000", "0oa1simweb0000000000"):
        okta.org.delete("apps", app)
    found = await read(opened(okta), "accounts", "service apps")
    assert (found.rows, found.total) == ([], 0)
    snapshot = await pulled(okta, tmp_path)
    whole = {entry.partition for entry in snapshot.manifest.coverage if entry.status is Status.COMPLETE}
    assert {
        "service apps",
        "scopes",
        "scope grants",
        "client secrets",
        "client keys",
        "admin roles of clients",
    } <= whole
