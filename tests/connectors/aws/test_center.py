"""Identity Center: what becomes of it, and what AWS and the network do wrong at every page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.aws import center, center_client
from reconciler.sdk.connector import Source, Status
from reconciler.sdk.errors import Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.pace import Pacer
from reconciler.snapshot.store import Snapshot
from tests.connectors.aws import center_estate
from tests.connectors.aws.center_estate import SHOP, fill
from tests.connectors.aws.conftest import read, seal
from tests.simulators import aws_iam, aws_json

Opened = Callable[..., Source]
WHOLE = {
    ("accounts", center.USERS): 7,
    ("entitlements", center.GROUPS): 3,
    ("entitlements", center.SETS): 2,
    ("entitlements", center.ASSIGNMENTS): 3,
    ("grants", center.MEMBERSHIPS): 6,
    ("grants", center.ASSIGNMENTS): 9,
}


@pytest.fixture(autouse=True)
def _unpaced(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Take the waiting between calls out, except where it is what is tested."""
    if "paced" not in request.fixturenames:
        monkeypatch.setattr(center_client, "Pacer", lambda concurrency, **_: Pacer(concurrency=concurrency))


@pytest.fixture
def paced() -> None:
    """Keep the waiting between calls."""


@pytest.fixture
def iam() -> Iterator[aws_iam.Simulator]:
    with aws_iam.serve() as simulator:
        simulator.account()
        yield simulator


async def pulled(iam: aws_iam.Simulator, folder: Path, *, retry_seconds: float = 0.0, **more: Any) -> Snapshot:
    """Pull the source into a snapshot, without waiting."""
    return await seal(iam.url, folder, **center_estate.settings(retry_seconds=retry_seconds, **more))


def parts(snapshot: Snapshot) -> dict[tuple[str, str], Any]:
    return {(one.table, one.partition): one for one in snapshot.manifest.coverage if one.partition in _NAMES}


_NAMES = {name for names in center.PARTS.values() for name in names}


async def test_users_groups_sets_and_assignments_become_rows(iam: aws_iam.Simulator, opened: Opened) -> None:
    cloud = fill(iam)
    cloud.users[0] |= {
        "UserStatus": "DISABLED",
        "Title": "Engineer",
        "ExternalIds": [{"Issuer": "https://idp.test", "Id": "00u1"}],
        "Extensions": {
            "aws:identitystore:enterprise": {
                "employeeNumber": "E7",
                "department": "Ops",
                "organization": "Acme",
                "manager": {"value": "m1"},
            }
        },
    }
    source = opened(iam.url, **center_estate.settings(canaries=["user3@acme.test", "Group 1", "Admin"]))
    users = await read(source, "accounts", center.USERS)
    first = users.rows[0]
    assert (first.kind, first.raw_status, first.status, first.can_sign_in) == ("human", "DISABLED", "disabled", False)
    assert (first.employee_id, first.department, first.company, first.manager_ref) == ("E7", "Ops", "Acme", "m1")
    assert (first.login, first.email, first.title) == ("user0@acme.test", "user0@acme.test", "Engineer")
    assert json.loads(first.attributes)["external_ids"] == [{"issuer": "https://idp.test", "id": "00u1"}]
    assert (users.rows[1].status, users.rows[1].can_sign_in) == ("enabled", True)
    assert users.rows[1].created_at == datetime(2025, 6, 15, 15, 6, 40, 500_000, tzinfo=UTC)
    assert (len(users.rows), users.canaries) == (7, {"user3@acme.test"})
    groups = await read(source, "entitlements", center.GROUPS)
    assert [(row.kind, row.name, row.privileged) for row in groups.rows] == [
        ("group", f"Group {number}", None) for number in range(3)
    ]
    sets = await read(source, "entitlements", center.SETS)
    assert [(row.name, row.kind, row.privileged) for row in sets.rows] == [
        ("Admin", "permission_set", True),
        ("Reader", "permission_set", False),
    ]
    assert sets.canaries == {"Admin"}
    pairs = {row.entitlement_id: row for row in (await read(source, "entitlements", center.ASSIGNMENTS)).rows}
    admin, reader = (one["PermissionSetArn"] for one in cloud.sets)
    assert {one: (row.name, row.privileged) for one, row in pairs.items()} == {
        f"{SHOP}/{admin}": (f"Admin in {SHOP}", True),
        f"{SHOP}/{reader}": (f"Reader in {SHOP}", False),
        f"111122223333/{reader}": ("Reader in 111122223333", False),
    }
    members = await read(source, "grants", center.MEMBERSHIPS)
    assert {(row.principal_id, row.entitlement_id) for row in members.rows} == {
        (user, group) for group, held in cloud.members.items() for user in held
    }
    held = await read(source, "grants", center.ASSIGNMENTS)
    assert {(row.principal_kind, row.principal_id, row.entitlement_id) for row in held.rows} == {
        (
            "account" if one["PrincipalType"] == "USER" else "entitlement",
            one["PrincipalId"],
            f"{one['AccountId']}/{one['PermissionSetArn']}",
        )
        for one in cloud.assignments
    }
    assert len(held.rows) == len(cloud.assignments)


