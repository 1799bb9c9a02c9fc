"""The rules on suppliers, exceptions and credentials over real snapshots: what blocks them, and how they count."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from reconciler.engine import load
from reconciler.engine.evaluation import evaluate
from reconciler.engine.rule import Rule
from reconciler.estate.results import RuleResult, Scope
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Account, Contract, Credential, ExceptionRecord, Person, Supplier
from tests.engine.conftest import NIGHT, Read, Seal

RULES = Path(__file__).parents[2] / "rules"


@pytest.fixture(scope="module")
def rule(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rule]:
    """Load the rules of three families alone, each by its name."""
    root = tmp_path_factory.mktemp("rules")
    for family in ("supplier", "exception", "credential"):
        (root / family).mkdir()
        for path in (RULES / family).iterdir():
            (root / family / path.name).write_bytes(path.read_bytes())
    return {rule.name: rule for rule in load([root], locked=False)}


def person(number: int) -> Person:
    """Return one of Bolt's people."""
    return Person(person_id=f"s{number}", logins=[f"s{number}"], kind="supplier", supplier_id="S-1", contract_id="C-7")


def estate(*changed: Read) -> list[Read]:
    """Return two people under one contract for one, an account each in another source; ``changed`` replaces tables."""
    reads = [
        Read(
            "qms", "contracts", [Contract(contract_id="C-7", supplier_id="S-1", ends_on=date(2026, 2, 10), headcount=1)]
        ),
        Read("qms", "suppliers", [Supplier(supplier_id="S-1", status="qualified")]),
        Read("hr", "people", [person(1), person(2)]),
        Read("ldap", "accounts", [Account(source="ldap", account_id="u1", login="s1", kind="human", can_sign_in=True)]),
        Read("aws", "accounts", [Account(source="aws", account_id="u2", login="s2", kind="human", can_sign_in=True)]),
    ]
    other = {(read.source, read.table): read for read in changed}
    return [other.pop((read.source, read.table), read) for read in reads] + list(other.values())


def judged(seal: Seal, rule: Rule, reads: Sequence[Read]) -> RuleResult:
    """Return what one rule says of a snapshot."""
    (result,) = evaluate(seal(reads), [rule], as_of=NIGHT).results
    return result


def blocks(result: RuleResult) -> dict[str | None, tuple[str, ...]]:
    """Return what blocks each scope that is blocked."""
    return {scope.source: scope.blocked for scope in result.scopes if scope.blocked}


def without(table: str, column: str) -> list[str]:
    """Return the columns of a table but for one."""
    return [c.name for c in tables()[table].columns if c.name != column]


def test_people_are_counted_across_sources(seal: Seal, rule: dict[str, Rule]) -> None:
    result = judged(seal, rule["headcount_exceeded"], estate())
    assert [(v.subject, v.verdict, v.source) for v in result.verdicts] == [({"contract_id": "C-7"}, "violation", None)]


def test_a_source_that_was_not_read_whole_leaves_the_number_of_people_unknown(
    seal: Seal, rule: dict[str, Rule]
) -> None:
    result = judged(seal, rule["headcount_exceeded"], estate(Read("aws", "accounts", status=Status.PARTIAL)))
    assert result.verdicts == ()
    assert blocks(result)[None] == ("aws: accounts is PARTIAL: the connection broke",)


def test_a_contract_is_warned_of_whatever_was_read_of_accounts(seal: Seal, rule: dict[str, Rule]) -> None:
    result = judged(seal, rule["contract_ending_soon"], estate(Read("aws", "accounts", status=Status.FAILED)))
    assert [v.reason for v in result.verdicts] == ["contract C-7 of supplier S-1 ends on 2026-02-10"]
    assert result.scopes == (Scope(source=None, population=1, violations=1),)


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("no_contract", "contracts"),
        ("no_contract", "suppliers"),
        ("supplier_not_qualified", "suppliers"),
        ("shared_supplier_account", "people"),
        ("guest_without_sponsor", "contracts"),
    ],
)
def test_a_register_that_was_not_read_whole_blocks_the_rules_that_ask_it(
    seal: Seal, rule: dict[str, Rule], name: str, table: str
) -> None:
    assert not blocks(judged(seal, rule[name], estate()))
    home = "hr" if table == "people" else "qms"
    result = judged(seal, rule[name], estate(Read(home, table, status=Status.PARTIAL)))
    assert result.verdicts == ()
    said = f"{home}: {table} is PARTIAL: the connection broke"
    assert all(said in reasons for reasons in blocks(result).values())
    assert set(blocks(result)) >= {"aws", "ldap"}


def test_without_any_register_of_contracts_nobody_is_called_uncontracted(seal: Seal, rule: dict[str, Rule]) -> None:
    reads = [read for read in estate() if read.table != "contracts"]
    result = judged(seal, rule["no_contract"], reads)
    assert result.verdicts == ()
    assert blocks(result)["ldap"] == ("no source reports contracts",)


def test_a_register_that_has_no_field_for_what_is_done_instead_is_not_called_incomplete(
    seal: Seal, rule: dict[str, Rule]
) -> None:
    record = ExceptionRecord(exception_id="E-1", rule_id="IG-ORP-001", account_id="u1", status="active")
    whole = judged(seal, rule["exception_incomplete"], [Read("qms", "exceptions", [record])])
    assert [v.verdict for v in whole.verdicts] == ["violation"]
    cut = Read("qms", "exceptions", [record], columns=without("exceptions", "compensating_control"))
    result = judged(seal, rule["exception_incomplete"], [cut])
    assert result.verdicts == ()
    assert blocks(result) == {None: ("qms does not report exceptions.compensating_control",)}


def test_a_source_without_last_use_calls_no_key_unused(seal: Seal, rule: dict[str, Rule]) -> None:
    key = Credential(
        source="okta", credential_id="K1", kind="api_token", status="active", created_at=NIGHT - timedelta(days=400)
    )
    accounts = Read("okta", "accounts", [Account(source="okta", account_id="u1")])
    cut = Read("okta", "credentials", [key], columns=without("credentials", "last_used_at"))
    assert blocks(judged(seal, rule["credential_unused"], [accounts, cut])) == {
        "okta": ("okta does not report credentials.last_used_at",)
    }
    silent = judged(seal, rule["credential_unused"], [accounts, Read("okta", "credentials", [key])])
    assert [v.verdict for v in silent.verdicts] == ["not_evaluable"]
