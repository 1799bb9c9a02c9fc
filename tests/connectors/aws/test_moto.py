"""The whole connector against a real AWS API server over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.sdk.connector import Source
from tests.connectors.aws.conftest import ADMIN, read
from tests.servers.moto_server import MotoServer

Opened = Callable[..., Source]


async def test_the_contract_settings_alone_read_every_table_whole(moto: MotoServer, opened: Opened) -> None:
    iam = moto.client("iam")
    iam.create_user(UserName="ada", Tags=[{"Key": "email", "Value": "ada@acme.test"}])
    iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=ADMIN)
    iam.create_access_key(UserName="ada")
    iam.close()
    source = opened(moto.url)
    for table, rows in {"accounts": 1, "entitlements": 1, "grants": 1, "credentials": 1}.items():
        found = await read(source, table)
        assert (len(found.rows), found.total, found.gaps) == (rows, rows, [])
