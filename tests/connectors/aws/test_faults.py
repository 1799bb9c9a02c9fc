"""What AWS and the network do wrong, against a simulator that pages and fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.collect import Limits, Pull, pull
from reconciler.sdk.connector import Partition, Source
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Throttled, Unreachable
from reconciler.sdk.settings import SourceSettings
from reconciler.snapshot import SnapshotStore
from tests.connectors.aws.conftest import NoParents, read
from tests.simulators import aws_iam

Opened = Callable[..., Source]
CREATED = aws_iam.CREATED
OTHER_ROLE = "arn:aws:iam::444455556666:role/reader"
POLICY = Path(__file__).parents[3] / "deploy/policies/aws-read.json"


@pytest.fixture
def iam() -> Iterator[aws_iam.Simulator]:
    with aws_iam.serve() as simulator:
        simulator.account()
        yield simulator


def key(key_id: str, status: str = "Active") -> dict[str, Any]:
    return {"UserName": "x", "AccessKeyId": key_id, "Status": status, "CreateDate": CREATED}


def seeded(iam: aws_iam.Simulator, users: int = 5) -> aws_iam.Account:
    account = iam.account()
    account.add_group("staff")
    for number in range(users):
        account.add_user(f"user{number}", access_keys=[key(f"AKIA{number:016}")], groups=["staff"])
    return account


def fast(**more: Any) -> dict[str, Any]:
    return {"page_size": 2, "max_attempts": 1} | more


async def finish(source: Source, table: str, part: Partition, cursor: str | None) -> None:
    """Read what is left of a chain."""
    while cursor is not None:
        cursor = (await source.page(table, part, cursor)).next


async def test_pages_are_followed_to_the_end_and_counted(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    source = opened(iam.url, **fast())
    for table in ("accounts", "credentials"):
        found = await read(source, table)
        assert (len(found.rows), found.total, found.pages, found.gaps) == (5, 5, 3, [])
    grants = await read(source, "grants")
    assert (len(grants.rows), grants.total) == (5, 5)


async def test_the_same_page_asked_twice_is_counted_once(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    source = opened(iam.url, **fast())
    (part,) = await source.partitions("credentials", NoParents())
    first = await source.page("credentials", part, None)
    again = await source.page("credentials", part, first.next)
    second = await source.page("credentials", part, first.next)
    assert again.rows == second.rows
    last = await source.page("credentials", part, second.next)
    assert (last.total, last.next, last.gaps) == (5, None, [])


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("no_flag", Misbehaved),
        ("no_marker", Misbehaved),
        ("same_marker", Misbehaved),
        ("no_list", Misbehaved),
        ("html_200", SourceError),
        ("html_500", Unreachable),
        ("truncated", Unreachable),
        ("empty", Unreachable),
        ("reset", Unreachable),
        ("hang", Unreachable),
        ("denied", Refused),
    ],
)
@pytest.mark.parametrize(
    "spoilt",
    ["accounts ListUsers", "credentials ListUsers", "grants GetAccountAuthorizationDetails"],
)
async def test_a_spoilt_second_page_is_an_error_and_never_an_end(
    iam: aws_iam.Simulator, opened: Opened, kind: Any, expected: type[SourceError], spoilt: str
) -> None:
    table, operation = spoilt.split()
    seeded(iam)
    source = opened(iam.url, **fast(**({"read_timeout_seconds": 1.0} if kind == "hang" else {})))
    (part,) = await source.partitions(table, NoParents())
    page = await source.page(table, part, None)
    assert page.next is not None
    iam.fail(operation, kind)
    with pytest.raises(expected) as caught:
        await finish(source, table, part, page.next)
    assert operation in caught.value.message


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("Throttling", 400, Throttled),
        ("ServiceFailure", 500, Unreachable),
        ("ServiceUnavailable", 503, Unreachable),
        ("ExpiredToken", 403, Refused),
        ("InvalidClientTokenId", 403, Refused),
        ("SignatureDoesNotMatch", 403, Refused),
        ("ValidationError", 400, Misbehaved),
        ("InvalidAction", 400, Misbehaved),
    ],
)
async def test_service_errors_are_sorted_by_remedy(
    iam: aws_iam.Simulator, opened: Opened, code: str, status: int, expected: type[SourceError]
) -> None:
    seeded(iam)
    iam.fail("ListUsers", "error", code=code, status=status)
    with pytest.raises(expected) as caught:
        await read(opened(iam.url, **fast()), "accounts")
    assert caught.value.advice


async def test_a_page_throttled_half_way_goes_on_where_it_stopped(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam, users=3)
    source = opened(iam.url, **fast(page_size=100, parallel_calls=1))
    (part,) = await source.partitions("accounts", NoParents())
    iam.fail("ListAccessKeys", "error", code="Throttling", after=2, times=1)
    with pytest.raises(Throttled):
        await source.page("accounts", part, None)
    iam.fail("ListAccessKeys", "error", code="Throttling", after=2, times=1)
    page = await source.page("accounts", part, None)
    assert (len(page.rows), page.total, page.gaps) == (3, 3, [])


async def test_a_chain_read_again_sees_what_changed(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = seeded(iam, users=1)
    source = opened(iam.url, **fast())
    assert [row.can_sign_in for row in (await read(source, "accounts")).rows] == [True]
    account.of_user["user0"]["access_keys"] = []
    assert [row.can_sign_in for row in (await read(source, "accounts")).rows] == [False]


async def test_throttling_that_passes_is_waited_out_by_the_sdk(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam, users=1)
    iam.fail("ListUsers", "error", code="Throttling", times=1)
    found = await read(opened(iam.url, **fast(max_attempts=3)), "accounts")
    assert len(found.rows) == 1


async def test_a_whole_call_denied_names_the_permission(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    iam.fail("GetAccountAuthorizationDetails", "denied")
    with pytest.raises(Refused) as caught:
        await read(opened(iam.url, **fast()), "entitlements")
    assert caught.value.missing_permission == "iam:GetAccountAuthorizationDetails"
    assert "iam:GetAccountAuthorizationDetails" in caught.value.advice


async def test_a_list_denied_for_one_user_is_a_gap_and_leaves_unknown_what_hangs_on_it(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    account = seeded(iam, users=2)
    account.add_user("robot", ssh_keys=[{"SSHPublicKeyId": "APKA1", "Status": "Active", "UploadDate": CREATED}])
    iam.fail("ListSSHPublicKeys", "denied", user="robot")
    source = opened(iam.url, **fast())
    accounts = await read(source, "accounts")
    assert [row.can_sign_in for row in accounts.rows] == [True, True, None]
    assert [(gap.subject, gap.missing_permission) for gap in accounts.gaps] == [
        ("ssh keys of robot", "iam:ListSSHPublicKeys")
    ]
    credentials = await read(source, "credentials")
    assert [gap.missing_permission for gap in credentials.gaps] == ["iam:ListSSHPublicKeys"]


async def test_a_refused_list_that_changes_no_answer_is_a_gap_of_credentials_only(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    seeded(iam)
    iam.fail("ListSigningCertificates", "denied")
    source = opened(iam.url, **fast(page_size=100))
    accounts = await read(source, "accounts")
    assert ([row.can_sign_in for row in accounts.rows], accounts.gaps) == ([True] * 5, [])
    credentials = await read(source, "credentials")
    assert [gap.subject for gap in credentials.gaps] == ["signing certificates of user0, user1, user2, user3, user4"]


async def test_mfa_and_tags_that_may_not_be_read_are_unknown(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam, users=7)
    iam.fail("ListMFADevices", "denied")
    iam.fail("ListUserTags", "denied")
    found = await read(opened(iam.url, **fast(page_size=100)), "accounts")
    assert {(row.mfa_enrolled, row.email) for row in found.rows} == {(None, None)}
    assert [gap.subject for gap in found.gaps] == [
        "tags of user0, user1, user2, user3, user4 and 2 more",
        "mfa devices of user0, user1, user2, user3, user4 and 2 more",
    ]


async def test_last_use_that_may_not_be_read_is_a_gap_without_a_basis(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam, users=1)
    iam.fail("GetAccessKeyLastUsed", "denied")
    found = await read(opened(iam.url, **fast()), "credentials")
    assert (found.rows[0].last_used_at, found.rows[0].last_used_basis) == (None, None)
    assert [gap.missing_permission for gap in found.gaps] == ["iam:GetAccessKeyLastUsed"]


async def test_never_used_and_last_used_are_told_apart(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = seeded(iam, users=2)
    account.of_user["user1"]["access_keys"].append(key("AKIAOLD0000000000000") | {"CreateDate": "2014-01-01T00:00:00Z"})
    account.last_used["AKIA0000000000000000"] = {
        "LastUsedDate": "2026-01-02T03:04:05Z",
        "ServiceName": "s3",
        "Region": "eu-west-1",
    }
    found = await read(opened(iam.url, **fast()), "credentials")
    assert [row.last_used_basis for row in found.rows] == [
        "AWS GetAccessKeyLastUsed: s3 in eu-west-1",
        "AWS GetAccessKeyLastUsed: never used",
        "AWS GetAccessKeyLastUsed: not used since 22 April 2015; earlier use is not known",
    ]
    assert found.rows[0].last_used_at.isoformat() == "2026-01-02T03:04:05+00:00"


async def test_a_user_who_vanishes_while_read_asks_for_a_restart(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = seeded(iam)
    del account.of_user["user3"]
    with pytest.raises(Unreachable) as caught:
        await read(opened(iam.url, **fast()), "accounts")
    assert caught.value.restart


@pytest.mark.parametrize(
    ("counter", "table"),
    [("Users", "credentials"), ("Groups", "grants"), ("Roles", "grants"), ("Policies", "entitlements")],
)
async def test_fewer_objects_than_iam_counts_is_a_gap(
    iam: aws_iam.Simulator, opened: Opened, counter: str, table: str
) -> None:
    seeded(iam).summary[counter] = 50
    found = await read(opened(iam.url, **fast()), table)
    assert found.total is None
    assert [gap.subject for gap in found.gaps] == [f"{counter} of AWS account 111122223333"]
    assert "50" in found.gaps[0].reason


async def test_accounts_carry_iams_own_count(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam).summary["Users"] = 6
    found = await read(opened(iam.url, **fast()), "accounts")
    assert (len(found.rows), found.total) == (5, 6)


async def test_an_empty_account_is_vouched_for_by_zero_counters(iam: aws_iam.Simulator, opened: Opened) -> None:
    source = opened(iam.url, **fast())
    for table in source.reports:
        found = await read(source, table)
        assert (found.rows, found.total, found.gaps) == ([], 0, [])


async def test_a_role_session_that_expires_is_renewed_once(iam: aws_iam.Simulator, opened: Opened) -> None:
    other = iam.account("444455556666")
    other.add_user("ada")
    entry = {"account_id": "444455556666", "role_arn": "arn:aws:iam::444455556666:role/reader"}
    source = opened(iam.url, **fast(accounts=[entry]))
    await read(source, "accounts")
    iam.expire_all()
    again = await read(source, "accounts")
    assert [row.login for row in again.rows] == ["ada"]


async def test_expired_credentials_of_the_callers_own_are_refused(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    iam.fail("GetCallerIdentity", "error", code="ExpiredToken", status=403)
    with pytest.raises(Refused, match="expired"):
        await opened(iam.url, **fast()).partitions("accounts", NoParents())


async def test_a_role_that_may_not_be_assumed_fails_its_account_only(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    iam.account("444455556666")
    iam.external_ids["444455556666"] = "secret-handshake"
    entries = [
        {"account_id": "111122223333"},
        {"account_id": "444455556666", "role_arn": "arn:aws:iam::444455556666:role/reader", "external_id": "wrong"},
    ]
    source = opened(iam.url, **fast(accounts=entries))
    assert len((await read(source, "accounts", "111122223333")).rows) == 5
    with pytest.raises(Refused) as caught:
        await read(source, "accounts", "444455556666")
    assert caught.value.missing_permission == "sts:AssumeRole"
    assert caught.value.message.startswith("role arn:aws:iam::444455556666:role/reader: AssumeRole was denied")
    (gap,) = await source.check()
    assert (gap.table, gap.subject, gap.missing_permission) == ("", "444455556666", "sts:AssumeRole")
    assert gap.reason == caught.value.message


async def test_an_account_that_stays_shut_leaves_the_other_whole(
    iam: aws_iam.Simulator, opened: Opened, tmp_path: Path
) -> None:
    seeded(iam)
    iam.account("444455556666")
    iam.external_ids["444455556666"] = "secret-handshake"
    entries = [
        {"account_id": "111122223333"},
        {"account_id": "444455556666", "role_arn": "arn:aws:iam::444455556666:role/reader", "external_id": "wrong"},
    ]
    source = opened(iam.url, **fast(accounts=entries))
    snapshot = await pull(
        [Pull(source, "aws", SourceSettings(connector="aws"))],
        SnapshotStore(tmp_path / "snapshots"),
        estate="acme",
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        limits=Limits(),
        accepted=(),
        report=lambda _progress: None,
    )
    found = {(one.table, one.partition): (one.status, len(one.gaps)) for one in snapshot.manifest.coverage}
    for table in ("accounts", "entitlements", "grants", "credentials"):
        assert found[table, "111122223333"] == ("COMPLETE", 0)
        assert found[table, "444455556666"] == ("FAILED", 1)
        (words,) = snapshot.gaps("aws", table)
        assert words.startswith("444455556666: role arn:aws:iam::444455556666:role/reader: AssumeRole was denied")


async def test_the_external_id_opens_the_role(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    iam.account("444455556666").add_user("ada")
    iam.external_ids["444455556666"] = "handshake"
    entry = {"account_id": "444455556666", "external_id": "handshake"}
    found = await read(opened(iam.url, **fast(accounts=[entry], role_name="audit/reader")), "accounts")
    assert [row.login for row in found.rows] == ["ada"]


async def test_own_credentials_do_not_open_another_account(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    source = opened(iam.url, **fast(accounts=[{"account_id": "444455556666"}]))
    with pytest.raises(Refused, match="111122223333"):
        await read(source, "accounts")


async def test_check_lists_every_missing_permission(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    for operation in ("ListPolicies", "ListMFADevices", "GetAccessKeyLastUsed"):
        iam.fail(operation, "denied")
    gaps = await opened(iam.url, **fast()).check()
    assert {(gap.table, gap.missing_permission) for gap in gaps} == {
        ("entitlements", "iam:ListPolicies"),
        ("grants", "iam:ListPolicies"),
        ("accounts", "iam:ListMFADevices"),
        ("credentials", "iam:ListMFADevices"),
        ("credentials", "iam:GetAccessKeyLastUsed"),
    }


async def test_check_with_the_whole_policy_finds_nothing(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam).add_policy("AdministratorAccess", {"Version": "2012-10-17", "Statement": []}, of_aws=True)
    assert await opened(iam.url, **fast()).check() == []


async def test_no_credentials_at_all_is_refused_with_advice(
    iam: aws_iam.Simulator, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(Refused) as caught:
        await opened(iam.url).check()
    assert "AWS_ACCESS_KEY_ID" in caught.value.advice


async def test_a_profile_that_does_not_exist_is_a_configuration_error(iam: aws_iam.Simulator, opened: Opened) -> None:
    with pytest.raises(ConfigurationError, match="nowhere"):
        await opened(iam.url, profile="nowhere").check()


async def test_keys_by_reference_are_used_and_kept_out_of_messages(
    iam: aws_iam.Simulator, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = iam.issue(iam.account("444455556666").account_id)
    seeded(iam)
    for name, value in {"KEY_ID": "AKIAOTHER", "KEY_SECRET": "hush-hush", "KEY_TOKEN": token}.items():
        monkeypatch.setenv(name, value)
    keys = {
        "access_key_id": "env:KEY_ID",
        "secret_access_key": "env:KEY_SECRET",
        "session_token": "env:KEY_TOKEN",
    }
    source = opened(iam.url, **fast(), **keys)
    assert [part.name for part in await source.partitions("accounts", NoParents())] == ["444455556666"]
    iam.fail("ListUsers", "error", code="SignatureDoesNotMatch", status=403)
    with pytest.raises(Refused) as caught:
        await read(source, "accounts")
    assert "hush-hush" not in caught.value.message + caught.value.advice


async def test_a_secret_that_is_missing_names_its_reference(
    iam: aws_iam.Simulator, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(ConfigurationError, match="env:NO_SUCH"):
        await opened(iam.url, access_key_id="env:NO_SUCH", secret_access_key="env:NO_SUCH").check()


async def test_credentials_that_expire_among_the_users_stop_the_pull(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    iam.fail("ListSSHPublicKeys", "error", code="ExpiredToken", status=403)
    with pytest.raises(Refused, match="expired"):
        await read(opened(iam.url, **fast()), "accounts")
    with pytest.raises(Refused, match="expired"):
        await opened(iam.url, **fast()).check()


async def test_check_is_held_to_the_tables_that_are_read(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam)
    iam.fail("ListPolicies", "denied")
    assert await opened(iam.url, **fast(tables=["accounts", "credentials"])).check() == []


async def test_more_than_a_page_of_keys_is_followed(iam: aws_iam.Simulator, opened: Opened) -> None:
    iam.account().add_user("hoarder", access_keys=[key(f"AKIA{number:016}") for number in range(5)])
    iam.page_limit = 2
    found = await read(opened(iam.url, **fast()), "credentials")
    assert len(found.rows) == 5


@pytest.mark.parametrize("kind", ["same_marker", "no_marker", "no_list"])
async def test_a_spoilt_list_about_one_user_is_no_shorter_list(
    iam: aws_iam.Simulator, opened: Opened, kind: Any
) -> None:
    seeded(iam, users=1)
    iam.fail("ListAccessKeys", kind)
    with pytest.raises(Misbehaved, match="ListAccessKeys"):
        await read(opened(iam.url, **fast()), "credentials")


async def test_closing_twice_is_safe(iam: aws_iam.Simulator, opened: Opened) -> None:
    source = opened(iam.url)
    await source.partitions("accounts", NoParents())
    await source.close()
    await source.close()


async def test_nobody_listening_is_unreachable(opened: Opened) -> None:
    with pytest.raises(Unreachable) as caught:
        await opened("http://127.0.0.1:9", **fast()).check()
    assert "endpoint_url" in caught.value.advice


async def test_a_group_that_appears_while_read_asks_for_a_restart(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = seeded(iam)
    source = opened(iam.url, **fast())
    (part,) = await source.partitions("grants", NoParents())
    page = await source.page("grants", part, None)
    account.users[0]["GroupList"] = ["new"]
    with pytest.raises(Unreachable, match="new") as caught:
        await finish(source, "grants", part, page.next)
    assert caught.value.restart


@pytest.mark.parametrize(("code", "status"), [("InvalidAction", 400), ("NotImplemented", 501)])
async def test_a_server_that_says_it_has_no_service_credentials_is_believed(
    iam: aws_iam.Simulator, opened: Opened, code: str, status: int
) -> None:
    seeded(iam, users=1)
    iam.fail("ListServiceSpecificCredentials", "error", code=code, status=status)
    source = opened(iam.url, **fast())
    accounts = await read(source, "accounts")
    assert "service_credentials=not offered" in accounts.rows[0].raw_status
    assert '"not_offered": ["service_credentials"]' in accounts.rows[0].attributes
    credentials = await read(source, "credentials")
    assert (credentials.total, credentials.gaps) == (1, [])


async def test_service_credentials_that_fail_once_are_read_all_the_same(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = iam.account()
    given = {"ServiceSpecificCredentialId": "ACCA1", "Status": "Active", "CreateDate": CREATED}
    account.add_user("ada", service_credentials=[given])
    iam.fail("ListServiceSpecificCredentials", "html_500", times=2)
    found = await read(opened(iam.url, **fast()), "credentials")
    assert [(row.credential_id, row.kind, row.status) for row in found.rows] == [
        ("ACCA1", "service_credential", "active")
    ]


async def test_a_policy_of_aws_that_may_not_be_read_is_a_gap_and_of_unknown_privilege(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    account = iam.account()
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    attached = [account.add_policy(name, everything, of_aws=True) for name in ("AdministratorAccess", "Odd")]
    account.add_group("staff", AttachedManagedPolicies=attached[1:])
    source = opened(iam.url, **fast())
    read_whole = await read(source, "entitlements")
    assert {row.name: row.privileged for row in read_whole.rows} == {
        "AdministratorAccess": True,
        "Odd": True,
        "staff": True,
    }
    iam.fail("GetPolicyVersion", "denied")
    found = await read(source, "entitlements")
    assert {row.name: row.privileged for row in found.rows} == {
        "AdministratorAccess": True,
        "Odd": None,
        "staff": None,
    }
    assert [(gap.subject, gap.missing_permission) for gap in found.gaps] == [
        ("arn:aws:iam::aws:policy/Odd", "iam:GetPolicyVersion")
    ]


async def test_a_trusted_account_that_is_configured_and_closed_is_a_gap(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = seeded(iam)
    principal = {"AWS": "arn:aws:iam::444455556666:user/ada"}
    account.add_role("deploy", [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}])
    entries = [{"account_id": "111122223333"}, {"account_id": "444455556666", "role_arn": OTHER_ROLE}]
    found = await read(opened(iam.url, **fast(accounts=entries)), "grants", "111122223333")
    assert [gap.subject for gap in found.gaps] == ["arn:aws:iam::111122223333:role/deploy"]


async def test_the_shipped_policy_holds_exactly_the_calls_that_are_made(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = seeded(iam)
    account.add_policy("ReadOnlyAccess", {"Statement": []}, of_aws=True)
    source = opened(iam.url)
    assert await source.check() == []
    for table in source.reports:
        await read(source, table)
    statement = json.loads(POLICY.read_text(encoding="utf-8"))["Statement"][0]
    made = {f"iam:{operation}" for operation in iam.calls if operation != "GetCallerIdentity"}
    assert set(statement["Action"]) == made


async def test_a_role_that_nobody_may_understand_is_a_gap_of_grants(iam: aws_iam.Simulator, opened: Opened) -> None:
    seeded(iam).add_role("odd", "[]")
    found = await read(opened(iam.url, **fast()), "grants")
    assert [gap.subject for gap in found.gaps] == ["arn:aws:iam::111122223333:role/odd"]
