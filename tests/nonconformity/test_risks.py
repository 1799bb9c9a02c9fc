"""Risks that people accept: four eyes, always an end, and an effect only where the engine honours every exception."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import IntegrityError

from reconciler.errors import ConfigurationError
from reconciler.estate.results import Finding, Outcome, State
from reconciler.findings.store import FindingStore
from reconciler.nonconformity.risks import Asked, Limits, Register, record, scope, unwritten
from tests.findings.nights import record as record_night
from tests.findings.nights import result, verdict

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
YEAR = timedelta(days=366)
APPROVED = "state = 'approved', approved_by = 'P2', approved_at = requested_at, decision_reason = 'Fine'"
INSERTED = (
    "INSERT INTO risk_acceptances (number, finding_id, state, rule_id, account_id, reason, compensating_control,"
    " review_owner, requested_by, requested_at, expires_at, approved_by, approved_at) SELECT 2, finding_id,"
    " 'requested', rule_id, account_id, 'Because', compensating_control, review_owner, requested_by, requested_at,"
    " expires_at, NULL, NULL FROM risk_acceptances"
)


@pytest.fixture
def finding(url: str) -> Finding:
    store = FindingStore.open(url)
    record_night(store, 0, result(verdict("a")))
    (found,) = store.findings()
    return found


@pytest.fixture
def register(url: str, finding: Finding) -> Register:
    assert finding.state is State.NEW
    return Register.open(url)


def asked(**changes: Any) -> Asked:
    whole: dict[str, Any] = {
        "reason": "The project ends in April.",
        "compensating_control": "Sign-ins are reviewed each week.",
        "review_owner": "P9",
        "expires_at": NOW + timedelta(days=30),
    }
    return Asked(**(whole | changes))


def test_what_somebody_asks_for_holds_once_somebody_else_approved_it(register: Register, finding: Finding) -> None:
    risk = register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    assert (risk.risk_id, risk.state, risk.account_id, risk.source) == ("RA-000001", "requested", "a", "ldap")
    assert register.records() == ()
    approved = register.decide("ra-1", approve=True, by="P2", at=NOW + timedelta(hours=1), why="Seen and agreed.")
    assert (approved.state, approved.decided_by) == ("approved", "P2")
    (row,) = register.records()
    assert (row.exception_id, row.rule_id, row.account_id, row.status) == ("RA-000001", "IG-LVR-001", "a", "approved")
    assert row.expires_at == risk.expires_at
    assert [each.risk_id for each in unwritten(register.listed())] == ["RA-000001"]
    register.written(approved, "qms: a01")
    assert unwritten(register.listed()) == []
    ended = register.end("1", by="P3", at=NOW + timedelta(days=2), why="No longer needed.")
    assert (ended.state, ended.ended_by, ended.written_to) == ("ended", "P3", None)
    assert [each.status for each in register.records()] == ["ended"]


def test_what_was_ended_while_it_was_written_is_still_owed(register: Register, finding: Finding) -> None:
    register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    approved = register.decide("1", approve=True, by="P2", at=NOW, why="Agreed.")
    register.end("1", by="P3", at=NOW, why="No longer needed.")
    register.written(approved, "qms: a01")
    assert [(each.state, each.written_to) for each in unwritten(register.listed())] == [("ended", None)]


@pytest.mark.parametrize("who", ["P1", " p1 "])
def test_who_asks_does_not_decide(register: Register, finding: Finding, who: str) -> None:
    register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    for approve in (True, False):
        with pytest.raises(ConfigurationError, match=r"somebody else: [pP]1 asked"):
            register.decide("1", approve=approve, by=who, at=NOW, why="mine")
    assert register.show("1").state == "requested"


def test_whom_it_is_about_does_not_decide(register: Register, finding: Finding) -> None:
    about = msgspec.structs.replace(finding, person_id="P7")
    register.request(about, asked(reach="person"), by="P1", at=NOW, longest=YEAR)
    with pytest.raises(ConfigurationError, match="it is about P7"):
        register.decide("1", approve=True, by="P7", at=NOW, why="mine")


def test_whose_account_it_is_does_not_decide_either(file: str) -> None:
    store, register = FindingStore.open(file), Register.open(file)
    record_night(store, 0, result(verdict("a", person="P7")))
    (finding,) = store.findings()
    risk = register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    assert (risk.account_id, risk.person_id) == ("a", None)
    with pytest.raises(ConfigurationError, match="it is about p7"):
        register.decide("1", approve=True, by="p7", at=NOW, why="mine")
    refused(file, "UPDATE risk_acceptances SET " + APPROVED.replace("'P2'", "'P7'"))  # noqa: S608  # all of it stands here


def test_the_database_refuses_it_too(register: Register, finding: Finding, url: str) -> None:
    register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    for change in (
        "approved_by = 'P1', approved_at = requested_at",
        "approved_by = ' p1', approved_at = requested_at",
        "state = 'approved'",
        "state = 'ended'",
        "state = 'forgotten'",
        "approved_by = 'P2'",
        "requested_by = 'P3'",
        "source = NULL, account_id = 'b'",
        "expires_at = requested_at",
        "expires_at = '2036-03-02T00:00:00+00:00'",
        APPROVED.replace("'P2'", "' '"),
        APPROVED.replace("'P2'", "'Reconciler'"),
        APPROVED.replace("'Fine'", "' '"),
        APPROVED.replace("requested_at", "expires_at"),
    ):
        refused(url, f"UPDATE risk_acceptances SET {change}")  # noqa: S608  # the change is ours
    refused(url, INSERTED.replace("'requested'", "'approved'").replace("NULL, NULL", "'P2', requested_at"))
    refused(url, INSERTED.replace("'Because'", "' '"))
    refused(url, INSERTED.replace("account_id", "written_to"))
    refused(url, INSERTED.replace("SELECT 2", "SELECT 1"))
    if "sqlite" in url:
        refused(url, INSERTED.replace("SELECT 2", "SELECT 1").replace("INSERT", "REPLACE"))


def test_what_was_decided_stands_in_the_database(register: Register, finding: Finding, url: str) -> None:
    register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    register.decide("1", approve=True, by="P2", at=NOW, why="Seen and agreed.")
    refused(url, "UPDATE risk_acceptances SET approved_by = 'P3'")
    refused(url, "UPDATE risk_acceptances SET approved_by = NULL")
    refused(url, "UPDATE risk_acceptances SET decision_reason = 'Another'")
    refused(url, "UPDATE risk_acceptances SET state = 'requested'")
    refused(url, "DELETE FROM risk_acceptances")


def refused(url: str, statement: str) -> None:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        with pytest.raises(IntegrityError):
            connection.execute(text(statement))
        connection.rollback()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reason": " "}, "why the risk is accepted is missing"),
        ({"compensating_control": "-"}, "what is done instead is missing"),
        ({"review_owner": ""}, "nobody acts without a name"),
        ({"expires_at": NOW}, "is past"),
        ({"expires_at": NOW + timedelta(days=367)}, "longer than the 366 days that policy allows"),
    ],
)
def test_what_says_nothing_or_never_ends_is_refused(
    register: Register, finding: Finding, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigurationError, match=said):
        register.request(finding, asked(**changes), by="P1", at=NOW, longest=YEAR)
    assert register.listed() == []


def test_a_finding_is_asked_about_once_at_a_time(register: Register, finding: Finding) -> None:
    register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    with pytest.raises(ConfigurationError, match="RA-000001 asks for the same"):
        register.request(finding, asked(), by="P3", at=NOW, longest=YEAR)
    register.end("1", by="P1", at=NOW, why="Asked by mistake.")
    again = register.request(finding, asked(), by="P3", at=NOW, longest=YEAR)
    assert [(each.risk_id, each.state) for each in register.listed()] == [
        (again.risk_id, "requested"),
        ("RA-000001", "withdrawn"),
    ]
    assert register.listed(state="withdrawn")[0].ended_reason == "Asked by mistake."


def test_what_is_decided_or_over_is_not_decided_again(register: Register, finding: Finding) -> None:
    register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    with pytest.raises(ConfigurationError, match="too late to approve"):
        register.decide("1", approve=True, by="P2", at=NOW + timedelta(days=31), why="late")
    register.decide("1", approve=False, by="P2", at=NOW, why="No.")
    with pytest.raises(ConfigurationError, match="is rejected: it cannot be decided on"):
        register.decide("1", approve=True, by="P2", at=NOW, why="Yes.")
    with pytest.raises(ConfigurationError, match="is rejected: there is nothing to end"):
        register.end("1", by="P2", at=NOW, why="No.")
    for wanted in ("2", "NC-000001", "x"):
        with pytest.raises(ConfigurationError, match="there is no accepted risk"):
            register.show(wanted)


def test_only_a_violation_that_stands_can_be_accepted(register: Register, finding: Finding) -> None:
    for changes, said in (
        ({"state": State.RESOLVED}, "is resolved: there is no risk"),
        ({"state": State.SUPPRESSED}, "is suppressed: there is no risk"),
        ({"verdict": Outcome.NOT_EVALUABLE}, "is not evaluable: there is no risk"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            register.request(msgspec.structs.replace(finding, **changes), asked(), by="P1", at=NOW, longest=YEAR)


def test_how_far_an_exception_reaches(finding: Finding) -> None:
    grant = {"source": "ldap", "principal_kind": "account", "principal_id": "a", "entitlement_id": "g"}
    held = msgspec.structs.replace(finding, subject=grant, person_id="P7")
    assert scope(held, "subject") == Limits("ldap", "a", None, "g")
    assert scope(held, "account") == Limits("ldap", "a", None, None)
    assert scope(held, "person") == Limits(None, None, "P7", None)
    nested = msgspec.structs.replace(held, subject=grant | {"principal_kind": "entitlement"}, person_id=None)
    assert scope(nested, "subject") == Limits("ldap", None, None, "g")
    nobodys = msgspec.structs.replace(finding, subject={"document_id": "D1"}, person_id=None)
    with pytest.raises(ConfigurationError, match="names no account or person"):
        scope(nobodys, "subject")
    with pytest.raises(ConfigurationError, match="names no person"):
        scope(nobodys, "person")


def test_the_words_of_the_register_hold_all_of_it(register: Register, finding: Finding) -> None:
    register.request(finding, asked(), by="P1", at=NOW, longest=YEAR)
    risk = register.decide("1", approve=True, by="P2", at=NOW, why="Agreed.")
    row = record(risk)
    assert (row.approved_by, row.review_owner, row.compensating_control) == (
        "P2",
        "P9",
        "Sign-ins are reviewed each week.",
    )
