"""What reaches us over a real socket, and what is refused before anything is kept."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.clock import now
from reconciler.errors import ConfigurationError, StoreError
from reconciler.web.api import app, application, deliveries, listening
from reconciler.web.api.deliveries import Deliveries
from reconciler.web.api.work import Worker
from tests.web.api import serving
from tests.web.api.serving import GITHUB, OLD, STANDARD, Here, body, github, post, standard


def test_a_delivery_is_kept_byte_for_byte_and_its_record_is_read_again(here: Here) -> None:
    content = body() + b" \n"
    serving.contract(here.folder, "terminated", "2026-02-15")
    status, told = post(here.url, "/hooks/qms", content, standard(content))
    assert (status, told["state"], told["delivery"]) == (202, "accepted", "msg_1")
    kept = here.ended("msg_1")
    assert kept.body == content
    assert kept.digest == told["sha256"] == hashlib.sha256(content).hexdigest()
    assert kept.headers["webhook-signature"].startswith("v1,")
    assert "content-type" not in kept.headers
    assert kept.state == "done"
    assert kept.outcome is not None
    assert kept.outcome.said == (
        "qms contracts C1: status terminated, starts_on 2024-01-01, ends_on 2026-02-15, supplier_id S1"
    )
    assert kept.outcome.event == "contract.terminated"


def test_a_delivery_that_comes_again_is_known_and_another_body_under_its_id_is_a_conflict(here: Here) -> None:
    content = body()
    assert post(here.url, "/hooks/qms", content, standard(content))[0] == 202
    here.ended("msg_1")
    again = standard(content, age=timedelta(seconds=30))
    assert post(here.url, "/hooks/qms", content, again) == (
        200,
        {"delivery": "msg_1", "sha256": hashlib.sha256(content).hexdigest(), "state": "known already"},
    )
    other = body("contract.signed")
    status, told = post(here.url, "/hooks/qms", other, standard(other))
    assert (status, told["error"]) == (409, "delivery msg_1 came before with another body, which is kept")
    (kept,) = here.kept
    assert (kept.body, kept.conflicts, kept.attempts) == (content, 1, 1)


def test_one_id_sent_by_many_at_once_is_kept_and_worked_on_once(here: Here) -> None:
    content = body()
    with ThreadPoolExecutor(12) as senders:
        answers = list(senders.map(lambda _: post(here.url, "/hooks/qms", content, standard(content))[0], range(24)))
    assert sorted(answers) == [200] * 23 + [202]
    assert here.ended("msg_1").attempts == 1
    assert len(here.kept) == 1


def test_the_secret_that_is_being_replaced_still_fits_and_so_does_any_of_several_signatures(local: Here) -> None:
    content = body()
    assert post(local.url, "/hooks/qms", content, standard(content, delivery="old", secret=OLD))[0] == 202
    ours = standard(content, delivery="both")
    several = ours | {"webhook-signature": f"v1a,abc v1,AAAA {ours['webhook-signature']}"}
    assert post(local.url, "/hooks/qms", content, several)[0] == 202


def _signed(content: bytes, **changes: str | None) -> dict[str, str]:
    headers: dict[str, str | None] = {**standard(content), **{k.replace("_", "-"): v for k, v in changes.items()}}
    return {name: value for name, value in headers.items() if value is not None}


FORGED: dict[str, Callable[[bytes], dict[str, str]]] = {
    "another secret": lambda b: standard(b, secret="whsec_" + "A" * 32),
    "another body": lambda _: standard(b"{}"),
    "too old": lambda b: standard(b, age=timedelta(seconds=301)),
    "from the future": lambda b: standard(b, age=timedelta(seconds=-330)),
    "no timestamp": lambda b: _signed(b, webhook_timestamp=None),
    "no seconds": lambda b: standard(b, stamp="1e9"),
    "beyond time": lambda b: standard(b, stamp="99999999999999"),
    "another timestamp": lambda b: _signed(b, webhook_timestamp=str(int(now().timestamp()) - 1)),
    "no id": lambda b: _signed(b, webhook_id=None),
    "another id": lambda b: _signed(b, webhook_id="msg_2"),
    "no signature": lambda b: _signed(b, webhook_signature=None),
    "an empty signature": lambda b: _signed(b, webhook_signature="v1,"),
    "a signature without a version": lambda b: _signed(b, webhook_signature="v1"),
    "another version": lambda b: _signed(b, webhook_signature=standard(b)["webhook-signature"].replace("v1", "v2")),
    "a signature that is not ASCII": lambda b: _signed(b, webhook_signature="v1,\xe9"),
    "thousands of signatures": lambda b: _signed(b, webhook_signature=" ".join(["v1,AAAA"] * 50)),
}


@pytest.mark.parametrize("how", FORGED)
def test_what_is_not_genuine_is_refused_alike_and_not_kept(strict: Here, how: str) -> None:
    content = body()
    answer = httpx.post(
        strict.url + "/hooks/qms",
        content=content,
        headers=[(k.encode(), v.encode("latin-1")) for k, v in FORGED[how](content).items()],
        trust_env=False,
    )
    assert answer.status_code == 401
    assert answer.json() == {"error": "the delivery is not known to be genuine"}
    assert strict.kept == []


def test_a_body_that_is_not_text_is_not_genuine(strict: Here) -> None:
    content = b'{"type": "\xff"}'
    assert post(strict.url, "/hooks/qms", content, standard(content))[0] == 401


def test_a_header_that_comes_twice_is_refused(strict: Here) -> None:
    content = body()
    headers = [*standard(content).items(), ("webhook-id", "msg_2")]
    assert httpx.post(strict.url + "/hooks/qms", content=content, headers=headers, trust_env=False).status_code == 401


def test_a_genuine_body_that_is_no_object_is_refused(strict: Here) -> None:
    for content in (b"", b"[1]", b"{", b'"text"', b"[" * 900):
        status, told = post(strict.url, "/hooks/qms", content, standard(content))
        assert (status, told) == (400, {"error": "the body is no JSON object"})
    long = "x" * 201
    assert post(strict.url, "/hooks/qms", body(), standard(body(), delivery=long))[0] == 400
    assert strict.kept == []


def test_a_body_that_is_too_large_is_refused_before_it_is_read(strict: Here) -> None:
    content = body(padding="x" * 3000)
    status, told = post(strict.url, "/hooks/qms", content, standard(content))
    assert (status, told["error"]) == (413, "a delivery may hold 2000 bytes at most")

    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b"x" * 1000

    headers = {"content-type": "application/json"}
    try:
        answer = httpx.post(strict.url + "/hooks/qms", content=parts(), headers=headers, trust_env=False)
    except httpx.TransportError:
        answer = None  # the server may hang up on a sender that sends on
    assert answer is None or answer.status_code == 413
    assert strict.kept == []


def test_a_body_without_an_announced_end_is_cut_off_where_it_grows_too_large(strict: Here) -> None:
    host, _, port = strict.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(
            b"POST /hooks/qms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n7d1\r\n" + b"x" * 0x7D1 + b"\r\n"
        )
        assert connection.recv(4096).startswith(b"HTTP/1.1 413")  # though the last chunk never came
    assert strict.kept == []


def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing(strict: Here, caplog: pytest.LogCaptureFixture) -> None:
    host, _, port = strict.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /hooks/qms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: 100\r\n\r\n{")
    assert httpx.get(strict.url + "/healthz", trust_env=False).status_code == 200
    assert strict.kept == []
    assert "defect" not in caplog.text


def test_a_sender_that_drips_is_cut_off(strict: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "_SECONDS", 0.05)
    host, _, port = strict.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"POST /hooks/qms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n")
        connection.sendall(b"Content-Length: 100\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /hooks/qms HTTP/1.1\r\nHost: x\r\n", b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /he"],
    ids=["nothing", "half of the headers", "half of a second request"],
)
def test_whoever_does_not_come_to_the_point_is_hung_up_on(
    local: Here, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(listening, "_SECONDS", 0.05)
    host, _, port = local.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(said)
        heard = b"".join(iter(lambda: connection.recv(4096), b""))
    assert heard.count(b"HTTP/1.1 200 OK") == said.count(b"GET /healthz")


def test_a_body_that_comes_after_its_refusal_does_not_keep_the_connection(
    local: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "_SECONDS", 0.05)
    host, _, port = local.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"POST /hooks/other HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 404")
        with contextlib.suppress(ConnectionError):
            while connection.recv(4096):
                pass


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_other_kinds_of_content_are_refused(strict: Here, kind: str) -> None:
    assert post(strict.url, "/hooks/qms", body(), standard(body()) | {"content-type": kind})[0] == 415


def test_compressed_bodies_are_refused(strict: Here) -> None:
    assert post(strict.url, "/hooks/qms", body(), standard(body()) | {"content-encoding": "gzip"})[0] == 415


def test_there_is_nothing_else_to_find(strict: Here) -> None:
    content = body()
    assert post(strict.url, "/hooks/other", content, standard(content))[0] == 404
    for path in ("/", "/docs", "/openapi.json", "/redoc", "/hooks", "/hooks/", "/hooks/qms/"):
        assert httpx.get(strict.url + path, trust_env=False).status_code in {404, 405}
    assert httpx.get(strict.url + "/hooks/qms", trust_env=False).status_code == 405
    healthy = httpx.get(strict.url + "/healthz", trust_env=False)
    assert (healthy.status_code, healthy.json()) == (200, {"status": "ok"})
    for name, value in (("x-content-type-options", "nosniff"), ("cache-control", "no-store")):
        assert healthy.headers[name] == value
    assert "default-src 'none'" in healthy.headers["content-security-policy"]


def test_the_log_says_why_and_never_a_secret(local: Here, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        post(local.url, "/hooks/qms", body(), standard(body(), secret="whsec_" + "A" * 32))
        post(local.url, "/hooks/qms", body(), standard(body()))
        local.ended("msg_1")
    assert "qms: refused a delivery: no signature fits" in caplog.text
    assert STANDARD not in caplog.text
    assert STANDARD.removeprefix("whsec_") not in caplog.text


class TestGithub:
    def test_a_delivery_is_kept_once_by_its_id(self, local: Here) -> None:
        content = json.dumps({"action": "edited", "record": "C1"}).encode()
        assert post(local.url, "/hooks/code", content, github(content))[0] == 202
        assert post(local.url, "/hooks/code", content, github(content))[0] == 200
        kept = local.ended("d-1")
        assert kept.outcome is not None
        assert kept.outcome.said.startswith("qms contracts C1: status active")

    def test_the_id_is_not_signed_so_the_body_tells_a_replay(self, local: Here) -> None:
        content = json.dumps({"action": "edited", "record": "C1"}).encode()
        post(local.url, "/hooks/code", content, github(content))
        status, told = post(local.url, "/hooks/code", content, github(content, delivery="made-up"))
        assert (status, told["delivery"]) == (200, "d-1")
        assert [one.delivery_id for one in local.kept] == ["d-1"]

    def test_the_same_body_soon_after_is_looked_at_again_for_its_record_may_have_changed_again(
        self, local: Here, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(deliveries, "LATER", (timedelta(0),) * 4)
        content = json.dumps({"action": "edited", "record": "C1"}).encode()
        post(local.url, "/hooks/code", content, github(content))
        assert local.ended("d-1").state == "done"
        serving.contract(local.folder, "terminated", "2026-02-15")
        assert post(local.url, "/hooks/code", content, github(content, delivery="d-2"))[0] == 200
        other = json.dumps({"action": "edited", "record": "C2"}).encode()
        post(local.url, "/hooks/code", other, github(other, delivery="d-3"))  # wakes the worker
        until = time.monotonic() + 120
        while (found := local.ended("d-1")).state == "waiting" and time.monotonic() < until:
            time.sleep(0.02)
        assert found.outcome is not None
        assert found.outcome.said.startswith("qms contracts C1: status terminated")
        assert [one.said for one in found.outcome.history][1] == "its body came again as d-2: looked at again"

    def test_jira_signs_alike_under_other_names(self, local: Here) -> None:
        content = json.dumps({"action": "edited", "record": "C1"}).encode()
        headers = {
            "X-Atlassian-Webhook-Identifier": "j-1",
            "X-Hub-Signature": github(content)["X-Hub-Signature-256"],
            "Content-Type": "application/json",
        }
        assert post(local.url, "/hooks/code", content, headers)[0] == 202
        assert local.ended("j-1").headers["x-hub-signature"].startswith("sha256=")
        sha1 = hmac.new(GITHUB.encode(), content, hashlib.sha1).hexdigest()
        assert post(local.url, "/hooks/code", content, headers | {"X-Hub-Signature": f"sha1={sha1}"})[0] == 401

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("X-Hub-Signature-256", "sha256=" + "0" * 64),
            ("X-Hub-Signature-256", ""),
            ("X-Hub-Signature-256", "sha1=abc"),
        ],
    )
    def test_a_wrong_signature_is_refused(self, strict: Here, name: str, value: str) -> None:
        content = b'{"action": "edited", "record": "C1"}'
        assert post(strict.url, "/hooks/code", content, github(content) | {name: value})[0] == 401
        assert strict.kept == []

    def test_a_genuine_delivery_without_an_id_is_told_so(self, strict: Here) -> None:
        content = b'{"action": "edited", "record": "C1"}'
        status, told = post(strict.url, "/hooks/code", content, github(content) | {"X-GitHub-Delivery": ""})
        assert (status, told["error"]) == (400, "the header x-github-delivery is missing or comes twice")


def test_a_secret_that_is_gone_is_not_taken_for_a_forgery(
    strict: Here, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("HOOK")
    assert post(strict.url, "/hooks/qms", body(), standard(body()))[0] == 503
    assert "the secret env:HOOK is missing" in caplog.text


def test_without_a_database_nothing_is_accepted(
    strict: Here, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> Any:
        raise StoreError("the database is locked", advice="wait")

    monkeypatch.setattr(Deliveries, "keep", fails)
    answer = httpx.post(strict.url + "/hooks/qms", content=body(), headers=standard(body()), trust_env=False)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "60"
    assert "locked" not in answer.text
    assert "the database is locked" in caplog.text
    monkeypatch.setattr(Deliveries, "answer", fails)
    assert httpx.get(strict.url + "/healthz", trust_env=False).status_code == 503


def test_a_server_that_looks_at_nothing_is_not_healthy(strict: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "alive", property(lambda _: False))
    answer = httpx.get(strict.url + "/healthz", trust_env=False)
    assert (answer.status_code, answer.json()) == (503, {"status": "nobody looks at deliveries"})


def test_a_defect_says_nothing_of_itself(
    strict: Here, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object, **__: object) -> Any:
        raise ZeroDivisionError(f"of {STANDARD}")

    monkeypatch.setattr(Deliveries, "keep", fails)
    answer = httpx.post(strict.url + "/hooks/qms", content=body(), headers=standard(body()), trust_env=False)
    assert (answer.status_code, answer.json()) == (500, {"error": "something went wrong here; send it again later"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "Traceback" not in caplog.text
    assert STANDARD not in caplog.text


BAD = {
    "no_source": ('source = "qms"', 'source = "other"', "inbound.qms.source: there is no source other"),
    "no_system": ('source = "qms"', 'system = "jira"', r"there is no system jira in \[filing.systems\]"),
    "nothing_to_read": ('source = "qms"', "", "inbound.qms.source: is missing, and so is system"),
    "idle_source": ('source = "qms"', 'source = "qms"\nchecks = {x = "person"}', "has no effect: no check says reread"),
    "no_path": ('source = "qms"', 'source = "qms"\nevent = "a["', "inbound.qms.event: is no JMESPath"),
    "no_secret": ('secrets = ["env:HOOK_OLD", "env:HOOK"]', "", "inbound.qms.secrets: is missing"),
    "unset": ("env:HOOK_OLD", "env:NOT_SET", "the secret env:NOT_SET is missing or empty"),
    "short": ("env:HOOK_OLD", "env:HOOK_SHORT", "the secret env:HOOK_SHORT signs no webhook. It is whsec_"),
    "vaults": ('kind = "standard"', 'kind = "standard"\nvault_ids = ["1"]', "vault_ids: is for kind = veeva only"),
    "veeva": ('kind = "standard"', 'kind = "veeva"', "inbound.qms.certificate_url: is missing"),
    "tolerance": ('kind = "standard"', 'kind = "veeva"\ntolerance_seconds = 60', "tolerance_seconds: has no effect"),
    "plain": (
        'kind = "standard"',
        'kind = "veeva"\nvault_ids = ["1"]\ncertificate_url = "http://vault.test/"',
        "would carry the credentials unencrypted",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_an_endpoint_that_could_not_work_is_refused_with_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setenv("HOOK_SHORT", "whsec_c2hvcnQ=")
    old, new, said = BAD[fault]
    monkeypatch.setattr(serving, "CONFIG", serving.CONFIG.replace(old, new, 1))
    settings = serving.configured(tmp_path, f"sqlite:///{tmp_path / 'reconciler.db'}")
    with pytest.raises(ConfigurationError, match=rf"reconciler.toml:\d+: (.|\n)*{said}"):
        app(settings)


def test_without_endpoints_there_is_nothing_to_listen_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CONFIG", serving.CONFIG.partition("[inbound.qms]")[0])
    with pytest.raises(ConfigurationError, match="has no section"):
        app(serving.configured(tmp_path, f"sqlite:///{tmp_path / 'reconciler.db'}"))
