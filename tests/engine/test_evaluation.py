"""Rules over snapshots that the real writer sealed: counts, coverage obeyed, replay."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.bundled import root
from reconciler.engine import Options, Rule, RuleError, evaluate, load
from reconciler.errors import StoreError
from reconciler.estate.results import Outcome, RuleResult, Scope
from reconciler.sdk.connector import Status
from reconciler.sdk.records import (
    Account,
    Approval,
    Contract,
    Credential,
    Document,
    Entitlement,
    ExceptionRecord,
    Grant,
    Person,
    SpecialAccount,
)
from reconciler.snapshot import Snapshot
from tests.engine.conftest import NIGHT, Read, Seal
from tests.engine.rulebook import SQL, TOML, write_rule

PEOPLE = [
    Person(person_id="p1", full_name="Ada", employee_id="E1", ends_on=date(2026, 1, 31), time_zone="Europe/Paris"),
    Person(person_id="p2", full_name="Bob", emails=["bob@x.test"], kind="supplier", contract_id="C1"),
    Person(person_id="p3", full_name="Cyd", logins=["cyd"]),
]
ACCOUNTS = [
    Account(source="ldap", account_id="a", login="ada", employee_id="E1", status="enabled", can_sign_in=True),
    Account(source="ldap", account_id="b", login="bob", email="Bob@x.test", status="enabled", can_sign_in=True),
    Account(source="ldap", account_id="c", login="cyd"),
    Account(source="ldap", account_id="g", login="ghost", status="enabled", can_sign_in=True),
    Account(source="ldap", account_id="k", login="backup", status="enabled", can_sign_in=True),
    Account(source="ldap", account_id="x", login="ex", status="disabled", can_sign_in=False),
]
ENTITLEMENTS = [Entitlement(source="ldap", entitlement_id=f"e{n}", name=f"Group {n}") for n in range(3)]


def holds(account: str, entitlement: str) -> Grant:
    return Grant(
        source="ldap",
        principal_kind="account",
        principal_id=account,
        entitlement_id=entitlement,
        assignment="direct",
    )


GRANTS = [holds("a", "e0"), holds("b", "e1"), holds("b", "e2"), holds("g", "e0")]
CREDENTIALS = [
    Credential(source="ldap", credential_id="k1", account_id="x", kind="ssh_key", status="active", created_at=NIGHT),
    Credential(source="ldap", credential_id="k2", account_id="a", kind="ssh_key", status="active"),
]
APPROVALS = [
    Approval(
        approval_id="A1",
        kind="access_request",
        person_id="p2",
        entitlement="Group 1",
        decision="approved",
        decided_at=datetime(2025, 1, 1, tzinfo=UTC),
    ),
    Approval(
        approval_id="A2",
        kind="access_request",
        person_id="p2",
        entitlement="Group 2",
        decision="approved",
        valid_until=datetime(2026, 1, 15, tzinfo=UTC),
    ),
]
CONTRACTS = [Contract(contract_id="C1", ends_on=date(2026, 1, 1))]
EXCEPTIONS = [
    ExceptionRecord(exception_id="X1", source="ldap", account_id="g", expires_at=datetime(2026, 1, 1, tzinfo=UTC)),
    ExceptionRecord(exception_id="X2", source="okta", account_id="g", expires_at=datetime(2026, 1, 1, tzinfo=UTC)),
]
SPECIAL = [SpecialAccount(source="ldap", account_id="backup")]
JUDGED = {
    "IG-APR-001",
    "IG-APR-002",
    "IG-CRD-001",
    "IG-EXC-001",
    "IG-LVR-001",
    "IG-LVR-002",
    "IG-ORP-001",
    "IG-SUP-001",
}
"""Rules of every shape of population; how the others judge is told by their cases."""


def estate(**changes: Read) -> list[Read]:
    """Return a small estate; ``changes`` replaces what was read of a table."""
    reads = {
        "accounts": Read("ldap", "accounts", ACCOUNTS),
        "entitlements": Read("ldap", "entitlements", ENTITLEMENTS),
        "grants": Read("ldap", "grants", GRANTS),
        "credentials": Read("ldap", "credentials", CREDENTIALS),
        "people": Read("hr", "people", PEOPLE),
        "approvals": Read("qms", "approvals", APPROVALS),
        "contracts": Read("qms", "contracts", CONTRACTS),
        "exceptions": Read("qms", "exceptions", EXCEPTIONS),
        "special_accounts": Read("qms", "special_accounts", SPECIAL),
    }
    return list((reads | changes).values())


@pytest.fixture(scope="module")
def rules() -> list[Rule]:
    return [rule for rule in load([root("rules")]) if rule.info.rule_id in JUDGED]


def judge(snapshot: Snapshot, rules: Sequence[Rule], options: Options | None = None) -> dict[str, RuleResult]:
    evaluation = evaluate(snapshot, rules, as_of=NIGHT, options=options)
    return {result.rule.rule_id: result for result in evaluation.results}


def scope(result: RuleResult, source: str | None = "ldap") -> Scope:
    return next(scope for scope in result.scopes if scope.source == source)


def told(result: RuleResult) -> list[tuple[str, str]]:
    return [(" ".join(str(v) for v in one.subject.values()), one.verdict.value) for one in result.verdicts]


def test_a_small_estate_is_judged_and_counted(seal: Seal, rules: list[Rule]) -> None:
    found = judge(seal(estate()), rules)
    assert {rule_id: told(result) for rule_id, result in found.items()} == {
        "IG-APR-001": [("ldap account a e0 direct", "violation")],
        "IG-APR-002": [("ldap account b e2 direct", "violation")],
        "IG-CRD-001": [("ldap k2", "not_evaluable")],
        "IG-EXC-001": [("X1 ldap g", "violation")],
        "IG-LVR-001": [("ldap a", "violation")],
        "IG-LVR-002": [("ldap k1", "violation"), ("ldap k2", "violation")],
        "IG-ORP-001": [("ldap g", "violation")],
        "IG-SUP-001": [("ldap b", "violation")],
    }
    assert scope(found["IG-LVR-001"]) == Scope(
        source="ldap", population=6, violations=1, passes=2, not_applicable=3, not_evaluable=0
    )
    assert scope(found["IG-APR-001"]) == Scope(
        source="ldap", population=4, violations=1, passes=1, not_applicable=2, not_evaluable=0
    )
    assert scope(found["IG-ORP-001"]) == Scope(
        source="ldap", population=6, violations=1, passes=4, not_applicable=1, not_evaluable=0
    )
    verdict = found["IG-LVR-001"].verdicts[0]
    assert (verdict.source, verdict.person_id) == ("ldap", "p1")
    assert verdict.reason == "Ada left on 2026-01-31; account ada is still enabled"


def test_a_source_that_an_exception_names_and_nobody_read_is_blocked(seal: Seal, rules: list[Rule]) -> None:
    result = judge(seal(estate()), rules)["IG-EXC-001"]
    assert scope(result, "okta").blocked[0] == "okta does not report accounts"
    assert scope(result) == Scope(source="ldap", population=1, violations=1)
    assert not scope(result, None).blocked


@pytest.mark.parametrize("status", [Status.PARTIAL, Status.FAILED])
@pytest.mark.parametrize(
    ("table", "untouched"),
    [
        ("people", {"IG-CRD-001"}),
        ("approvals", {"IG-CRD-001", "IG-EXC-001", "IG-LVR-001", "IG-LVR-002", "IG-ORP-001", "IG-SUP-001"}),
        (
            "contracts",
            {"IG-APR-001", "IG-APR-002", "IG-CRD-001", "IG-EXC-001", "IG-LVR-001", "IG-LVR-002", "IG-ORP-001"},
        ),
        ("accounts", set()),
        ("special_accounts", {"IG-CRD-001", "IG-EXC-001", "IG-LVR-001", "IG-LVR-002", "IG-SUP-001"}),
    ],
)
def test_what_was_not_read_whole_blocks_and_is_named(
    seal: Seal, rules: list[Rule], table: str, untouched: set[str], status: Status
) -> None:
    broken = next(read for read in estate() if read.table == table)
    gap = Read(broken.source, table, broken.rows, status=status, gap="the server closed the connection")
    found = judge(seal(estate(**{table: gap})), rules)
    words = f"{broken.source}: {table} is {status.value}: the server closed the connection"
    for rule_id, result in found.items():
        if rule_id in untouched:
            assert not scope(result).blocked
        else:
            assert words in scope(result).blocked
            assert scope(result).population == scope(result).passes == 0
            assert result.verdicts == ()


def test_one_source_that_failed_does_not_blind_the_others(seal: Seal, rules: list[Rule]) -> None:
    aws = Read("aws", "accounts", [Account(source="aws", account_id="z", can_sign_in=True)], status=Status.PARTIAL)
    result = judge(seal([*estate(), aws]), rules)["IG-ORP-001"]
    assert scope(result, "aws").blocked == ("aws: accounts is PARTIAL: the connection broke",)
    assert told(result) == [("ldap g", "violation")]


def test_no_source_of_a_table_is_said_not_passed(seal: Seal, rules: list[Rule]) -> None:
    without = [read for read in estate() if read.table not in {"people", "credentials"}]
    found = judge(seal(without), rules)
    assert found["IG-CRD-001"].scopes == (Scope(source=None, blocked=("no source reports credentials",)),)
    assert "no source reports people" in scope(found["IG-LVR-001"]).blocked


def test_an_optional_register_may_be_absent(seal: Seal, rules: list[Rule]) -> None:
    without = [read for read in estate() if read.table != "special_accounts"]
    assert told(judge(seal(without), rules)["IG-ORP-001"]) == [("ldap g", "violation"), ("ldap k", "violation")]


@pytest.mark.parametrize("optional", [True, False])
def test_an_identity_table_that_is_optional_may_be_absent_in_a_source_but_not_read_in_part(
    seal: Seal, tmp_path: Path, optional: bool
) -> None:
    sql = SQL.replace("from accounts a", "from accounts a left join events e on e.target_id = a.account_id")
    toml = TOML.replace('reads = ["accounts"]', 'reads = ["accounts", "events"]')
    toml = toml.replace("[params.age]", 'optional = ["events"]\n[params.age]') if optional else toml
    write_rule(tmp_path, sql=sql, toml=toml)
    own = load([tmp_path], locked=False)
    absent = scope(judge(seal(estate()), own)["OWN-TEST-001"])
    assert absent.blocked == (() if optional else ("ldap does not report events",))
    cut = Read("ldap", "events", [], status=Status.PARTIAL)
    partly = scope(judge(seal([*estate(), cut]), own)["OWN-TEST-001"])
    assert [reason.split(":")[1] for reason in partly.blocked] == [" events is PARTIAL"]


def test_a_column_that_a_source_cannot_fill_blocks_the_rules_that_need_it(seal: Seal, rules: list[Rule]) -> None:
    people = Read("hr", "people", PEOPLE, columns=("person_id", "employee_id", "emails", "logins"))
    found = judge(seal(estate(people=people)), rules)
    assert "hr does not report people.ends_on" in scope(found["IG-LVR-001"]).blocked
    assert not scope(found["IG-ORP-001"]).blocked


def test_why_a_column_is_unknown_is_said_where_it_blocks(seal: Seal, rules: list[Rule]) -> None:
    columns = ("person_id", "employee_id", "emails", "logins")
    why = {"people.ends_on": "the reader may not see dates (missing: HR.Dates.Read)"}
    found = judge(seal(estate(people=Read("hr", "people", PEOPLE, columns=columns, unknown=why))), rules)
    said = "hr does not report people.ends_on: the reader may not see dates (missing: HR.Dates.Read)"
    assert said in scope(found["IG-LVR-001"]).blocked


def test_approvals_that_cannot_tell_their_end_block_only_the_rule_on_ends(seal: Seal, rules: list[Rule]) -> None:
    columns = ("approval_id", "kind", "person_id", "entitlement", "decision")
    approvals = [msgspec.structs.replace(one, valid_until=None, decided_at=None) for one in APPROVALS]
    found = judge(seal(estate(approvals=Read("qms", "approvals", approvals, columns=columns))), rules)
    assert "qms does not report approvals.valid_until" in scope(found["IG-APR-002"]).blocked
    assert told(found["IG-APR-001"]) == [("ldap account a e0 direct", "violation")]


def test_entitlements_that_cannot_tell_their_names_block_the_rules_on_approvals(seal: Seal, rules: list[Rule]) -> None:
    nameless = [Entitlement(source="ldap", entitlement_id=one.entitlement_id) for one in ENTITLEMENTS]
    read = Read("ldap", "entitlements", nameless, columns=("source", "entitlement_id"))
    found = judge(seal(estate(entitlements=read)), rules)
    for rule_id in ("IG-APR-001", "IG-APR-002"):
        assert scope(found[rule_id]).blocked == ("ldap does not report entitlements.name",)


def test_what_a_rule_does_not_judge_is_not_counted_as_a_pass(seal: Seal, rules: list[Rule]) -> None:
    other = Credential(source="ldap", credential_id="k3", account_id="b", kind="password", status="active")
    found = judge(seal(estate(credentials=Read("ldap", "credentials", [*CREDENTIALS, other]))), rules)
    for rule_id in ("IG-CRD-001", "IG-LVR-002"):
        assert scope(found[rule_id]).not_applicable == 1
    # Only the grant that an approval covers has passed; one was never approved, one is nobody's.
    expired = scope(found["IG-APR-002"])
    assert (expired.passes, expired.not_applicable, expired.violations) == (1, 2, 1)


def test_either_of_two_columns_will_do_where_a_rule_says_so(seal: Seal, rules: list[Rule]) -> None:
    keys = ("account_id", "login", "employee_id", "email")
    one = Read("ldap", "accounts", ACCOUNTS, columns=(*keys, "status"))
    assert not scope(judge(seal(estate(accounts=one)), rules)["IG-LVR-001"]).blocked
    none = Read("ldap", "accounts", ACCOUNTS, columns=keys)
    blocked = scope(judge(seal(estate(accounts=none)), rules)["IG-LVR-001"]).blocked
    assert blocked == ("ldap does not report accounts.can_sign_in or accounts.status",)


def test_room_that_ran_out_is_the_stores_fault_not_the_rules(seal: Seal, rules: list[Rule], tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no temporary folder can be made") as raised:
        evaluate(seal(estate()), rules, as_of=NIGHT, options=Options(folder=tmp_path / "nowhere"))
    assert "TMPDIR" in raised.value.advice
    big = SQL.replace(
        "from accounts a",
        "from accounts a join (select list_sort(list(b.account_id order by b.account_id)) "
        "as l from accounts b cross join accounts c cross join accounts d) as e on len(e.l) > 0",
    )
    many = [Account(source="ldap", account_id=f"account-number-{n}", can_sign_in=True) for n in range(400)]
    hungry = _rule(tmp_path, big)
    with pytest.raises(StoreError, match="OWN-TEST-001 ran out of room"):
        evaluate(
            seal([Read("ldap", "accounts", many)]), hungry, as_of=NIGHT, options=Options(memory_limit_mb=100, threads=1)
        )


def test_accounts_without_any_column_that_matches_cannot_be_linked(seal: Seal, rules: list[Rule]) -> None:
    accounts = Read("ldap", "accounts", ACCOUNTS, columns=("account_id", "status", "can_sign_in"))
    (blocked,) = scope(judge(seal(estate(accounts=accounts)), rules)["IG-ORP-001"]).blocked
    assert blocked.startswith("accounts of ldap cannot be linked to people")


def test_a_person_given_by_two_sources_blocks_what_reads_people(seal: Seal, rules: list[Rule]) -> None:
    second = Read("suppliers", "people", [Person(person_id="p1", full_name="Not Ada")])
    found = judge(seal([*estate(), second]), rules)
    words = "people: person_id p1 is given more than once (hr, suppliers); which row counts is unknown"
    assert words in scope(found["IG-LVR-001"]).blocked
    assert not scope(found["IG-CRD-001"]).blocked


def test_an_account_registered_by_the_configuration_and_a_source_blocks_and_names_both(
    seal: Seal, rules: list[Rule]
) -> None:
    special = SpecialAccount(source="ldap", account_id="u1", kind="service")
    register = Read("qms", "special_accounts", [special])
    found = judge(seal([*estate(), register]), rules, Options(declared={"special_accounts": [special]}))
    words = "source ldap, account_id u1 is given more than once (qms, the configuration); which row counts is unknown"
    assert f"special_accounts: {words}" in scope(found["IG-ORP-001"]).blocked


def test_a_complete_and_empty_table_is_judged(seal: Seal, rules: list[Rule]) -> None:
    found = judge(seal(estate(accounts=Read("ldap", "accounts"))), rules)
    assert scope(found["IG-LVR-001"]) == Scope(source="ldap")
    assert told(found["IG-LVR-002"]) == [("ldap k1", "violation"), ("ldap k2", "violation")], "their accounts are gone"


def test_the_estates_zone_holds_for_dates_without_one(seal: Seal, rules: list[Rule]) -> None:
    people = [Person(person_id="p1", full_name="Ada", employee_id="E1", ends_on=date(2026, 2, 1))]
    snapshot = seal(estate(people=Read("hr", "people", people)))
    east = judge(snapshot, rules, Options(time_zone="Asia/Tokyo"))["IG-LVR-001"]
    west = judge(snapshot, rules, Options(time_zone="America/New_York"))["IG-LVR-001"]
    assert (scope(east).violations, scope(west).violations) == (1, 0)


def test_a_replay_gives_the_same_digest(seal: Seal, rules: list[Rule], tmp_path: Path) -> None:
    snapshot = seal(estate())
    first = evaluate(snapshot, rules, as_of=NIGHT)
    again = evaluate(Snapshot(snapshot.folder), rules, as_of=NIGHT, options=Options(threads=1, folder=tmp_path))
    assert first == again
    assert len(first.digest) == 64
    changed = [rule.configured({"grace": "P30D"}) if rule.info.rule_id == "IG-LVR-001" else rule for rule in rules]
    assert evaluate(snapshot, changed, as_of=NIGHT).digest != first.digest


def test_nothing_is_left_in_the_temporary_folder(seal: Seal, rules: list[Rule], tmp_path: Path) -> None:
    folder = tmp_path / "spill"
    folder.mkdir()
    evaluate(seal(estate()), rules, as_of=NIGHT, options=Options(folder=folder))
    assert list(folder.iterdir()) == []


@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**16), source=st.sampled_from(["ldap", "hr", "qms"]))
def test_order_changes_nothing_and_missing_data_only_blocks(
    seal: Seal, rules: list[Rule], seed: int, source: str
) -> None:
    """Shuffled rows give the same digest; a source that broke turns verdicts into blocked scopes, nothing else."""
    shuffled = [Read(r.source, r.table, random.Random(seed).sample(r.rows, len(r.rows))) for r in estate()]
    whole = evaluate(seal(estate()), rules, as_of=NIGHT)
    assert evaluate(seal(shuffled), rules, as_of=NIGHT).digest == whole.digest
    broken = [Read(r.source, r.table, r.rows, Status.PARTIAL if r.source == source else r.status) for r in estate()]
    for before, after in zip(whole.results, evaluate(seal(broken), rules, as_of=NIGHT).results, strict=True):
        open_scopes = {one.source: one for one in after.scopes if not one.blocked}
        assert {source: scope(before, source) for source in open_scopes} == open_scopes
        assert list(after.verdicts) == [one for one in before.verdicts if one.source in open_scopes]


def _rule(folder: Path, sql: str, toml: str = TOML) -> list[Rule]:
    write_rule(folder, sql=sql, toml=toml)
    return load([folder])


@pytest.mark.parametrize("verdict", ["violation", "not_applicable"])
def test_a_rule_that_judges_a_subject_twice_is_named_with_it(seal: Seal, tmp_path: Path, verdict: str) -> None:
    sql = (
        SQL.replace("from accounts a", "from accounts a cross join (values (1), (2)) as v(n)")
        .replace("and a.created_at < $as_of - $age", "and $as_of - $age is not null")
        .replace("'violation'", f"'{verdict}'")
    )
    with pytest.raises(RuleError, match=r"old_account\.sql:1: OWN-TEST-001: source ldap, account_id a is judged twice"):
        evaluate(seal(estate()), _rule(tmp_path, sql), as_of=NIGHT)


def test_a_verdict_that_is_none_is_named_with_its_subject(seal: Seal, tmp_path: Path) -> None:
    sql = SQL.replace("'violation'", "concat('viol', a.account_id)").replace(
        "a.created_at < $as_of - $age", "$as_of > $as_of - $age"
    )
    with pytest.raises(RuleError, match="source ldap, account_id a has the verdict 'viola'"):
        evaluate(seal(estate()), _rule(tmp_path, sql), as_of=NIGHT)


def test_a_source_out_of_the_blue_is_an_error(seal: Seal, tmp_path: Path) -> None:
    sql = SQL.replace("select a.source", "select concat(a.source, '2') as source").replace(
        "a.created_at < $as_of - $age", "$as_of > $as_of - $age"
    )
    with pytest.raises(RuleError, match="names the source 'ldap2', which does not report accounts"):
        evaluate(seal(estate()), _rule(tmp_path, sql), as_of=NIGHT)


@pytest.mark.parametrize("verdict", ["violation", "not_applicable"])
def test_a_null_identity_is_an_error(seal: Seal, tmp_path: Path, verdict: str) -> None:
    sql = (
        SQL.replace("a.account_id,\n", "nullif(a.account_id, 'a') as account_id,\n")
        .replace("a.created_at < $as_of - $age", "$as_of > $as_of - $age")
        .replace("'violation'", f"'{verdict}'")
    )
    with pytest.raises(RuleError, match=f"source ldap, account_id None has the verdict '{verdict}'"):
        evaluate(seal(estate()), _rule(tmp_path, sql), as_of=NIGHT)


def test_a_reason_that_came_out_null_becomes_the_title(seal: Seal, tmp_path: Path) -> None:
    sql = SQL.replace("concat('account ', a.account_id)", "a.title").replace(
        "a.created_at < $as_of - $age", "$as_of > $as_of - $age"
    )
    (result,) = evaluate(seal(estate()), _rule(tmp_path, sql), as_of=NIGHT).results
    assert {verdict.reason for verdict in result.verdicts} == {"Old account"}


def test_a_runaway_is_stopped_and_named(seal: Seal, tmp_path: Path) -> None:
    many = [Account(source="ldap", account_id=f"a{n}", can_sign_in=True, created_at=NIGHT) for n in range(3000)]
    joins = " ".join(f"join accounts a{n} on a{n}.account_id <> a.account_id" for n in range(4))
    sql = SQL.replace("from accounts a", f"from accounts a {joins}").replace(
        "a.created_at < $as_of - $age", "a.created_at < $as_of + $age group by all having count(*) > 1"
    )
    options = Options(rule_seconds=0.5)
    with pytest.raises(RuleError, match=r"did not end within 0\.5 seconds"):
        evaluate(seal([Read("ldap", "accounts", many)]), _rule(tmp_path, sql), as_of=NIGHT, options=options)


def test_a_value_that_the_sql_cannot_take_is_named_with_the_line(seal: Seal, tmp_path: Path) -> None:
    sql = SQL.replace("a.created_at < $as_of - $age", "cast(a.login as date) < $as_of - $age")
    with pytest.raises(RuleError, match=r"old_account\.sql:5: OWN-TEST-001: Conversion Error"):
        evaluate(seal(estate()), _rule(tmp_path, sql), as_of=NIGHT)


def test_a_retired_rule_is_not_evaluated(seal: Seal, tmp_path: Path) -> None:
    rules = _rule(tmp_path, SQL, TOML.replace('"draft"', '"retired"'))
    assert evaluate(seal(estate()), rules, as_of=NIGHT).results == ()


def test_a_damaged_file_is_named(seal: Seal, rules: list[Rule]) -> None:
    snapshot = seal(estate())
    snapshot.files("people")[0].write_bytes(b"no parquet")
    with pytest.raises(StoreError, match="people of hr cannot be read"):
        evaluate(snapshot, rules, as_of=NIGHT)


def test_dates_and_instants_in_a_subject_are_iso_text(seal: Seal, tmp_path: Path) -> None:
    sql = """
    select a.source, a.account_id, a.created_at, cast(a.created_at as date) as last_sign_in_at,
           case when a.can_sign_in is null then 'not_evaluable' else 'violation' end as verdict, 'x' as reason
    from accounts a where $as_of - $age > a.created_at and coalesce(a.can_sign_in, true)
    """
    toml = TOML.replace('["source", "account_id"]', '["source", "account_id", "created_at", "last_sign_in_at"]')
    toml = toml.replace(
        'account_id = "a", verdict',
        'account_id = "a", created_at = 2026-01-01T00:00:00Z, last_sign_in_at = 2026-01-01, verdict',
    )
    made = datetime(2026, 1, 5, 6, 7, 8, tzinfo=UTC)
    rows = [Account(source="ldap", account_id="a", can_sign_in=True, created_at=made)]
    (result,) = evaluate(seal([Read("ldap", "accounts", rows)]), _rule(tmp_path, sql, toml), as_of=NIGHT).results
    assert result.verdicts[0].subject == {
        "source": "ldap",
        "account_id": "a",
        "created_at": "2026-01-05T06:07:08Z",
        "last_sign_in_at": "2026-01-05",
    }
    assert result.verdicts[0].verdict is Outcome.VIOLATION


ACCESS_SQL = """
select e.source, e.account_id, e.entitlement_id, 'violation' as verdict,
       concat(cast(e.depth as varchar), ': ', e.path) as reason
