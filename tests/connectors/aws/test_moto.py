"""The whole connector against a real AWS API server over HTTP."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from reconciler.sdk.connector import Source
from tests.connectors.aws.conftest import ADMIN, READ, read
from tests.servers.moto_server import MotoServer

Opened = Callable[..., Source]
OWN = "123456789012"
OTHER = "444455556666"
OLD = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)


def trust(**principal: Any) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def certificate_text() -> str:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "robot")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, OLD, OLD.replace(year=2035))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def ssh_key() -> str:
    public = rsa.generate_private_key(65537, 2048).public_key()
    form = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return public.public_bytes(*form).decode()


async def test_the_contract_settings_alone_read_every_table_whole(moto: MotoServer, opened: Opened) -> None:
    with closing(moto.client("iam")) as iam:
        iam.create_user(UserName="ada", Tags=[{"Key": "email", "Value": "ada@acme.test"}])
        iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=ADMIN)
        iam.create_access_key(UserName="ada")
    source = opened(moto.url)
    assert await source.check() == []
    for table in ("accounts", "entitlements", "grants", "credentials"):
        found = await read(source, table)
        assert (len(found.rows), found.total, found.gaps) == (1, 1, [])
        filled = {name for row in found.rows for name in row.__struct_fields__ if getattr(row, name) is not None}
        assert filled <= source.reports[table]


async def test_an_empty_server_is_read_whole_with_totals_of_zero(moto: MotoServer, opened: Opened) -> None:
    source = opened(moto.url)
    for table in source.reports:
        found = await read(source, table)
        assert (found.rows, found.total, found.gaps) == ([], 0, [])


async def test_a_user_carries_his_tags_dates_and_second_factor(moto: MotoServer, opened: Opened) -> None:
    tags = {"EmployeeId": "E7", "email": "ada@acme.test", "Name": "Ada Byron", "owner": "p9", "cost": "42", "x": "y"}
    with closing(moto.client("iam")) as iam:
        iam.create_user(UserName="ada", Path="/eng/", Tags=[{"Key": k, "Value": v} for k, v in tags.items()])
        iam.create_login_profile(UserName="ada", Password="correct horse")
        serial = iam.create_virtual_mfa_device(VirtualMFADeviceName="ada")["VirtualMFADevice"]["SerialNumber"]
        iam.enable_mfa_device(
            UserName="ada", SerialNumber=serial, AuthenticationCode1="123456", AuthenticationCode2="654321"
        )
    moto.date_user("ada", OLD)
    moto.date_password("ada", OLD)
    source = opened(moto.url, attribute_tags=["cost"], canaries=["ada", "missing"])
    found = await read(source, "accounts")
    (ada,) = found.rows
    assert (ada.login, ada.display_name, ada.email, ada.employee_id, ada.owner_ref) == (
        "ada",
        "Ada Byron",
        "ada@acme.test",
        "E7",
        "p9",
    )
    assert (ada.status, ada.can_sign_in, ada.mfa_enrolled) == ("enabled", True, True)
    assert (ada.created_at, ada.last_sign_in_at) == (OLD, OLD)
    assert json.loads(ada.attributes) == {
        "arn": f"arn:aws:iam::{OWN}:user/eng/ada",
        "aws_account": OWN,
        "path": "/eng/",
        "tags": {"cost": "42"},
        "not_offered": ["service_credentials"],
    }
    assert found.canaries == {"ada"}
    credentials = await read(source, "credentials")
    assert {(row.kind, row.status, row.account_id) for row in credentials.rows} == {
        ("login_profile", "active", ada.account_id),
        ("mfa_factor", "active", ada.account_id),
    }
    (factor,) = [row for row in credentials.rows if row.kind == "mfa_factor"]
    assert factor.credential_id == f"{ada.account_id}/{serial}"


async def test_every_kind_of_credential_comes_with_its_status_and_dates(moto: MotoServer, opened: Opened) -> None:
    with closing(moto.client("iam")) as iam:
        for name in ("robot", "idle", "bare"):
            iam.create_user(UserName=name)
        active = iam.create_access_key(UserName="robot")["AccessKey"]["AccessKeyId"]
        inactive = iam.create_access_key(UserName="idle")["AccessKey"]["AccessKeyId"]
        iam.update_access_key(UserName="idle", AccessKeyId=inactive, Status="Inactive")
        ssh = iam.upload_ssh_public_key(UserName="robot", SSHPublicKeyBody=ssh_key())["SSHPublicKey"]["SSHPublicKeyId"]
        certificate = iam.upload_signing_certificate(UserName="robot", CertificateBody=certificate_text())[
            "Certificate"
        ]
        iam.update_signing_certificate(UserName="robot", CertificateId=certificate["CertificateId"], Status="Inactive")
    used = datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    moto.date_key("robot", active, OLD, used)
    source = opened(moto.url)
    accounts = {row.login: row.can_sign_in for row in (await read(source, "accounts")).rows}
    assert accounts == {"robot": True, "idle": False, "bare": False}
    found = {row.credential_id: row for row in (await read(source, "credentials")).rows}
    assert {one: (row.kind, row.status) for one, row in found.items()} == {
        active: ("access_key", "active"),
        inactive: ("access_key", "inactive"),
        ssh: ("ssh_key", "active"),
        certificate["CertificateId"]: ("certificate", "inactive"),
    }
    assert (found[active].created_at, found[active].rotated_at, found[active].last_used_at) == (OLD, OLD, used)
    assert found[inactive].last_used_basis == "AWS GetAccessKeyLastUsed: never used"
    assert found[ssh].rotated_at == found[ssh].created_at


async def test_groups_roles_and_policies_become_entitlements_and_grants(
    moto_with_policies: MotoServer, opened: Opened
) -> None:
    with closing(moto_with_policies.client("iam")) as iam:
        iam.create_user(UserName="ada")
        iam.create_group(GroupName="admins")
        iam.create_group(GroupName="readers")
        iam.add_user_to_group(GroupName="admins", UserName="ada")
        own = iam.create_policy(PolicyName="reading", PolicyDocument=READ, Description="Reads")["Policy"]
        iam.attach_group_policy(GroupName="admins", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
        iam.attach_group_policy(GroupName="readers", PolicyArn=own["Arn"])
        iam.attach_user_policy(UserName="ada", PolicyArn=own["Arn"])
        iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=ADMIN)
        iam.create_role(
            RoleName="deploy",
            AssumeRolePolicyDocument=trust(AWS=f"arn:aws:iam::{OWN}:user/ada", Service="ec2.amazonaws.com"),
            PermissionsBoundary=own["Arn"],
            Tags=[{"Key": "owner", "Value": "p7"}],
        )
        iam.put_role_policy(RoleName="deploy", PolicyName="inner", PolicyDocument=READ)
        ids = {
            "ada": iam.get_user(UserName="ada")["User"]["UserId"],
            "admins": iam.get_group(GroupName="admins")["Group"]["GroupId"],
            "readers": iam.get_group(GroupName="readers")["Group"]["GroupId"],
            "deploy": iam.get_role(RoleName="deploy")["Role"]["RoleId"],
        }
    source = opened(moto_with_policies.url)
    entitlements = await read(source, "entitlements")
    found = {row.entitlement_id: row for row in entitlements.rows}
    admin = f"{OWN}/arn:aws:iam::aws:policy/AdministratorAccess"
    assert {one: (row.kind, row.name, row.privileged) for one, row in found.items()} == {
        own["PolicyId"]: ("policy", "reading", False),
        admin: ("policy", "AdministratorAccess", True),
        ids["admins"]: ("group", "admins", True),
        ids["readers"]: ("group", "readers", False),
        ids["deploy"]: ("role", "deploy", False),
        f"{ids['deploy']}/inner": ("policy", "inner", False),
        f"{ids['ada']}/all": ("policy", "all", True),
    }
    assert (entitlements.total, entitlements.gaps) == (7, [])
    assert found[own["PolicyId"]].description == f"{own['Arn']}; Reads"
    assert "trusts arn:aws:iam::123456789012:user/ada; the service ec2" in found[ids["deploy"]].description
    assert found[ids["deploy"]].owner_ref == "p7"
    grants = await read(source, "grants")
    boundary = f"within permissions boundary {own['Arn']}"
    assert {(g.principal_kind, g.principal_id, g.entitlement_id, g.assignment, g.condition) for g in grants.rows} == {
        ("account", ids["ada"], ids["admins"], "direct", None),
        ("account", ids["ada"], own["PolicyId"], "direct", None),
        ("account", ids["ada"], f"{ids['ada']}/all", "direct", None),
        ("entitlement", ids["admins"], admin, "direct", None),
        ("entitlement", ids["readers"], own["PolicyId"], "direct", None),
        ("entitlement", ids["deploy"], f"{ids['deploy']}/inner", "direct", boundary),
        ("account", ids["ada"], ids["deploy"], "eligible", None),
    }
    assert (grants.total, grants.gaps) == (7, [])


async def test_several_accounts_are_partitions_and_trust_reaches_across(
    moto_with_policies: MotoServer, opened: Opened
) -> None:
    with closing(moto_with_policies.client("iam")) as iam:
        iam.create_user(UserName="ada")
        ada = iam.get_user(UserName="ada")["User"]["UserId"]
    with closing(moto_with_policies.client("iam", OTHER)) as iam:
        iam.create_user(UserName="bob")
        iam.create_role(
            RoleName="prod", AssumeRolePolicyDocument=trust(AWS=[f"arn:aws:iam::{OWN}:user/ada", "999988887777"])
        )
        prod = iam.get_role(RoleName="prod")["Role"]["RoleId"]
        iam.attach_role_policy(RoleName="prod", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    entries = [
        {"account_id": OWN, "name": "identity"},
        {"account_id": OTHER, "name": "prod", "environment": "production"},
    ]
    source = opened(moto_with_policies.url, accounts=entries, role_name="reconciler")
    here = await read(source, "accounts", OWN)
    there = await read(source, "accounts", OTHER)
    assert [row.login for row in here.rows + there.rows] == ["ada", "bob"]
    assert json.loads(there.rows[0].attributes)["aws_account_name"] == "prod"
    grants = await read(source, "grants", OTHER)
    assert ("account", ada, prod, "eligible") in {
        (g.principal_kind, g.principal_id, g.entitlement_id, g.assignment) for g in grants.rows
    }
    entitlements = await read(source, "entitlements", OTHER)
    role = next(row for row in entitlements.rows if row.entitlement_id == prod)
    assert (role.environment, role.privileged) == ("production", True)
    assert "the whole AWS account 999988887777" in role.description
    assert await source.check() == []


@pytest.mark.parametrize(("include_root", "ids"), [(False, []), (True, [f"{OWN}:root"])])
async def test_the_root_user_comes_only_when_asked_for(
    moto: MotoServer, opened: Opened, include_root: bool, ids: list[str]
) -> None:
    found = await read(opened(moto.url, include_root=include_root), "accounts")
    assert ([row.account_id for row in found.rows], found.total) == (ids, len(ids))
    for root in found.rows:
        assert (root.kind, root.can_sign_in, root.mfa_enrolled) == ("shared", None, False)
