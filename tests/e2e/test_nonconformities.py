"""Nonconformities through whole nights of the real company; no partial pull moves them."""

from __future__ import annotations

import json
from typing import Any

import openpyxl  # type: ignore[import-untyped]  # openpyxl ships no types
import pytest

from reconciler.errors import StoreError
from reconciler.nonconformity import following
from reconciler.nonconformity.record import Nonconformity
from reconciler.nonconformity.store import Dossier, NonconformityStore
from tests.e2e.conftest import CANARY, FAILED, PEOPLE, ROLES, VACATED, World
from tests.simulators.servicenow.server import PASSWORD, USER, ServiceNow

LEAVER = "IG-LVR-001"
QUICK = "[nonconformities]\nwatch_days = 0\n"


def store(world: World) -> NonconformityStore:
    return NonconformityStore.open(f"sqlite:///{world.folder / 'reconciler.db'}")


def held(world: World, rule_id: str, source: str | None = "corp-ldap") -> Nonconformity:
    (found,) = [one for one in store(world).listed() if (one.rule_id, one.source) == (rule_id, source)]
    return found


def shown(world: World) -> list[Dossier]:
    return [store(world).show(one.nc_id) for one in store(world).listed()]


def night(world: World, day: str, *, code: int = 1) -> Any:
    answer = world.ask("run", "--json", "--as-of", f"{day}T02:15:00Z", code=code)
    return json.loads(answer.stdout)["nonconformities"]


def mend(world: World) -> None:
    """Let the leaver stay: whatever is found of the leaving is gone."""
    people = world.folder / "qms" / "people.csv"
    people.write_text(people.read_text().replace("2026-01-31", "2027-01-31"))


def test_nights_open_what_is_found_see_it_gone_and_verify_it_after_the_watch(world: World) -> None:
    first = night(world, "2026-03-01")
    listed = store(world).listed()
    causes = {(f["rule_id"], f["source"]) for f in world.findings("--open") if f["verdict"] == "violation"}
    assert {(one.rule_id, one.source) for one in listed} == causes
    assert (first["opened"], first["standing"]) == (len(causes), len(causes))
    leaver = held(world, LEAVER)
    assert (leaver.severity, leaver.grade, leaver.standing) == ("critical", "major", 1)
    assert (leaver.owner_role, leaver.owner) == (leaver.owner_role, "P3")
    assert leaver.controls
    assert leaver.clauses["iso27001"]
    assert "Bob" not in leaver.title + leaver.statement, "nobody is named"
    vacant = held(world, "IG-GOV-002", None)
    assert "Governance role" in vacant.title

    for ending in ("html", "xlsx", "csv", "json"):
        world.ask("report", "-o", world.folder / f"r.{ending}", code=0)
    told = json.loads((world.folder / "r.json").read_text())["nonconformities"]
    assert {one["nc_id"] for one in told} == {one.nc_id for one in listed}
    assert leaver.nc_id in (world.folder / "r.html").read_text()
    assert '"nonconformity","critical","open"' in (world.folder / "r.csv").read_text()
    sheet = openpyxl.load_workbook(world.folder / "r.xlsx")["Nonconformities"]
    assert leaver.nc_id in {row[0] for row in sheet.iter_rows(values_only=True)}

    assert night(world, "2026-03-02")["opened"] == 0
    mend(world)
    gone = night(world, "2026-03-03")
    assert leaver.nc_id in gone["ids"]["gone"]
    assert night(world, "2026-03-16")["verified"] == 0
    assert leaver.nc_id in night(world, "2026-03-17")["ids"]["verified"]
    seen = held(world, LEAVER).verification
    assert seen is not None
    assert seen.verified_at is not None
    assert all(line.who and line.why and line.run_id for one in shown(world) for line in one.history)


def test_a_partial_pull_moves_nothing(world: World) -> None:
    world.config.write_text(world.config.read_text() + QUICK)
    night(world, "2026-03-01")
    before = held(world, LEAVER)
    mend(world)
    whole = world.config.read_text()
    world.config.write_text(whole.replace(CANARY, f"uid=nightingale,{PEOPLE}"))
    ids = {one.nc_id for one in store(world).listed() if one.source == "corp-ldap" and one.rule_id.startswith("IG-LVR")}
    moved = night(world, "2026-03-02", code=3)["ids"]
    assert not ids & {nc for those in moved.values() for nc in those}
    assert held(world, LEAVER) == before
    world.config.write_text(whole)
    assert before.nc_id in night(world, "2026-03-03")["ids"]["gone"]
    world.config.write_text(whole.replace(CANARY, f"uid=nightingale,{PEOPLE}"))
    assert before.nc_id not in night(world, "2026-03-04", code=3)["ids"]["verified"]
    world.config.write_text(whole)
    assert before.nc_id in night(world, "2026-03-05")["ids"]["verified"]


