"""Events over real HTTP: signed, told once or again under one id, and refused ones keep no other."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from standardwebhooks import Webhook

from reconciler.errors import ConfigurationError
from reconciler.notices import Sent, hook
from reconciler.notices import ledger as ledgers
from reconciler.sdk.http import Limits
from reconciler.settings import Settings
from tests.notices.posts import SECRET, configured, free_port, sent
from tests.notices.test_planning import due
from tests.simulators.http_server import LoopbackServer


class Receiver:
    """Takes events, verifies each as Standard Webhooks says, and answers as told."""

    def __init__(self, *answers: int | str) -> None:
        self.answers = list(answers)
        self.taken: list[tuple[str, dict[str, Any]]] = []

    def make(self) -> web.Application:
        async def take(request: web.Request) -> web.Response:
            body = await request.read()
            Webhook(SECRET).verify(body, dict(request.headers))
            assert request.content_type == "application/cloudevents+json"
            self.taken.append((request.headers["webhook-id"], json.loads(body)))
            answer = self.answers.pop(0) if self.answers else 200
            if answer == "hang up":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return web.Response(status=int(answer), text="<p>thanks</p>", content_type="text/html")

        application = web.Application()
        application.router.add_post("/in/events", take)
        return application


def hooked(folder: Path, url: str) -> Settings:
    more = f'[notices.webhook]\nurl = "{url}/in/events"\nsecret = "env:HOOK"\n'
    return configured(folder, more)


def test_an_event_is_signed_and_taken_once(tmp_path: Path) -> None:
    receiver = Receiver()
    with LoopbackServer(receiver.make, tls=False) as server:
        settings = hooked(tmp_path, server.url)
        assert sent(settings) == Sent(sent=1)
        assert sent(settings) == Sent()
    ((name, event),) = receiver.taken
    assert event["id"] == name
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "reconciler.notice.reminder", "NC-000001")
    assert event["source"] == "/reconciler/acme"
    (item,) = event["data"]["items"]
    assert item["rule_id"] == "IG-LVR-001"
    assert "owner" not in item
    assert "statement" not in item


def test_an_event_is_signed_with_both_secrets_while_one_replaces_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEW_HOOK", "whsec_" + "QUJD" * 8)
    receiver = Receiver()  # it knows the old one still
    with LoopbackServer(receiver.make, tls=False) as server:
        more = f'[notices.webhook]\nurl = "{server.url}/in/events"\nsecret = "env:NEW_HOOK"\nold_secret = "env:HOOK"\n'
        assert sent(configured(tmp_path, more)) == Sent(sent=1)
    assert len(receiver.taken) == 1


def test_an_event_whose_answer_was_lost_is_sent_again_with_its_id(tmp_path: Path) -> None:
    receiver = Receiver("hang up")
    with LoopbackServer(receiver.make, tls=False) as server:
        assert sent(hooked(tmp_path, server.url)) == Sent(sent=1)
    assert len({name for name, _ in receiver.taken}) == 1
    assert len(receiver.taken) == 2


def test_an_event_whose_process_was_killed_is_sent_again_with_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_event = hook.Poster.send

    async def killed(self: hook.Poster, event: Any) -> None:
        await send_event(self, event)
        raise SystemExit

    receiver = Receiver()
    with LoopbackServer(receiver.make, tls=False) as server:
        settings = hooked(tmp_path, server.url)
        with monkeypatch.context() as patch:
            patch.setattr(hook.Poster, "send", killed)
            with pytest.raises(SystemExit):
                sent(settings)
        assert sent(settings) == Sent()
        monkeypatch.setattr(ledgers, "DEAD", timedelta(days=-400))
        assert sent(settings) == Sent(sent=1)
    assert len(receiver.taken) == 2
    assert len({name for name, _ in receiver.taken}) == 1


@pytest.mark.parametrize("status", [400, 410])
def test_an_event_that_is_refused_waits_and_keeps_no_other(tmp_path: Path, status: int) -> None:
    receiver = Receiver(status)
    with LoopbackServer(receiver.make, tls=False) as server:
        settings = hooked(tmp_path, server.url)
        first = sent(settings, due(), due("NC-2"))
        assert (first.sent, first.waiting) == (1, 1)
        assert f"HTTP {status}" in first.errors[0]
        assert sent(settings, due(), due("NC-2")) == Sent(sent=1)


def test_a_receiver_that_is_not_there_keeps_everything_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "_LIMITS", Limits(attempts=1))
    first = sent(hooked(tmp_path, f"http://127.0.0.1:{free_port()}"), due(), due("NC-2"))
    assert (first.sent, first.waiting) == (0, 2)


@pytest.mark.parametrize(("secret", "url"), [("not base64!", "https://x.test/in"), (SECRET, "http://x.test/in")])
def test_a_secret_or_url_that_cannot_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, url: str
) -> None:
    monkeypatch.setenv("HOOK", secret)
    with pytest.raises(ConfigurationError, match=r"reconciler.toml:\d+: notices.webhook: "):
        sent(hooked(tmp_path, url))
