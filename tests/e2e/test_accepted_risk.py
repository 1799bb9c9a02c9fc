"""A risk is asked for, approved by somebody else, honoured by the next run, and reopens when it ends."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from reconciler import clock
from reconciler.cli.main import reconciler
from reconciler.errors import ConfigurationError, FilingError
from tests.connectors.compliancequest import quality
from tests.simulators.http_injection import FaultKind

CONFIG = """\
[estate]
name = "acme"
time_zone = "Europe/Amsterdam"
[sources.crm]
connector = "files"
path = "crm"
"""
FILING = """
[filing]
enabled = true
[filing.systems.qms]
connector = "compliancequest"
domain = "{url}"
client_id = "the-client"
client_secret = "env:CQ_SECRET"
max_attempts = 2
[filing.systems.qms.exceptions]
object = "Acme_Risk_Acceptance__c"
columns = {{ reason = "Reason__c", expires_at = "Ends__c", status = "State__c" }}
time_zone = "Europe/Amsterdam"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "crm"
    folder.mkdir()
    (folder / "accounts.csv").write_text("account_id,login,employee_id,status,can_sign_in\na,ada,E1,enabled,true\n")
    people = "person_id,full_name,employee_id,emails,status,ends_on\n"
    people += "P1,Ada,E1,,left,2026-01-05\nP2,Bo,E2,boss@acme.test,active,\n"
    (folder / "people.csv").write_text(people)
    path = tmp_path / "reconciler.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def ask(config: Path, *words: str) -> Any:
    ran = CliRunner().invoke(reconciler, [*words, "--config", str(config)], standalone_mode=False)
    if ran.exception is not None:
        raise ran.exception
    return ran.stdout


def states(config: Path) -> set[str]:
    found = json.loads(ask(config, "findings", "list", "--rule", "IG-LVR-001", "--json"))
    return {each["state"] for each in found}


def day(after: int) -> str:
    return f"{clock.now() + timedelta(days=after):%Y-%m-%d}"


def test_a_risk_is_accepted_honoured_and_ends(config: Path) -> None:
    ask(config, "run", "--fail-on", "never")
    assert states(config) == {"new"}
    (found,) = json.loads(ask(config, "findings", "list", "--rule", "IG-LVR-001", "--json"))
    words = ["--reason", "Handover.", "--instead", "Sign-ins are watched.", "--review-owner", "P9", "--by", "P2"]
    for until, said in ((day(-1), "is past"), (day(400), "longer than the 366 days")):
        with pytest.raises(ConfigurationError, match=said):
            ask(config, "exceptions", "request", found["finding_id"], "--until", until, *words)
    asked = ask(config, "exceptions", "request", found["finding_id"], "--until", day(40), *words)
    assert "RA-000001 is requested" in asked
    (kept,) = json.loads(ask(config, "exceptions", "requests", "--json"))
    assert f"  {kept['expires_at'][:16].replace('T', ' ')} UTC; P9 reviews it." in asked
    assert "It holds once somebody other than P2 approves it." in asked
    ask(config, "run", "--fail-on", "never")
    assert states(config) == {"persisting"}
    with pytest.raises(ConfigurationError, match="somebody else"):
        ask(config, "exceptions", "approve", "RA-000001", "--by", "boss@acme.test", "--reason", "Fine.")
    ask(config, "exceptions", "approve", "RA-000001", "--by", "P3", "--reason", "Fine.")
    listed = json.loads(ask(config, "exceptions", "requests", "--state", "approved", "--json"))
    assert [each["decided_by"] for each in listed] == ["P3"]
    assert "1 asked for, 0 of them to be decided." in ask(config, "exceptions", "requests")

    ask(config, "run", "--fail-on", "never")
    assert states(config) == {"suppressed"}
    told = json.loads(ask(config, "exceptions", "list", "--json"))
    assert [(each["exception_id"], each["owner"], each["suppresses"]) for each in told["exceptions"]] == [
        ("RA-000001", "P9", 1)
    ]

    ask(config, "run", "--fail-on", "never", "--as-of", f"{day(42)}T00:00:00Z")
    assert states(config) == {"reopened"}
    assert "it ended on" in ask(config, "exceptions", "list")


