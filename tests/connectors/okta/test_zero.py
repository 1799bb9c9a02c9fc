"""Zero rows: taken for none only where Okta itself said so, to credentials that are seen to see everything."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.okta.source import PARTS, OktaSource
from reconciler.sdk.connector import Status
from reconciler.snapshot.store import Snapshot
from tests.connectors.okta.conftest import pulled, read
from tests.connectors.okta.test_auth import CLIENT, KEY, pem, service
from tests.simulators.okta import shapes
from tests.simulators.okta.auth import Principal
from tests.simulators.okta.org import Org
from tests.simulators.okta.server import ADMIN, TOKEN, OktaSimulator
from tests.simulators.okta.small import small_org

Opener = Callable[..., OktaSource]
BARE = {
    ("entitlements", "custom admin roles"),
    ("entitlements", "scopes"),
    ("grants", "app groups"),
    ("grants", "admin roles of groups"),
    ("grants", "admin roles of clients"),
    ("grants", "scope grants"),
    ("credentials", "factors"),
    ("credentials", "client secrets"),
    ("credentials", "client keys"),
    ("credentials", "refresh tokens"),
}
"""Parts in which many a company has nothing."""


def bare_org() -> Org:
    """Return an org with apps and OAuth clients, and nothing below them."""
    org = small_org()
    for path in list(org.lists):
        if path.endswith(("/groups", "/grants", "/tokens", "/secrets", "/jwks", "/factors")) or (
            path.endswith("/roles") and ADMIN not in path
        ):
            org.lists[path] = []
    for role in [org.rows["iam/roles"][index]["id"] for index in range(len(org.rows["iam/roles"]))]:
        org.delete("iam/roles", role)
    return org


def empty_but_whole(snapshot: Snapshot) -> set[tuple[str, str]]:
    return {
        (entry.table, entry.partition)
        for entry in snapshot.manifest.coverage
        if entry.status is Status.COMPLETE and entry.rows == 0
    }


def partial(snapshot: Snapshot) -> set[tuple[str, str]]:
    return {(e.table, e.partition) for e in snapshot.manifest.coverage if e.status is not Status.COMPLETE}


async def test_a_super_admin_is_told_that_there_is_none(tmp_path: Path) -> None:
    with OktaSimulator(bare_org()) as simulator:
        snapshot = await pulled(simulator, tmp_path)
    assert empty_but_whole(snapshot) == BARE
    assert partial(snapshot) == set()


async def test_without_a_proof_of_the_role_none_is_unknown(tmp_path: Path) -> None:
    reader = {TOKEN: Principal(role="READ_ONLY_ADMIN", user_id=ADMIN)}
    with OktaSimulator(bare_org(), tokens=reader) as simulator:
        snapshot = await pulled(simulator, tmp_path)
    assert empty_but_whole(snapshot) <= {("grants", "admin roles of groups")}
    assert partial(snapshot) >= BARE - {("grants", "admin roles of groups")}


@pytest.mark.parametrize("scopes", [None, ["okta.users.read", "okta.groups.read", "okta.apps.read"]])
async def test_an_app_with_scopes_and_no_admin_role_has_nothing_whole(
    scopes: list[str] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OKTA_TEST_KEY", pem(KEY))
    given = {"client_id": CLIENT, "private_key": "env:OKTA_TEST_KEY", "key_id": "k1"}
    with OktaSimulator(small_org(), clients=service(role="")) as simulator:
        simulator.org.lists.pop(f"clients/{CLIENT}/roles", None)
        snapshot = await pulled(simulator, tmp_path, **given, **({"scopes": scopes} if scopes else {}))
    everything = {(table, part) for table, parts in PARTS.items() for part in parts}
    assert partial(snapshot) | {("entitlements", "standard admin roles")} == everything


async def test_an_app_that_does_not_see_itself_sees_too_little(opened: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OKTA_TEST_KEY", pem(KEY))
    with OktaSimulator(bare_org(), clients=service()) as simulator:
        for app in (CLIENT, "0oa1simbatch00000000", "0oa1simweb0000000000"):
            simulator.org.delete("apps", app)
        simulator.org.add(
            f"clients/{CLIENT}/roles",
            shapes.role("ra11simreconciler000", "SUPER_ADMIN", f"/oauth2/v1/clients/{CLIENT}", assignment="CLIENT"),
        )
        source = opened(simulator, client_id=CLIENT, private_key="env:OKTA_TEST_KEY", key_id="k1")
        for table, part in (
            ("accounts", "service apps"),
            ("entitlements", "scopes"),
            ("grants", "admin roles of clients"),
            ("credentials", "client keys"),
        ):
            found = await read(source, table, part)
            assert (found.rows, found.total) == ([], None), part


async def test_federated_users_have_no_password_on_okta_s_word(okta: OktaSimulator, opened: Opener) -> None:
    users = okta.org.rows["users"]
    for user in [users[index]["id"] for index in range(len(users))]:
        okta.org.change(user, credentials={"provider": {"type": "FEDERATION", "name": "FEDERATION"}})
    found = await read(opened(okta, page_size=3), "credentials", "passwords")
    assert (found.rows, found.total) == ([], 0)


async def test_a_scope_comes_once_however_often_a_page_is_asked_for(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta, parallel_calls=1, page_size=1)
    part = next(one for one in await source.partitions("entitlements", None) if one.name == "scopes")  # type: ignore[arg-type] # not used
    cursor, ids = None, []
    while True:
        page = await source.page("entitlements", part, cursor)
        assert [row.entitlement_id for row in (await source.page("entitlements", part, cursor)).rows] == [  # type: ignore[attr-defined] # entitlements all
            row.entitlement_id  # type: ignore[attr-defined] # see above
            for row in page.rows
        ]
        ids += [row.entitlement_id for row in page.rows]  # type: ignore[attr-defined] # see above
        cursor = page.next
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) > 0