async def test_two_tables_need_one_walk_over_the_principals_and_a_new_pull_sees_what_changed(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    cloud = fill(iam)
    source = opened(iam.url, **center_estate.settings())
    await read(source, "entitlements", center.ASSIGNMENTS)
    walked = [one for one, _ in cloud.asked].count("ListAccountAssignmentsForPrincipal")
    assert len((await read(source, "grants", center.ASSIGNMENTS)).rows) == 9
    assert [one for one, _ in cloud.asked].count("ListAccountAssignmentsForPrincipal") == walked
    del cloud.assignments[0]
    assert len((await read(source, "grants", center.ASSIGNMENTS)).rows) == 8
    alone = opened(iam.url, **center_estate.settings(tables=["grants"]))
    assert len((await read(alone, "grants", center.ASSIGNMENTS)).rows) == 8


async def test_a_whole_pull_is_sealed_with_every_row(iam: aws_iam.Simulator, tmp_path: Path) -> None:
    fill(iam)
    found = parts(await pulled(iam, tmp_path))
    assert {place: (one.status, one.rows, one.gaps) for place, one in found.items()} == {
        place: (Status.COMPLETE, rows, ()) for place, rows in WHOLE.items()
    }


_LISTS = {
    "identitystore:ListUsers": "accounts",
    "identitystore:ListGroups": "entitlements",
    "identitystore:ListGroupMemberships": "grants",
    "sso:ListPermissionSets": "entitlements",
    "sso:ListAccountAssignmentsForPrincipal": "grants",
}


@pytest.mark.parametrize("operation", _LISTS)
async def test_a_fault_at_any_page_never_makes_fewer_rows_complete(
    iam: aws_iam.Simulator, tmp_path: Path, operation: str
) -> None:
    fill(iam)
    seen: set[Status] = set()
    for kind in ("no_token", "same_token", "no_list", "short_json", "empty", "reset"):
        for after in (1, 3):
            iam.fail(operation, kind, after=after)
            place = tmp_path / f"{kind}{after}"
            for part, one in parts(await pulled(iam, place, tables=[_LISTS[operation]])).items():
                seen.add(one.status)
                if one.status is Status.COMPLETE:
                    assert one.rows == WHOLE[part], (kind, after, part)
                else:
                    assert one.gaps, (kind, after, part)
    assert seen != {Status.COMPLETE}


@pytest.mark.parametrize("operation", ["identitystore:ListUsers", "identitystore:ListGroupMemberships"])
async def test_a_token_that_is_lost_once_is_found_again(iam: aws_iam.Simulator, tmp_path: Path, operation: str) -> None:
    fill(iam)
    for after in (2, 3):
        iam.fail(operation, "no_token", after=after, times=1)
        table = _LISTS[operation]
        found = parts(await pulled(iam, tmp_path / str(after), retry_seconds=60.0, tables=[table]))
        wanted = {place: rows for place, rows in WHOLE.items() if place[0] == table}
        assert {place: one.rows for place, one in found.items() if one.status is Status.COMPLETE} == wanted


@pytest.mark.usefixtures("paced")
async def test_calls_keep_to_the_rate_that_aws_allows(iam: aws_iam.Simulator, opened: Opened) -> None:
    cloud = fill(iam, users=20)
    cloud.per_second = 21  # one more than we ask for, for the server's clock starts a second where it likes
    source = opened(iam.url, **center_estate.settings())
    assert len((await read(source, "grants", center.ASSIGNMENTS)).rows) == 22
    assert cloud.throttled == 0


async def test_being_throttled_waits_and_then_goes_on(iam: aws_iam.Simulator, tmp_path: Path) -> None:
    fill(iam)
    iam.fail("identitystore:ListUsers", "error", code="ThrottlingException", after=1, times=1)
    found = parts(await pulled(iam, tmp_path, retry_seconds=30.0))
    assert {place: one.rows for place, one in found.items() if one.status is Status.COMPLETE} == WHOLE


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("error", {"code": "ThrottlingException"}, Throttled),
        ("error", {"code": "InternalServerException", "status": 500}, Unreachable),
        ("error", {"code": "ResourceNotFoundException"}, Unreachable),
        ("error", {"code": "ValidationException"}, Misbehaved),
        ("denied", {}, Refused),
        ("html_200", {}, Unreachable),
        ("html_500", {}, Unreachable),
        ("hang", {}, Unreachable),
    ],
)
async def test_errors_are_sorted_by_remedy(
    iam: aws_iam.Simulator, opened: Opened, kind: Any, more: dict[str, Any], expected: type[Exception]
) -> None:
    fill(iam)
    iam.fail("identitystore:ListUsers", kind, **more)
    hasty = {"read_timeout_seconds": 0.5} if kind == "hang" else {}
    with pytest.raises(expected) as caught:
        await read(opened(iam.url, **center_estate.settings(**hasty)), "accounts", center.USERS)
    assert isinstance(caught.value, Refused | Unreachable | Throttled | Misbehaved)
    assert caught.value.advice


