"""The whole night over a real OpenLDAP, an AWS API server and governance files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import openpyxl  # type: ignore[import-untyped] # it ships no types
import pyarrow.parquet as pq

from tests.e2e.conftest import AS_OF, CANARY, FAILED, PEOPLE, VACATED, World
from tests.servers.postgres import postgres
from tests.servers.slapd import Slapd


def logins(world: World) -> dict[str, str]:
    """Return account_id -> login of the newest snapshot."""
    newest = max((world.folder / "snapshots").glob("2*"))
    rows = [
        row for path in newest.rglob("*.parquet") if "accounts" in path.parts for row in pq.read_table(path).to_pylist()
    ]
    return {row["account_id"]: row["login"] for row in rows}


def who(world: World, findings: list[dict[str, Any]], rule: str) -> set[str]:
    """Return the logins of the accounts that a rule found."""
    known = logins(world)
    return {
        known[f["subject"]["account_id"]]
        for f in findings
        if f["rule_id"] == rule and f["verdict"] == "violation" and f["state"] != "resolved"
    }


PLANTED = {
    "IG-APR-001": {
        "Ada Byron holds developers by account ada-aws (direct); no approval covers it",
        "Bob Left holds staff by account bob (direct); no approval covers it",
    },
    "IG-APR-002": {
        "Ada Byron holds admins by account ada (direct); approval A2 ended on 2025-12-31 and none covers it now"
    },
    "IG-CRD-001": {
        "access key KEY of ada-aws was last replaced on 2024-01-01 (UTC)",
        "access key KEY of bob-tagged was last replaced on 2024-01-01 (UTC)",
    },
    "IG-CRD-002": {
        f"access key KEY of {login} was created on 2024-01-01 (UTC), and no use of it is known "
        "(AWS GetAccessKeyLastUsed: never used)"
        for login in ("ada-aws", "bob-tagged")
    },
    "IG-EXC-001": {"exception E1 ended on 2026-02-15; account bob, which it covered, is still enabled"},
    "IG-GOV-001": {"policy Supplier policy was due for review on 2026-01-31; owner: security"},
    "IG-GOV-002": {f"role {VACATED} of control {FAILED}: Bob Left left on 2026-01-31"},
    "IG-LVR-001": {
        "Bob Left left on 2026-01-31; account bob is still enabled",
        "Bob Left left on 2026-01-31; account bob-tagged is still enabled",
    },
    "IG-LVR-002": {"access key KEY is active; Bob Left left on 2026-01-31 (account bob-tagged)"},
    "IG-NHI-001": {"service account veiled: no steward, owner or owning role is named"},
    "IG-ORP-001": {
        "account ghost is enabled and linked to nobody; no register of special accounts names it",
        "account veiled is enabled and linked to nobody; no register of special accounts names it",
    },
    "IG-REC-001": {
        "review R2 of spring of operators at account dirk was due on 2026-02-20 00:00 from Cleo Mail and is undecided"
    },
    "IG-SUP-001": {"contract C1 of Dirk Contractor ended on 2026-02-15; account dirk is still enabled"},
}
UNTOLD = {
    "the configuration declares no conflicts",
    "no source reports events",
    "aws does not report events",
    "corp-ldap does not report events",
    "corp-ldap does not report accounts.mfa_enrolled",
    "corp-ldap does not report credentials.last_used_at",
    "corp-ldap does not report entitlements.privileged",
}
"""What a plain directory, a cloud account without its trail and the configuration leave open."""


def test_the_planted_problems_are_found_and_nothing_else(world: World) -> None:
    said = world.run(code=1)
    assert {part["status"] for part in said["coverage"]} == {"COMPLETE"}
    assert {reason for entry in said["blocked"] for reason in entry["because"]} == UNTOLD
    found = world.findings()
    told: dict[str, set[str]] = {}
    for finding in found:
        if finding["verdict"] == "violation":
            told.setdefault(finding["rule_id"], set()).add(re.sub("AKIA[A-Z0-9]+", "KEY", finding["reason"]))
    (failed,) = told.pop("IG-GOV-004")
    assert failed.startswith(f"control {FAILED} (")
    without = {reason.split()[1] for reason in told.pop("IG-GOV-003")}
    assert without == {"IG-C-08", "IG-C-13", "IG-C-17"}, "no conflicts are declared, and nothing tells of events"
    assert told == PLANTED
    assert {f["person_id"] for f in found if f["rule_id"] in {"IG-LVR-001", "IG-LVR-002"}} == {"P2"}
    unsure = {f["rule_id"] for f in found if f["verdict"] == "not_evaluable"}
    assert unsure == {"IG-APR-003", "IG-GOV-005", "IG-SUP-002", "IG-SUP-007"}


def test_the_json_contract_of_a_finding(world: World) -> None:
    world.run(code=1)
    finding = world.findings("--rule", "IG-LVR-001", "--source", "corp-ldap")[0]
    keys = "finding_id rule_id rule verdict severity state source subject reason person_id first_seen last_seen".split()  # noqa: SIM905 - the contract's own words
    assert set(keys) <= set(finding)
    assert finding["subject"].keys() == {"source", "account_id"}
    assert (finding["rule"], finding["severity"], finding["state"]) == ("leaver_keeps_account", "critical", "new")
    assert (finding["source"], finding["person_id"], finding["first_seen"]) == ("corp-ldap", "P2", AS_OF)


def test_nested_groups_are_grants_to_entitlements(world: World) -> None:
    said = json.loads(world.ask("pull", "--json", code=0).stdout)
    folder = Path(said["folder"])
    tables = {
        t: [r for p in folder.rglob("*.parquet") if t in p.parts for r in pq.read_table(p).to_pylist()]
        for t in ("entitlements", "grants")
    }
    names = {row["entitlement_id"]: row["name"] for row in tables["entitlements"]}
    nested = {
        (names[r["principal_id"]], names[r["entitlement_id"]])
        for r in tables["grants"]
        if r["principal_kind"] == "entitlement"
    }
    assert nested >= {("admins", "staff"), ("operators", "admins"), ("staff", "operators")}


def test_the_second_night_shows_what_persists_what_is_mended_and_what_returns(world: World) -> None:
    first = world.run(code=1)
    assert first["persisting"] == first["resolved"] == 0
    again = world.run(code=1)
    assert (again["new"], again["resolved"]) == (0, 0)
    assert again["persisting"] == first["new"]
    assert {f["state"] for f in world.findings()} == {"persisting"}
    ids = {f["finding_id"] for f in world.findings()}

    people = world.folder / "qms" / "people.csv"
    broken = people.read_text()
    people.write_text(broken.replace("2026-01-31", "2026-12-31"))
    mended = world.run(code=1)
    assert mended["resolved"] >= 3
    resolved = world.findings("--state", "resolved")
    assert {f["person_id"] for f in resolved if f["rule_id"] == "IG-LVR-001"} == {"P2"}

    people.write_text(broken)
    returned = world.run(code=1)
    assert returned["reopened"] == mended["resolved"]
    assert {f["finding_id"] for f in world.findings()} == ids
    shown = json.loads(world.ask("findings", "show", resolved[0]["finding_id"], "--json", code=0).stdout)
    assert [change["change"] for change in shown["history"]] == ["opened", "resolved", "reopened"]


def test_a_replay_gives_the_same_verdicts_and_writes_nothing(world: World) -> None:
    night = world.run(code=1)
    before = world.findings()
    (world.folder / "qms" / "people.csv").write_text("person_id,full_name\nP9,Nobody\n")
    replay = json.loads(world.ask("run", "--replay", night["snapshot"], "--json", code=1).stdout)
    assert replay["digest"] == night["digest"]
    assert replay["same_as_recorded"] is True
    assert world.findings() == before
    other = json.loads(
        world.ask("run", "--replay", night["snapshot"], "--as-of", "2026-01-15T00:00:00Z", "--json").stdout
    )
    assert other["same_as_recorded"] is False
    assert "IG-LVR-001" not in {v["rule_id"] for v in other["verdicts"]}


def test_pull_then_evaluate_is_a_night_too(world: World) -> None:
    world.ask("pull", "--as-of", AS_OF, code=0)
    dry = json.loads(world.ask("evaluate", "--dry-run", "--json", code=1).stdout)
    assert world.findings() == []
    wet = json.loads(world.ask("evaluate", "--json", code=1).stdout)
    assert wet["digest"] == dry["digest"]
    assert wet["new"] == len(world.findings()) > 0


def test_reports_in_every_format(world: World) -> None:
    night = world.run(code=1)
    (html,) = night["reports"]
    page = Path(html).read_text()
    assert "Bob Left" in page
    assert "<script src" not in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace(world.aws_url, "")
    for ending in ("xlsx", "csv", "json"):
        target = world.folder / f"findings.{ending}"
        assert world.ask("report", "-o", target, code=0).stdout.strip() == str(target)
        assert target.stat().st_size > 500
    assert openpyxl.load_workbook(world.folder / "findings.xlsx").sheetnames[0] == "Summary"
    assert len(json.loads((world.folder / "findings.json").read_text())["findings"]) == len(world.findings())


def test_a_canary_that_did_not_come_back_opens_and_closes_nothing(world: World) -> None:
    world.run(code=1)
    before = [(f["finding_id"], f["state"] == "resolved") for f in world.findings()]
    config = world.config.read_text()
    world.config.write_text(config.replace(CANARY, f"uid=nightingale,{PEOPLE}"))
    night = world.run(code=3)
    assert [(f["finding_id"], f["state"] == "resolved") for f in world.findings()] == before
    gaps = [gap for part in night["coverage"] if part["source"] == "corp-ldap" for gap in part["gaps"]]
    assert any("nightingale" in gap for gap in gaps)
    assert {entry["source"] for entry in night["blocked"]} >= {"corp-ldap"}


def test_a_server_killed_leaves_every_finding_as_it_was(world: World, slapd: Slapd) -> None:
    world.run(code=1)
    before = {f["finding_id"]: (f["first_seen"], f["reason"]) for f in world.findings()}
    slapd.kill()
    night = world.run(code=3)
    after = world.findings()
    assert {f["finding_id"]: (f["first_seen"], f["reason"]) for f in after} == before
    theirs = [f for f in after if f["source"] == "corp-ldap" and f["rule_id"] not in {"IG-REC-001", "IG-GOV-005"}]
    assert {f["state"] for f in theirs} == {"new"}, "only what files say of the directory was confirmed since"
    assert not any(f["verified"] for f in theirs)
    assert night["new"] == night["resolved"] == 0


def test_plus_addressing_is_a_choice(world: World) -> None:
    people = world.folder / "qms" / "people.csv"
    people.write_text(people.read_text().replace("cleo@acme.test;", "cleo+work@acme.test;"))
    world.run(code=1)
    assert "cleo" in who(world, world.findings("--source", "corp-ldap"), "IG-ORP-001")
    world.config.write_text(world.config.read_text() + "[correlation]\nplus_addressing = true\n")
    world.run(code=1)
    assert "cleo" not in who(world, world.findings("--source", "corp-ldap"), "IG-ORP-001")


def test_a_column_lost_from_an_export_opens_and_closes_nothing(world: World) -> None:
    world.run(code=1)
    before = {(f["finding_id"], f["verdict"]) for f in world.findings()}
    people = world.folder / "qms" / "people.csv"
    whole = people.read_text()
    people.write_text(
        "person_id,full_name,kind,ends_on,contract_id\nP1,Ada,employee,,\nP2,Bob,employee,2026-01-31,\nP3,C,employee,,\nP4,D,contractor,,C1\n"
    )
    held = world.run(code=3)
    assert held["new"] == held["resolved"] == 0
    assert {(f["finding_id"], f["verdict"]) for f in world.findings()} == before
    assert any("column employee_id" in gap for part in held["coverage"] for gap in part["gaps"])
    people.write_text(whole)
    assert world.run(code=1)["persisting"] == len(before)


def test_a_source_that_left_the_configuration_is_said_until_it_is_accepted(world: World) -> None:
    world.run(code=1)
    text = world.config.read_text()
    world.config.write_text(text[: text.index("[sources.qms]")])
    answer = world.ask("run", "--as-of", AS_OF, code=3)
    assert "the source is not configured any more" in answer.stdout
    assert "unverified" in answer.stdout
    snapshot = max(p.name for p in (world.folder / "snapshots").glob("2*"))
    said = world.ask(
        "sources", "accept", "qms", "--snapshot", snapshot, "--by", "Ada", "--reason", "gone", "--json", code=0
    )
    assert {entry["table"] for entry in json.loads(said.stdout)} >= {"people", "approvals"}
    after = world.run(code=1)
    assert "qms" not in {part["source"] for part in after["coverage"]}
    assert {entry["rule_id"] for entry in after["blocked"]} >= {"IG-LVR-001", "IG-ORP-001"}


def test_a_mass_drop_is_held_until_somebody_accepts_it(world: World) -> None:
    people = world.folder / "qms" / "people.csv"
    crowd = "".join(f"X{n},Extra {n},,,,employee,,,\n" for n in range(200))
    whole = people.read_text()
    people.write_text(whole + crowd)
    world.run(code=1)
    people.write_text(whole)
    held = world.run(code=3)
    assert held["new"] == held["resolved"] == 0
    (gap,) = [g for part in held["coverage"] if part["table_name"] == "people" for g in part["gaps"]]
    assert "204 rows" in gap
    assert "reconciler sources accept qms people" in gap
    refused = world.ask(
        "sources", "accept", "qms", "approvals", "--snapshot", held["snapshot"], "--by", "x", "--reason", "y"
    )
    assert refused.returncode == 2
    said = world.ask(
        "sources",
        "accept",
        "qms",
        "people",
        "--snapshot",
        held["snapshot"],
        "--by",
        "Ada",
        "--reason",
        "spin-off",
        code=0,
    )
    assert "accepted by Ada, 204 to 4 rows" in said.stdout
    assert world.run(code=1)["persisting"] > 0


def test_findings_can_live_in_postgresql(world: World) -> None:
    with postgres() as server:
        url = server.url(server.new_database())
        world.config.write_text(world.config.read_text().replace("sqlite:///reconciler.db", url))
        assert world.run(code=1)["new"] == len(world.findings())
        assert world.run(code=1)["new"] == 0
    answer = world.ask("findings", "list", code=4)
    assert "postgresql" in answer.stderr


def test_several_aws_accounts_by_assumed_role(world: World, moto: Any) -> None:
    other = moto.client("iam", "210987654321")
    other.create_user(UserName="far-away")
    other.close()
    accounts = (
        'accounts = [{ account_id = "123456789012" }, '
        '{ account_id = "210987654321", role_arn = "arn:aws:iam::210987654321:role/reader" }]'
    )
    world.config.write_text(world.config.read_text().replace('connector = "aws"', f'connector = "aws"\n{accounts}'))
    said = json.loads(world.ask("pull", "--json", code=0).stdout)
    parts = {p["partition"] for p in said["coverage"] if p["source"] == "aws"}
    assert parts == {"123456789012", "210987654321"}
    assert "far-away" in logins(world).values()
