"""``reconciler inbound`` lists what reached us and looks again; ``reconciler serve`` says why it cannot start."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reconciler import clock
from reconciler.cli.commands import config, inbound, serve
from reconciler.errors import ConfigurationError
from reconciler.settings import Settings, load
from reconciler.web.api.deliveries import Deliveries
from reconciler.web.api.endpoints import digest

CONFIG = """\
[estate]
name = "acme"
[sources.qms]
connector = "files"
path = "qms"
[inbound.qms]
kind = "github"
secrets = ["env:HOOK"]
source = "qms"
event = "action"
subject = "record"
"""
BODY = b'{"action": "ended",  "record": "C1"}\n'
BY = ("--by", "P9", "--reason", "the register was down")
Ask = Callable[..., Result]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("HOOK", "planted-hook-secret")
    (tmp_path / "qms").mkdir()
    (tmp_path / "qms" / "contracts.csv").write_text("contract_id,status\nC1,ended\n")
    path = tmp_path / "reconciler.toml"
    path.write_text(CONFIG)
    return load(path)


@pytest.fixture
def ask(settings: Settings) -> Ask:
    def run_command(name: str, *arguments: str) -> Result:
        asked = [name, "--config", str(settings.path), *arguments]
        return CliRunner().invoke(inbound.command, asked, catch_exceptions=False, standalone_mode=False)

    return run_command


@pytest.fixture
def kept(settings: Settings) -> Deliveries:
    deliveries = Deliveries(settings.database_url)
    for delivery_id in ("d-1", "d-2"):
        deliveries.keep(
            endpoint="qms",
            delivery_id=delivery_id,
            digest=digest(BODY),
            body=BODY,
            headers={"x-github-delivery": delivery_id},
            at=clock.now(),
        )
    return deliveries


def test_nothing_reached_us_yet(ask: Ask) -> None:
    assert ask("list").output == "No deliveries match.\n"
    with pytest.raises(ConfigurationError, match="nothing came to nope, and"):
        ask("list", "--endpoint", "nope")


@pytest.mark.usefixtures("kept")
def test_deliveries_are_listed_and_looked_at_again(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    done = ask("retry", "qms", "d-1", *BY)
    assert done.return_value == 0
    assert "put back: the register was down" in done.output
    assert "qms contracts C1: status ended" in done.output
    listed = {one["delivery_id"]: one for one in json.loads(ask("list", "--json").output)}
    assert (listed["d-1"]["state"], listed["d-2"]["state"]) == ("done", "waiting")
    assert [one["by"] for one in listed["d-1"]["outcome"]["history"]] == ["P9", "reconciler"]
    assert listed["d-2"]["sha256"] == digest(BODY)
    assert [one["delivery_id"] for one in json.loads(ask("list", "--state", "done", "--json").output)] == ["d-1"]
    assert json.loads(ask("list", "--endpoint", "other", "--json").output) == []
    assert "qms contracts C1: status ended" in ask("list").output
    monkeypatch.setattr(inbound, "_MOST", 20)
    assert "qms contracts C1:..." in ask("list").output


def test_one_is_shown_with_what_was_said_and_its_body_byte_for_byte(ask: Ask, kept: Deliveries) -> None:
    kept.keep(endpoint="qms", delivery_id="d-1", digest="other", body=b"{}", headers={}, at=clock.now())
    assert ask("show", "qms", "d-1", "--body").stdout_bytes == BODY
    assert json.loads(ask("show", "qms", "d-1", "--json").output)["conflicts"] == 1
    shown = ask("show", "qms", "d-1").output
    assert "waiting (1 other body came under this id)" in shown
    assert digest(BODY) in shown
    with pytest.raises(ConfigurationError, match="qms received no delivery d-9"):
        ask("show", "qms", "d-9")


@pytest.mark.usefixtures("kept")
def test_what_cannot_be_told_ends_with_3_and_nobody_asks_anonymously(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "qms" / "contracts.csv").write_text("contract_id,starts_on\nC1,soon\n")
    failed = ask("retry", "qms", "d-1", *BY, "--json")
    assert (failed.return_value, json.loads(failed.output)["state"]) == (3, "failed")
    with pytest.raises(ConfigurationError, match="who and why"):
        ask("retry", "qms", "d-1", "--by", " ", "--reason", "x")


def test_a_server_that_cannot_listen_says_so(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(ConfigurationError, match=f"cannot listen on 127.0.0.1 port {port}") as refused:
            CliRunner().invoke(serve.command, ["--config", str(settings.path), "--port", port], catch_exceptions=False)
    assert refused.value.advice == "Give another --host or --port."
    arguments = ["--config", str(settings.path), "--port", "0", "--host", "no..host"]
    with pytest.raises(ConfigurationError, match=r"cannot listen on no\.\.host port 0"):
        CliRunner().invoke(serve.command, arguments, catch_exceptions=False)


def test_a_server_for_other_machines_is_warned_of(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn

    monkeypatch.setattr(uvicorn.Server, "run", lambda *_, **__: None)
    arguments = ["--config", str(settings.path), "--port", "0", "--host"]
    told = CliRunner().invoke(serve.command, [*arguments, "0.0.0.0"], catch_exceptions=False)  # noqa: S104 - what is warned of
    assert "put a server that speaks TLS in front" in told.stderr
    assert "POST /hooks/qms" in told.stdout
    quiet = CliRunner().invoke(serve.command, [*arguments, "::1"], catch_exceptions=False)
    assert quiet.stderr == ""
    assert "http://[::1]:" in quiet.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[inbound.x]\nkind = "github"\nsecrets = ["env:HOOK"]\n', r":\d+: inbound\.x\.source: is missing"),
        ("[notices]\nenabled = true\n", r":\d+: notices: there is neither"),
        ('[notices]\naddresses = { ciso = "nobody" }\n', r":\d+: notices\.addresses\.ciso: is no plain mail address"),
    ],
)
def test_the_check_of_the_configuration_finds_what_could_not_work(settings: Settings, more: str, said: str) -> None:
    settings.path.write_text(CONFIG + more)
    with pytest.raises(ConfigurationError, match=said):
        CliRunner().invoke(
            config.command, ["check", "--config", str(settings.path)], catch_exceptions=False, standalone_mode=False
        )