from effective_access e
join accounts a on a.source = e.source and a.account_id = e.account_id
where $as_of - $age is not null
"""


def test_nested_groups_are_reached_by_the_shortest_path_and_cycles_end(seal: Seal, tmp_path: Path) -> None:
    def nests(below: str, above: str) -> Grant:
        return Grant(
            source="ldap", principal_kind="entitlement", principal_id=below, entitlement_id=above, assignment="direct"
        )

    toml = TOML.replace('reads = ["accounts"]', 'reads = ["accounts", "effective_access"]').replace(
        '["source", "account_id"]', '["source", "account_id", "entitlement_id"]'
    )
    toml = toml[: toml.index("[[case]]")] + "".join(
        f"""
[[case]]
name = "{name}"
as_of = 2026-02-03T00:00:00Z
given.accounts = [{{ source = "s", account_id = "a" }}]
given.effective_access = [{given}]
expect = [{expect}]
"""
        for name, given, expect in (
            (
                "fires",
                '{ source = "s", account_id = "a", entitlement_id = "e", depth = 1, path = "E" }',
                '{ source = "s", account_id = "a", entitlement_id = "e", verdict = "violation" }',
            ),
            ("silent", "", ""),
            ("unknown", "", '{ source = "s", account_id = "a", entitlement_id = "e", verdict = "not_evaluable" }'),
        )
    )
    rules = _rule(tmp_path, ACCESS_SQL, toml)
    grants = [
        holds("a", "e0"),
        nests("e0", "e1"),
        nests("e1", "e2"),
        nests("e2", "e0"),
        nests("e0", "e2"),
        nests("e2", "e2"),
        nests("e2", "gone"),
    ]
    snapshot = seal([*estate(grants=Read("ldap", "grants", grants))])
    (result,) = evaluate(snapshot, rules, as_of=NIGHT).results
    assert {verdict.subject["entitlement_id"]: verdict.reason for verdict in result.verdicts} == {
        "e0": "1: Group 0",
        "e1": "2: Group 0 > Group 1",
        "e2": "2: Group 0 > Group 2",
        "gone": "3: Group 0 > Group 2 > gone",
    }
    assert scope(result).population == 6
    assert scope(result).passes == 5, "several verdicts on one account take one account from the passes"


def test_coverage_can_be_read_by_a_rule(seal: Seal, tmp_path: Path) -> None:
    sql = """
    select d.document_id, cast(null as varchar) as source, 'violation' as verdict,
           concat(c.source, ' ', c.table_name, ' ', c.status, ' ', array_to_string(c.gaps, ';')) as reason
    from documents d join coverage c on c.table_name = 'accounts'
    where $as_of - $age is not null
    """
    toml = TOML.replace('reads = ["accounts"]', 'reads = ["documents", "coverage"]').replace(
        'population = "accounts"', 'population = "documents"'
    )
    toml = toml.replace('identity = ["source", "account_id"]', 'identity = ["document_id"]')
    case = """
[[case]]
name = "{0}"
as_of = 2026-02-03T00:00:00Z
expect = [{1}]
"""
    rows = [("fires", "violation"), ("unknown", "not_evaluable")]
    toml = toml[: toml.index("[[case]]")] + case.format("silent", "")
    toml += "".join(case.format(name, f'{{ document_id = "d", verdict = "{verdict}" }}') for name, verdict in rows)
    sql = sql.replace("cast(null as varchar) as source, ", "")
    reads = [
        Read("qms", "documents", [Document(document_id="d")]),
        Read("ldap", "accounts", ACCOUNTS, status=Status.PARTIAL, gap="page 2 was refused"),
    ]
    (result,) = evaluate(seal(reads), _rule(tmp_path, sql, toml), as_of=NIGHT).results
    assert result.scopes == (Scope(source=None, population=1, violations=1),)
    assert result.verdicts[0].reason == "ldap accounts PARTIAL page 2 was refused"
