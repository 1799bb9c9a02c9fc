"""Rules that run on a server: the settings key, ``rules test --engine``, and a server that goes away in mid-run."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from reconciler import run
from reconciler.cli.main import reconciler
from reconciler.engine.spark import Server
from reconciler.errors import ConfigurationError, ReconcilerError, StoreError
from reconciler.findings import FindingStore
from reconciler.settings import load
from reconciler.snapshot import SnapshotStore
from tests.servers import sail

CONFIG = """\
[estate]
name = "acme"
[sources.crm]
connector = "files"
path = "crm"
"""
ACCOUNTS = "account_id,login,employee_id,status,can_sign_in\na,ada,E1,enabled,true\nb,bob,E2,enabled,true\n"
SOME = {"IG-ORP-001", "IG-LVR-001", "IG-GOV-005"}
PEOPLE = "person_id,full_name,employee_id\np1,Ada,E1\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "crm").mkdir()
    (tmp_path / "crm" / "accounts.csv").write_text(ACCOUNTS, encoding="utf-8")
    (tmp_path / "crm" / "people.csv").write_text(PEOPLE, encoding="utf-8")
    return tmp_path


def configured(folder: Path, engine: str) -> Path:
    path = folder / "reconciler.toml"
    path.write_text(f'{CONFIG}[engine]\nengine = "{engine}"\n', encoding="utf-8")
    return path


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(reconciler, [str(word) for word in words], standalone_mode=False)


def refused(kind: type[ReconcilerError], *words: str | Path) -> str:
    """Return what a command that must fail says."""
    ended = call(*words)
    assert isinstance(ended.exception, kind), ended.exception
    return f"{ended.output} {ended.exception.message} {ended.exception.advice}"


def assert_nothing_recorded(path: Path) -> None:
    store = FindingStore.open(load(path).database_url)
    assert store.last_run() is None
    assert store.findings() == []


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_token_is_not_shown(folder: Path, more: list[str]) -> None:
    path = configured(folder, "sc://127.0.0.1:9/;token=planted-in-the-url")
    shown = call("config", "show", "-c", path, *more)
    assert shown.exception is None
    assert "sc://127.0.0.1:9/;token=[redacted]" in shown.output
    assert "planted" not in shown.output


def test_an_engine_that_is_none_is_refused_at_its_line(folder: Path) -> None:
    path = configured(folder, "http://127.0.0.1/;token=planted-in-the-url")
    said = refused(ConfigurationError, "config", "check", "-c", path)
    assert f"{path}:7: engine.engine: must be duckdb, sc://host:port" in said
    assert "planted" not in said


def test_a_server_that_is_not_there_is_named_and_nothing_is_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENGINE", "sc://127.0.0.1:9/;token=planted-in-the-variable")
    path = configured(folder, "env:ENGINE")
    said = refused(StoreError, "run", "-c", path)
    assert "sc://127.0.0.1:9 cannot be reached" in said
    assert "Check that the server runs" in said
    assert "planted" not in said
    assert_nothing_recorded(path)


def test_cases_run_on_the_server_named(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, asked = Server.judge, []

    def counted(self: Server, *given: Any) -> Any:
        asked.append(self.name)
        return judge(self, *given)

    monkeypatch.setattr(Server, "judge", counted)
    with sail.serve() as url:
        monkeypatch.setenv("ENGINE", url)
        ended = call("rules", "test", "IG-GOV-005", "--engine", "env:ENGINE", "--json")
    told = json.loads(ended.output)
    assert told
    assert all(case["passed"] for case in told)
    assert asked == [url] * len(told)


def test_cases_on_what_is_no_server_say_so() -> None:
    assert "cannot be reached" in refused(StoreError, "rules", "test", "IG-GOV-005", "--engine", "sc://127.0.0.1:9")


def test_a_server_that_goes_away_in_mid_run_leaves_nothing_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExitStack() as running:
        path = configured(folder, running.enter_context(sail.serve()))
        assert call("pull", "-c", path).exception is None
        judge, judged = Server.judge, []

        def until(self: Server, *given: Any) -> Any:
            judged.append(given)
            if len(judged) == 2:
                running.close()  # the server is killed between two rules
            return judge(self, *given)

        monkeypatch.setattr(Server, "judge", until)
        said = refused(StoreError, "evaluate", "-c", path)
    assert len(judged) == 2
    assert "failed in IG-" in said
    assert "Look at the server's log and run again; nothing was recorded." in said
    assert_nothing_recorded(path)


def test_a_night_on_the_server_configured_says_what_one_on_duckdb_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge, asked = Server.judge, []

    def counted(self: Server, *given: Any) -> Any:
        asked.append(self.name)
        return judge(self, *given)

    monkeypatch.setattr(Server, "judge", counted)
    rules = [rule for rule in run.load_rules(load(configured(folder, "duckdb"))) if rule.info.rule_id in SOME]
    monkeypatch.setattr(run, "load_rules", lambda _: rules)
    assert call("pull", "-c", folder / "reconciler.toml").exception is None
    (snapshot,) = SnapshotStore(load(folder / "reconciler.toml").snapshots).ids()
    digests = []
    with sail.serve() as url:
        for engine in ("duckdb", url):
            ended = call("run", "--replay", snapshot, "-c", configured(folder, engine), "--json")
            assert ended.exception is None, ended.exception
            digests.append(json.loads(ended.stdout)["digest"])
    assert digests[0] == digests[1]
    assert asked
    assert set(asked) == {url}, "and only the second time"