async def test_a_field_of_an_unknown_shape_is_a_gap_and_the_user_stays(iam: aws_iam.Simulator, opened: Opened) -> None:
    fill(iam, users=2)
    iam.fail("identitystore:ListUsers", "odd_Emails")
    found = await read(opened(iam.url, **center_estate.settings(page_size=50)), "accounts", center.USERS)
    assert [(row.login, row.email) for row in found.rows] == [("user0@acme.test", None), ("user1@acme.test", None)]
    assert [gap.subject for gap in found.gaps] == [row.account_id for row in found.rows]
    assert "Emails" in found.gaps[0].reason


async def test_a_user_status_that_aws_adds_later_stays_unknown(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.cloud.add_user(0, UserStatus="HIBERNATING", CreatedAt=1e300)
    (row,) = (await read(opened(iam.url, **center_estate.settings()), "accounts", center.USERS)).rows
    assert (row.raw_status, row.status, row.can_sign_in, row.created_at) == ("HIBERNATING", None, None, None)


async def test_an_assignment_of_somebody_else_is_no_answer(iam: aws_iam.Simulator, opened: Opened) -> None:
    cloud = fill(iam)
    cloud.users = cloud.users[:1]
    odd = {"PrincipalType": "USER", "PrincipalId": "elsewhere", "PermissionSetArn": "arn:x", "AccountId": SHOP}
    cloud.assignments = [odd]
    cloud.members = {group: [] for group in cloud.members}

    class Anyone(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return isinstance(other, str)

    odd["PrincipalId"] = Anyone("elsewhere")
    with pytest.raises(Misbehaved, match="another user"):
        await read(opened(iam.url, **center_estate.settings()), "grants", center.ASSIGNMENTS)


async def test_privilege_follows_the_policies_of_a_set(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = iam.account()
    cloud = iam.cloud
    everything = json.loads(center_estate.EVERYTHING)
    odd = account.add_policy("Odd", everything, of_aws=True)["PolicyArn"]
    mild = account.add_policy("Mild", {"Statement": []}, of_aws=True)["PolicyArn"]
    broken = account.add_policy("Broken", "[]", of_aws=True)["PolicyArn"]
    cloud.add_set("by document", managed=[odd])
    cloud.add_set("not at all", managed=[mild])
    cloud.add_set("unknown to IAM", managed=["arn:aws:iam::aws:policy/Nowhere"])
    cloud.add_set("of a customer", customer=["Local"])
    cloud.add_set("of a customer, by name", customer=["PowerUserAccess"])
    cloud.add_set("inline", inline=center_estate.EVERYTHING)
    cloud.add_set("inline, broken", inline="[]")
    cloud.add_set("broken", managed=[broken])
    cloud.add_set("empty")
    found = await read(opened(iam.url, **center_estate.settings()), "entitlements", center.SETS)
    assert {row.name: row.privileged for row in found.rows} == {
        "by document": True,
        "not at all": False,
        "unknown to IAM": None,
        "of a customer": None,
        "of a customer, by name": True,
        "inline": True,
        "inline, broken": None,
        "broken": None,
        "empty": False,
    }
    assert {gap.subject for gap in found.gaps} == {"permission set inline, broken", broken}
    iam.fail("GetPolicy", "denied")
    again = await read(opened(iam.url, **center_estate.settings()), "entitlements", center.SETS)
    assert {gap.missing_permission for gap in again.gaps if gap.subject == odd} == {"iam:GetPolicy"}


@pytest.mark.parametrize(
    ("instances", "said"),
    [
        ([], "no instance of IAM Identity Center"),
        ([{"InstanceArn": f"arn:aws:sso:::instance/{one}", "IdentityStoreId": one} for one in "ab"], "2 instances"),
    ],
)
async def test_the_instance_must_be_the_only_one_or_be_named(
    iam: aws_iam.Simulator, opened: Opened, instances: list[dict[str, str]], said: str
) -> None:
    iam.cloud.instances = instances
    with pytest.raises(Refused, match=said) as caught:
        await read(opened(iam.url, **center_estate.settings()), "accounts", center.USERS)
    assert "identity_center." in caught.value.advice
    gaps = await opened(iam.url, **center_estate.settings()).check()
    assert {(gap.table, gap.subject) for gap in gaps} == {
        (table, part) for table, names in center.PARTS.items() for part in names
    }


async def test_a_named_instance_is_read_in_its_region_by_its_role(iam: aws_iam.Simulator, opened: Opened) -> None:
    fill(iam)
    iam.account("777788889999")
    other = {"InstanceArn": "arn:aws:sso:::instance/ssoins-other", "IdentityStoreId": "d-other"}
    iam.cloud.instances.append(other)
    wanted = {
        "instance_arn": aws_json.INSTANCE,
        "region": "eu-central-1",
        "role_arn": "arn:aws:iam::777788889999:role/center",
        "enterprise_attributes": False,
    }
    found = await read(opened(iam.url, **center_estate.settings(identity_center=wanted)), "accounts", center.USERS)
    assert len(found.rows) == 7
    asked = [given for operation, given in iam.cloud.asked if operation == "ListUsers"]
    assert {(one["region"], one["account"], "Extensions" in one) for one in asked} == {
        ("eu-central-1", "777788889999", False)
    }


async def test_check_names_each_permission_and_the_parts_that_hang_on_it(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    fill(iam)
    for operation in (
        "identitystore:ListGroupMemberships",
        "sso:DescribePermissionSet",
        "sso:ListAccountAssignmentsForPrincipal",
    ):
        iam.fail(operation, "denied")
    gaps = await opened(iam.url, **center_estate.settings()).check()
    assert {(gap.table, gap.subject, gap.missing_permission) for gap in gaps} == {
        ("grants", center.MEMBERSHIPS, "identitystore:ListGroupMemberships"),
        ("entitlements", center.SETS, "sso:DescribePermissionSet"),
        ("entitlements", center.ASSIGNMENTS, "sso:DescribePermissionSet"),
        ("entitlements", center.ASSIGNMENTS, "sso:ListAccountAssignmentsForPrincipal"),
        ("grants", center.ASSIGNMENTS, "sso:ListAccountAssignmentsForPrincipal"),
    }


async def test_a_member_that_is_no_user_is_a_gap(iam: aws_iam.Simulator, opened: Opened) -> None:
    cloud = fill(iam, users=2, groups=1)
    cloud.members[cloud.groups[0]["GroupId"]] = [""]
    found = await read(opened(iam.url, **center_estate.settings()), "grants", center.MEMBERSHIPS)
    assert (found.rows, len(found.gaps)) == ([], 1)