def test_a_finding_that_comes_back_is_said_and_a_run_says_what_it_did(world: World) -> None:
    answer = world.ask("run", "--as-of", "2026-03-01T02:15:00Z", code=1)
    assert "Nonconformities: " in answer.stdout
    people = world.folder / "qms" / "people.csv"
    left = people.read_text()
    mend(world)
    night(world, "2026-03-02")
    people.write_text(left)
    assert held(world, LEAVER).nc_id in night(world, "2026-03-03")["ids"]["returned"]
    whats = [line.what for line in store(world).show(held(world, LEAVER).nc_id).history]
    assert whats[-4:] == ["gone", "returned", "attached", "escalated"]
    assert held(world, LEAVER).escalated_to is not None
    world.ask("pull", "--as-of", "2026-03-04T02:15:00Z", code=0)
    said = json.loads(world.ask("evaluate", "--json", code=1).stdout)
    assert said["nonconformities"]["opened"] == 0
    assert said["nonconformities"]["standing"] == len(store(world).listed())
    assert said["tickets"] == {"filed": 0, "found": 0, "changed": 0, "troubles": []}


def test_tickets_are_filed_once_and_a_failure_loses_nothing_of_the_night(world: World) -> None:
    with ServiceNow() as itsm:
        world.environment["SN_PASSWORD"] = PASSWORD
        world.config.write_text(
            f"""{world.config.read_text()}
[filing]
enabled = true
[filing.systems.itsm]
connector = "servicenow"
url = "{itsm.url}"
user = "{USER}"
password = "env:SN_PASSWORD"
"""
        )
        answer = world.ask("run", "--json", "--as-of", "2026-03-01T02:15:00Z", code=1)
        said = json.loads(answer.stdout)
        standing = said["nonconformities"]["opened"]
        assert said["tickets"] == {"filed": standing, "found": 0, "changed": 0, "troubles": []}
        assert len(itsm.records()) == standing > 0
        assert not [row for row in itsm.records() if "Bob" in json.dumps(row)], "no personal data by default"
        world.environment["SN_PASSWORD"] = "changed"
        failed = world.ask("run", "--as-of", "2026-03-02T02:15:00Z", code=5)
        assert "FILING: " in failed.stdout
        assert "itsm" in failed.stdout
        assert len(itsm.records()) == standing
    assert len(list((world.folder / "reports").glob("*.html"))) == 2
    assert held(world, LEAVER).standing == 1


def test_a_failure_to_follow_leaves_the_run_recorded_and_the_next_follows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError("the disk is full", advice="Make room.")

    with monkeypatch.context() as patched:
        patched.setattr(following, "follow", fail)
        answer = world.ask("run", "--as-of", "2026-03-01T02:15:00Z", code=4)
    assert "is recorded whole; the next run lets nonconformities follow" in answer.stderr
    assert world.findings("--rule", LEAVER)
    assert store(world).listed() == []
    assert night(world, "2026-03-02")["opened"] > 0


def test_a_section_of_a_rule_that_there_is_not_is_refused_with_its_line(world: World) -> None:
    world.config.write_text(world.config.read_text() + "[nonconformities.rules.IG-LVR-01]\nwatch_days = 3\n")
    answer = world.ask("run", code=2)
    line = world.config.read_text().splitlines().index("[nonconformities.rules.IG-LVR-01]") + 1
    assert f"reconciler.toml:{line}: nonconformities.rules.IG-LVR-01: no rule IG-LVR-01 is evaluated" in answer.stderr
    assert "Did you mean IG-LVR-001?" in answer.stderr


def test_a_role_that_the_configuration_names_and_nobody_holds_is_a_finding(world: World) -> None:
    assert "dean" not in ROLES
    own = f'[nonconformities]\nescalate_to = ["dean"]\n[nonconformities.rules.{LEAVER}]\nowner_role = "{VACATED}"\n'
    world.config.write_text(world.config.read_text() + own)
    night(world, "2026-03-01")
    reasons = {finding["reason"] for finding in world.findings("--rule", "IG-GOV-002")}
    assert reasons >= {
        "role dean of the configuration ([nonconformities] escalate_to): nobody ever held it",
        f"role {VACATED} of control {FAILED}: Bob Left left on 2026-01-31",
    }
    stuck = held(world, LEAVER)
    assert (stuck.owner_role, stuck.owner, stuck.escalated_to) == (VACATED, None, None)
    world.config.write_text(world.config.read_text().replace('"dean"', '"dean", "identity-governance-lead"'))
    night(world, "2026-03-02")
    assert (held(world, LEAVER).owner, held(world, LEAVER).escalated_to) == ("P3", "identity-governance-lead")
