"""CloudTrail's event history as the events table: what becomes of an event, and what AWS does wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.aws import Settings, trail
from connectors.aws.access import Directory, Where
from connectors.aws.event_names import ACTIONS, action_of, names_of
from connectors.aws.event_rows import Found, event_row
from connectors.aws.trail import home_region
from reconciler import clock
from reconciler.sdk.connector import Partition, Status
from reconciler.sdk.errors import Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.pace import Pacer
from tests.connectors.aws.center_estate import fill
from tests.connectors.aws.conftest import read, seal
from tests.simulators import aws_iam

Opened = Callable[..., Any]
OWN = "111122223333"
MOMENT = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "Pacer", lambda concurrency, **_: Pacer(concurrency=concurrency))


@pytest.fixture
def iam() -> Iterator[aws_iam.Simulator]:
    with aws_iam.serve() as simulator:
        simulator.account()
        yield simulator


def given(**more: Any) -> dict[str, Any]:
    return {"max_attempts": 1, "events_days": 7, "tables": ["events"]} | more


def happened(number: int, name: str, source: str = "iam", *, days: float = 1.0, **record: Any) -> dict[str, Any]:
    identity = {"type": "IAMUser", "principalId": "AIDAACTOR", "userName": "root-of-all"}
    text = json.dumps({"eventName": name, "userIdentity": identity} | record)
    return {
        "EventId": f"e-{number:04}",
        "EventName": name,
        "EventSource": f"{source}.amazonaws.com",
        "EventTime": (clock.now() - timedelta(days=days)).timestamp(),
        "CloudTrailEvent": text,
    }


def mapped(name: str, source: str, directory: Directory | None = None, **record: Any) -> Any:
    settings = Settings(connector="aws")
    found = happened(1, name, source, **record) | {"EventTime": MOMENT.timestamp()}
    where = Where("aws", OWN, "production", settings)
    row, gaps = event_row(where, directory or Directory(), Found(**found))
    assert gaps == []
    return row


KNOWN = Directory(
    users={"arn:aws:iam::111122223333:user/ada": "AIDA1"},
    user_names={"ada": "AIDA1", "new": "AIDA2"},
    groups={"staff": "AGPA1"},
    role_names={"deploy": "AROA1"},
    roles={"arn:aws:iam::111122223333:role/deploy": "AROA1"},
    policies={"arn:aws:iam::111122223333:policy/own": "ANPA1"},
    created={"AIDA1": MOMENT - timedelta(days=9), "AIDA2": MOMENT + timedelta(days=1)},
)


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("DeleteUser", {"userName": "ada"}, ("account_deleted", "AIDA1", "account", None)),
        ("DeleteUser", {"userName": "new"}, ("account_deleted", f"{OWN}:user/new", "account", None)),
        ("DeleteUser", {"userName": "old"}, ("account_deleted", f"{OWN}:user/old", "account", None)),
        (
            "AddUserToGroup",
            {"userName": "ada", "groupName": "staff"},
            ("entitlement_granted", "AIDA1", "account", "AGPA1"),
        ),
        (
            "RemoveUserFromGroup",
            {"userName": "ada", "groupName": "x"},
            ("entitlement_revoked", "AIDA1", "account", f"{OWN}:group/x"),
        ),
        (
            "AttachUserPolicy",
            {"userName": "ada", "policyArn": "arn:aws:iam::111122223333:policy/own"},
            ("entitlement_granted", "AIDA1", "account", "ANPA1"),
        ),
        (
            "AttachRolePolicy",
            {"roleName": "deploy", "policyArn": "arn:aws:iam::aws:policy/A"},
            ("entitlement_granted", "AROA1", "entitlement", f"{OWN}/arn:aws:iam::aws:policy/A"),
        ),
        (
            "PutGroupPolicy",
            {"groupName": "staff", "policyName": "all"},
            ("entitlement_granted", "AGPA1", "entitlement", "AGPA1/all"),
        ),
        ("CreatePolicyVersion", {"policyArn": "arn:gone"}, ("role_changed", "arn:gone", "entitlement", "arn:gone")),
        ("CreateAccessKey", {"userName": "ada"}, ("credential_created", "AIDA1", "account", None)),
        ("CreateAccessKey", {}, ("credential_created", "AIDAACTOR", "account", None)),
        (
            "UpdateAccessKey",
            {"userName": "ada", "status": "Inactive"},
            ("credential_revoked", "AIDA1", "account", None),
        ),
        ("UpdateAccessKey", {"userName": "ada", "status": "Active"}, ("credential_created", "AIDA1", "account", None)),
    ],
)
def test_what_happened_in_iam(name: str, asked: dict[str, str], expected: tuple[Any, ...]) -> None:
    row = mapped(name, "iam", KNOWN, requestParameters=asked)
    assert (row.action, row.target_id, row.target_kind, row.entitlement_id) == expected
    assert (row.actor_id, row.actor_kind, row.raw_action) == ("AIDAACTOR", "account", f"iam:{name}")
    assert (row.occurred_at, row.environment, row.outcome) == (MOMENT, "production", "Success")


def test_a_user_who_is_made_has_the_id_that_the_event_tells() -> None:
    row = mapped(
        "CreateUser", "iam", requestParameters={"userName": "x"}, responseElements={"user": {"userId": "AIDA9"}}
    )
    assert (row.action, row.target_id) == ("account_created", "AIDA9")


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        ({"type": "Root", "accountId": OWN}, (f"{OWN}:root", "account")),
        ({"type": "AWSService", "invokedBy": "sso.amazonaws.com"}, ("sso.amazonaws.com", "service")),
        (
            {
                "type": "AssumedRole",
                "principalId": "AROA1:ada",
                "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROA1"}},
            },
            ("AROA1", "role"),
        ),
        (
            {"type": "FederatedUser", "sessionContext": {"sessionIssuer": {"type": "IAMUser", "principalId": "AIDA1"}}},
            ("AIDA1", "account"),
        ),
        ({"type": "IdentityCenterUser", "onBehalfOf": {"userId": "9067-1"}}, ("9067-1", "account")),
        ({"type": "SAMLUser", "principalId": "idp:ada"}, ("idp:ada", "SAMLUser")),
        ({}, (None, None)),
        (None, (None, None)),
    ],
)
def test_who_did_it(identity: Any, expected: tuple[Any, ...]) -> None:
    row = mapped("ConsoleLogin", "signin", userIdentity=identity, responseElements={"ConsoleLogin": "Failure"})
    assert (row.actor_id, row.actor_kind) == expected
    assert (row.action, row.target_id, row.outcome) == ("sign_in", expected[0], "Failure")


@pytest.mark.parametrize(
    ("name", "source", "record", "expected"),
    [
        (
            "CreateAccountAssignment",
            "sso",
            {
                "requestParameters": {
                    "principalId": "u1",
                    "principalType": "USER",
                    "targetId": OWN,
                    "permissionSetArn": "arn:ps",
                }
            },
            ("entitlement_granted", "u1", "account", f"{OWN}/arn:ps"),
        ),
        (
            "DeleteAccountAssignment",
            "sso",
            {
                "requestParameters": {
                    "principalId": "g1",
                    "principalType": "GROUP",
                    "targetId": OWN,
                    "permissionSetArn": "arn:ps",
                }
            },
            ("entitlement_revoked", "g1", "entitlement", f"{OWN}/arn:ps"),
        ),
        (
            "UpdatePermissionSet",
            "sso",
            {"requestParameters": {"permissionSetArn": "arn:ps"}},
            ("role_changed", "arn:ps", "entitlement", "arn:ps"),
        ),
        (
            "CreatePermissionSet",
            "sso",
            {"responseElements": {"permissionSet": {"permissionSetArn": "arn:ps"}}},
            ("role_changed", "arn:ps", "entitlement", "arn:ps"),
        ),
        (
            "DisableUser",
            "sso-directory",
            {"requestParameters": {"userId": "u1"}},
            ("account_disabled", "u1", "account", None),
        ),
        (
            "AddMemberToGroup",
            "sso-directory",
            {"requestParameters": {"groupId": "g1", "member": {"memberId": "u1"}}},
            ("entitlement_granted", "u1", "account", "g1"),
        ),
        (
            "CreateGroupMembership",
            "identitystore",
            {"requestParameters": {"groupId": "g1", "memberId": {"userId": "u1"}}},
            ("entitlement_granted", "u1", "account", "g1"),
        ),
        (
            "CreateUser",
            "identitystore",
            {"responseElements": {"userId": "u1"}},
            ("account_created", "u1", "account", None),
        ),
        (
            "DeleteGroup",
            "identitystore",
            {"requestParameters": {"groupId": "g1"}},
            ("role_changed", "g1", "entitlement", "g1"),
        ),
        (
            "UpdatePermissionSet",
            "sso",
            {"requestParameters": None, "errorCode": "AccessDenied"},
            ("role_changed", None, None, None),
        ),
    ],
)
def test_what_happened_in_identity_center(
    name: str, source: str, record: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    row = mapped(name, source, **record)
    assert (row.action, row.target_id, row.target_kind, row.entitlement_id) == expected
    assert row.outcome == record.get("errorCode", "Success")


def test_taking_a_role_names_the_role() -> None:
    asked = {"roleArn": "arn:aws:iam::111122223333:role/deploy"}
    row = mapped("AssumeRole", "sts", KNOWN, requestParameters=asked)
    assert (row.action, row.target_id, row.entitlement_id) == ("privilege_elevated", "AIDAACTOR", "AROA1")


def test_the_same_name_of_another_service_is_none_of_ours() -> None:
    where = Where("aws", OWN, None, Settings(connector="aws"))
    row, gaps = event_row(where, Directory(), Found(**happened(1, "CreateUser", "transfer")))
    assert (row, gaps) == (None, [])
    assert action_of("transfer.amazonaws.com", "UpdateAccessKey", {}) is None


def test_a_record_that_cannot_be_read_is_a_gap_and_a_row_of_what_is_known() -> None:
    where = Where("aws", OWN, None, Settings(connector="aws"))
    found = happened(1, "DeleteUser") | {"CloudTrailEvent": "{cut"}
    row, (gap,) = event_row(where, Directory(), Found(**found))
    assert row is not None
    assert (row.action, row.actor_id, row.outcome) == ("account_deleted", None, None)
    assert row.raw_digest == hashlib.sha256(b"{cut").hexdigest()
    assert gap.subject == "e-0001"
    bare = Found(EventId="e", EventName="DeleteUser", EventSource="iam.amazonaws.com")
    row, _ = event_row(where, Directory(), bare)
    assert row is not None
    assert (row.raw_digest, row.occurred_at) == (None, None)


def test_the_time_of_the_record_stands_in_where_the_list_has_none() -> None:
    where = Where("aws", OWN, None, Settings(connector="aws"))
    for text, expected in (("2026-11-01T12:00:00Z", MOMENT), ("yesterday", None), ("2026-11-01T12:00:00", None)):
        found = happened(1, "DeleteUser", eventTime=text) | {"EventTime": None}
        row, _ = event_row(where, Directory(), Found(**found))
        assert row is not None
        assert row.occurred_at == expected


def test_role_sessions_are_read_only_when_asked_for() -> None:
    assert "AssumeRole" not in names_of(ACTIONS, role_sessions=False)
    assert "AssumeRole" in names_of(ACTIONS, role_sessions=True)


@pytest.mark.parametrize(
    ("region", "home"),
    [("eu-central-1", "us-east-1"), ("cn-northwest-1", "cn-north-1"), ("us-gov-east-1", "us-gov-west-1")],
)
def test_iam_is_recorded_in_one_home_region(region: str, home: str) -> None:
    assert home_region(region) == home


async def test_events_of_the_window_come_from_each_region_once(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.account().add_user("ada")
    home = [happened(number, "UpdateUser", requestParameters={"userName": "ada"}) for number in range(120)]
    home.append(happened(200, "CreateUser", "transfer"))
    home.append(happened(201, "DeleteUser", days=30))
    frankfurt = [happened(300, "ConsoleLogin", "signin"), happened(301, "DeleteUser")]
    iam.cloud.events = {(OWN, "us-east-1"): home, (OWN, "eu-central-1"): frankfurt}
    found = await read(opened(iam.url, **given(events_regions=["eu-central-1"])), "events")
    assert {row.event_id for row in found.rows} == {f"e-{number:04}" for number in (*range(120), 300)}
    assert len(found.rows) == 121
    windows = {(one["StartTime"], one["EndTime"]) for name, one in iam.cloud.asked if name == "LookupEvents"}
    ((since, until),) = windows
    assert until - since == pytest.approx(7 * 86_400, abs=2)


async def test_identity_centers_events_come_from_its_region_and_owner(iam: aws_iam.Simulator, opened: Opened) -> None:
    fill(iam)
    disabled = happened(1, "DisableUser", "sso-directory", requestParameters={"userId": "u1"})
    iam.cloud.events = {(OWN, "eu-west-1"): [disabled]}
    source = opened(iam.url, **given(identity_center={"region": "eu-west-1"}))
    assert [row.action for row in (await read(source, "events", OWN)).rows] == ["account_disabled"]
    iam.cloud.instances[0]["OwnerAccountId"] = "999900001111"
    elsewhere = opened(iam.url, **given(identity_center={"region": "eu-west-1"}))
    assert (await read(elsewhere, "events", OWN)).rows == []
    iam.cloud.instances.clear()
    unseen = opened(iam.url, **given(identity_center={"region": "eu-west-1"}))
    assert len((await read(unseen, "events", OWN)).rows) == 1


async def test_no_event_is_whole_only_where_the_history_shows_any_other(iam: aws_iam.Simulator, opened: Opened) -> None:
    found = await read(opened(iam.url, **given()), "events")
    assert (found.rows, found.total) == ([], None)
    iam.cloud.events = {(OWN, "us-east-1"): [happened(1, "RunInstances", "ec2")]}
    found = await read(opened(iam.url, **given()), "events")
    assert (found.rows, found.total) == ([], 0)


@pytest.mark.parametrize("kind", ["no_token", "same_token", "no_list", "short_json", "empty", "reset"])
async def test_a_spoilt_page_of_events_never_makes_fewer_rows_complete(
    iam: aws_iam.Simulator, tmp_path: Path, kind: Any
) -> None:
    iam.cloud.events = {(OWN, "us-east-1"): [happened(number, "CreateUser") for number in range(130)]}
    for after in (1, 2, 3):
        iam.fail("cloudtrail:LookupEvents", kind, after=after, times=3)
        snapshot = await seal(iam.url, tmp_path / str(after), **given(retry_seconds=0))
        (one,) = snapshot.manifest.coverage
        assert one.rows == 130 if one.status is Status.COMPLETE else one.gaps, (kind, after)


@pytest.mark.parametrize(
    ("kind", "more", "expected"),
    [
        ("error", {"code": "ThrottlingException"}, Throttled),
        ("error", {"code": "InvalidNextTokenException"}, Misbehaved),
        ("denied", {}, Refused),
        ("html_200", {}, Unreachable),
    ],
)
async def test_errors_are_sorted_by_remedy(
    iam: aws_iam.Simulator, opened: Opened, kind: Any, more: dict[str, Any], expected: type[Exception]
) -> None:
    iam.fail("cloudtrail:LookupEvents", kind, **more)
    with pytest.raises(expected):
        await read(opened(iam.url, **given()), "events")


async def test_a_token_bound_to_its_page_size_is_asked_for_as_it_was(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.cloud.events = {(OWN, "us-east-1"): [happened(number, "CreateUser") for number in range(50)]}
    iam.fail("cloudtrail:LookupEvents", "error", code="InvalidNextTokenException", after=1, times=1)
    assert len((await read(opened(iam.url, **given()), "events")).rows) == 50


async def test_check_names_the_permission_and_the_table(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.fail("cloudtrail:LookupEvents", "denied")
    (gap,) = await opened(iam.url, **given()).check()
    assert (gap.table, gap.subject, gap.missing_permission) == ("events", OWN, "cloudtrail:LookupEvents")


async def test_a_page_asked_for_again_is_the_same_page(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.cloud.events = {(OWN, "us-east-1"): [happened(number, "CreateUser") for number in range(130)]}
    source = opened(iam.url, **given())
    part = Partition(OWN)
    first = await source.page("events", part, None)
    once = await source.page("events", part, first.next)
    again = await source.page("events", part, first.next)
    assert ([row.event_id for row in once.rows], once.next) == ([row.event_id for row in again.rows], again.next)


async def test_events_are_not_reported_where_they_are_not_switched_on(iam: aws_iam.Simulator, opened: Opened) -> None:
    assert "events" not in opened(iam.url).reports
    assert "events" in opened(iam.url, events_days=1).reports


@pytest.mark.parametrize(
    ("name", "asked", "expected"),
    [
        ("CreateUser", None, ("account_created", None)),
        ("CreateAccessKey", None, ("credential_created", None)),
        ("CreateUser", {"userName": "ada"}, ("account_created", "AIDA1")),
        ("UpdateAccessKey", None, (None, None)),
        ("ChangePassword", None, ("credential_rotated", "AIDAACTOR")),
    ],
)
def test_a_denied_call_says_so_and_its_actor_is_not_taken_for_whom_it_was_about(
    name: str, asked: Any, expected: tuple[Any, ...]
) -> None:
    row = mapped(name, "iam", KNOWN, requestParameters=asked, errorCode="AccessDenied")
    assert (row.action, row.target_id) == expected
    assert (row.actor_id, row.outcome) == ("AIDAACTOR", "AccessDenied")


def test_an_event_that_tells_neither_what_nor_whose_it_is_leaves_a_gap() -> None:
    found = Found(EventId="e-1", EventName="CreateUser", EventTime=MOMENT.timestamp(), CloudTrailEvent="{")
    row, gaps = event_row(Where("aws", OWN, None, Settings(connector="aws")), Directory(), found)
    assert row is None
    assert [gap.subject for gap in gaps] == ["e-1"]


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "InternalServerException", "AccessDeniedException"])
async def test_events_and_secrets_that_cannot_be_had_leave_the_rest_of_the_account_alone(
    iam: aws_iam.Simulator, tmp_path: Path, code: str
) -> None:
    iam.account().add_user("ada")
    for operation in ("cloudtrail:LookupEvents", "secretsmanager:ListSecrets"):
        iam.fail(operation, "error", code=code)
    more = given(tables=["accounts", "credentials", "events"], secrets_regions=["eu-central-1"], retry_seconds=0.0)
    snapshot = await seal(iam.url, tmp_path, **more)
    assert {(one.table, one.partition): one.status for one in snapshot.manifest.coverage} == {
        ("accounts", OWN): Status.COMPLETE,
        ("credentials", OWN): Status.COMPLETE,
        ("credentials", f"{OWN} secrets"): Status.FAILED,
        ("events", OWN): Status.FAILED,
    }
