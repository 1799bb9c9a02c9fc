"""A small company in Identity Center, for the simulator."""

from __future__ import annotations

import json
from typing import Any

from tests.simulators import aws_iam, aws_json

ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
EVERYTHING = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
SHOP = "444455556666"


def fill(simulator: aws_iam.Simulator, *, users: int = 7, groups: int = 3) -> aws_json.Cloud:
    """Fill users, groups with two members each, two permission sets, and assignments of each kind."""
    cloud = simulator.cloud
    ids = [cloud.add_user(number)["UserId"] for number in range(users)]
    made = [cloud.add_group(number, ids[number : number + 2])["GroupId"] for number in range(groups)]
    admin = cloud.add_set("Admin", managed=[ADMIN])
    reader = cloud.add_set("Reader", inline=json.dumps({"Statement": []}))
    cloud.assign("GROUP", made[0], admin, SHOP)
    cloud.assign("USER", ids[-1], reader, SHOP)
    for one in ids:
        cloud.assign("USER", one, reader, "111122223333")
    return cloud


def settings(**more: Any) -> dict[str, Any]:
    """Return settings that read Identity Center alone fast: pages of two."""
    return {"page_size": 2, "max_attempts": 1, "identity_center": {}} | more
