"""``reconciler nonconformities``: one is worked from the first list to the last export."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler import clock
from reconciler.cli.main import reconciler
from reconciler.errors import ConfigurationError, ReconcilerError
from reconciler.settings import load
from tests.nonconformity.nights import NC, Nights, enter_all, evening

CONFIG = """\
[estate]
name = "acme"
time_zone = "America/New_York"
[sources.hr]
connector = "files"
path = "hr"
"""
PEOPLE = "person_id,full_name\nP1,Ada Byron\nP2,Grace Hopper\n"
HOLDERS = "role,person_id,since\nkey-keeper,P1,2025-01-01\n"
Call = Callable[..., str]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "people.csv").write_text(PEOPLE, encoding="utf-8")
    (tmp_path / "hr" / "role_holders.csv").write_text(HOLDERS, encoding="utf-8")
    path = tmp_path / "reconciler.toml"
    path.write_text(CONFIG, encoding="utf-8")
    return path


@pytest.fixture
def nights(config: Path) -> Nights:
    nights = Nights(load(config).database_url)
    nights.live(0, {"a", "b"})
    return nights


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the clock."""

    def set_clock(instant: datetime) -> None:
        monkeypatch.setattr(clock, "now", lambda: instant)

    set_clock(evening(0))
    return set_clock


def run(config: Path, *words: str) -> Result:
    name, *more = words
    return CliRunner().invoke(reconciler, ["nonconformities", name, "-c", str(config), *more], standalone_mode=False)


@pytest.fixture
def call(config: Path, at: Callable[[datetime], None]) -> Call:
    del at

    def call(*words: str) -> str:
        ran = run(config, *words)
        assert ran.exception is None, ran.exception
        return ran.stdout

    return call


def refused(config: Path, *words: str) -> str:
    ran = run(config, *words)
    assert ran.exception is not None
    assert ran.stdout == ""
    return f"{ran.exception} {ran.exception.advice if isinstance(ran.exception, ReconcilerError) else ''}"


def test_one_is_worked_from_the_list_to_its_close(
    nights: Nights, config: Path, call: Call, at: Callable[[datetime], None]
) -> None:
    listed = call("list")
    for word in (NC, "high", "minor", "open", "correction", "identity-governance-lead", "2026-03-08", "2 of 2"):
        assert word in listed
    assert "1 nonconformity, 0 overdue." in listed
    ada = ("--by", "ada")
    assert call("show", NC).endswith(f"Next: `reconciler nonconformities correct {NC} --text TEXT --by PERSON_ID`.\n")
    assert call("contain", NC, "--text", "Sessions ended", *ada) == (
        f"{NC}: containment entered. Owed next: correction by identity-governance-lead, due 2026-03-08.\n"
    )
    call("correct", NC, "--text", "Accounts disabled", *ada)
    call("cause", NC, "--method", "five-whys", "--text", "HR tells IT weekly", *ada)
    plan = ("--text", "HR tells IT at once", "--owner-role", "Identity-Governance-Lead", "--due-on", "2026-03-01")
    assert "Owed next: action done by identity-governance-lead, due 2026-03-01." in call("action", NC, *plan, *ada)
    assert "Owed next: findings gone by identity-governance-lead" in call("action", NC, "--done", *ada)
    assert "the machine's verification: 2 findings stand" in refused(
        config, "close", NC, "--by", "grace", "--reason", "x"
    )
    nights.live(1, set())
    nights.live(2, None)
    seen = call("verify", NC)
    assert "watched until  2026-03-05 02:15Z" in seen
    assert "must see them still gone" in seen
    assert "ldap accounts FAILED: does not answer" in seen
    assert "Only a run verifies; nobody can enter it." in seen
    nights.live(5, set())
    assert "nothing: the effect is verified" in call("verify", NC)
    at(evening(5))
    assert "somebody else to close it: ada corrected it" in refused(config, "close", NC, *ada, "--reason", "It works")
    assert call("close", NC, "--by", "grace", "--reason", "It works") == f"{NC}: closed.\n"
    shown = call("show", NC)
    assert "It works" in shown
    for run_id, violations in (("run-0", 2), ("run-1", 0), ("run-5", 0)):
        assert f"{run_id}" in shown
        assert f"version 1: judged 0 subjects: {violations} violations" in shown
    assert json.loads(call("list", "--json"))[0]["owed"] is None
    reopened = call("reopen", NC, "--by", "mary", "--reason", "The feed lost a day")
    assert reopened.startswith(f"{NC}: reopened. Owed next: correction by")


