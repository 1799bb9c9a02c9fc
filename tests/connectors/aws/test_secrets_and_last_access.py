"""Secrets of Secrets Manager as credentials, and the last access of users to any service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.aws import Settings, last_access
from connectors.aws.details import Access, UserDetail
from connectors.aws.last_access import LastAccess, latest
from reconciler.sdk.connector import Status
from reconciler.sdk.errors import Misbehaved, Refused
from tests.connectors.aws.conftest import read, seal
from tests.servers.moto_server import MotoServer
from tests.simulators import aws_iam

Opened = Callable[..., Any]
OWN = "111122223333"
SECRETS = f"{OWN} secrets"
LONG_AGO = 1_700_000_000.0


@pytest.fixture
def iam() -> Iterator[aws_iam.Simulator]:
    with aws_iam.serve() as simulator:
        simulator.account()
        yield simulator


def secret(number: int, **more: Any) -> dict[str, Any]:
    arn = f"arn:aws:secretsmanager:eu-west-1:{OWN}:secret:s{number}-AbCdEf"
    return {"ARN": arn, "Name": f"s{number}", "CreatedDate": LONG_AGO} | more


def given(**more: Any) -> dict[str, Any]:
    return {"max_attempts": 1, "tables": ["credentials"]} | more


async def test_secrets_are_credentials_with_their_rotation(iam: aws_iam.Simulator, opened: Opened) -> None:
    rotated = {"RotationEnabled": True, "LastRotatedDate": LONG_AGO + 10, "NextRotationDate": LONG_AGO + 99}
    iam.cloud.secrets = {
        (OWN, "eu-west-1"): [
            secret(0, LastAccessedDate=LONG_AGO, **rotated),
            secret(1, RotationEnabled=False, NextRotationDate=LONG_AGO),
            secret(2, DeletedDate=LONG_AGO),
        ],
        (OWN, "us-east-1"): [secret(number) for number in range(3, 208)],
    }
    source = opened(iam.url, **given(secrets_regions=["eu-west-1", "us-east-1"], canaries=["s1", "s9"]))
    assert await source.check() == []
    found = await read(source, "credentials", SECRETS)
    assert (len(found.rows), found.canaries) == (208, {"s1", "s9"})
    first, second, third = found.rows[:3]
    assert (first.kind, first.status, first.account_id) == ("service_credential", "active", None)
    assert first.rotated_at == datetime(2023, 11, 14, 22, 13, 30, tzinfo=UTC)
    assert first.expires_at == datetime(2023, 11, 14, 22, 14, 59, tzinfo=UTC)
    assert first.last_used_basis == "AWS Secrets Manager LastAccessedDate in eu-west-1: day only, as 00:00 UTC"
    assert (second.expires_at, second.rotated_at, second.last_used_at) == (None, None, None)
    assert second.last_used_basis == "AWS Secrets Manager LastAccessedDate in eu-west-1: never retrieved"
    assert third.status == "inactive"


@pytest.mark.parametrize("kind", ["no_token", "same_token", "no_list", "short_json", "empty", "reset"])
async def test_a_spoilt_page_of_secrets_never_makes_fewer_rows_complete(
    iam: aws_iam.Simulator, tmp_path: Path, kind: Any
) -> None:
    iam.cloud.secrets = {(OWN, "eu-west-1"): [secret(number) for number in range(205)]}
    for after in (1, 2, 3):
        iam.fail("secretsmanager:ListSecrets", kind, after=after, times=2)
        wanted = given(secrets_regions=["eu-west-1"], retry_seconds=0)
        snapshot = await seal(iam.url, tmp_path / str(after), **wanted)
        (one,) = [one for one in snapshot.manifest.coverage if one.partition == SECRETS]
        assert one.rows == 205 if one.status is Status.COMPLETE else one.gaps, (kind, after)


async def test_secrets_that_may_not_be_listed_are_a_gap_of_their_own_partition(
    iam: aws_iam.Simulator, tmp_path: Path
) -> None:
    iam.fail("secretsmanager:ListSecrets", "denied")
    snapshot = await seal(iam.url, tmp_path, **given(secrets_regions=["eu-west-1"]))
    found = {one.partition: one for one in snapshot.manifest.coverage}
    assert (found[OWN].status, found[SECRETS].status) == (Status.COMPLETE, Status.FAILED)
    assert {gap.missing_permission for gap in found[SECRETS].gaps} == {"secretsmanager:ListSecrets"}


async def test_no_secret_at_all_is_whole_on_a_persons_word_only(iam: aws_iam.Simulator, tmp_path: Path) -> None:
    for number, word in enumerate(([], [f"credentials/{SECRETS}"])):
        wanted = given(secrets_regions=["eu-west-1"], may_be_empty=word)
        snapshot = await seal(iam.url, tmp_path / str(number), **wanted)
        found = {one.partition: one.status for one in snapshot.manifest.coverage}
        assert found[SECRETS] is (Status.COMPLETE if word else Status.PARTIAL)


async def test_a_real_api_lists_secrets_without_their_values(moto: MotoServer, opened: Opened) -> None:
    with closing(moto.client("secretsmanager")) as manager:
        arn = manager.create_secret(Name="db", SecretString="hush-hush")["ARN"]
    found = await read(
        opened(moto.url, tables=["credentials"], secrets_regions=["us-east-1"]), "credentials", "123456789012 secrets"
    )
    assert [row.credential_id for row in found.rows] == [arn]
    assert "hush-hush" not in repr(found.rows)


def service(name: str, moment: str | None = None, **more: Any) -> dict[str, Any]:
    used = {} if moment is None else {"LastAuthenticated": moment, "LastAuthenticatedRegion": "eu-west-1"}
    return {"ServiceName": name.title(), "ServiceNamespace": name} | used | more


def access(**more: Any) -> dict[str, Any]:
    return {"max_attempts": 1, "tables": ["accounts"], "last_accessed": "services"} | more


async def test_the_last_access_is_the_latest_of_all_services_and_the_password(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    account = iam.account()
    account.add_user("busy", PasswordLastUsed="2026-01-01T00:00:00Z")
    account.add_user("human", PasswordLastUsed="2026-09-01T00:00:00Z")
    account.add_user("idle")
    account.last_access = {
        "busy": [service("ec2"), service("s3", "2026-05-06T07:08:09Z"), service("iam", "2026-02-01T00:00:00Z")],
        "human": [service("s3", "2026-05-06T07:08:09Z")],
        "idle": [service("s3")],
    }
    account.job_status["busy"] = ["IN_PROGRESS", "COMPLETED"]
    iam.page_limit = 2
    source = opened(iam.url, **access())
    account.job_status.clear()
    assert await source.check() == []
    found = {row.login: row for row in (await read(source, "accounts")).rows}
    assert found["busy"].last_sign_in_at == datetime(2026, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert found["busy"].last_sign_in_basis.endswith("four hours late): s3 in eu-west-1")
    assert found["human"].last_sign_in_at == datetime(2026, 9, 1, tzinfo=UTC)
    assert found["human"].last_sign_in_basis.startswith("AWS PasswordLastUsed")
    assert found["idle"].last_sign_in_at is None
    assert "400 days kept" in found["idle"].last_sign_in_basis


async def test_a_job_that_may_not_be_started_or_fails_is_a_gap(iam: aws_iam.Simulator, opened: Opened) -> None:
    account = iam.account()
    account.add_user("ada", PasswordLastUsed="2026-01-01T00:00:00Z")
    account.job_status["ada"] = ["FAILED"]
    found = await read(opened(iam.url, **access()), "accounts")
    assert [gap.subject for gap in found.gaps] == ["last access of ada"]
    assert "FAILED" in found.gaps[0].reason
    assert found.rows[0].last_sign_in_basis.startswith("AWS PasswordLastUsed")
    iam.fail("GenerateServiceLastAccessedDetails", "denied")
    source = opened(iam.url, **access())
    (gap,) = await source.check()
    assert (gap.table, gap.missing_permission) == ("accounts", "iam:GenerateServiceLastAccessedDetails")
    found = await read(source, "accounts")
    assert [gap.missing_permission for gap in found.gaps] == ["iam:GenerateServiceLastAccessedDetails"]
    iam.fail("GenerateServiceLastAccessedDetails", "error", code="ExpiredToken", status=403)
    with pytest.raises(Refused, match="expired"):
        await read(opened(iam.url, **access()), "accounts")


@pytest.mark.parametrize("kind", ["no_flag", "no_marker", "same_marker", "no_list"])
async def test_a_spoilt_page_of_services_is_no_end(iam: aws_iam.Simulator, opened: Opened, kind: Any) -> None:
    account = iam.account()
    account.add_user("ada")
    account.last_access["ada"] = [service(f"s{number}") for number in range(5)]
    iam.page_limit = 2
    iam.fail("GetServiceLastAccessedDetails", kind, after=1)
    with pytest.raises(Misbehaved, match="GetServiceLastAccessedDetails"):
        await read(opened(iam.url, **access()), "accounts")


class SlowIam:
    """IAM whose jobs take a while."""

    def __init__(self, answers: list[str]) -> None:
        self.answers = answers

    def start_last_access(self, _arn: str, granularity: str) -> str:
        assert granularity == "ACTION_LEVEL"
        return "job"

    def last_access(self, _job: str) -> tuple[str, list[Any]]:
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        when = datetime(2026, 1, 1, tzinfo=UTC)
        return status, [service("s3") | {"LastAuthenticated": when}] if status == "COMPLETED" else []


@pytest.mark.parametrize(
    ("answers", "expected", "waited"),
    [
        (["IN_PROGRESS", "IN_PROGRESS", "COMPLETED"], "s3", [0.5, 1.0]),
        (["IN_PROGRESS"], None, [0.5, 1.0, 1.5]),
    ],
)
async def test_a_job_is_waited_for_within_bounds(answers: list[str], expected: str | None, waited: list[float]) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    async def run(call: Any, *args: Any) -> Any:
        return call(*args)

    settings = Settings(connector="aws", last_accessed="actions", last_accessed_wait_seconds=3.0)
    user = {"UserName": "ada", "Arn": f"arn:aws:iam::{OWN}:user/ada"}
    detail = UserDetail(user, {}, {}, [])
    found = await LastAccess(settings, run, sleep).add(SlowIam(answers), detail)  # type: ignore[arg-type]  # as far as it is used
    assert (found.last_access.what if found.last_access else None) == expected
    assert [one.part for one in found.unread] == ([] if expected else ["last_access"])
    assert pauses == waited


def test_an_action_says_more_than_its_service() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    actions = [{"ActionName": "GetObject", "LastAccessedTime": when, "LastAccessedRegion": "eu-west-1"}]
    found = latest([service("s3") | {"LastAuthenticated": when, "TrackedActionsLastAccessed": actions}, service("ec2")])
    assert found == Access(when, "s3:GetObject in eu-west-1")
    assert last_access.latest([]) == Access(None)
