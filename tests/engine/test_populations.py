"""Rules whose population is built by the product or declared by the organisation, judged over real snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from reconciler.engine import load
from reconciler.engine.evaluation import evaluate
from reconciler.engine.rule import Rule
from reconciler.engine.workspace import Options
from reconciler.estate.results import Scope
from reconciler.estate.tables import Conflict, Control
from reconciler.sdk.connector import Status
from reconciler.sdk.records import (
    Account,
    Document,
    Entitlement,
    ExceptionRecord,
    Grant,
    Person,
    Record,
    RoleHolder,
    SpecialAccount,
)
from tests.engine.conftest import NIGHT, Read, Seal

RULES = Path(__file__).parents[2] / "rules"


@pytest.fixture
def rule(tmp_path: Path) -> dict[str, list[Rule]]:
    """Load the rules that are judged here, each by its name."""
    for name in (
        "governance/source_stale",
        "governance/role_vacant",
        "privilege/toxic_combination",
        "leaver/split_offboarding",
        "exception/exception_too_long",
    ):
        for suffix in (".sql", ".toml"):
            copy = tmp_path / "rules" / (name + suffix)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((RULES / (name + suffix)).read_bytes())
    return {rule.name: [rule] for rule in load([tmp_path / "rules"], locked=False)}


def test_a_table_that_was_not_read_whole_is_stale_and_every_other_one_counts(
    seal: Seal, rule: dict[str, list[Rule]]
) -> None:
    snapshot = seal(
        [
            Read("ldap", "accounts", [Account(source="ldap", account_id="u1")]),
            Read("ldap", "grants", status=Status.PARTIAL),
            Read("hr", "people", [Person(person_id="p1")]),
        ]
    )
    (result,) = evaluate(snapshot, rule["source_stale"], as_of=NIGHT).results
    assert [(v.subject, v.source) for v in result.verdicts] == [
        ({"source": "ldap", "table_name": "grants"}, "ldap"),
    ]
    judged = {scope.source: (scope.population, scope.passes, scope.violations) for scope in result.scopes}
    assert judged == {"hr": (1, 1, 0), "ldap": (2, 1, 1), None: (0, 0, 0)}


def test_a_replay_long_before_the_pull_cannot_tell_how_fresh_a_table_was(
    seal: Seal, rule: dict[str, list[Rule]]
) -> None:
    snapshot = seal([Read("hr", "people", [Person(person_id="p1")])])
    (result,) = evaluate(snapshot, rule["source_stale"], as_of=NIGHT - timedelta(days=30)).results
    assert [v.verdict for v in result.verdicts] == ["not_evaluable"]


def test_roles_are_gathered_from_whatever_names_them(seal: Seal, rule: dict[str, list[Rule]]) -> None:
    snapshot = seal(
        [
            Read("qms", "documents", [Document(document_id="D-1", owner_role="Quality")]),
            Read("qms", "role_holders", [RoleHolder(role="Fire warden", person_id="p1", since=NIGHT.date())]),
            Read("hr", "people", [Person(person_id="p1")]),
        ]
    )
    declared: dict[str, Sequence[Record]] = {
        "controls": [Control(control_id="C-1", owner_role="CISO")],
        "special_accounts": [SpecialAccount(source="ldap", account_id="rescue", kind="break_glass", owner_role="Ops")],
    }
    (result,) = evaluate(snapshot, rule["role_vacant"], as_of=NIGHT, options=Options(declared=declared)).results
    assert [v.subject["role"] for v in result.verdicts] == ["ciso", "ops", "quality"]
    assert result.scopes == (Scope(source=None, population=4, violations=3, not_applicable=1),)


def test_a_register_that_was_not_read_whole_blocks_the_roles_that_it_may_name(
    seal: Seal, rule: dict[str, list[Rule]]
) -> None:
    snapshot = seal(
        [
            Read("qms", "documents", status=Status.PARTIAL),
            Read("qms", "role_holders"),
            Read("hr", "people", [Person(person_id="p1")]),
        ]
    )
    (result,) = evaluate(snapshot, rule["role_vacant"], as_of=NIGHT).results
    assert result.scopes == (Scope(source=None, blocked=("qms: documents is PARTIAL: the connection broke",)),)


def test_without_a_register_of_holders_no_role_is_called_vacant(seal: Seal, rule: dict[str, list[Rule]]) -> None:
    snapshot = seal([Read("hr", "people", [Person(person_id="p1")])])
    (result,) = evaluate(snapshot, rule["role_vacant"], as_of=NIGHT).results
    assert result.scopes == (Scope(source=None, blocked=("no source reports role_holders",)),)
    assert result.verdicts == ()


def both_sides(*, bank: Status) -> list[Read]:
    """Return a person who posts in one source and approves in it and in another, whose grants were read ``bank``."""
    reads = [Read("hr", "people", [Person(person_id="p1", logins=["ada"]), Person(person_id="p2", logins=["bo"])])]
    held = {"erp": (("ada", "post"), ("bo", "post"), ("bo", "approve")), "bank": (("ada", "approve"),)}
    for source, grants in held.items():
        names = dict.fromkeys(login for login, _ in grants)
        rows = [
            Grant(source=source, principal_kind="account", principal_id=login, entitlement_id=name, assignment="direct")
            for login, name in grants
        ]
        listed = [Entitlement(source=source, entitlement_id=name, name=name) for name in ("post", "approve")]
        reads += [
            Read(source, "accounts", [Account(source=source, account_id=n, login=n, can_sign_in=True) for n in names]),
            Read(source, "entitlements", listed),
            Read(source, "grants", rows, Status.COMPLETE if source == "erp" else bank),
        ]
    return reads


@pytest.mark.parametrize(
    ("bank", "expected"),
    [(Status.COMPLETE, [("p1", None), ("p2", "erp")]), (Status.PARTIAL, [("p2", "erp")])],
)
def test_a_combination_across_sources_is_judged_only_where_every_source_was_read(
    seal: Seal, rule: dict[str, list[Rule]], bank: Status, expected: list[tuple[str, str | None]]
) -> None:
    conflicts = [
        Conflict(conflict="Four eyes", side="left", number=1, entitlement="post"),
        Conflict(conflict="Four eyes", side="right", number=1, entitlement="approve"),
    ]
    (result,) = evaluate(
        seal(both_sides(bank=bank)),
        rule["toxic_combination"],
        as_of=NIGHT,
        options=Options(declared={"conflicts": conflicts}),
    ).results
    assert [(v.subject["holder"], v.source) for v in result.verdicts] == expected
    blocked = {scope.source: bool(scope.blocked) for scope in result.scopes}
    unread = bank is not Status.COMPLETE
    assert blocked == {"bank": unread, "erp": False, None: unread}


@pytest.mark.parametrize("closed", [Status.COMPLETE, Status.PARTIAL])
def test_a_source_that_was_not_read_whole_blocks_a_rule_that_looks_across_sources(
    seal: Seal, rule: dict[str, list[Rule]], closed: Status
) -> None:
    """Without it nobody knows whether the other account is closed: that opens nothing, and closes nothing."""
    reads = [
        Read("hr", "people", [Person(person_id="p1", logins=["ada"], ends_on=date(2026, 1, 10))]),
        Read("aws", "accounts", [Account(source="aws", account_id="u9", login="ada", status="enabled")]),
        Read("ldap", "accounts", [Account(source="ldap", account_id="u1", login="ada", status="disabled")], closed),
    ]
    (result,) = evaluate(seal(reads), rule["split_offboarding"], as_of=NIGHT).results
    blocked = {scope.source: scope.blocked for scope in result.scopes}
    if closed is Status.COMPLETE:
        assert [(v.subject["account_id"], v.verdict) for v in result.verdicts] == [("u9", "violation")]
        assert blocked == {"aws": (), "ldap": ()}
    else:
        assert result.verdicts == ()
        assert blocked == dict.fromkeys(("aws", "ldap"), ("ldap: accounts is PARTIAL: the connection broke",))


def test_a_rule_whose_rows_name_no_source_counts_all_of_a_population_whose_rows_do(
    seal: Seal, rule: dict[str, list[Rule]]
) -> None:
    ends = NIGHT + timedelta(days=30)
    exceptions = [
        ExceptionRecord(exception_id="E-1", source="ldap", approved_at=NIGHT, expires_at=ends, status="approved"),
        ExceptionRecord(exception_id="E-2", approved_at=NIGHT, expires_at=ends, status="approved"),
    ]
    accounts = [Account(source="ldap", account_id="u1")]
    snapshot = seal([Read("qms", "exceptions", exceptions), Read("ldap", "accounts", accounts)])
    (result,) = evaluate(snapshot, rule["exception_too_long"], as_of=NIGHT).results
    assert result.scopes == (Scope(source=None, population=2, passes=2),)
