"""``reconciler links`` over a sealed snapshot, and what the next pull makes of a decision."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from reconciler import run
from reconciler.cli.commands.links import command
from reconciler.errors import ConfigurationError
from reconciler.findings import FindingStore
from reconciler.sdk.records import Account, Person
from reconciler.settings import Settings, load
from reconciler.snapshot.memory import Memory
from tests.bench.bench_correlation import NIGHT, Estate, seal

CONFIG = """\
[estate]
name = "bench"
time_zone = "Europe/Amsterdam"
[sources.hr]
connector = "files"
path = "hr"
"""
DECIDED = ("--by", "Grace", "--reason", "asked her")
Ask = Callable[..., Result]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "reconciler.toml"
    path.write_text(CONFIG)
    (tmp_path / "hr").mkdir()
    (tmp_path / "hr" / "people.csv").write_text("person_id,full_name\nP1,Ada Byron\n")
    return load(path)


@pytest.fixture
def ask(settings: Settings) -> Ask:
    def run_command(name: str, *arguments: str) -> Result:
        asked = [name, "--config", str(settings.path), *arguments]
        return CliRunner().invoke(command, asked, catch_exceptions=False)

    return run_command


def night(settings: Settings) -> None:
    """Seal what is remembered with three accounts: one linked, one alike by name, one nobody's."""
    estate = Estate(
        people=[
            Person(person_id="P1", full_name="Ada Byron", emails=["ada@acme.test"]),
            Person(person_id="P2", full_name="Bob Stone"),
        ],
        accounts=[
            Account(source="dir", account_id="1", login="ada", email="ada@acme.test", display_name="Ada Byron"),
            Account(source="dir", account_id="2", login="bs", display_name="Stone Bob"),
            Account(source="dir", account_id="3", login="root"),
        ],
    )
    store = FindingStore.open(settings.database_url)
    seal(estate, settings.snapshots, Memory(links=store.remembered_links()))


def states(ask: Ask) -> dict[str, tuple[str, str | None]]:
    found: list[dict[str, Any]] = json.loads(ask("list", "--json").output)
    return {one["account_id"]: (one["state"], one["person_id"]) for one in found}


def test_without_a_snapshot_the_remedy_is_a_pull(ask: Ask) -> None:
    with pytest.raises(ConfigurationError, match="no sealed snapshot"):
        ask("list")


def test_accounts_are_listed_with_who_may_fit(settings: Settings, ask: Ask) -> None:
    night(settings)
    assert states(ask) == {"1": ("linked", "P1"), "2": ("proposed", None), "3": ("unlinked", None)}
    shown = ask("list", "--proposed").output
    assert "name 100 % like Bob Stone P2" in shown
    assert "1 account of snapshot" in shown
    assert ask("list", "--state", "manual").output == "No accounts match.\n"


def test_a_decision_holds_from_the_next_snapshot_on(settings: Settings, ask: Ask) -> None:
    night(settings)
    assert "dir 2 is linked to P2. It takes effect in the next pull" in ask("link", "dir", "2", "P2", *DECIDED).output
    assert json.loads(ask("reject", "dir", "1", "P1", *DECIDED, "--json").output)["person_id"] == "P1"
    assert states(ask)["2"] == ("proposed", None)
    assert "after snapshot" in ask("explain", "dir", "2").output
    night(settings)
    assert states(ask) == {"1": ("rejected", None), "2": ("manual", "P2"), "3": ("unlinked", None)}
    told = json.loads(ask("explain", "dir", "2", "--json").output)
    assert told["explanation"]["link"]["method"] == "manual"
    assert [one["decided_by"] for one in told["decisions"]] == ["Grace"]
    assert ask("unlink", "dir", "2", *DECIDED).output.startswith("dir 2 is not P2's.")
    night(settings)
    assert states(ask)["2"] == ("rejected", None)


def test_what_the_list_shows_as_linked_can_be_unlinked_before_a_run_has_kept_it(settings: Settings, ask: Ask) -> None:
    night(settings)
    assert ask("unlink", "dir", "1", *DECIDED).output.startswith("dir 1 is not P1's.")
    with pytest.raises(ConfigurationError, match="P1 was rejected for dir 1 already"):
        ask("unlink", "dir", "1", *DECIDED)
    with pytest.raises(ConfigurationError, match="no link of dir 3 is kept"):
        ask("unlink", "dir", "3", *DECIDED)


def test_a_pull_seals_what_is_known(settings: Settings) -> None:
    store = FindingStore.open(settings.database_url)
    store.link(source="dir", account_id="2", person_id="P2", by="Grace", at=NIGHT, reason="asked her")
    first = run.pull(settings, store, as_of=NIGHT, progress=lambda _: None)
    second = run.pull(settings, store, as_of=NIGHT + timedelta(days=1), progress=lambda _: None)
    path = second.remembered_links()
    assert path is not None
    assert [row["person_id"] for row in pq.read_table(path).to_pylist()] == ["P2"]
    assert first.complete_at()["hr"]["people"] == first.manifest.started_at
    assert second.complete_at()["hr"]["people"] == second.manifest.started_at > first.manifest.started_at
    assert second.rule_evaluations() == ()
