"""Every account of an organization: discovered, opened by role, and each a partition that fails alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.aws import Settings, open_source
from reconciler.sdk.connector import PersonKeys, Presence, Status
from reconciler.sdk.errors import Refused, Unreachable
from tests.connectors.aws.conftest import NoParents, read, seal
from tests.simulators import aws_iam

Opened = Callable[..., Any]
OWN = "111122223333"
SHOP = "444455556666"
CLOSED = "555566667777"


@pytest.fixture
def iam() -> Iterator[aws_iam.Simulator]:
    with aws_iam.serve() as simulator:
        for account_id in (OWN, SHOP):
            simulator.account(account_id).add_user(f"user-{account_id}")
        simulator.cloud.accounts = [
            {"Id": OWN, "Name": "management", "State": "ACTIVE", "Status": "ACTIVE"},
            {"Id": SHOP, "Name": "shop", "Status": "ACTIVE"},
        ]
        yield simulator


def member(**more: Any) -> dict[str, Any]:
    return {"max_attempts": 1, "role_name": "reader", "organization": more}


async def names(source: Any, table: str = "accounts") -> list[str]:
    return [part.name for part in await source.partitions(table, NoParents())]


async def test_every_active_account_is_read_with_its_name_and_environment(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    iam.external_ids[SHOP] = "handshake"
    iam.cloud.tags[SHOP] = [{"Key": "cost", "Value": "1"}, {"Key": "Env", "Value": "production"}]
    iam.account(SHOP).add_group("staff")
    source = opened(iam.url, **member(external_id="handshake", environment_tag="Env"))
    assert await source.check() == []
    assert await names(source) == [OWN, SHOP]
    (row,) = (await read(source, "accounts", SHOP)).rows
    assert '"aws_account_name": "shop"' in row.attributes
    assert [one.environment for one in (await read(source, "entitlements", SHOP)).rows] == ["production"]


async def test_accounts_may_be_listed_with_a_role_and_left_out(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.account("777788889999")
    role = "arn:aws:iam::777788889999:role/list"
    source = opened(iam.url, **member(role_arn=role, role_external_id="handshake", exclude=[SHOP]))
    assert await names(source) == [OWN]
    assert {given["account"] for _, given in iam.cloud.asked} == {"777788889999"}


async def test_configured_accounts_come_first_and_add_to_those_discovered(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    iam.account("999900001111").add_user("guest")
    entries = [
        {"account_id": SHOP, "name": "The shop", "environment": "production"},
        {"account_id": "999900001111", "role_arn": "arn:aws:iam::999900001111:role/other"},
    ]
    source = opened(iam.url, **member(), accounts=entries)
    assert sorted(await names(source)) == [OWN, SHOP, "999900001111"]
    (row,) = (await read(source, "accounts", SHOP)).rows
    assert '"aws_account_name": "The shop"' in row.attributes


async def test_more_accounts_than_a_page_are_all_listed(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.cloud.accounts += [{"Id": f"{number:012}", "State": "ACTIVE"} for number in range(100, 138)]
    assert len(await names(opened(iam.url, **member()))) == 40


@pytest.mark.parametrize("state", ["SUSPENDED", "CLOSED", "PENDING_ACTIVATION"])
async def test_a_closed_account_is_named_and_holds_nothing_that_can_be_used(
    iam: aws_iam.Simulator, tmp_path: Path, state: str
) -> None:
    iam.cloud.accounts.append({"Id": CLOSED, "Name": "old", "State": state, "Status": "SUSPENDED"})
    snapshot = await seal(iam.url, tmp_path, **member())
    found = {(one.table, one.partition): (one.status, one.rows) for one in snapshot.manifest.coverage}
    assert found["accounts", SHOP] == (Status.COMPLETE, 1)
    for table in ("accounts", "entitlements", "grants", "credentials"):
        assert found[table, f"{CLOSED} {state}"] == (Status.COMPLETE, 0)


async def test_an_account_that_is_closing_or_shut_fails_alone(iam: aws_iam.Simulator, tmp_path: Path) -> None:
    iam.account("777788889999")
    iam.external_ids["777788889999"] = "unknown"
    iam.cloud.accounts += [{"Id": CLOSED, "State": "PENDING_CLOSURE"}, {"Id": "777788889999", "State": "ACTIVE"}]
    snapshot = await seal(iam.url, tmp_path, **member())
    found = {one.partition: one for one in snapshot.manifest.coverage if one.table == "accounts"}
    assert {name: one.status for name, one in found.items()} == {
        OWN: Status.COMPLETE,
        SHOP: Status.COMPLETE,
        CLOSED: Status.FAILED,
        "777788889999": Status.FAILED,
    }
    assert "PENDING_CLOSURE" in found[CLOSED].gaps[0].reason
    assert found["777788889999"].gaps[0].missing_permission == "sts:AssumeRole"


async def test_an_organization_that_may_not_be_listed_is_a_partition_that_fails(
    iam: aws_iam.Simulator, opened: Opened, tmp_path: Path
) -> None:
    iam.fail("organizations:ListAccounts", "denied")
    with pytest.raises(Refused) as caught:
        await opened(iam.url, **member()).check()
    assert caught.value.missing_permission == "organizations:ListAccounts"
    assert "aws-organization.json" in caught.value.advice
    snapshot = await seal(iam.url, tmp_path, **member(), accounts=[{"account_id": SHOP}])
    found = {one.partition: one for one in snapshot.manifest.coverage if one.table == "accounts"}
    assert {name: one.status for name, one in found.items()} == {
        SHOP: Status.COMPLETE,
        "organization": Status.FAILED,
    }
    assert found["organization"].gaps[0].missing_permission == "organizations:ListAccounts"


async def test_tags_that_may_not_be_read_leave_the_environment_unknown_and_say_so(
    iam: aws_iam.Simulator, tmp_path: Path
) -> None:
    iam.account(SHOP).add_group("staff")
    iam.fail("organizations:ListTagsForResource", "denied")
    snapshot = await seal(iam.url, tmp_path, **member(environment_tag="Env"))
    assert {one.status for one in snapshot.manifest.coverage} == {Status.COMPLETE}
    (source,) = snapshot.manifest.sources
    assert "environment" not in source.reports["entitlements"]
    assert "organizations:ListTagsForResource" in source.unknown["entitlements.environment"]


@pytest.mark.parametrize("kind", ["no_token", "same_token", "no_list", "short_json", "reset"])
@pytest.mark.parametrize("after", [0, 1])
async def test_a_spoilt_list_of_accounts_is_never_a_shorter_list(
    iam: aws_iam.Simulator, tmp_path: Path, kind: Any, after: int
) -> None:
    iam.cloud.accounts += [{"Id": f"{number:012}", "State": "SUSPENDED"} for number in range(100, 138)]
    iam.fail("organizations:ListAccounts", kind, after=after)
    settings = Settings.model_validate({"connector": "aws", "endpoint_url": iam.url, "retry_seconds": 0} | member())
    source = open_source("aws", settings, tmp_path)
    try:
        found = await names(source)
    except Unreachable:
        return
    finally:
        await source.close()
    assert "organization" in found or len(found) == 40


async def test_an_empty_organization_is_no_answer(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.cloud.accounts.clear()
    assert await names(opened(iam.url, **member())) == ["organization"]


async def test_nobody_is_gone_while_an_account_cannot_be_looked_into(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.cloud.accounts.append({"Id": CLOSED, "State": "SUSPENDED"})
    source = opened(iam.url, **member())
    found = await source.find(PersonKeys(logins=(f"user-{SHOP}",)))
    assert ([one.login for one in found.accounts], [gap.subject for gap in found.gaps]) == ([f"user-{SHOP}"], [CLOSED])
    gone = await source.reread("AIDA0000000000000000")
    assert gone.presence is Presence.NOT_EVALUABLE
    assert CLOSED in gone.reason
    root = await source.reread(f"{CLOSED}:root")
    assert (root.presence, "SUSPENDED" in root.reason) == (Presence.NOT_EVALUABLE, True)


async def test_a_search_says_so_where_the_organization_could_not_be_listed(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    iam.fail("organizations:ListAccounts", "denied")
    source = opened(iam.url, **member(), accounts=[{"account_id": SHOP}])
    assert [gap.subject for gap in (await source.find(PersonKeys(logins=("x",)))).gaps] == ["organization"]
    assert (await source.reread("AIDA0000000000000000")).presence is Presence.NOT_EVALUABLE
    with pytest.raises(Refused):
        await opened(iam.url, **member()).find(PersonKeys(logins=("x",)))


async def test_a_closed_account_stays_closed_where_the_configuration_names_it_too(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    iam.cloud.accounts[1] |= {"State": "SUSPENDED", "Status": "SUSPENDED"}
    source = opened(iam.url, **member(), accounts=[{"account_id": SHOP, "environment": "production"}])
    assert await source.check() == []
    assert sorted(await names(source)) == [OWN, f"{SHOP} SUSPENDED"]
    assert (await read(source, "accounts", f"{SHOP} SUSPENDED")).total == 0


async def test_a_configured_account_keeps_the_name_that_the_organization_gives(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    source = opened(iam.url, **member(), accounts=[{"account_id": SHOP, "environment": "production"}])
    (row,) = (await read(source, "accounts", SHOP)).rows
    assert '"aws_account_name": "shop"' in row.attributes


async def test_nobody_is_gone_where_no_account_is_read(iam: aws_iam.Simulator, opened: Opened) -> None:
    found = await opened(iam.url, **member(exclude=[OWN, SHOP])).reread("AIDA11112222333300077")
    assert found.presence is Presence.NOT_EVALUABLE
    assert "no AWS account" in found.reason


async def test_one_of_many_accounts_that_counts_more_users_than_it_lists_is_a_gap_of_a_search(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    iam.account(SHOP).summary["Users"] = 2
    found = await opened(iam.url, **member()).find(PersonKeys(person_id="p", logins=(f"user-{OWN}",)))
    assert [one.login for one in found.accounts] == [f"user-{OWN}"]
    assert [(gap.subject, gap.reason) for gap in found.gaps] == [(SHOP, "IAM counts 2 users, not 1")]
