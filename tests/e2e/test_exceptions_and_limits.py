"""Exceptions and the mass result stop on the command line: what is suppressed, held, accepted and said of it."""

from __future__ import annotations

import json

from tests.e2e.conftest import World

HEAD = "exception_id,rule_id,source,account_id,person_id,reason,approved_by,approved_at,expires_at,status\n"


def test_an_exception_suppresses_until_its_register_says_that_it_is_over(world: World) -> None:
    register = world.folder / "qms" / "exceptions.csv"
    line = "E9,IG-LVR-001,corp-ldap,bob,,handover,P1,2026-01-31T10:00:00Z,2026-12-31T00:00:00Z,{status}\n"
    register.write_text(HEAD + line.format(status="active") + "E8,,corp-ldap,,P1,old,P1,,2026-12-31T00:00:00Z,active\n")
    night = world.run(code=1)
    assert night["suppressed"] == 1
    (finding,) = world.findings("--state", "suppressed")
    assert (finding["rule_id"], finding["exception"], finding["person_id"]) == ("IG-LVR-001", "E9", "P2")
    assert finding["finding_id"] not in {f["finding_id"] for f in world.findings("--open")}
    said = json.loads(world.ask("exceptions", "list", "--json", code=0).stdout)
    told = {entry["exception_id"]: entry for entry in said["exceptions"]}
    assert (told["E9"]["suppresses"], told["E9"]["findings"]) == (1, [finding["finding_id"]])
    assert told["E8"]["no_effect"] == "it names no rule and no control"
    shown = world.ask("exceptions", "list", code=0).stdout
    assert "IG-LVR-001, in corp-ldap, account bob" in shown
    target = world.folder / "report.json"
    world.ask("report", "-o", target, code=0)
    report = json.loads(target.read_text())
    assert report["violations"]["critical"]["suppressed"] == 1
    assert "1 violation is suppressed by exceptions." in report["headline"]

    register.write_text(HEAD + line.format(status="revoked"))
    assert world.run(code=1)["reopened"] == 1
    history = json.loads(world.ask("findings", "show", finding["finding_id"], "--json", code=0).stdout)["history"]
    assert [change["change"] for change in history] == ["suppressed", "reopened"]
    assert history[-1]["reason"].startswith("exception E9 ended on 2026-03-01: its status is 'revoked'; ")


def test_a_mass_of_new_findings_is_held_until_somebody_accepts_it(world: World) -> None:
    people = world.folder / "qms" / "people.csv"
    left = people.read_text()
    people.write_text(left.replace("2026-01-31", "2026-12-31"))
    world.config.write_text(world.config.read_text() + "[limits.rules.IG-LVR-001]\nnew_findings = 0\n")
    world.run(code=1)
    people.write_text(left)
    night = world.run(code=3)
    assert night["held"] == 2
    assert "IG-LVR-001" not in answered_for(world), "what is held is no nonconformity yet"
    assert {entry["rule_id"] for entry in night["waiting_for_acceptance"]} == {"IG-LVR-001"}
    answer = world.ask("evaluate", code=3)
    assert "HELD: 1 new findings of IG-LVR-001 in corp-ldap wait for acceptance" in answer.stdout
    assert world.ask("findings", "accept", "IG-LVR-001", "--by", "", "--reason", "x").returncode == 2
    accepted = world.ask("findings", "accept", "IG-LVR-001", "--by", "Ada", "--reason", "closed an office", code=0)
    assert "2 findings of IG-LVR-001 are open now, accepted by Ada." in accepted.stdout
    assert world.findings("--state", "held") == []
    assert world.run(code=1)["held"] == 0
    assert "IG-LVR-001" in answered_for(world), "from the acceptance on it counts like any other"


def answered_for(world: World) -> set[str]:
    """Return the rules that nonconformities stand for."""
    return {one["rule_id"] for one in json.loads(world.ask("nonconformities", "list", "--json", code=0).stdout)}


def test_a_limit_of_a_rule_that_there_is_not_is_refused_with_its_line(world: World) -> None:
    world.config.write_text(world.config.read_text() + "[limits.rules.IG-LVR-01]\nnew_findings = 0\n")
    answer = world.ask("run", code=2)
    line = world.config.read_text().splitlines().index("[limits.rules.IG-LVR-01]") + 1
    assert f"reconciler.toml:{line}: limits.rules.IG-LVR-01: no rule IG-LVR-01 is evaluated" in answer.stderr
    assert "Did you mean IG-LVR-001?" in answer.stderr