def test_what_is_ended_before_its_time_suppresses_no_more(config: Path) -> None:
    ask(config, "run", "--fail-on", "never")
    (found,) = json.loads(ask(config, "findings", "list", "--rule", "IG-LVR-001", "--json"))
    words = ["--reason", "Handover.", "--instead", "Watched.", "--review-owner", "P9", "--by", "P2"]
    ask(config, "exceptions", "request", found["finding_id"], "--until", day(40), "--reach", "account", *words)
    ask(config, "exceptions", "approve", "1", "--by", "P3", "--reason", "Fine.")
    ask(config, "run", "--fail-on", "never")
    assert states(config) == {"suppressed"}
    assert "RA-000001 is ended" in ask(config, "exceptions", "end", "1", "--by", "P4", "--reason", "Handed over.")
    ask(config, "run", "--fail-on", "never")
    assert states(config) == {"reopened"}


def test_what_is_ended_here_is_over_whatever_the_register_still_says(config: Path) -> None:
    ask(config, "run", "--fail-on", "never")
    (found,) = json.loads(ask(config, "findings", "list", "--rule", "IG-LVR-001", "--json"))
    words = ["--reason", "Handover.", "--instead", "Watched.", "--review-owner", "P9", "--by", "P2"]
    ask(config, "exceptions", "request", found["finding_id"], "--until", day(40), *words)
    ask(config, "exceptions", "approve", "1", "--by", "P3", "--reason", "Fine.")
    columns = "exception_id,rule_id,control_id,source,account_id,person_id,entitlement_id,reason,approved_by,"
    columns += "review_owner,status,approved_at,expires_at\n"
    row = "RA-000001,IG-LVR-001,,crm,a,,,Handover.,P3,P9,{},2026-01-01T00:00:00Z," + f"{day(40)}T00:00:00Z\n"
    register = config.parent / "crm" / "exceptions.csv"
    for status, stands in (("approved", "suppressed"), ("withdrawn", "reopened"), ("approved", "suppressed")):
        register.write_text(columns + row.format(status))
        ask(config, "run", "--fail-on", "never")
        assert states(config) == {stands}
    ask(config, "exceptions", "end", "1", "--by", "P4", "--reason", "Handed over.")
    ask(config, "run", "--fail-on", "never")
    assert states(config) == {"reopened"}


def test_what_is_decided_is_written_to_the_register_of_the_qms(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CQ_SECRET", quality.SECRET)
    with quality.running() as salesforce:
        config.write_text(f"{CONFIG}{FILING.format(url=salesforce.url)}")
        ask(config, "run", "--fail-on", "never")
        (found,) = json.loads(ask(config, "findings", "list", "--rule", "IG-LVR-001", "--json"))
        words = ["--reason", "Handover.", "--instead", "Watched.", "--review-owner", "P9", "--by", "P2"]
        ask(config, "exceptions", "request", found["finding_id"], "--until", day(40), *words)
        register = salesforce.org.entities[quality.RISK].rows
        assert not register
        told = ask(config, "exceptions", "approve", "1", "--by", "P3", "--reason", "Fine.")
        (row,) = register.values()
        assert (row[quality.KEY], row["Reason__c"], row["State__c"]) == ("RA-000001", "Handover.", "approved")
        assert f"Written to qms: {row['Id']}" in told
        salesforce.faults.add(FaultKind.FORBIDDEN, path=rf"/sobjects/{quality.RISK}/", times=None)
        with pytest.raises(FilingError, match="qms: RA-000001"):
            ask(config, "exceptions", "end", "1", "--by", "P3", "--reason", "Handed over.")
        salesforce.faults.clear()
        ask(config, "run", "--fail-on", "never")
        assert [each["State__c"] for each in register.values()] == ["ended"]
