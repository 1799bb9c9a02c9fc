"""The shipped policies allow exactly what is called: recorded at the wire while everything is read, and no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.aws import center_client, trail
from reconciler.sdk.connector import Partition, PersonKeys
from reconciler.sdk.pace import Pacer
from tests.connectors.aws.center_estate import SHOP, fill
from tests.connectors.aws.conftest import NoParents, read
from tests.simulators import aws_iam, aws_json

Opened = Callable[..., Any]
FOLDER = Path(__file__).parents[3] / "deploy/policies"
OWN = "111122223333"


@pytest.fixture
def iam(monkeypatch: pytest.MonkeyPatch) -> Iterator[aws_iam.Simulator]:
    for module in (center_client, trail):
        monkeypatch.setattr(module, "Pacer", lambda concurrency, **_: Pacer(concurrency=concurrency))
    with aws_iam.serve() as simulator:
        for account_id in (OWN, SHOP):
            account = simulator.account(account_id)
            keys = [{"UserName": "x", "AccessKeyId": f"AKIA{account_id}0000", "Status": "Active"}]
            account.add_user("ada", access_keys=[one | {"CreateDate": aws_iam.CREATED} for one in keys])
            account.add_policy("Mild", {"Statement": []}, of_aws=True)
        simulator.cloud.accounts = [{"Id": one, "State": "ACTIVE"} for one in (OWN, SHOP)]
        simulator.cloud.secrets = {(OWN, "us-east-1"): [{"ARN": f"arn:aws:secretsmanager:us-east-1:{OWN}:secret:s"}]}
        cloud = fill(simulator)
        cloud.sets[1]["managed"] = ["arn:aws:iam::aws:policy/Mild"]
        yield simulator


def allowed(file: str) -> set[str]:
    document = json.loads((FOLDER / file).read_text(encoding="utf-8"))
    assert {one["Effect"] for one in document["Statement"]} == {"Allow"}
    return {action for one in document["Statement"] for action in one["Action"]}


def made(iam: aws_iam.Simulator) -> set[str]:
    """Return the actions of every call that was made; GetCallerIdentity needs no permission."""
    spoken = {aws_json.permission(target) for target in iam.targets}
    asked = {one for one in iam.calls if ":" not in one} - {"GetCallerIdentity", "AssumeRole"}
    return spoken | {f"iam:{one}" for one in asked} | ({"sts:AssumeRole"} if iam.calls["AssumeRole"] else set())


async def everything(source: Any) -> None:
    """Check, read every part of every table, look for a person and re-read accounts of each kind."""
    assert await source.check() == []
    for table in source.reports:
        for part in await source.partitions(table, NoParents()):
            await read(source, table, Partition(part.name).name)
    found = await source.find(PersonKeys(emails=("user1@acme.test",), logins=("ada",)))
    assert found.gaps == ()
    for account in found.accounts:
        await source.reread(account.account_id)


async def test_everything_switched_on_calls_what_the_three_policies_allow(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    source = opened(
        iam.url,
        role_name="reconciler-read",
        organization={"environment_tag": "env"},
        identity_center={},
        events_days=1,
        secrets_regions=["us-east-1"],
        last_accessed="services",
    )
    await everything(source)
    files = ("aws-read.json", "aws-organization.json", "aws-identity-center.json")
    assert made(iam) == set().union(*(allowed(file) for file in files))


async def test_iam_alone_calls_what_its_statement_allows(iam: aws_iam.Simulator, opened: Opened) -> None:
    await everything(opened(iam.url))
    document = json.loads((FOLDER / "aws-read.json").read_text(encoding="utf-8"))
    assert made(iam) == set(document["Statement"][0]["Action"])


@pytest.mark.parametrize(
    ("settings", "sid"),
    [
        ({"last_accessed": "actions"}, "ReconcilerReadsLastAccess"),
        ({"events_days": 1}, "ReconcilerReadsEvents"),
        ({"secrets_regions": ["us-east-1"]}, "ReconcilerListsSecrets"),
    ],
)
async def test_an_area_switched_on_adds_its_own_statement(
    iam: aws_iam.Simulator, opened: Opened, settings: dict[str, Any], sid: str
) -> None:
    await everything(opened(iam.url, **settings))
    document = json.loads((FOLDER / "aws-read.json").read_text(encoding="utf-8"))
    by_sid = {one["Sid"]: set(one["Action"]) for one in document["Statement"]}
    assert made(iam) == by_sid["ReconcilerReadsIam"] | by_sid[sid]