def test_what_left_the_configuration_is_set_aside_and_never_called_closed(
    nights: Nights, config: Path, call: Call, at: Callable[[datetime], None]
) -> None:
    gone = ("set-aside", NC, "--by", "ada", "--reason", "The directory is switched off")
    assert "the last run looked for all of it" in refused(config, *gone)
    assert "set-aside" not in call("verify", NC)
    nights.live(1, None, left=True)
    assert f"`reconciler nonconformities set-aside {NC}`" in call("verify", NC)
    at(evening(30))
    assert call(*gone) == f"{NC}: set aside; it is not closed, for no run saw its effect.\n"
    listed = call("list")
    assert "set_aside" in listed
    assert "0 overdue" in listed
    assert "No nonconformities match." in call("list", "--state", "open")
    assert "The directory is switched off" in call("show", NC)
    assert "The directory is switched off" in call("export", NC)
    assert "it is set aside" in refused(config, "close", NC, "--by", "mary", "--reason", "It is gone")
    again = call("take-up", NC, "--by", "mary", "--reason", "It is switched on again")
    assert again.startswith(f"{NC}: taken up again. Owed next: correction by")


def test_what_is_late_is_loud(nights: Nights, config: Path, call: Call, at: Callable[[datetime], None]) -> None:
    del nights, config
    assert "No nonconformities match." in call("list", "--overdue")
    at(evening(8))
    assert "2026-03-08 OVERDUE" in call("list")
    assert "1 overdue" in call("list", "--overdue")
    [late] = json.loads(call("list", "--overdue", "--json"))
    assert (late["nc_id"], late["overdue"], late["owed"]["what"]) == (NC, True, "correction")
    assert "No nonconformities match." in call("list", "--overdue", "--as-of", "2026-03-02T00:00:00Z")


def test_a_day_that_is_due_ends_where_the_estate_is(nights: Nights, config: Path, call: Call) -> None:
    del nights, config
    call("action", NC, "--text", "A feed", "--owner-role", "ciso", "--due-on", "2026-03-01", "--by", "ada")
    assert "No nonconformities match." in call("list", "--overdue", "--as-of", "2026-03-02T04:00:00Z")
    assert "1 overdue" in call("list", "--overdue", "--as-of", "2026-03-02T06:00:00Z")


def test_who_acts_is_known_by_name_and_roles_by_who_holds_them(nights: Nights, config: Path, call: Call) -> None:
    del nights
    assert CliRunner().invoke(reconciler, ["pull", "-c", str(config)], standalone_mode=False).exception is None
    entered = json.loads(call("correct", NC, "--text", "Accounts disabled", "--by", "ada byron", "--json"))
    assert entered["correction"]["by"] == "P1"
    plan = ("action", NC, "--text", "A feed", "--due-on", "2026-03-31", "--by", "P1", "--owner-role")
    assert "no role 'key-keper' is known" in refused(config, *plan, "key-keper")
    assert "did you mean key-keeper?" in refused(config, *plan, "key-keper")
    assert json.loads(call(*plan, "key-keeper", "--json"))["action"]["owner_role"] == "key-keeper"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("show", "NC-000009"), "there is no nonconformity NC-000009"),
        (("correct", NC, "--text", " ", "--by", "ada"), "the correction is missing"),
        (("correct", NC, "--text", "Done", "--by", " "), "nobody acts without a name"),
        (("cause", NC, "--method", "guess", "--text", "x", "--by", "ada"), "is no method of cause analysis"),
        (("action", NC, "--text", "A feed", "--by", "ada"), "--owner-role and --due-on is missing"),
        (("action", NC, "--done", "--text", "A feed", "--by", "ada"), "it goes without --text"),
        (("action", NC, "--done", "--by", "ada"), "its action cannot be done"),
        (
            ("action", NC, "--text", "A", "--owner-role", "ciso", "--due-on", "2026-02-28", "--by", "ada"),
            "cannot be due on 2026-02-28",
        ),
        (("close", NC, "--by", "ada", "--reason", "x"), "it cannot be closed"),
        (("reopen", NC, "--by", "ada", "--reason", "x"), "it is not closed but open"),
        (("set-aside", NC, "--by", "ada", "--reason", " "), "why it is set aside is missing"),
        (("take-up", NC, "--by", "ada", "--reason", "x"), "it is not set aside"),
        (("verify", NC, "--by", "ada"), "No such option"),
        (("list", "--rule", "IG-XXX"), "no recorded run has evaluated a rule 'IG-XXX'"),
    ],
)
def test_bad_input_is_refused(nights: Nights, config: Path, call: Call, words: tuple[str, ...], said: str) -> None:
    before = call("show", NC, "--json")
    assert said in refused(config, *words)
    assert call("show", NC, "--json") == before
    assert nights.held().nc_id == NC


