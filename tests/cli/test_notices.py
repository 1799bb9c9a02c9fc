"""``reconciler notices``: from a night with findings to what its owner is told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler import run
from reconciler.cli.commands.notices import command
from reconciler.errors import ConfigurationError, FilingError
from reconciler.findings import FindingStore
from reconciler.notices import smtp
from reconciler.report.wording import count
from reconciler.settings import Settings, load
from tests.findings.nights import night
from tests.nonconformity.nights import Nights

CONFIG = """\
[estate]
name = "acme"
[sources.hr]
connector = "files"
path = "hr"
[notices]
enabled = {enabled}
digest_weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
[notices.smtp]
host = "127.0.0.1"
port = 1
security = "none"
sender = "reconciler@acme.test"
"""
Ask = Callable[..., Result]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A night with findings in a directory, and a register that says who answers."""
    monkeypatch.setattr(smtp, "_ATTEMPTS", 1)
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "people.csv").write_text("person_id,full_name,emails\nP1,Ada Byron,ada@acme.test\n")
    roles = ("identity-governance-lead", "ciso")
    held = "".join(f"{role},P1,2020-01-01,\n" for role in roles)
    (tmp_path / "hr" / "role_holders.csv").write_text("role,person_id,since,until\n" + held)
    found = configured(tmp_path, "false")
    Nights(found.database_url).live(0, ["a", "b"])
    run.pull(found, FindingStore.open(found.database_url), as_of=night(0), progress=lambda _: None)
    return found


def configured(folder: Path, enabled: str) -> Settings:
    (folder / "reconciler.toml").write_text(CONFIG.replace("{enabled}", enabled))
    return load(folder / "reconciler.toml")


@pytest.fixture
def ask(settings: Settings) -> Ask:
    def run_command(name: str, *arguments: str) -> Result:
        asked = [name, "--config", str(settings.path), *arguments]
        return CliRunner().invoke(command, asked, catch_exceptions=False, standalone_mode=False)

    return run_command


def test_a_preview_shows_every_text_and_sends_nothing(ask: Ask) -> None:
    later = (night(0) + timedelta(days=400)).isoformat()
    told = json.loads(ask("preview", "--json", "--as-of", later).output)
    assert told["enabled"] is False
    assert {(one["kind"], one["recipient"]) for one in told["notices"]} == {
        ("escalation", "ada@acme.test"),
        ("digest", "ada@acme.test"),
    }
    assert all("NC-000001" in one["text"] for one in told["notices"])
    assert "Ada" not in str([one["text"] for one in told["notices"]])
    shown = ask("preview", "--as-of", later).output
    assert "mail to ada@acme.test: Late " in shown
    assert f"{count(len(told['notices']), 'notice')} would be sent, were notices enabled." in shown
    assert ask("list").output == "No notices match.\n"


def test_nothing_is_sent_while_it_is_not_enabled(ask: Ask) -> None:
    with pytest.raises(ConfigurationError, match=r"notices\.enabled is false"):
        ask("send")
    assert json.loads(ask("list", "--json").output) == []


def test_what_could_not_be_sent_is_listed_and_ends_with_5(tmp_path: Path, ask: Ask) -> None:
    configured(tmp_path, "true")
    sent = ask("send", "--json")
    assert sent.return_value == FilingError.exit_code
    counts = json.loads(sent.output)
    assert (counts["sent"], counts["waiting"] > 0) == (0, True)
    assert "mail server 127.0.0.1:1" in counts["errors"][0]
    assert "wait, 0 unknown" in ask("send").output
    listed = json.loads(ask("list", "--state", "waiting", "--json").output)
    assert len(listed) == counts["waiting"]
    assert "waiting" in ask("list").output
    assert json.loads(ask("list", "--state", "sent", "--json").output) == []
    with pytest.raises(ConfigurationError, match="notice 99 is not known"):
        ask("send", "--again", "99", "--by", "P9", "--reason", "it never came")


def test_whom_nobody_can_reach_is_said(tmp_path: Path, ask: Ask, settings: Settings) -> None:
    shutil.rmtree(settings.snapshots)
    shown = ask("preview").output
    assert "no address is known for role" in shown
    assert "0 notices would be sent" in shown
    text = (tmp_path / "reconciler.toml").read_text()
    (tmp_path / "reconciler.toml").write_text(text.partition("[notices.smtp]")[0])
    assert "neither [notices.smtp] nor [notices.webhook]" in ask("preview").output
