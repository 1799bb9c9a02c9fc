"""AWS objects to estate rows, without a network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import pytest

from connectors.aws import Settings, access, connector
from connectors.aws.details import Part, UserDetail
from connectors.aws.fields import instant, listed, text
from connectors.aws.tally import Tally
from reconciler.sdk.errors import Misbehaved, Unreachable

CREATED = datetime(2026, 1, 2, tzinfo=UTC)
ACTIVE = {"Status": "Active", "CreateDate": CREATED, "UploadDate": CREATED}
SETTINGS = Settings(connector="aws")
WHERE = access.Where("aws", "111122223333", None, SETTINGS)
USER = {"UserId": "AIDA1", "UserName": "ada", "Arn": "arn:aws:iam::111122223333:user/ada", "CreateDate": CREATED}


def detail(**parts: Any) -> UserDetail:
    given: Mapping[Part, Any] = {part: parts.get(part, []) for part in get_args(Part)}
    return UserDetail(USER, given, {}, [])


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, False),
        ({"login_profile": [{}]}, True),
        ({"access_keys": [{"Status": "Inactive"}]}, False),
        ({"access_keys": [{"Status": "Active"}]}, True),
        ({"ssh_keys": [{"Status": "Active"}]}, True),
        ({"service_credentials": [{"Status": "Active"}]}, True),
        ({"service_credentials": [{"Status": "Expired"}]}, False),
        ({"signing_certificates": [{"Status": "Active"}]}, True),
        ({"mfa_devices": [{"SerialNumber": "x"}]}, False),
        ({"tags": None, "mfa_devices": None}, False),
        ({"ssh_keys": None}, None),
        ({"ssh_keys": None, "login_profile": [{}]}, True),
    ],
)
def test_whether_a_user_can_sign_in(parts: dict[str, Any], expected: bool | None) -> None:
    assert connector.can_sign_in(detail(**parts)) is expected


def test_the_raw_status_counts_what_works_of_all_and_marks_what_is_unread() -> None:
    found = connector.raw_status(detail(access_keys=[{"Status": "Active"}, {"Status": "Inactive"}], ssh_keys=None))
    assert found == ("login_profile=0/0 access_keys=1/2 ssh_keys=? service_credentials=0/0 signing_certificates=0/0")


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ({"AccountPasswordPresent": 1, "AccountAccessKeysPresent": 0, "AccountMFAEnabled": 1}, (True, True)),
        ({"AccountPasswordPresent": 0, "AccountAccessKeysPresent": 0, "AccountMFAEnabled": 0}, (False, False)),
        ({"AccountPasswordPresent": 0, "AccountAccessKeysPresent": 1}, (True, None)),
        ({"AccountAccessKeysPresent": 0}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_the_root_user_can_sign_in_as_far_as_iam_says(summary: dict[str, int], expected: Any) -> None:
    root = connector.root_row("aws", "111122223333", None, summary)
    assert (root.can_sign_in, root.mfa_enrolled) == expected


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({"employee_id": "1", "EmployeeId": "2"}, "1"),
        ({"Employee-ID": "2"}, "2"),
        ({"Employee-ID": "2", "EMPLOYEE ID": "3"}, None),
        ({"employee_id": ""}, None),
        ({"employee": "2"}, None),
    ],
)
def test_a_tag_is_taken_by_its_name_or_the_one_that_differs_in_spelling_only(
    tags: dict[str, str], expected: str | None
) -> None:
    assert connector.tag_value(tags, "employee_id") == expected


def test_an_unknown_status_stays_unknown() -> None:
    keys = [{"SSHPublicKeyId": "APKA1", "UploadDate": CREATED, "Status": "Quarantined"}]
    assert [row.status for row in connector.credential_rows("aws", detail(ssh_keys=keys))] == [None]


def test_a_service_credential_keeps_its_end_and_no_date_of_rotation() -> None:
    given = ACTIVE | {"ServiceSpecificCredentialId": "ACCA1", "Status": "Expired", "ExpirationDate": CREATED}
    (row,) = connector.credential_rows("aws", detail(service_credentials=[given]))
    assert (row.status, row.expires_at, row.rotated_at) == ("expired", CREATED, None)


def role(document: Any, **more: Any) -> dict[str, Any]:
    lists: dict[str, Any] = {"RolePolicyList": [], "AttachedManagedPolicies": []}
    arn = "arn:aws:iam::111122223333:role/deploy"
    return {"RoleId": "AROA1", "RoleName": "deploy", "Arn": arn, "AssumeRolePolicyDocument": document} | lists | more


def trusting(principal: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal} | more


def directory() -> access.Directory:
    return access.Directory(
        users={USER["Arn"]: "AIDA1"},  # type: ignore[dict-item]  # a text among other fields
        roles={"arn:aws:iam::111122223333:role/path/ci": "AROA2"},
        role_names={"ci": "AROA2"},
    )


def test_trust_of_users_and_roles_is_eligible_and_conditions_are_joined() -> None:
    arn = "arn:aws:iam::111122223333"
    document = {
        "Statement": [
            trusting({"AWS": f"{arn}:user/ada"}, Condition={"Bool": {"a": "1"}}),
            trusting({"AWS": f"{arn}:user/ada"}, Condition={"Bool": {"b": "2"}}),
            trusting({"AWS": [f"{arn}:role/path/ci", f"{arn}:user/nobody", f"{arn}:root"]}),
            trusting({"AWS": "arn:aws:sts::111122223333:assumed-role/ci/session"}, Condition={"Bool": {"c": "3"}}),
            trusting({"AWS": "arn:aws:iam::999988887777:user/eve", "Service": "ec2.amazonaws.com"}),
        ]
    }
    rows, gaps = access.trust_grants(WHERE, role(document), {"111122223333": directory()})
    assert {(row.principal_kind, row.principal_id, row.assignment, row.condition) for row in rows} == {
        ("account", "AIDA1", "eligible", '{"Bool": {"a": "1"}} or {"Bool": {"b": "2"}}'),
        ("entitlement", "AROA2", "eligible", None),
    }
    assert gaps == []
    assert access.trusted_accounts(role(document)) == {"111122223333", "999988887777"}


def test_trust_of_an_account_that_could_not_be_read_is_a_gap() -> None:
    document = {"Statement": trusting({"AWS": "arn:aws:iam::444455556666:user/eve"})}
    rows, gaps = access.trust_grants(WHERE, role(document), {}, ["444455556666"])
    assert (rows, [gap.subject for gap in gaps]) == ([], ["arn:aws:iam::111122223333:role/deploy"])


def test_the_description_of_a_role_names_whom_it_trusts() -> None:
    document = {
        "Statement": [
            trusting({"AWS": ["999988887777", "AIDAEXAMPLEDELETED12", "*"], "Federated": "saml", "CanonicalUser": "c"}),
            trusting({"Service": "ec2.amazonaws.com"}, Condition={"x": 1}),
            {"Effect": "Deny", "Action": "*"},
        ]
    }
    (row,), gaps = access.holder_rows(WHERE, "Role", role(document), {})
    assert gaps == []
    assert row.description == (
        "arn:aws:iam::111122223333:role/deploy; trusts the whole AWS account 999988887777; "
        "the deleted user or role AIDAEXAMPLEDELETED12; everyone; the identity provider saml; CanonicalUser c; "
        'the service ec2.amazonaws.com if {"x": 1}; a Deny statement narrows this'
    )


def test_documents_that_cannot_be_understood_are_gaps_and_leave_privilege_unknown() -> None:
    inline = [{"PolicyName": "broken", "PolicyDocument": "{"}]
    (found, policy), gaps = access.holder_rows(WHERE, "Role", role("no policy", RolePolicyList=inline), {})
    assert (found.privileged, policy.privileged) == (None, None)
    assert [gap.subject for gap in gaps] == [
        "broken (inline in arn:aws:iam::111122223333:role/deploy)",
        "arn:aws:iam::111122223333:role/deploy",
    ]


@pytest.mark.parametrize(("known", "expected"), [({}, None), ({"a": False}, False), ({"a": True}, True)])
def test_a_group_is_privileged_as_its_policies_are(known: dict[str, bool | None], expected: bool | None) -> None:
    group = {
        "GroupId": "AGPA1",
        "GroupName": "staff",
        "Arn": "arn:aws:iam::111122223333:group/staff",
        "GroupPolicyList": [],
        "AttachedManagedPolicies": [{"PolicyName": "p", "PolicyArn": "a"}],
    }
    (row,), _ = access.holder_rows(WHERE, "Group", group, known)
    assert row.privileged is expected


def test_a_policy_without_a_default_version_is_a_gap() -> None:
    arn = "arn:aws:iam::111122223333:policy/team/p"
    row, gaps = access.own_policy(WHERE, {"Arn": arn}, access.Directory(policies={arn: "ANPA1"}))
    assert (row.entitlement_id, row.name, row.privileged, len(gaps)) == ("ANPA1", "p", None, 1)


def test_a_policy_that_appeared_while_read_asks_for_a_restart() -> None:
    with pytest.raises(Unreachable) as caught:
        access.own_policy(WHERE, {"Arn": "arn:aws:iam::111122223333:policy/p"}, access.Directory())
    assert caught.value.restart


def test_fields_that_aws_always_sends_must_be_there() -> None:
    with pytest.raises(Misbehaved):
        text({"Arn": ""}, "Arn")
    with pytest.raises(Misbehaved):
        listed({"Arn": "a"}, "GroupList")
    with pytest.raises(Misbehaved):
        instant(datetime(2026, 1, 1))  # noqa: DTZ001 -- an instant without a zone is the point
    assert instant(None) is None


def test_a_tally_knows_circles_and_chains_begun_elsewhere() -> None:
    tally = Tally()
    tally.add(None, "a", {"rows": 2})
    tally.add("a", "b", {"rows": 3})
    assert tally.add("b", None, {"rows": 1})["rows"] == 6
    with pytest.raises(Misbehaved):
        tally.add("b", "a", {})
    with pytest.raises(Unreachable) as caught:
        tally.add("z", None, {})
    assert caught.value.restart


def test_no_secret_is_part_of_any_row() -> None:
    given = {"access_keys": [ACTIVE | {"AccessKeyId": "AKIA1", "SecretAccessKey": "hush"}]}
    rows = list(connector.credential_rows("aws", detail(**given)))
    account = connector.account_row("aws", "111122223333", None, detail(**given), SETTINGS)
    assert "hush" not in json.dumps([repr(row) for row in [*rows, account]])