@pytest.fixture
def hostile(nights: Nights, at: Callable[[datetime], None]) -> Nights:
    """A record whose texts are a formula, markup and a line break."""
    del at
    enter_all(nights, 0)
    nights.store.correct(
        NC, by="=cmd()", at=evening(0), text="=HYPERLINK(1)\n<script>alert(1)</script>", why="+1;@SUM(A1)"
    )
    return nights


def test_the_export_as_json_holds_everything(hostile: Nights, call: Call, tmp_path: Path) -> None:
    path = tmp_path / "new" / "nc.json"
    assert call("export", NC, "--format", "json", "-o", str(path)) == f"{path} written.\n"
    told = json.loads(path.read_text(encoding="utf-8"))
    held = hostile.store.show(NC)
    assert told["exported_at"] == "2026-03-01T12:15:00Z"
    assert told["nonconformity"]["nc_id"] == NC
    assert [line["what"] for line in told["history"]] == [line.what for line in held.history]
    assert {one["finding_id"] for one in told["findings"]} == {one.finding_id for one in held.findings}
    assert told["runs"] == [
        {
            "run_id": "run-0",
            "snapshot": "snapshot-0",
            "as_of": "2026-03-01T02:15:00Z",
            "recorded_at": "2026-03-01T04:15:00Z",
            "digest": "d1",
        }
    ]


def test_the_export_as_csv_runs_no_formula(hostile: Nights, call: Call) -> None:
    del hostile
    text = call("export", NC, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    [correction] = [row for row in rows if row["record"] == "entry" and row["name"] == "correction"]
    assert correction["text"] == "'=HYPERLINK(1)\n<script>alert(1)</script>"
    assert correction["who"] == "'=cmd()"
    assert "'+1;'@SUM(A1)" in {row["why"] for row in rows}
    assert {"nonconformity", "gate", "entry", "finding", "history", "run"} <= {row["record"] for row in rows}
    assert ("control", "IG-C-07") in {(row["record"], row["name"]) for row in rows}
    assert ("clause", "iso27001", "A.5.18") in {(row["record"], row["name"], row["text"]) for row in rows}
    assert [row["digest"] for row in rows if row["record"] == "run"] == ["d1"]
    assert {row["account_id"] for row in rows if row["record"] == "finding"} == {"a", "b"}
    assert {row["name"]: row["text"] for row in rows if row["record"] == "gate"}["correction"] == "met"


def test_the_export_as_html_stands_by_itself(hostile: Nights, call: Call) -> None:
    hostile.live(1, set())
    hostile.live(5, set())
    hostile.store.close(NC, by="grace", at=evening(5), reason="It works")
    page = call("export", NC)
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    for word in ("run-0", "run-1", "run-5", "snapshot-5", "It works", "verified", "five whys"):
        assert word in page
    for finding in hostile.store.show(NC).findings:
        assert finding.finding_id in page
        assert f"account_id {finding.account_id}" in page
        assert finding.reason in page


def test_the_export_tells_what_was_entered_before_and_what_the_runs_judged(hostile: Nights, call: Call) -> None:
    hostile.live(1, set())
    hostile.live(5, set())
    rows = list(csv.DictReader(io.StringIO(call("export", NC, "--format", "csv").removeprefix("\ufeff"), newline="")))
    for export in (call("export", NC), "\n".join(row["text"] for row in rows if row["record"] == "history")):
        assert "correction: Account disabled" in export
    assert {row["subject"] for row in rows if row["record"] == "finding"} == {"account_id a", "account_id b"}
    judged = {row["run_id"]: (row["rule_id"], row["source"], row["text"]) for row in rows if row["record"] == "judged"}
    of_it = (
        "version 1: judged 0 subjects: {} violations, 0 under exceptions, 0 passed, 0 not applicable, 0 not evaluable"
    )
    assert judged == {
        "run-0": ("IG-LVR-001", "ldap", of_it.format(2)),
        "run-1": ("IG-LVR-001", "ldap", of_it.format(0)),
        "run-5": ("IG-LVR-001", "ldap", of_it.format(0)),
    }


def test_the_export_of_a_new_one_says_that_nothing_was_entered(nights: Nights, call: Call) -> None:
    del nights
    page = call("export", NC)
    assert "Nothing yet." in page
    assert "iso27001: A.5.18" in page
    assert page.count("stands</span>") == 2
    assert "not needed" in page


def test_an_export_of_nothing_writes_nothing(nights: Nights, config: Path, call: Call, tmp_path: Path) -> None:
    del nights, call
    with pytest.raises(ConfigurationError, match="there is no nonconformity NC-000002"):
        raise run(config, "export", "NC-2", "-o", str(tmp_path / "nc.html")).exception or AssertionError
    assert not (tmp_path / "nc.html").exists()
