"""The connector inside the product: a whole pull, sealed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from connectors.aws import Settings
from reconciler.collect import Limits, Pull, pull
from reconciler.sdk.connector import Source, Status
from reconciler.snapshot.store import SnapshotStore
from tests.connectors.aws.conftest import ADMIN
from tests.servers.moto_server import MotoServer


async def test_a_pull_of_two_accounts_is_sealed_whole(
    moto_with_policies: MotoServer, opened: Callable[..., Source], tmp_path: Path
) -> None:
    for account_id in ("123456789012", "444455556666"):
        with closing(moto_with_policies.client("iam", account_id)) as iam:
            for name in ("ada", "bob"):
                iam.create_user(UserName=name)
                iam.create_access_key(UserName=name)
                iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=ADMIN)
            iam.create_group(GroupName="staff")
            iam.attach_group_policy(GroupName="staff", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    entries = [{"account_id": "123456789012"}, {"account_id": "444455556666"}]
    given = {"accounts": entries, "role_name": "reader", "canaries": ["ada", "staff"]}
    settings = Settings.model_validate({"connector": "aws", "endpoint_url": moto_with_policies.url} | given)
    snapshot = await pull(
        [Pull(opened(moto_with_policies.url, **given), "aws", settings)],
        SnapshotStore(tmp_path / "snapshots"),
        estate="acme",
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        limits=Limits(),
        accepted=[],
        report=lambda _: None,
    )
    found = {table: (snapshot.status("aws", table), snapshot.gaps("aws", table)) for table in settings_tables()}
    assert found == dict.fromkeys(settings_tables(), (Status.COMPLETE, ()))


def settings_tables() -> tuple[str, ...]:
    return ("accounts", "entitlements", "grants", "credentials")
