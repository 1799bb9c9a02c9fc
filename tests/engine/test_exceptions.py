"""Exceptions over sealed snapshots: what they fit, what has no effect and why, and what could not be read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import Options, evaluate, load
from reconciler.estate.results import Evaluation, Outcome
from reconciler.estate.tables import ControlRule
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Account, Credential, Entitlement, ExceptionRecord, Grant, Person
from tests.engine.conftest import NIGHT, Read, Seal

END = NIGHT + timedelta(days=30)
ACCOUNTS = [
    Account(source="ldap", account_id="a", login="Ada", employee_id="E1", attributes='{"dn": "CN=Ada,DC=acme"}'),
    Account(source="ldap", account_id="b", login="bob"),
    Account(source="aws", account_id="a", login="ada", attributes='{"arn": "arn:aws:iam::1:user/ada"}'),
]
GRANTS = [
    Grant(source="ldap", principal_kind="account", principal_id=who, entitlement_id=what, assignment="direct")
    for who, what in (("a", "g1"), ("a", "g2"), ("b", "g1"))
]
PEOPLE = [Person(person_id="p1", full_name="Ada", employee_id="E1")]
ACCOUNT = (
    "T-1",
    "accounts",
    ["source", "account_id"],
    "select source, account_id, 'violation' as verdict, 'r' as reason from accounts",
)
GRANT = (
    "T-2",
    "grants",
    ["source", "principal_kind", "principal_id", "entitlement_id", "assignment"],
    (
        "select source, principal_kind, principal_id, entitlement_id, assignment, 'violation' as verdict, "
        "'r' as reason from grants"
    ),
)
CREDENTIAL = (
    "T-3",
    "credentials",
    ["source", "credential_id"],
    "select source, credential_id, 'violation' as verdict, 'r' as reason from credentials",
)


def excepted(**values: Any) -> ExceptionRecord:
    """An exception that is in force but for what a test takes away."""
    whole: dict[str, Any] = {
        "exception_id": "X1",
        "rule_id": "IG-TST-001",
        "source": "ldap",
        "approved_by": "p9",
        "approved_at": NIGHT,
        "expires_at": END,
        "status": "approved",
    }
    return ExceptionRecord(**(whole | values))


def rule_text(spec: tuple[str, str, list[str], str], number: int) -> tuple[str, str]:
    _, population, identity, sql = spec
    toml = (
        f'id = "IG-TST-00{number}"\nversion = 1\ntitle = "T"\nseverity = "high"\nstage = "governance"\n'
        f'layer = "policy"\nstatus = "stable"\nwhy = "w"\nremedy = "r"\nknown_gaps = []\n'
        f'reads = ["{population}"]\nneeds = []\npopulation = "{population}"\nidentity = {identity}\n'.replace("'", '"')
    )
    for name, expect in (("fires", "violation"), ("unknown", "not_evaluable"), ("silent", "")):
        keys = "".join(f'{column} = "account", ' for column in identity)
        row = f'{{ {keys}verdict = "{expect}" }}' if expect else ""
        toml += f'[[case]]\nname = "{name}"\nas_of = 2026-02-03T00:00:00Z\nexpect = [{row}]\n'
    return sql, toml


class Estate:
    """A snapshot with exceptions, judged by rules that find all of their population."""

    def __init__(self, folder: Path, seal: Seal) -> None:
        self.folder, self.seal = folder, seal

    def judge(
        self,
        exceptions: Sequence[ExceptionRecord] | None,
        *,
        spec: tuple[str, str, list[str], str] = ACCOUNT,
        number: int = 1,
        statuses: dict[str, Status] | None = None,
        controls: Sequence[ControlRule] = (),
        unknown: dict[str, str] | None = None,
    ) -> Evaluation:
        family = self.folder / "own" / "test"
        family.mkdir(parents=True, exist_ok=True)
        sql, toml = rule_text(spec, number)
        (family / "all.sql").write_text(sql)
        (family / "all.toml").write_text(toml)
        how = statuses or {}
        credentials = [Credential(source="ldap", credential_id="k1", account_id="a")]
        reads = [
            Read("ldap", "accounts", [a for a in ACCOUNTS if a.source == "ldap"], how.get("accounts", Status.COMPLETE)),
            Read("aws", "accounts", [a for a in ACCOUNTS if a.source == "aws"]),
            Read("ldap", "grants", GRANTS),
            Read("ldap", "entitlements", [Entitlement(source="ldap", entitlement_id="g1", name="Domain Admins")]),
            Read("ldap", "credentials", credentials),
            Read("qms", "people", PEOPLE, how.get("people", Status.COMPLETE)),
        ]
        if exceptions is not None:
            status = how.get("exceptions", Status.COMPLETE)
            reads.append(Read("qms", "exceptions", exceptions, status, unknown=unknown or {}))
        rules = load([self.folder / "own"], {}, locked=False)
        options = Options(declared={"control_rules": list(controls)})
        return evaluate(self.seal(reads), rules, as_of=NIGHT, options=options)


@pytest.fixture
def estate(tmp_path: Path, seal: Seal) -> Estate:
    return Estate(tmp_path, seal)


def covered(evaluation: Evaluation) -> set[tuple[str, ...]]:
    """Return the subjects that an exception covers, without the words that all share."""
    return {
        tuple(v for k, v in verdict.subject.items() if v and k not in {"principal_kind", "assignment"})
        for result in evaluation.results
        for verdict in result.verdicts
        if verdict.exception
    }


LDAP_A, LDAP_B, AWS_A = ("ldap", "a"), ("ldap", "b"), ("aws", "a")


@pytest.mark.parametrize(
    ("scope", "fits"),
    [
        ({}, {LDAP_A, LDAP_B}),
        ({"source": "LDAP ", "rule_id": "ig-tst-001"}, {LDAP_A, LDAP_B}),
        ({"account_id": "a"}, {LDAP_A}),
        ({"account_id": "ADA"}, {LDAP_A}),
        ({"source": None, "account_id": "ada"}, {LDAP_A, AWS_A}),
        ({"account_id": "cn=ada,dc=ACME"}, {LDAP_A}),
        ({"source": None, "account_id": "arn:aws:iam::1:user/ada"}, {AWS_A}),
        ({"source": None, "person_id": "p1"}, {LDAP_A}),
        ({"person_id": "p1", "account_id": "b"}, set()),
        ({"entitlement_id": "g1"}, set()),
        ({"source": "other"}, set()),
    ],
)
def test_what_an_exception_leaves_out_means_any(
    estate: Estate, scope: dict[str, Any], fits: set[tuple[str, ...]]
) -> None:
    evaluation = estate.judge([excepted(**scope)])
    assert covered(evaluation) == fits
    scopes = evaluation.results[0].scopes
    assert sum(s.excepted for s in scopes) == len(fits)
    assert sum(s.violations for s in scopes) == len(ACCOUNTS) - len(fits)
    assert [(e.exception_id, e.no_effect, e.suppresses) for e in evaluation.exceptions] == [("X1", "", len(fits))]
    assert {v.excepted_until for v in evaluation.results[0].verdicts if v.exception} <= {END}


@pytest.mark.parametrize(
    ("scope", "fits"),
    [
        ({"entitlement_id": "g1"}, {("ldap", "a", "g1"), ("ldap", "b", "g1")}),
        ({"entitlement_id": "domain admins", "account_id": "ada"}, {("ldap", "a", "g1")}),
        ({"entitlement_id": "G2"}, {("ldap", "a", "g2")}),
        ({"source": None, "person_id": "p1", "entitlement_id": "g1"}, {("ldap", "a", "g1")}),
    ],
)
def test_a_grant_is_known_by_its_account_and_entitlement(
    estate: Estate, scope: dict[str, Any], fits: set[tuple[str, ...]]
) -> None:
    assert covered(estate.judge([excepted(rule_id="IG-TST-002", **scope)], spec=GRANT, number=2)) == fits


def test_a_credential_is_known_by_its_account(estate: Estate) -> None:
    known = [excepted(rule_id="IG-TST-003", account_id="ada")]
    assert covered(estate.judge(known, spec=CREDENTIAL, number=3)) == {("ldap", "k1")}


def test_a_control_stands_for_its_rules(estate: Estate) -> None:
    known = [excepted(rule_id=None, control_id="c-1")]
    shown = [ControlRule(control_id="C-1", rule_id="IG-TST-001"), ControlRule(control_id="C-2", rule_id="IG-TST-009")]
    assert covered(estate.judge(known, controls=shown)) == {LDAP_A, LDAP_B}
    other = estate.judge([excepted(rule_id=None, control_id="C-2")], controls=shown)
    assert not covered(other)
    assert other.exceptions[0].no_effect == "no rule shows control C-2"


def test_of_several_the_one_that_lasts_longest_counts(estate: Estate) -> None:
    known = [
        excepted(exception_id="X0"),
        excepted(exception_id="X2", expires_at=END + timedelta(days=1)),
        excepted(exception_id="X3", expires_at=END + timedelta(days=1)),
    ]
    evaluation = estate.judge(known)
    assert {v.exception for v in evaluation.results[0].verdicts if v.source == "ldap"} == {"X2"}
    assert [(e.exception_id, e.suppresses) for e in evaluation.exceptions] == [("X0", 0), ("X2", 2), ("X3", 0)]


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"rule_id": None}, "it names no rule and no control"),
        ({"source": " "}, "it names no source, account, person or entitlement"),
        ({"approved_by": None}, "nobody answers for it"),
        ({"expires_at": None}, "it has no end"),
        ({"expires_at": NIGHT - timedelta(microseconds=1)}, "it ended on 2026-02-02"),
        ({"approved_at": NIGHT + timedelta(seconds=1)}, "it is approved from 2026-02-03 00:00 on only"),
        ({"status": "Revoked"}, "its status is 'Revoked'"),
        ({"status": None, "approved_at": None}, "nothing says that it was approved"),
        ({"rule_id": "IG-TST-777"}, "no rule is IG-TST-777"),
        ({"control_id": "C-1"}, "rule IG-TST-001 is none of control C-1"),
    ],
)
def test_an_incomplete_exception_suppresses_nothing_and_says_why(
    estate: Estate, values: dict[str, Any], why: str
) -> None:
    evaluation = estate.judge([excepted(**values)])
    assert not covered(evaluation)
    assert evaluation.exceptions[0].no_effect.startswith(why)


@pytest.mark.parametrize(
    "values",
    [
        {"expires_at": NIGHT},
        {"status": " IN force"},
        {"status": None},
        {"approved_at": None},
        {"approved_by": None, "review_owner": "p2"},
    ],
)
def test_an_exception_is_in_force_to_the_instant_it_ends_however_it_was_approved(
    estate: Estate, values: dict[str, Any]
) -> None:
    assert covered(estate.judge([excepted(**values)])) == {LDAP_A, LDAP_B}


def test_where_the_register_was_not_read_nothing_is_suppressed_and_that_is_said(estate: Estate) -> None:
    failed = estate.judge([excepted()], statuses={"exceptions": Status.FAILED})
    assert not covered(failed)
    assert failed.exceptions == ()
    assert "qms: exceptions is FAILED" in failed.exceptions_unread[0]
    lost = estate.judge([excepted()], unknown={"exceptions.account_id": "the export lost it"})
    assert lost.exceptions_unread == ("qms: exceptions.account_id is unknown: the export lost it",)
    assert not covered(lost), "an exception without its account would cover every account"
    twice = estate.judge([excepted(), excepted()])
    assert "given more than once" in twice.exceptions_unread[0]


def test_an_estate_without_a_register_has_nothing_that_was_not_read(estate: Estate) -> None:
    judged = estate.judge(None)
    assert judged.exceptions_unread == ()
    assert judged.exceptions == ()
    assert not covered(judged)


def test_what_exceptions_are_matched_by_and_could_not_be_read_is_named(estate: Estate) -> None:
    by_person = estate.judge([excepted(person_id="p1")], statuses={"people": Status.FAILED})
    scopes = {s.source: s.unmatched for s in by_person.results[0].scopes}
    assert "qms: people is FAILED" in scopes["ldap"][0]
    assert scopes["aws"] == (), "no exception speaks of aws"


@pytest.mark.parametrize(
    ("scope", "said"),
    [
        ({"account_id": "ada"}, ""),
        ({"account_id": "adda"}, "no account adda is listed in ldap"),
        ({"source": None, "account_id": "adda"}, "no account adda is listed in ldap, aws"),
        ({"source": "aws", "account_id": "bob"}, "no account bob is listed in aws"),
        ({"source": "ldpa"}, "no source is called ldpa"),
        ({"entitlement_id": "Domain Admin"}, "no entitlement Domain Admin is listed in ldap"),
        ({"entitlement_id": "domain admins"}, ""),
    ],
)
def test_what_an_exception_names_and_no_source_lists_is_said(estate: Estate, scope: dict[str, Any], said: str) -> None:
    (state,) = estate.judge([excepted(**scope)]).exceptions
    assert (state.no_effect, state.unlisted) == ("", said), "it is in force nevertheless"
    (unsure,) = estate.judge([excepted(**scope)], statuses={"accounts": Status.PARTIAL}).exceptions
    assert "account adda" not in unsure.unlisted, "what was not read whole may list it"


def test_the_digest_covers_the_exceptions(estate: Estate) -> None:
    with_one, without = estate.judge([excepted()]), estate.judge([])
    assert with_one.digest != without.digest
    assert with_one.digest == estate.judge([excepted()]).digest
    assert all(v.verdict is Outcome.VIOLATION for v in with_one.results[0].verdicts)
    assert with_one.as_of == datetime(2026, 2, 3, tzinfo=UTC)
