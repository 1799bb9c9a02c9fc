"""Assurance: each verdict, each way to join, each edge, and whatever keeps it from being judged."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from reconciler.bundled import root
from reconciler.engine import Options, load
from reconciler.engine.assurance import VERDICTS, Figure, open_assurance, words
from reconciler.errors import ConfigurationError, StoreError
from reconciler.estate.tables import ApprovalScope, RoleMap
from reconciler.sdk.connector import Status
from reconciler.sdk.records import (
    Account,
    Entitlement,
    Event,
    Person,
    Review,
    SpecialAccount,
)
from tests.engine.conftest import NIGHT, Read, Seal
from tests.engine.decided import (
    ACCOUNTS,
    DECIDED,
    ENTITLEMENTS,
    IN_TIME,
    PEOPLE,
    approval,
    event,
    everything,
    granted,
    holds,
    reads,
    termination,
)

Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ask(seal: Seal) -> Ask:
    def asking(*, as_of: datetime = NIGHT, options: Options | None = None, **rows: Any) -> list[dict[str, Any]]:
        with open_assurance(seal(reads(**rows)), as_of=as_of, options=options) as assurance:
            return everything(assurance)

    return asking


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["policy"], row["workflow"], row["enforcement"], row["verdict"]


def only(rows: list[dict[str, Any]]) -> dict[str, Any]:
    assert len(rows) == 1, rows
    return rows[0]


def test_a_grant_is_proven_by_the_event_that_names_its_approval_however_late(ask: Ask) -> None:
    late = granted(IN_TIME + timedelta(days=5), approval_ref=" a1 ")
    row = only(ask(grants=[holds()], approvals=[approval()], events=[late]))
    assert told(row) == ("required", "proven", "proven", "proven")
    assert (row["joined_by"], row["decision_id"], row["event_id"]) == ("reference", "A1", "v1")


@pytest.mark.parametrize(
    ("at", "verdict", "joined"),
    [
        (DECIDED, "proven", "window"),
        (IN_TIME, "proven", "window"),
        (IN_TIME + timedelta(seconds=1), "executed_without_approval", None),
        (DECIDED - timedelta(seconds=1), "executed_without_approval", None),
    ],
)
def test_without_a_name_the_window_joins_to_the_second(
    ask: Ask, at: datetime, verdict: str, joined: str | None
) -> None:
    row = only(ask(grants=[holds()], approvals=[approval()], events=[granted(at)]))
    assert (row["verdict"], row["joined_by"]) == (verdict, joined)


def test_the_window_begins_to_run_out_only_once_the_approval_is_valid(ask: Ask) -> None:
    begins = DECIDED + timedelta(days=7)
    row = only(
        ask(grants=[holds()], approvals=[approval(valid_from=begins)], events=[granted(begins + timedelta(hours=72))])
    )
    assert (row["verdict"], row["joined_by"]) == ("proven", "window")


def test_an_event_that_names_the_approval_but_came_before_it_proves_the_contrary(ask: Ask) -> None:
    early = granted(DECIDED - timedelta(minutes=1), approval_ref="A1")
    row = only(ask(grants=[holds()], approvals=[approval()], events=[early]))
    assert told(row) == ("required", "missing", "proven", "executed_without_approval")
    assert row["reason"] == "event v1 of 2026-01-10 08:59:00 came before approval A1, decided on 2026-01-10 09:00:00"


def test_an_event_belongs_to_the_approval_that_it_names_and_to_no_other(ask: Ask) -> None:
    other = approval(approval_id="A2", person_id="p2", entitlement="else", decided_at=NIGHT)
    rows = ask(grants=[holds()], approvals=[approval(), other], events=[granted(approval_ref="A2")])
    row = next(row for row in rows if row["account_id"] == "a")
    assert row["verdict"] == "executed_without_approval"
    assert row["reason"] == "event v1 names another decision than approval A1"


def test_an_event_that_names_an_unknown_approval_is_joined_by_time(ask: Ask) -> None:
    row = only(ask(grants=[holds()], approvals=[approval()], events=[granted(approval_ref="ticket 7")]))
    assert (row["verdict"], row["joined_by"]) == ("proven", "window")


def test_an_event_may_name_the_change_record_of_an_approval(ask: Ask) -> None:
    late = granted(DECIDED + timedelta(days=20), approval_ref=" chg-7 ")
    two = [
        approval(change_ref="CHG-7"),
        approval(approval_id="A2", person_id="p2", entitlement="else", change_ref="CHG-7"),
    ]
    rows = ask(grants=[holds()], approvals=two, events=[late])
    row = next(row for row in rows if row["account_id"] == "a")
    assert (row["verdict"], row["decision_id"], row["joined_by"]) == ("proven", "A1", "reference")


def test_the_last_event_of_a_grant_counts(ask: Ask) -> None:
    events = [granted(DECIDED), granted(DECIDED + timedelta(days=10), event_id="v2")]
    row = only(ask(grants=[holds()], approvals=[approval()], events=events))
    assert (row["verdict"], row["event_id"]) == ("executed_without_approval", "v2")


def test_an_attempt_that_failed_did_nothing(ask: Ask) -> None:
    row = only(ask(grants=[holds()], approvals=[approval()], events=[granted(outcome="FAILURE")]))
    assert told(row) == ("required", "proven", "held", "not_evaluable")
    assert (
        only(ask(grants=[holds()], approvals=[approval()], events=[granted(outcome="Success")]))["verdict"] == "proven"
    )


def test_an_approval_and_the_state_alone_do_not_prove_a_grant(ask: Ask) -> None:
    unreported = only(ask(grants=[holds()], approvals=[approval()], events=None))
    assert told(unreported) == ("required", "proven", "not_evaluable", "not_evaluable")
    assert unreported["reason"] == "approval A1 covers it; ldap does not report events"
    partial = Read("ldap", "events", [], Status.PARTIAL)
    assert only(ask(grants=[holds()], approvals=[approval()], events=partial))["reason"].endswith(
        "ldap: events is PARTIAL: the connection broke"
    )


@pytest.mark.parametrize(
    ("changes", "verdict", "reason"),
    [
        ({"person_id": "p2"}, "executed_without_approval", "no approval covers it"),
        ({"valid_until": NIGHT - timedelta(seconds=1)}, "executed_without_approval", "approval A1 ended on 2026-02-02"),
        ({"valid_until": NIGHT}, "proven", "approval A1, event v1"),
        ({"decision": "rejected"}, "executed_without_approval", "no approval covers it"),
        ({"decision": None}, "not_evaluable", "whether approval A1 covers it is unknown"),
        ({"kind": None}, "not_evaluable", "whether approval A1 covers it is unknown"),
        ({"environment": "prod"}, "not_evaluable", "whether approval A1 covers it is unknown"),
        ({"decided_at": None}, "not_evaluable", "when approval A1 was decided, or event v1 was, is unknown"),
        ({"entitlement": None}, "executed_without_approval", "no approval covers it"),
    ],
)
def test_what_an_approval_says_decides(ask: Ask, changes: dict[str, Any], verdict: str, reason: str) -> None:
    rows = ask(grants=[holds()], approvals=[approval(**changes)], events=[granted()])
    row = next(row for row in rows if row["account_id"] == "a")
    assert (row["verdict"], row["reason"]) == (verdict, reason)


def test_an_event_of_unknown_time_proves_nothing(ask: Ask) -> None:
    assert only(ask(grants=[holds()], approvals=[approval()], events=[granted(None)]))["verdict"] == "not_evaluable"


def test_a_nameless_entitlement_is_approved_perhaps_unless_the_event_names_the_approval(ask: Ask) -> None:
    grants, approvals = [holds(entitlement="e2")], [approval()]
    rows = ask(grants=grants, approvals=approvals, events=[granted(entitlement_id="e2")])
    assert {row["verdict"] for row in rows} == {"not_evaluable"}
    rows = ask(grants=grants, approvals=approvals, events=[granted(entitlement_id="e2", approval_ref="A1")])
    assert only(rows)["verdict"] == "proven"


def test_whose_account_it_is_must_be_known(ask: Ask) -> None:
    row = only(ask(grants=[holds("n")]))
    assert told(row) == ("required", "not_evaluable", "held", "not_evaluable")
    assert row["reason"] == "its account is linked to nobody, so that no approval can be looked for"


def test_what_policy_gives_needs_no_approval(ask: Ask) -> None:
    for given in ("dynamic", "inherited"):
        assert told(only(ask(grants=[holds(assignment=given)]))) == ("not_required", "not_required", "held", "proven")
    special = [SpecialAccount(source="ldap", account_id="nobody")]
    assert only(ask(grants=[holds("n")], special_accounts=special))["reason"].endswith("registered as special")
    scope = [ApprovalScope(number=1, entitlement="fin*", approval="not_required")]
    assert only(ask(grants=[holds()], options=Options(declared={"approval_scope": scope})))["verdict"] == "proven"
    maps = [RoleMap(number=1, department="sales", source="ldap", entitlement="finance")]
    mapped = Options(declared={"role_maps": maps})
    assert only(ask(grants=[holds()], options=mapped))["verdict"] == "proven"
    row = only(ask(grants=[holds("b")], options=mapped))
    assert (row["verdict"], row["policy"]) == ("not_evaluable", "not_evaluable")
    assert only(ask(grants=[holds(entitlement="e2")], options=mapped))["verdict"] == "not_evaluable"


def test_the_first_entry_of_the_approval_scope_that_fits_decides(ask: Ask) -> None:
    scope = [
        ApprovalScope(number=1, source="ldap", entitlement="e1", approval="required"),
        ApprovalScope(number=2, entitlement="*", approval="not_required"),
    ]
    options = Options(declared={"approval_scope": scope})
    assert only(ask(grants=[holds()], options=options))["verdict"] == "executed_without_approval"
    assert only(ask(grants=[holds(entitlement="e2")], options=options))["verdict"] == "not_evaluable"


def test_approved_access_that_nobody_holds_was_not_executed(ask: Ask) -> None:
    row = only(ask(approvals=[approval()]))
    assert told(row) == ("required", "proven", "missing", "approved_not_executed")
    assert (row["source"], row["account_id"], row["entitlement_id"]) == ("ldap", None, "finance")
    assert row["reason"].endswith(": no account of the person holds it, and no event shows it granted")


@pytest.mark.parametrize(
    ("changes", "rows", "reason"),
    [
        ({}, {"events": None}, "ldap does not report events"),
        ({}, {"grants": Read("ldap", "grants", [], Status.PARTIAL)}, "grants is PARTIAL: the connection broke"),
        ({"system": "crm"}, {}, "crm is no source that was read"),
        ({"person_id": None}, {}, "whom it concerns is unknown"),
        ({"person_id": "p9"}, {}, "approval A1: p9 is not among the people"),
        ({"decided_at": None}, {}, "when it was decided is unknown"),
        ({"decided_at": NIGHT - timedelta(hours=71)}, {}, "it may be carried out until 2026-02-03 01:00"),
        ({}, {"grants": [holds(entitlement="e2")]}, "whether what the person holds is what was approved is unknown"),
    ],
)
def test_an_unexecuted_approval_is_only_one_where_everything_was_seen(
    ask: Ask, changes: dict[str, Any], rows: dict[str, Any], reason: str
) -> None:
    found = ask(approvals=[approval(**changes)], **rows)
    row = next(row for row in found if row["account_id"] is None)
    assert row["verdict"] == "not_evaluable"
    assert row["reason"].endswith(reason)


def test_an_approval_that_was_executed_and_is_gone_since_is_no_row(ask: Ask) -> None:
    assert ask(approvals=[approval()], events=[granted()]) == []
    assert ask(approvals=[approval()], events=[granted(NIGHT, approval_ref="A1")]) == []
    assert only(ask(approvals=[approval()], events=[granted(IN_TIME + timedelta(seconds=1))]))["verdict"] == (
        "approved_not_executed"
    )


def disabled(at: datetime | None = IN_TIME, **changes: Any) -> Event:
    return event("account_disabled", at, **({"target_id": "b"} | changes))


def test_a_termination_is_proven_by_event_and_state_together(ask: Ask) -> None:
    row = only(ask(approvals=[termination()], events=[disabled()]))
    assert told(row) == ("required", "proven", "proven", "proven")
    assert (row["kind"], row["account_id"], row["joined_by"]) == ("revocation", "b", "window")
    row = only(ask(approvals=[termination()], events=[disabled(NIGHT, approval_ref="A1")]))
    assert (row["verdict"], row["joined_by"]) == ("proven", "reference")


def test_an_ending_one_second_after_its_window_proves_nothing_and_was_ordered_by_nobody(ask: Ask) -> None:
    rows = ask(approvals=[termination()], events=[disabled(IN_TIME + timedelta(seconds=1))])
    assert {(row["decision_id"], row["verdict"]) for row in rows} == {
        ("A1", "revocation_unproven"),
        (None, "executed_without_approval"),
    }


def test_a_termination_without_an_event_is_unproven_though_the_account_is_closed(ask: Ask) -> None:
    row = only(ask(approvals=[termination()]))
    assert told(row) == ("required", "proven", "missing", "revocation_unproven")
    row = only(ask(approvals=[termination()], events=None))
    assert told(row) == ("required", "proven", "not_evaluable", "not_evaluable")


def test_an_account_that_stands_contradicts_every_event(ask: Ask) -> None:
    for events in ([disabled(target_id="a")], None):
        row = only(ask(approvals=[termination(person_id="p1")], events=events))
        assert row["verdict"] == "revocation_unproven"
        assert (", though event " in row["reason"]) == (events is not None)


@pytest.mark.parametrize(
    ("status", "can_sign_in", "verdict"),
    [
        ("suspended", False, "revocation_unproven"),
        ("enabled", None, "revocation_unproven"),
        (None, False, "proven"),
        ("deleted", None, "proven"),
        (None, None, "not_evaluable"),
        ("staged", None, "not_evaluable"),
    ],
)
def test_what_the_state_says_of_a_closed_account(ask: Ask, status: Any, can_sign_in: bool | None, verdict: str) -> None:
    account = Account(source="ldap", account_id="b", employee_id="E2", status=status, can_sign_in=can_sign_in)
    assert only(ask(accounts=[account], approvals=[termination()], events=[disabled()]))["verdict"] == verdict


def test_within_the_window_nothing_is_late(ask: Ask) -> None:
    fresh = termination(person_id="p1", decided_at=NIGHT - timedelta(hours=72) + timedelta(seconds=1))
    assert only(ask(approvals=[fresh]))["verdict"] == "not_evaluable"
    due = termination(person_id="p1", decided_at=NIGHT - timedelta(hours=72))
    assert only(ask(approvals=[due]))["verdict"] == "revocation_unproven"


def test_an_account_deleted_since_is_found_by_the_event_that_names_the_decision(ask: Ask) -> None:
    gone = event("account_deleted", target_id="z", approval_ref="A1")
    rows = ask(people=[*PEOPLE, Person(person_id="p3")], approvals=[termination(person_id="p3")], events=[gone])
    assert (only(rows)["account_id"], only(rows)["verdict"]) == ("z", "proven")


def test_a_termination_of_somebody_without_an_account_says_nothing(ask: Ask) -> None:
    row = only(ask(people=[*PEOPLE, Person(person_id="p3")], approvals=[termination(person_id="p3")]))
    assert (row["source"], row["verdict"]) == (None, "not_evaluable")


def test_a_termination_whose_decision_is_unknown_or_refused(ask: Ask) -> None:
    assert only(ask(approvals=[termination(decision=None)]))["reason"] == "decision A1: what was decided is unknown"
    assert only(ask(approvals=[termination(decided_at=None)], events=[disabled()]))["verdict"] == "not_evaluable"
    assert ask(approvals=[termination(decision="rejected")]) == []


def test_somebody_who_came_back_keeps_the_proof_of_the_ending(ask: Ask) -> None:
    back = approval(approval_id="A2", kind="onboarding", entitlement=None, decided_at=IN_TIME + timedelta(days=1))
    ended = [termination(person_id="p1"), back]
    assert only(ask(approvals=ended, events=[disabled(target_id="a")]))["verdict"] == "proven"


def review(**changes: Any) -> Review:
    values: dict[str, Any] = {"account_id": "a", "entitlement_id": "e1", "decision": "revoke", "decided_at": DECIDED}
    return Review(review_id="R1", source="ldap", **(values | changes))


def revoked(at: datetime | None = IN_TIME, **changes: Any) -> Event:
    return event("entitlement_revoked", at, **({"entitlement_id": "e1"} | changes))


def test_a_review_that_revokes_is_proven_by_the_event_and_the_grant_that_is_gone(ask: Ask) -> None:
    assert only(ask(reviews=[review()], events=[revoked()]))["joined_by"] == "window"
    assert only(ask(reviews=[review()], events=[revoked(NIGHT, approval_ref="r1")]))["joined_by"] == "reference"
    assert only(ask(reviews=[review()]))["verdict"] == "revocation_unproven"
    assert ask(reviews=[review(decision="keep")]) == []
    rows = ask(reviews=[review()], events=[revoked()], grants=[holds()])
    assert {row["verdict"] for row in rows} == {"revocation_unproven", "executed_without_approval"}


def test_an_approval_that_revokes_means_the_entitlement_that_it_names(ask: Ask) -> None:
    order = approval(kind="recertification", decision="revoke")
    assert only(ask(approvals=[order], events=[revoked()]))["verdict"] == "proven"
    assert only(ask(approvals=[order], events=[revoked(entitlement_id=None, approval_ref="A1")]))["verdict"] == "proven"


def test_access_granted_anew_after_a_review_keeps_the_proof_of_the_ending(ask: Ask) -> None:
    anew = approval(decided_at=IN_TIME + timedelta(days=1))
    again = granted(IN_TIME + timedelta(days=2), event_id="v2")
    rows = ask(reviews=[review()], approvals=[anew], grants=[holds()], events=[revoked(), again])
    assert [(row["kind"], row["verdict"]) for row in rows] == [("grant", "proven"), ("revocation", "proven")]


def test_an_event_that_came_before_the_decision_that_it_names(ask: Ask) -> None:
    row = only(ask(approvals=[termination()], events=[disabled(DECIDED - timedelta(hours=1), approval_ref="A1")]))
    assert told(row) == ("required", "missing", "proven", "executed_without_approval")


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (revoked(), "executed_without_approval"),
        (revoked(None), "not_evaluable"),
        (revoked(entitlement_id=None), "not_evaluable"),
        (revoked(target_id="n"), "not_evaluable"),
        (disabled(), "executed_without_approval"),
    ],
)
def test_an_ending_that_nobody_decided(ask: Ask, made: Event, verdict: str) -> None:
    row = only(ask(events=[made]))
    assert row["verdict"] == verdict
    assert row["reason"].endswith(": no decision asked for it") is (verdict == "executed_without_approval")


def test_policy_alone_ends_access_by_rule_and_on_the_last_day(ask: Ask) -> None:
    dynamic = [Entitlement(source="ldap", entitlement_id="e1", membership="dynamic")]
    assert told(only(ask(entitlements=dynamic, events=[revoked()])))[0::3] == ("not_required", "proven")
    left = [Person(person_id="p2", employee_id="E2", ends_on=date(2026, 1, 13))]
    row = only(ask(people=left, events=[disabled()]))
    assert row["verdict"] == "proven"
    assert row["reason"].endswith("no decision is needed: the person's last day was 2026-01-13")
    later = [Person(person_id="p2", employee_id="E2", ends_on=date(2026, 1, 14))]
    assert only(ask(people=later, events=[disabled()]))["verdict"] == "executed_without_approval"


def test_a_last_day_begins_where_the_person_is(ask: Ask) -> None:
    at = datetime(2026, 1, 12, 12, tzinfo=UTC)
    too_early = "executed_without_approval"
    for zone, verdict in (("Pacific/Auckland", "proven"), ("UTC", too_early), ("Nowhere", too_early)):
        left = [Person(person_id="p2", employee_id="E2", ends_on=date(2026, 1, 13), time_zone=zone)]
        assert only(ask(people=left, events=[disabled(at)]))["verdict"] == verdict, zone
    left = [Person(person_id="p2", employee_id="E2", ends_on=date(2026, 1, 13))]
    at_home = Options(time_zone="Pacific/Auckland")
    assert only(ask(people=left, events=[disabled(at)], options=at_home))["verdict"] == "proven"


def test_words_are_those_that_rules_are_given(seal: Seal) -> None:
    params = {
        "IG-APR-001": {"approved_words": ["genehmigt"]},
        "IG-APR-009": {"success_outcomes": ["erteilt"]},
        "IG-LVR-004": {"approved_words": ["beschlossen"], "success_words": ["beendet"]},
    }
    said = words(load([root("rules")], params), window=timedelta(hours=1))
    assert (said.window, list(said.approved_words)) == (timedelta(hours=1), ["genehmigt"])
    given = reads(
        grants=[holds()],
        approvals=[approval(decision="Genehmigt"), termination(approval_id="A2", decision="beschlossen")],
        events=[
            granted(DECIDED, outcome="erteilt"),
            disabled(DECIDED, event_id="v2", outcome="beendet"),
            disabled(DECIDED, event_id="v3", outcome="erteilt"),
        ],
    )
    snapshot = seal(given)
    with open_assurance(snapshot, as_of=NIGHT, words=said) as found:
        assert {(row["verdict"], row["event_id"]) for row in everything(found)} == {("proven", "v1"), ("proven", "v2")}
    with open_assurance(snapshot, as_of=NIGHT, words=words([])) as usual:
        assert "proven" not in {row["verdict"] for row in everything(usual)}


def test_every_grant_is_one_row_and_verdicts_add_up_to_the_population(seal: Seal) -> None:
    chance = random.Random(5)
    names = [f"a{n}" for n in range(12)]
    accounts = [
        Account(source="ldap", account_id=name, employee_id=f"E{n % 7}", status="enabled", can_sign_in=True)
        for n, name in enumerate(names)
    ]
    people = [Person(person_id=f"p{n}", employee_id=f"E{n}") for n in range(6)]
    kinds = ("direct", "dynamic", "inherited")
    held = {(chance.choice(names), f"e{chance.randrange(6)}", chance.choice(kinds)) for _ in range(80)}
    entitlements = [Entitlement(source="ldap", entitlement_id=f"e{n}", name=f"N{n}") for n in range(5)]
    approvals = [
        approval(
            approval_id=f"A{n}",
            kind=chance.choice(["access_request", "termination", "recertification", None]),
            person_id=f"p{chance.randrange(8)}",
            entitlement=chance.choice([None, "N1", "e2", "n*", "?3"]),
            decision=chance.choice(["approved", "revoke", "rejected", None]),
            decided_at=chance.choice([None, DECIDED, NIGHT]),
        )
        for n in range(60)
    ]
    actions = ("entitlement_granted", "entitlement_revoked", "account_disabled", "account_deleted")
    events = [
        event(
            chance.choice(actions),
            chance.choice([None, DECIDED, IN_TIME, NIGHT]),
            event_id=f"v{n}",
            target_id=chance.choice(names),
            entitlement_id=chance.choice([None, "e1", "e2", "e3"]),
            approval_ref=chance.choice([None, "A1", f"A{chance.randrange(60)}"]),
        )
        for n in range(120)
    ]
    given = reads(
        accounts=accounts,
        people=people,
        entitlements=entitlements,
        grants=[holds(*one) for one in sorted(held)],
        approvals=approvals,
        events=events,
    )
    with open_assurance(seal(given), as_of=NIGHT) as found:
        rows = [row for verdict in VERDICTS for row in found.examples(10_000, verdict=verdict)]
        figures = found.figures()
    grants = [(r["account_id"], r["entitlement_id"], r["assignment"]) for r in rows if r["kind"] == "grant"]
    assert sorted(one for one in grants if one[0]) == sorted(held)
    assert sum(figure.population for figure in figures) == len(rows)
    for figure in figures:
        for counts in (figure.verdicts, *figure.layers.values()):
            assert sum(counts.values()) == figure.population, figure
    endings = [r["event_id"] for r in rows if r["kind"] == "revocation" and r["decision_id"] is None]
    assert len(endings) == len(set(endings)), "what nobody decided is told once"


@pytest.mark.parametrize("table", ["accounts", "grants", "entitlements", "people", "approvals", "reviews"])
def test_what_was_not_read_whole_is_neither_proven_nor_accused(ask: Ask, table: str) -> None:
    given: dict[str, Any] = {
        "people": PEOPLE, "accounts": ACCOUNTS, "entitlements": ENTITLEMENTS, "grants": [holds(), holds("b")],
        "approvals": [approval(), termination()], "reviews": [review(entitlement_id="e2")],
    }  # fmt: skip
    home = "qms" if table in {"people", "approvals", "reviews"} else "ldap"
    broken = given | {table: Read(home, table, given[table], Status.PARTIAL)}
    rows = ask(**broken, events=[granted(), disabled(event_id="v2")])
    judged = {row["verdict"] for row in rows if row["kind"] == "revocation" or table != "reviews"}
    assert judged <= {"not_evaluable"}


def test_figures_count_the_population_and_show_what_was_blocked(seal: Seal) -> None:
    with open_assurance(
        seal(reads(grants=[holds(), holds("n")], approvals=[approval()], events=[granted()])), as_of=NIGHT
    ) as one:
        grants, revocations = one.figures()
    assert (grants.kind, grants.source, grants.population) == ("grants", "ldap", 2)
    assert {k: v for k, v in grants.verdicts.items() if v} == {"proven": 1, "not_evaluable": 1}
    assert grants.layers["workflow"] == {"proven": 1, "not_evaluable": 1}
    assert (grants.blocked, revocations.population) == ((), 0)
    failed = Read("ldap", "grants", [], Status.FAILED)
    with open_assurance(seal(reads(grants=failed)), as_of=NIGHT) as two:
        figure: Figure = two.figures()[0]
    assert figure.population == 0
    assert figure.blocked == ("ldap: grants is FAILED: the connection broke",)


def test_rows_are_written_as_csv_and_parquet(seal: Seal, tmp_path: Path) -> None:
    approvals = [approval(entitlement="=cmd()")]
    with open_assurance(seal(reads(grants=[holds()], approvals=approvals, events=[granted()])), as_of=NIGHT) as found:
        assert found.write(tmp_path / "new" / "rows.parquet") == 2
        assert found.write(tmp_path / "rows.csv", verdict="approved_not_executed") == 1
        assert found.write(tmp_path / "none.csv", source="okta") == 0
        with pytest.raises(ConfigurationError, match=r"no format \.txt"):
            found.write(tmp_path / "rows.txt")
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="could not be written"):
            found.write(tmp_path / "file" / "rows.csv")
    assert set(pq.read_table(tmp_path / "new" / "rows.parquet").column("verdict").to_pylist()) == {
        "approved_not_executed",
        "executed_without_approval",
    }
    with (tmp_path / "rows.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["entitlement_id"] == "'=cmd()"
    assert (row["estate"], row["as_of"]) == ("test", f"{NIGHT:%Y-%m-%dT%H:%M:%SZ}")


def test_an_event_source_without_the_columns_that_matter_shows_nothing(ask: Ask) -> None:
    blind = Read("ldap", "events", [], columns=["source", "event_id", "action"])
    row = only(ask(approvals=[termination()], events=blind))
    assert row["reason"].endswith("ldap does not report events.occurred_at, events.target_id")
