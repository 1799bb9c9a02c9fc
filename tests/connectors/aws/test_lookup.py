"""Looking for a person live, and re-reading one account: present, disabled, gone, or not to be told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.aws import center_client
from reconciler.sdk.connector import LiveAccount, Lookup, PersonKeys, Presence, Source
from reconciler.sdk.errors import Refused
from reconciler.sdk.pace import Pacer
from tests.connectors.aws.center_estate import SHOP, fill
from tests.simulators import aws_iam

Opened = Callable[..., Any]
CREATED = aws_iam.CREATED


@pytest.fixture(autouse=True)
def _unpaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(center_client, "Pacer", lambda concurrency, **_: Pacer(concurrency=concurrency))


@pytest.fixture
def iam() -> Iterator[aws_iam.Simulator]:
    with aws_iam.serve() as simulator:
        simulator.account()
        yield simulator


def key(key_id: str, status: str = "Active") -> dict[str, Any]:
    return {"UserName": "x", "AccessKeyId": key_id, "Status": status, "CreateDate": CREATED}


def fast(**more: Any) -> dict[str, Any]:
    return {"page_size": 2, "max_attempts": 1} | more


def two_accounts(iam: aws_iam.Simulator) -> dict[str, Any]:
    iam.account(SHOP)
    entries = [{"account_id": "111122223333"}, {"account_id": SHOP, "role_arn": f"arn:aws:iam::{SHOP}:role/reader"}]
    return fast(accounts=entries)


def presences(found: LiveAccount) -> dict[str, Presence]:
    return {one.kind: one.presence for one in found.credentials}


async def test_a_source_is_a_lookup_too(iam: aws_iam.Simulator, opened: Opened) -> None:
    source = opened(iam.url)
    assert isinstance(source, Lookup)
    assert isinstance(source, Source)


async def test_a_person_is_found_in_every_account_by_every_key(iam: aws_iam.Simulator, opened: Opened) -> None:
    given = two_accounts(iam)
    account = iam.account()
    number = account.add_user("x1", Tags=[{"Key": "EmployeeId", "Value": "E7"}])
    for one in range(5):
        account.add_user(f"other{one}", Tags=[{"Key": "employee_id", "Value": f"E7{one}"}])
    mail = account.add_user("x2", Tags=[{"Key": "email", "Value": "Ada@Acme.test"}])
    named = iam.account(SHOP).add_user("Ada")
    as_mail = iam.account(SHOP).add_user("ada@acme.test")
    old = iam.account(SHOP).add_user("renamed")
    ids = (old["UserId"], f"{SHOP}:root")
    person = PersonKeys(employee_id="E7", emails=("ada@acme.test",), logins=("ada",), account_ids=ids)
    found = await opened(iam.url, **given).find(person)
    assert {one.account_id: one.matched_by for one in found.accounts} == {
        number["UserId"]: ("employee_id",),
        mail["UserId"]: ("email",),
        named["UserId"]: ("login",),
        as_mail["UserId"]: ("email",),
        old["UserId"]: ("account_id",),
        f"{SHOP}:root": ("account_id",),
    }
    assert found.gaps == ()


async def test_an_account_that_cannot_be_searched_is_a_gap_and_all_of_them_an_error(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    given = two_accounts(iam)
    iam.account().add_user("ada")
    iam.external_ids[SHOP] = "other"
    found = await opened(iam.url, **given).find(PersonKeys(logins=("ada",)))
    assert ([one.login for one in found.accounts], [gap.subject for gap in found.gaps]) == (["ada"], [SHOP])
    assert found.gaps[0].missing_permission == "sts:AssumeRole"
    iam.fail("GetAccountAuthorizationDetails", "denied")
    with pytest.raises(Refused):
        await opened(iam.url, **given).find(PersonKeys(logins=("ada",)))


async def test_a_user_is_reread_with_each_class_of_credentials(iam: aws_iam.Simulator, opened: Opened) -> None:
    user = iam.account().add_user(
        "ada",
        access_keys=[key("AKIA0000000000000001", "Inactive")],
        ssh_keys=[{"SSHPublicKeyId": "APKA1", "Status": "Active", "UploadDate": CREATED}],
        login_profile=[{"UserName": "ada", "CreateDate": CREATED}],
        mfa_devices=[{"UserName": "ada", "SerialNumber": "arn:mfa", "EnableDate": CREATED}],
    )
    iam.fail("ListSigningCertificates", "denied")
    found = await opened(iam.url, **fast()).reread(user["UserId"])
    assert (found.presence, found.login, found.status) == (Presence.PRESENT, "ada", "enabled")
    assert presences(found) == {
        "login_profile": Presence.PRESENT,
        "access_key": Presence.DISABLED,
        "ssh_key": Presence.PRESENT,
        "service_credential": Presence.GONE,
        "certificate": Presence.NOT_EVALUABLE,
        "mfa_factor": Presence.PRESENT,
        "session": Presence.NOT_EVALUABLE,
    }
    by_kind = {one.kind: one for one in found.credentials}
    assert by_kind["access_key"].ids == ("AKIA0000000000000001",)
    assert by_kind["login_profile"].ids == (f"{user['UserId']}/login_profile",)
    assert "ListSigningCertificates" in by_kind["certificate"].reason
    assert "36 hours" in by_kind["session"].lag
    assert len(found.digest) == 64


async def test_a_user_made_anew_under_the_same_name_leaves_the_old_one_gone(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    account = iam.account()
    account.add_user("zoe")
    old = account.add_user("ada")["UserId"]
    source = opened(iam.url, **fast())
    assert (await source.reread(old)).presence is Presence.PRESENT
    account.users.pop()
    account.add_user("bob")
    account.users[-1]["UserId"] = "AIDA11112222333399999"
    account.users[-1]["UserName"] = "ada"
    for asked in (source, opened(iam.url, **fast())):
        found = await asked.reread(old)
        assert (found.presence, found.login) == (Presence.GONE, None)
        assert {one.presence for one in found.credentials if one.kind != "session"} == {Presence.GONE}
        assert "111122223333" in found.reason


@pytest.mark.parametrize("spoilt", ["count", "denied", "shut", "no_marker"])
async def test_nobody_is_gone_where_not_every_user_was_seen(
    iam: aws_iam.Simulator, opened: Opened, spoilt: Any
) -> None:
    given = two_accounts(iam)
    account = iam.account()
    for name in ("ada", "bob", "eve"):
        account.add_user(name)
    if spoilt == "count":
        account.summary["Users"] = 4
    elif spoilt == "shut":
        iam.external_ids[SHOP] = "other"
    else:
        iam.fail("GetAccountAuthorizationDetails", spoilt, after=0 if spoilt == "denied" else 1)
    found = await opened(iam.url, **given).reread("AIDA0000000000000000")
    assert found.presence is Presence.NOT_EVALUABLE
    assert found.reason
    assert {one.presence for one in found.credentials} == {Presence.NOT_EVALUABLE}
    assert found.digest == ""


@pytest.mark.parametrize(
    "odd", ["ada", "arn:aws:iam::111122223333:user/ada", "a-name-of-sixteen-or-more", "someuser90123456"]
)
async def test_what_is_no_id_is_never_called_gone(iam: aws_iam.Simulator, opened: Opened, odd: str) -> None:
    iam.account().add_user("someuser90123456")
    assert (await opened(iam.url, **fast()).reread(odd)).presence is Presence.NOT_EVALUABLE


async def test_a_user_known_to_be_in_one_account_is_looked_for_there_only(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    given = two_accounts(iam)
    iam.account().add_user("ada")
    source = opened(iam.url, **given)
    (ref,) = (await source.find(PersonKeys(logins=("ada",)))).accounts
    iam.account().users.clear()
    iam.account(SHOP).summary["Users"] = 9
    assert (await source.reread(ref.account_id)).presence is Presence.GONE


async def test_the_root_user_is_there_as_long_as_the_account(iam: aws_iam.Simulator, opened: Opened) -> None:
    found = await opened(iam.url, **fast()).reread("111122223333:root")
    assert found.presence is Presence.PRESENT
    assert presences(found) == {
        "login_profile": Presence.PRESENT,
        "access_key": Presence.GONE,
        "certificate": Presence.NOT_EVALUABLE,
        "mfa_factor": Presence.PRESENT,
        "session": Presence.NOT_EVALUABLE,
    }
    elsewhere = await opened(iam.url, **fast()).reread("999988887777:root")
    assert elsewhere.presence is Presence.NOT_EVALUABLE


async def test_a_person_is_found_in_identity_center_in_every_state(iam: aws_iam.Simulator, opened: Opened) -> None:
    cloud = fill(iam, users=6)
    cloud.users[0]["UserStatus"] = "DISABLED"
    cloud.users[1]["ExternalIds"] = [{"Issuer": "https://idp.test", "Id": "E7"}]
    cloud.users[2]["Emails"].append({"Value": "second@acme.test"})
    person = PersonKeys(
        employee_id="E7",
        emails=("second@acme.test", "user3@acme.test"),
        logins=("user0@acme.test", "nobody"),
        account_ids=(cloud.users[4]["UserId"], "AIDA0000000000000000", "90670f8c-0000-4000-8000-999999999999"),
    )
    given = fast(identity_center={"external_id_issuers": ["https://idp.test"]})
    found = await opened(iam.url, **given).find(person)
    assert {one.account_id: (one.login, one.matched_by) for one in found.accounts} == {
        cloud.users[number]["UserId"]: (f"user{number}@acme.test", (by,))
        for number, by in ((0, "login"), (1, "employee_id"), (2, "email"), (3, "email"), (4, "account_id"))
    }
    assert found.gaps == ()
    iam.fail("identitystore:GetUserId", "denied")
    partly = await opened(iam.url, **given).find(person)
    assert {gap.missing_permission for gap in partly.gaps} == {"identitystore:GetUserId"}
    assert len(partly.accounts) == 3
    for operation in ("identitystore:ListUsers", "identitystore:DescribeUser"):
        iam.fail(operation, "denied")
    none = await opened(iam.url, **given).find(person)
    assert [gap.subject for gap in none.gaps] == ["identity center"]


@pytest.mark.parametrize(
    ("status", "presence"),
    [("ENABLED", Presence.PRESENT), ("DISABLED", Presence.DISABLED), ("ODD", Presence.PRESENT)],
)
async def test_a_user_of_identity_center_is_reread(
    iam: aws_iam.Simulator, opened: Opened, status: str, presence: Presence
) -> None:
    cloud = fill(iam)
    user = cloud.users[0]
    user |= {"UserStatus": status, "ExternalIds": [{"Issuer": "https://idp.test", "Id": "1"}]}
    found = await opened(iam.url, **fast(identity_center={})).reread(user["UserId"])
    assert (found.presence, found.login, found.raw_status) == (presence, "user0@acme.test", status)
    by_kind = {one.kind: one for one in found.credentials}
    assert {one.presence for one in found.credentials} == {Presence.NOT_EVALUABLE}
    assert "https://idp.test" in by_kind["password"].reason
    assert "Admin PT8H, Reader PT8H" in by_kind["session"].lag
    assert len(found.digest) == 64


async def test_a_user_of_identity_center_is_gone_only_where_others_are_shown(
    iam: aws_iam.Simulator, opened: Opened
) -> None:
    cloud = fill(iam)
    gone = "90670f8c-0000-4000-8000-999999999999"
    source = opened(iam.url, **fast(identity_center={}))
    found = await source.reread(gone)
    assert found.presence is Presence.GONE
    assert presences(found) == {
        "password": Presence.GONE,
        "mfa_factor": Presence.GONE,
        "session": Presence.NOT_EVALUABLE,
    }
    iam.fail("identitystore:ListUsers", "denied")
    assert (await source.reread(gone)).presence is Presence.NOT_EVALUABLE
    iam.faults.clear()
    cloud.users.clear()
    assert (await source.reread(gone)).presence is Presence.NOT_EVALUABLE
    off = await opened(iam.url, **fast()).reread(gone)
    assert (off.presence, off.reason) == (Presence.NOT_EVALUABLE, "identity_center is not configured")


async def test_how_long_sessions_last_is_told_as_far_as_it_is_known(iam: aws_iam.Simulator, opened: Opened) -> None:
    cloud = fill(iam)
    source = opened(iam.url, **fast(identity_center={}))
    cloud.assignments.clear()
    (session,) = [one for one in (await source.reread(cloud.users[0]["UserId"])).credentials if one.kind == "session"]
    assert "no permission set now" in session.lag
    iam.fail("sso:ListAccountAssignmentsForPrincipal", "denied")
    (session,) = [one for one in (await source.reread(cloud.users[0]["UserId"])).credentials if one.kind == "session"]
    assert "could not be read" in session.lag
