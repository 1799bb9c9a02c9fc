"""A replay says what was said that night, whatever was decided and written since."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from reconciler import engine, run
from reconciler.bundled import root
from reconciler.cli.main import reconciler
from reconciler.estate.results import Evaluation
from reconciler.findings import FindingStore
from reconciler.nonconformity.risks import Asked, Register
from reconciler.settings import Settings, load
from reconciler.snapshot import SnapshotStore

NIGHT = datetime(2026, 2, 3, 2, tzinfo=UTC)
CONFIG = """\
[estate]
name = "acme"
[sources.crm]
connector = "files"
path = "crm"
"""
PEOPLE = "person_id,full_name,emails\np1,Ada Byron,ada@acme.test\np2,Bob Stone,bob@acme.test\n"
ACCOUNTS = "account_id,login,email,display_name,status,can_sign_in\n"
REGISTER = "exception_id,rule_id,control_id,source,account_id,person_id,entitlement_id,reason,approved_by,review_owner,"
REGISTER += "status,approved_at,expires_at\nX1,IG-ORP-001,,crm,c,,,why,p1,p1,{status},2026-01-01T00:00:00Z,{until}\n"


def write(settings: Settings, accounts: str, register: str) -> None:
    folder = settings.base / "crm"
    for name, text in {"people": PEOPLE, "accounts": ACCOUNTS + accounts, "exceptions": register}.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "crm").mkdir()
    (tmp_path / "reconciler.toml").write_text(CONFIG, encoding="utf-8")
    return load(tmp_path / "reconciler.toml")


def rules(**params: dict[str, object]) -> list[engine.Rule]:
    wanted = {"IG-ORP-001", "IG-ORP-003", "IG-ORP-004"}
    loaded = engine.load([root("rules")], {name.replace("_", "-"): value for name, value in params.items()})
    return [rule for rule in loaded if rule.info.rule_id in wanted]


def night(settings: Settings, store: FindingStore, as_of: datetime) -> tuple[str, Evaluation]:
    snapshot = run.pull(settings, store, as_of=as_of, progress=lambda _: None)
    evaluation = run.evaluate(settings, snapshot, rules(), as_of=as_of)
    run.record(settings, store, snapshot, evaluation)
    return snapshot.snapshot_id, evaluation


def test_a_replay_is_the_same_to_the_byte_after_links_exceptions_and_accepted_risks(settings: Settings) -> None:
    write(
        settings,
        "a,ada,ada@acme.test,Ada Byron,enabled,true\nb,root,,,enabled,true\nc,kiosk,,,enabled,true\n",
        REGISTER.format(status="active", until="2026-12-31T00:00:00Z"),
    )
    store = FindingStore.open(settings.database_url)
    first, before = night(settings, store, NIGHT)
    assert [(v.subject["account_id"], v.exception) for v in before.results[0].verdicts] == [("b", None), ("c", "X1")]

    store.link(source="crm", account_id="b", person_id="p2", by="Grace", at=NIGHT, reason="asked him")
    store.reject_link(source="crm", account_id="a", person_id="p1", by="Grace", at=NIGHT, reason="not hers")
    (finding,) = [one for one in store.findings(rule="IG-ORP-001") if one.subject["account_id"] == "b"]
    risks = Register.open(settings.database_url)
    until = NIGHT + timedelta(days=30)
    asked = Asked(reason="why", compensating_control="watched", review_owner="p2", expires_at=until)
    risks.request(finding, asked, by="p1", at=NIGHT, longest=timedelta(days=366))
    risks.decide("1", approve=True, by="p2", at=NIGHT, why="agreed")
    write(
        settings,
        "a,ada,bob@acme.test,Ada Byron,enabled,true\nb,root,,,enabled,true\nc,kiosk,,,enabled,true\n",
        REGISTER.format(status="revoked", until="2026-02-03T12:00:00Z"),
    )
    second, after = night(settings, store, NIGHT + timedelta(days=1))
    assert [(v.subject["account_id"], v.exception) for v in after.results[0].verdicts] == [("a", None), ("c", None)]

    for snapshot_id, told in ((first, before), (second, after)):
        snapshot = SnapshotStore(settings.snapshots).open(snapshot_id)
        again = run.evaluate(settings, snapshot, rules(), as_of=told.as_of)
        assert again.digest == told.digest
        assert (again.results, again.exceptions) == (told.results, told.exceptions)
        assert again.links == told.links


def test_a_replay_says_what_of_the_question_is_another(settings: Settings) -> None:
    write(settings, "a,ada,ada@acme.test,Ada Byron,enabled,true\n", REGISTER.format(status="active", until=""))
    first, _ = night(settings, FindingStore.open(settings.database_url), NIGHT)
    path = settings.path
    path.write_text(CONFIG + '[rules.params.IG-ORP-004]\nmax_idle = "P10D"\n', encoding="utf-8")
    asked = ["run", "-c", str(path), "--replay", first, "--as-of", "2026-02-04T02:00:00Z"]
    told = CliRunner().invoke(reconciler, [*asked, "--json"], standalone_mode=False)
    assert told.exception is None, told.exception
    answer = json.loads(told.output)
    assert answer["same_as_recorded"] is False
    assert answer["altered"][0] == "the instant, which was 2026-02-03T02:00:00+00:00 (--as-of)"
    assert "IG-APR-001 was not judged, is version" in answer["altered"][1]
    assert any(said.startswith("IG-ORP-004.") and said.endswith("10 days") for said in answer["altered"])
    shown = CliRunner().invoke(reconciler, asked, standalone_mode=False).output
    assert "What differs: the instant, which was 2026-02-03T02:00:00+00:00 (--as-of); IG-APR-001 was not" in shown
