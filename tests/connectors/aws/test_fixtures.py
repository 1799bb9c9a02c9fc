"""Payloads in the shapes that the IAM API reference documents, to the rows that must come of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import botocore.session
import msgspec
from botocore.parsers import create_parser

from connectors.aws import Settings, access, connector
from connectors.aws.details import UserDetail

FOLDER = Path(connector.__file__).parent
MODEL = botocore.session.Session().get_service_model("iam")
ACCOUNT = "111122223333"


def payload(operation: str) -> dict[str, Any]:
    shape = MODEL.operation_model(operation).output_shape
    assert shape is not None
    body = (FOLDER / "fixtures" / f"{operation}.xml").read_bytes()
    found: dict[str, Any] = create_parser("query").parse({"status_code": 200, "headers": {}, "body": body}, shape)
    return found


def expected(name: str) -> Any:
    return json.loads((FOLDER / "expected" / f"{name}.json").read_text(encoding="utf-8"))


def plain(rows: list[Any]) -> Any:
    filled = [{k: v for k, v in msgspec.to_builtins(row).items() if v is not None} for row in rows]
    return json.loads(json.dumps(filled))


def test_a_user_and_his_credentials() -> None:
    ada, robot = payload("ListUsers")["Users"]
    detail = UserDetail(
        ada,
        {
            "tags": payload("ListUserTags")["Tags"],
            "login_profile": [payload("GetLoginProfile")["LoginProfile"]],
            "access_keys": payload("ListAccessKeys")["AccessKeyMetadata"],
            "mfa_devices": payload("ListMFADevices")["MFADevices"],
            "ssh_keys": payload("ListSSHPublicKeys")["SSHPublicKeys"],
            "service_credentials": payload("ListServiceSpecificCredentials")["ServiceSpecificCredentials"],
            "signing_certificates": payload("ListSigningCertificates")["Certificates"],
        },
        {"AKIAIOSFODNN7EXAMPLE": payload("GetAccessKeyLastUsed")["AccessKeyLastUsed"]},
        [],
    )
    bare = UserDetail(robot, dict.fromkeys(detail.parts, None), {}, [])
    settings = Settings(connector="aws")
    rows = [connector.account_row("aws", ACCOUNT, None, one, settings) for one in (detail, bare)]
    assert plain(rows) == expected("accounts")
    assert plain(list(connector.credential_rows("aws", detail))) == expected("credentials")


def test_groups_roles_policies_and_who_holds_them() -> None:
    details = payload("GetAccountAuthorizationDetails")
    where = access.Where("aws", ACCOUNT, "production", Settings(connector="aws"))
    (user,), (group,), (role,) = details["UserDetailList"], details["GroupDetailList"], details["RoleDetailList"]
    (policy,) = details["Policies"]
    directory = access.Directory(
        users={user["Arn"]: user["UserId"]},
        groups={group["GroupName"]: group["GroupId"]},
        policies={policy["Arn"]: policy["PolicyId"]},
    )
    own, gaps = access.own_policy(where, policy, directory)
    entitlements = [own]
    grants = []
    for holder, item in (("Group", group), ("Role", role), ("User", user)):
        rows, problems = access.holder_rows(where, holder, item, {policy["Arn"]: own.privileged})  # type: ignore[arg-type]  # literals of the tuple
        entitlements += rows
        gaps += problems
        grants += access.holder_grants(where, holder, item, directory)  # type: ignore[arg-type]  # as above
    trusted, problems = access.trust_grants(where, role, {ACCOUNT: directory})
    assert gaps + problems == []
    assert plain(entitlements) == expected("entitlements")
    assert plain(grants + trusted) == expected("grants")
