"""Organizations and Identity Center against a real AWS API server over HTTP, as far as it has them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any

import pytest

from connectors.aws import center
from reconciler.sdk.connector import PersonKeys, Presence
from tests.connectors.aws.conftest import read
from tests.servers.moto_server import MotoServer

Opened = Callable[..., Any]
OWN = "123456789012"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


@pytest.fixture
def company(moto: MotoServer) -> dict[str, str]:
    """An organization of two accounts with a user each, and one person in Identity Center who is in one group."""
    with ExitStack() as open_clients:
        organizations, admin, store, own = (
            open_clients.enter_context(closing(moto.client(name)))
            for name in ("organizations", "sso-admin", "identitystore", "iam")
        )
        organizations.create_organization(FeatureSet="ALL")
        made = organizations.create_account(Email="shop@acme.test", AccountName="shop")["CreateAccountStatus"]
        shop = open_clients.enter_context(closing(moto.client("iam", made["AccountId"])))
        own.create_user(UserName="ada", Tags=[{"Key": "employee_id", "Value": "E7"}])
        shop.create_user(UserName="bob")
        instance = admin.list_instances()["Instances"][0]
        where = {"IdentityStoreId": instance["IdentityStoreId"]}
        name = {"GivenName": "Ada", "FamilyName": "Byron"}
        users = [
            store.create_user(
                **where, UserName=login, DisplayName=login, Name=name, Emails=[{"Value": login, "Primary": True}]
            )["UserId"]
            for login in ("ada@acme.test", "eve@acme.test")
        ]
        group = store.create_group(**where, DisplayName="admins")["GroupId"]
        store.create_group_membership(**where, GroupId=group, MemberId={"UserId": users[0]})
        at = {"InstanceArn": instance["InstanceArn"]}
        arn = admin.create_permission_set(**at, Name="Admin", SessionDuration="PT4H")["PermissionSet"][
            "PermissionSetArn"
        ]
        admin.attach_managed_policy_to_permission_set(**at, PermissionSetArn=arn, ManagedPolicyArn=ADMIN)
        given = {"TargetType": "AWS_ACCOUNT", "TargetId": made["AccountId"], "PermissionSetArn": arn}
        admin.create_account_assignment(**at, **given, PrincipalType="GROUP", PrincipalId=group)
    return {
        "shop": made["AccountId"],
        "user": users[0],
        "group": group,
        "set": arn,
        "store": instance["IdentityStoreId"],
    }


async def test_accounts_people_and_assignments_are_read_whole(
    moto: MotoServer, opened: Opened, company: dict[str, str]
) -> None:
    source = opened(moto.url, organization={}, role_name="reader", identity_center={})
    assert await source.check() == []
    assert [row.login for row in (await read(source, "accounts", company["shop"])).rows] == ["bob"]
    people = await read(source, "accounts", center.USERS)
    assert [(row.account_id, row.kind, row.email) for row in people.rows[:1]] == [
        (company["user"], "human", "ada@acme.test")
    ]
    pair = f"{company['shop']}/{company['set']}"
    pairs = (await read(source, "entitlements", center.ASSIGNMENTS)).rows
    assert [(row.entitlement_id, row.name, row.privileged) for row in pairs] == [
        (pair, f"Admin in shop ({company['shop']})", True)
    ]
    members = (await read(source, "grants", center.MEMBERSHIPS)).rows
    assert [(row.principal_id, row.entitlement_id) for row in members] == [(company["user"], company["group"])]
    held = (await read(source, "grants", center.ASSIGNMENTS)).rows
    assert [(row.principal_kind, row.principal_id, row.entitlement_id) for row in held] == [
        ("entitlement", company["group"], pair)
    ]


async def test_a_person_is_found_reread_and_gone(moto: MotoServer, opened: Opened, company: dict[str, str]) -> None:
    source = opened(moto.url, organization={}, role_name="reader", identity_center={})
    found = await source.find(PersonKeys(employee_id="E7", emails=("ada@acme.test",)))
    assert {(one.login, one.matched_by) for one in found.accounts} == {
        ("ada", ("employee_id",)),
        ("ada@acme.test", ("email",)),
    }
    for one in found.accounts:
        assert (await source.reread(one.account_id)).presence is Presence.PRESENT
    with closing(moto.client("iam")) as iam, closing(moto.client("identitystore")) as store:
        iam.delete_user(UserName="ada")
        iam.create_user(UserName="ada")
        store.delete_user(IdentityStoreId=company["store"], UserId=company["user"])
    for one in found.accounts:
        assert (await source.reread(one.account_id)).presence is Presence.GONE
