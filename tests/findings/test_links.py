"""Links that are kept: automatic ones once made, and what people decide, whatever an evaluation says later."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.errors import ConfigurationError
from reconciler.estate.results import NewLink
from reconciler.findings.store import FindingStore
from tests.findings.nights import START, night, record, result, verdict


def new(account: str, person: str, source: str = "ldap") -> NewLink:
    return NewLink(source=source, account_id=account, person_id=person, method="email", confidence=0.9, since=START)


def kept(store: FindingStore) -> list[tuple[str, str, str]]:
    return [(link.account_id, link.person_id, link.state) for link in store.remembered_links()]


def decide(store: FindingStore, account: str, person: str, *, by: str = "Grace", reason: str = "asked her") -> None:
    store.link(source="ldap", account_id=account, person_id=person, by=by, at=night(2), reason=reason)


def reject(store: FindingStore, account: str, person: str | None) -> str:
    return store.reject_link(
        source="ldap", account_id=account, person_id=person, by="Grace", at=night(3), reason="not hers"
    )


def test_a_link_once_made_is_kept_as_it_was_first_made(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")), links=(new("a", "p1"), new("b", "p2"), new("a", "p9", "aws")))
    record(store, 1, result(verdict("a")), links=(new("a", "p3"), new("c", "p4")))
    assert kept(store) == [("a", "p9", "linked"), ("a", "p1", "linked"), ("b", "p2", "linked"), ("c", "p4", "linked")]
    ((link,), decisions) = store.links_of("ldap", "a")
    assert (link.method, link.confidence, link.since) == ("email", 0.9, START)
    assert decisions == []


def test_more_links_than_one_statement_takes(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")), links=tuple(new(f"a{n}", "p") for n in range(1_200)))
    record(store, 1, result(verdict("a")), links=tuple(new(f"a{n}", "q") for n in range(1_201)))
    assert [link.person_id for link in store.remembered_links()].count("p") == 1_200
    assert len(kept(store)) == 1_201


def test_a_manual_link_replaces_an_automatic_one_and_no_run_takes_it_back(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")), links=(new("a", "p1"),))
    decide(store, "a", "p2")
    record(store, 4, result(verdict("a")), links=(new("a", "p1"),))
    assert kept(store) == [("a", "p2", "manual")]
    _, (decision,) = store.links_of("ldap", "a")
    assert decision.before == "linked to p1 by email since 2026-03-01"
    assert (decision.decision, decision.decided_by, decision.reason) == ("link", "Grace", "asked her")


def test_confirming_an_automatic_link_keeps_since_when_it_held(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")), links=(new("a", "p1"),))
    decide(store, "a", "p1")
    ((link,), _) = store.links_of("ldap", "a")
    assert (link.state, link.since) == ("manual", START)


def test_a_rejection_outlives_every_run_and_leaves_room_for_another_person(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")), links=(new("a", "p1"),))
    assert reject(store, "a", None) == "p1"
    record(store, 4, result(verdict("a")), links=(new("a", "p1"),))
    assert kept(store) == [("a", "p1", "rejected")]
    record(store, 5, result(verdict("a")), links=(new("a", "p2"),))
    assert kept(store) == [("a", "p1", "rejected"), ("a", "p2", "linked")]


def test_linking_by_hand_takes_a_rejection_back_and_the_history_keeps_both(store: FindingStore) -> None:
    assert reject(store, "a", "p1") == "p1"
    decide(store, "a", "p1")
    assert kept(store) == [("a", "p1", "manual")]
    _, history = store.links_of("ldap", "a")
    assert [(one.decision, one.before) for one in history] == [
        ("reject", "nothing was kept"),
        ("link", "p1 rejected"),
    ]
    assert reject(store, "a", "p1") == "p1"
    assert store.links_of("ldap", "a")[1][-1].before == "linked to p1 by hand since 2026-03-03"


@pytest.mark.parametrize(("by", "reason", "said"), [(" ", "why", "a name is missing"), ("Grace", "", "a reason")])
def test_a_decision_names_who_and_why(store: FindingStore, by: str, reason: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        decide(store, "a", "p1", by=by, reason=reason)
    assert kept(store) == []


def test_what_is_decided_already_or_cannot_be_undone_is_refused(store: FindingStore) -> None:
    with pytest.raises(ConfigurationError, match="no link of ldap a is kept") as refused:
        reject(store, "a", None)
    assert "links reject ldap a PERSON" in refused.value.advice
    decide(store, "a", "p1")
    with pytest.raises(ConfigurationError, match="by hand already"):
        decide(store, "a", "p1")
    reject(store, "a", "p1")
    with pytest.raises(ConfigurationError, match="rejected for ldap a already"):
        reject(store, "a", "p1")


def test_an_id_that_the_database_cannot_hold_stops_no_night(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")), links=(new("a\x00b", "p1"), new("b", "p2")))
    assert kept(store) == [("b", "p2", "linked")]


def test_the_last_evaluation_of_each_rule_is_known(store: FindingStore) -> None:
    assert store.rule_evaluations() == {}
    record(store, 0, result(verdict("a")))
    record(store, 1, result(verdict("a")))
    assert store.rule_evaluations() == {"IG-LVR-001": night(0) + timedelta(days=1)}
