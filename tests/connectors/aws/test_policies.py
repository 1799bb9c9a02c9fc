"""Policy documents: administrative power and trust, without a network."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from connectors.aws.policies import Trust, denies, is_administrative, matches, statements, trusts


def allow(**fields: Any) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*"} | fields]}


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (allow(Action="*"), True),
        (allow(Action=["s3:Get*", "*:*"]), True),
        (allow(Action="IAM:*"), True),
        (allow(Action="iam:**"), True),
        (allow(NotAction=["iam:*", "organizations:*"]), True),
        (allow(Action="*", Condition={"Bool": {"aws:MultiFactorAuthPresent": "true"}}), True),
        ({"Statement": {"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::x"}}, True),
        (allow(Action="*", Resource="arn:aws:s3:::bucket/*"), False),
        (allow(Action="s3:*"), False),
        (allow(Action="iam:Get*"), False),
        (allow(Action="*", Effect="Deny"), False),
        ({"Statement": []}, False),
    ],
)
def test_administrative_is_everything_or_all_of_iam_on_every_resource(document: Any, expected: bool) -> None:
    assert is_administrative(document) is expected


@pytest.mark.parametrize("document", ["", "{", "[]", "{}", None, {"Statement": "x"}, {"Statement": [1]}])
def test_what_is_no_policy_document_is_not_taken_for_one_that_allows_nothing(document: Any) -> None:
    with pytest.raises(ValueError):
        is_administrative(document)


def test_a_document_may_be_json_text_plain_or_url_encoded() -> None:
    text = '{"Statement": {"Effect": "Allow"}}'
    assert statements(text) == statements(quote(text)) == [{"Effect": "Allow"}]


def test_patterns_match_names_and_arns() -> None:
    assert matches(["*Admin*"], "MyAdmins", "arn:aws:iam::1:policy/MyAdmins")
    assert matches(["arn:aws:iam::aws:policy/job-function/*"], "X", "arn:aws:iam::aws:policy/job-function/X")
    assert not matches(["Administrator"], "AdministratorAccess", "arn:aws:iam::aws:policy/AdministratorAccess")


def test_trusts_name_every_principal_with_its_condition() -> None:
    condition = {"StringEquals": {"sts:ExternalId": "7"}}
    document = {
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ["a", "b"], "Service": "ec2"}},
            {"Effect": "Allow", "Action": ["sts:*"], "Principal": "*", "Condition": condition},
            {"Effect": "Allow", "Action": "sts:AssumeRoleWithSAML", "Principal": {"Federated": "idp"}},
            {"Effect": "Allow", "NotAction": "s3:*", "Principal": {"AWS": "c"}},
            {"Effect": "Allow", "Action": "sts:AssumeRole", "NotPrincipal": {"AWS": "d"}},
            {"Effect": "Allow", "Action": "sts:TagSession", "Principal": {"AWS": "e"}},
            {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": "f"}},
        ]
    }
    assert list(trusts(document)) == [
        Trust("AWS", "a", None),
        Trust("AWS", "b", None),
        Trust("Service", "ec2", None),
        Trust("AWS", "*", '{"StringEquals": {"sts:ExternalId": "7"}}'),
        Trust("Federated", "idp", None),
        Trust("AWS", "c", None),
        Trust("NotPrincipal", '{"AWS": "d"}', None),
    ]
    assert denies(document)
