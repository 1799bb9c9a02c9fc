"""The company's AWS account, made by real API calls to a moto server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from moto.moto_api._internal import mock_random

from tests.demo.company import CLOUD_GROUPS, CloudUser, Company
from tests.servers.moto_server import MotoServer

_POLICIES = {
    "developers-access": ("s3:Get*", "logs:*"),
    "deployers-access": ("ecs:UpdateService", "s3:PutObject"),
    "readers-access": ("s3:Get*", "s3:List*"),
    "billing-access": ("ce:*", "budgets:View*"),
    "administrators-access": ("*",),
    "incident-debug": ("logs:Get*",),
}
"""Policy -> actions; one that is named after a group is attached to it, the others to users by hand."""


@dataclass(slots=True)
class Ids:
    """AWS's own ids of what was made."""

    users: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)


def seed(server: MotoServer, company: Company) -> Ids:
    """Fill the account; the same company gets the same ids on every night."""
    ids = Ids()
    iam = server.client("iam")
    try:
        for name in CLOUD_GROUPS:
            with _named(f"group {name}"):
                ids.groups[name] = iam.create_group(GroupName=name)["Group"]["GroupId"]
        arns = {}
        for name, actions in _POLICIES.items():
            with _named(f"policy {name}"):
                made = iam.create_policy(PolicyName=name, PolicyDocument=_document(actions))["Policy"]
            ids.policies[name], arns[name] = made["PolicyId"], made["Arn"]
            group = name.removesuffix("-access")
            if group in CLOUD_GROUPS:
                iam.attach_group_policy(GroupName=group, PolicyArn=made["Arn"])
        for user in company.cloud.values():
            _create(server, iam, user, ids)
            for name in user.policies:
                iam.attach_user_policy(UserName=user.name, PolicyArn=arns[name])
    finally:
        iam.close()
    return ids


def _create(server: MotoServer, iam: Any, user: CloudUser, ids: Ids) -> None:
    tags = {}
    if user.person is not None:
        tags = {"employee_id": user.person.employee_id or "", "name": user.person.name, "email": user.person.email}
    with _named(f"user {user.name}"):
        made = iam.create_user(UserName=user.name, Tags=[{"Key": k, "Value": v} for k, v in tags.items() if v])
    ids.users[user.name] = made["User"]["UserId"]
    if user.console:
        iam.create_login_profile(UserName=user.name, Password="Demo-only-1")
    if user.mfa and "administrators" in user.groups:
        device = iam.create_virtual_mfa_device(VirtualMFADeviceName=user.name)["VirtualMFADevice"]["SerialNumber"]
        codes = {"AuthenticationCode1": "123456", "AuthenticationCode2": "654321"}
        iam.enable_mfa_device(UserName=user.name, SerialNumber=device, **codes)
    for group in user.groups:
        iam.add_user_to_group(GroupName=group, UserName=user.name)
    ids.keys[user.name] = []
    for number, key in enumerate(user.keys):
        with _named(f"key {user.name} {number}"):
            key_id = iam.create_access_key(UserName=user.name)["AccessKey"]["AccessKeyId"]
        # No AWS call can date a key back: moto's own object is dated.
        server.date_key(user.name, key_id, key.created, key.used)
        if not key.active:
            iam.update_access_key(UserName=user.name, AccessKeyId=key_id, Status="Inactive")
        ids.keys[user.name].append(key_id)


def _document(actions: Sequence[str]) -> str:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Let the id that moto draws for the next object follow from its name, so that it is the same every night."""
    mock_random.seed(f"meridian {name}")
    yield
