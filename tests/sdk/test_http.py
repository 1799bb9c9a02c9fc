from __future__ import annotations

import asyncio
import datetime as dt
import gzip
import json
import logging
import ssl
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from reconciler import clock
from reconciler.sdk.answers import retry_after
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Throttled, Unreachable
from reconciler.sdk.http import HttpClient, Limits, basic, bearer, next_link, reset_at
from reconciler.sdk.secrets import SecretRef
from tests.simulators import http_faults as faults

TOKEN = "planted-T0ken/with+signs="
HOUR = 3600.0


@pytest.fixture
async def server() -> AsyncIterator[faults.FaultServer]:
    async with faults.FaultServer() as running:
        yield running


class Sleeper:
    """Instead of sleeping, remember for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)


def client(
    server: faults.FaultServer, *, sleep: Sleeper | None = None, limits: Limits | None = None, **more: Any
) -> HttpClient:
    return HttpClient(server.url + "/api/", sleep=sleep or Sleeper(), limits=limits or Limits(), **more)


async def get(server: faults.FaultServer, path: str = "users", **more: Any) -> Any:
    expect = more.pop("expect", dict)
    async with client(server, **more) as asking:
        return (await asking.get_json(path, expect=expect))[0]


async def test_json_and_headers_come_back_and_the_token_goes_along(
    server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_TOKEN", TOKEN)
    server.script("/api/users", faults.in_json([{"id": "1"}], headers={"Link": '<x>; rel="next"'}))
    async with client(server, authorize=bearer(SecretRef("env:HTTP_TOKEN"), scheme="SSWS")) as asking:
        found, headers = await asking.get_json("users?a=1", {"limit": 200}, expect=list)
        assert asking.origin == server.url
    assert found == [{"id": "1"}]
    assert headers["link"] == '<x>; rel="next"'
    assert server.requests[0].target == "/api/users?a=1&limit=200"
    assert server.requests[0].headers["authorization"] == f"SSWS {TOKEN}"


async def test_basic_credentials_are_sent_encoded(server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PASSWORD", "open sesame")
    server.script("/api/users", faults.in_json({}))
    await get(server, authorize=basic("reader", SecretRef("env:HTTP_PASSWORD")))
    assert server.requests[0].headers["authorization"] == "Basic cmVhZGVyOm9wZW4gc2VzYW1l"


@pytest.mark.parametrize(
    "fault",
    [
        faults.reset(),
        faults.closed(),
        faults.truncated(),
        faults.truncated_chunks(),
        faults.answer(502),
        faults.answer(503),
        faults.text(b"<html>", "text/html", 504),
        faults.answer(429),
    ],
    ids=["reset", "closed", "truncated", "truncated chunks", "502", "503", "504", "429"],
)
async def test_what_may_pass_is_asked_again_and_then_raised(
    server: faults.FaultServer, fault: faults.Behaviour
) -> None:
    server.script("/api/users", fault, faults.in_json({"whole": True}))
    assert await get(server) == {"whole": True}
    server.script("/api/users", fault)
    with pytest.raises((Unreachable, Throttled)) as caught:
        await get(server, limits=Limits(attempts=3))
    assert caught.value.advice
    assert len(server.requests) == 2 + 3


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (faults.text(b""), Misbehaved, "empty body"),
        (faults.text(b"  \n"), Misbehaved, "empty body"),
        (faults.text(b"<html>log in</html>", "text/html; charset=utf-8"), Misbehaved, "text/html instead of JSON"),
        (faults.answer(200, b"{}"), Misbehaved, "no content type"),
        (faults.text(b'{"value": ['), Misbehaved, "malformed JSON"),
        (faults.text(b'{"a": "\xff"}'), Misbehaved, "malformed JSON"),
        (faults.text(b"[" * 100_000), Misbehaved, "malformed JSON"),
        (faults.text(b"[]"), Misbehaved, "list where dict is due"),
        (faults.text(b"null"), Misbehaved, "NoneType where dict is due"),
        (faults.answer(204), Misbehaved, "HTTP 204"),
        (faults.broken_compression(), Misbehaved, "compression"),
        (faults.in_json({"errorSummary": "Invalid token provided"}, 401), Refused, "Invalid token provided"),
        (
            faults.in_json({"error": {"code": "x", "message": "needs User.Read.All"}}, 403),
            Refused,
            "needs User.Read.All",
        ),
        (faults.text(b"<h1>no</h1>", "text/html", 404), Refused, "404 (an HTML page)"),
        (faults.text(b"plain words", "text/plain", 400), Refused, "plain words"),
        (faults.answer(500), Unreachable, "HTTP 500"),
    ],
)
async def test_what_will_not_pass_is_raised_at_once(
    server: faults.FaultServer, fault: faults.Behaviour, error: type[SourceError], says: str
) -> None:
    server.script("/api/users", fault)
    with pytest.raises(error) as caught:
        await get(server)
    assert says in caught.value.message
    assert caught.value.advice
    assert len(server.requests) == 1


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/scim+json", "text/json"])
async def test_every_kind_of_json_is_json(server: faults.FaultServer, kind: str) -> None:
    server.script("/api/users", faults.text(b"{}", kind))
    assert await get(server) == {}


async def test_what_a_provider_means_by_an_error_goes_before_what_http_says(server: faults.FaultServer) -> None:
    def meant(status: int, body: bytes, shown: str) -> SourceError | None:
        return Throttled(f"{shown}: {status}") if b"LIMIT" in body else None

    server.script("/api/users", faults.in_json([{"errorCode": "LIMIT"}], 403), faults.in_json({"value": 1}))
    assert await get(server, errors=meant) == {"value": 1}
    server.script("/api/users", faults.in_json([{"errorCode": "NO", "message": "not yours"}], 403))
    with pytest.raises(Refused, match="not yours"):
        await get(server, errors=meant)


@pytest.mark.parametrize("restart", [False, True])
async def test_a_chain_that_has_to_start_over_is_not_asked_again(server: faults.FaultServer, restart: bool) -> None:
    server.script("/api/users", faults.in_json([], 400))
    with pytest.raises(Unreachable, match="locator"):
        await get(server, errors=lambda *_: Unreachable("the locator is gone", restart=restart))
    assert (len(server.requests) == 1) is restart


async def test_no_redirect_is_followed(server: faults.FaultServer) -> None:
    async with faults.FaultServer() as other:
        other.script("/stolen", faults.in_json({}))
        server.script("/api/users", faults.answer(302, headers={"Location": f"{other.url}/stolen?token=abc"}))
        with pytest.raises(Misbehaved, match="redirect") as caught:
            await get(server)
        assert other.requests == []
        assert f"{other.url}/stolen" in caught.value.message
    assert "abc" not in caught.value.message


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.test/api/users",
        "//evil.test/users",
        "\\\\evil.test\\users",
        "http://127.0.0.1:1/api/users",
        "https:{rest}",
        "http://{host}@evil.test/",
        "http://user:pass@{host}/api/users",
        "http://{host}.evil.test/",
        " http://evil.test/",
        "http://[::1/",
        "ftp://{host}/",
    ],
)
async def test_a_link_to_another_origin_gets_no_request(server: faults.FaultServer, link: str) -> None:
    host = server.url.removeprefix("http://")
    with pytest.raises(Misbehaved, match="link"):
        await get(server, link.format(host=host, rest=f"//{host}/api/users"))
    assert server.requests == []


async def test_a_next_link_of_the_same_origin_is_followed(server: faults.FaultServer) -> None:
    server.script("/elsewhere", faults.in_json({"page": 2}))
    assert await get(server, f"{server.url}/elsewhere?after=x%20y") == {"page": 2}
    assert await get(server, "/elsewhere") == {"page": 2}
    assert server.requests[0].target == "/elsewhere?after=x%20y"


async def test_waiting_obeys_the_provider(server: faults.FaultServer) -> None:
    sleeper = Sleeper()
    date = "Sat, 21 Nov 2026 12:00:00 GMT"
    server.script(
        "/api/users",
        faults.answer(429, headers={"Retry-After": "7"}),
        faults.answer(503, headers={"Retry-After": "Sat, 21 Nov 2026 12:00:09 GMT", "Date": date}),
        faults.answer(429, headers={"X-Reset": "1795262411", "Date": date}),
        faults.in_json({}),
    )
    assert await get(server, sleep=sleeper, reset=reset_at("X-Reset"), limits=Limits(attempts=5)) == {}
    assert sleeper.slept == [7.0, 9.0, 11.0]


async def test_a_wait_beyond_the_budget_is_left_to_the_page_loop(server: faults.FaultServer) -> None:
    sleeper = Sleeper()
    server.script("/api/users", faults.in_json({"message": "slow down"}, 429, {"Retry-After": "3600"}))
    with pytest.raises(Throttled, match="slow down") as caught:
        await get(server, sleep=sleeper)
    assert caught.value.retry_after == HOUR
    assert sleeper.slept == []


async def test_slept_seconds_use_up_the_budget(server: faults.FaultServer) -> None:
    sleeper = Sleeper()
    server.script("/api/users", faults.answer(429, headers={"Retry-After": "25"}))
    with pytest.raises(Throttled):
        await get(server, sleep=sleeper, limits=Limits(attempts=100, retry_seconds=60))
    assert sleeper.slept == [25.0, 25.0]


@pytest.mark.parametrize("said", ["soon", "", "-5", "1e3"])
async def test_a_figure_that_is_none_is_no_figure(server: faults.FaultServer, said: str) -> None:
    sleeper = Sleeper()
    server.script("/api/users", faults.answer(429, headers={"Retry-After": said}), faults.in_json({}))
    assert await get(server, sleep=sleeper) == {}
    assert 0.5 <= sleeper.slept[0] <= 1.0


async def test_a_figure_without_measure_is_not_waited_for(server: faults.FaultServer) -> None:
    server.script("/api/users", faults.answer(429, headers={"Retry-After": "9" * 400}))
    with pytest.raises(Throttled):
        await get(server)


def test_dates_without_a_zone_or_a_server_clock_are_measured_by_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC))
    assert retry_after(httpx.Headers({"Retry-After": "Sat, 21 Nov 2026 12:00:30 -0000"})) == 30.0
    assert retry_after(httpx.Headers({"Retry-After": "Sat, 21 Nov 2026 11:00:00 GMT"})) == 0.0
    assert reset_at("x")(httpx.Headers({"x": "soon"})) is None
    assert reset_at("x")(httpx.Headers({})) is None


async def test_a_server_that_hangs_or_drips_is_given_up(server: faults.FaultServer) -> None:
    server.script("/api/users", faults.after(30, faults.closed()))
    with pytest.raises(Unreachable, match="no answer in time"):
        await get(server, limits=Limits(read_seconds=0.05, attempts=2))
    server.script("/api/users", faults.dripping())
    with pytest.raises(Unreachable, match="took too long"):
        await get(server, limits=Limits(request_seconds=0.3, attempts=1))


async def test_a_port_where_nobody_listens_is_unreachable() -> None:
    async with faults.FaultServer() as gone:
        url = gone.url
    async with HttpClient(url, sleep=Sleeper(), limits=Limits(attempts=2)) as asking:
        with pytest.raises(Unreachable, match="no connection"):
            await asking.get_json("x")


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server.script("/api/users", faults.in_json({"direct": True}))
    assert await get(server, limits=Limits(attempts=1)) == {"direct": True}


async def test_an_answer_larger_than_the_limit_is_refused_also_when_compressed(server: faults.FaultServer) -> None:
    body = json.dumps(["x" * 1000] * 1000).encode()
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    server.script("/api/users", faults.text(body), faults.answer(200, gzip.compress(body), packed))
    for _ in range(2):
        with pytest.raises(Misbehaved, match="larger than 5000 bytes"):
            await get(server, limits=Limits(max_bytes=5000))
    server.script("/api/users", faults.answer(200, gzip.compress(body), packed))
    assert len(await get(server, expect=list)) == 1000


async def test_no_more_requests_at_once_than_allowed(server: faults.FaultServer) -> None:
    server.script("/api/users", faults.after(0.05, faults.in_json({})))
    async with client(server, limits=Limits(concurrency=2)) as asking:
        await asyncio.gather(*(asking.get_json("users") for _ in range(7)))
    assert server.most_at_once == 2
    assert len(server.requests) == 7


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        (faults.in_json({"error_description": f"Bearer {TOKEN} is bad, client_secret=hunter2hunter2"}, 401), "users"),
        (faults.text(f"token {TOKEN}".encode(), "text/plain", 403), "users?access_token=hunter2hunter2"),
        (faults.text(b"x" * 290 + TOKEN.encode(), "text/plain", 403), "users"),
        (faults.text(f'{{"planted": {TOKEN}'.encode()), "users?code=hunter2hunter2"),
        (faults.text(b"{}", f"text/{TOKEN}"), "users?sig=hunter2hunter2"),
        (faults.answer(302, headers={"Location": f"/next?token={TOKEN}"}), "users?token=hunter2hunter2"),
        (faults.reset(), "users?token=hunter2hunter2"),
        (faults.truncated(), "users?token=hunter2hunter2"),
        (faults.raw(f"HTTP/1.1 {TOKEN}\r\n\r\n".encode()), "users?token=hunter2hunter2"),
        (faults.answer(503), "users?token=hunter2hunter2"),
        (faults.in_json({}), "http://evil.test/?token=hunter2hunter2"),
    ],
)
async def test_no_secret_reaches_messages_tracebacks_or_logs(
    server: faults.FaultServer,
    fault: faults.Behaviour,
    path: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("HTTP_TOKEN", TOKEN)
    server.script("/api/users", fault)
    with caplog.at_level(logging.DEBUG), pytest.raises(SourceError) as caught:
        await get(server, path, authorize=bearer(SecretRef("env:HTTP_TOKEN")))
    said = "".join(traceback.format_exception(caught.value)) + caught.value.advice + caplog.text
    assert TOKEN[:8] not in said
    assert "hunter2" not in said


async def test_a_secret_that_no_header_can_carry_is_a_configuration_error(
    server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for secret in ("two\nlines-of-secret", "sécret-of-mine"):
        monkeypatch.setenv("HTTP_TOKEN", secret)
        with pytest.raises(ConfigurationError) as caught:
            await get(server, authorize=bearer(SecretRef("env:HTTP_TOKEN")))
        assert "secret-of" not in "".join(traceback.format_exception(caught.value))
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.test",
        "ftp://example.test",
        "https://u:p4ssw0rd@example.test",
        "https://e.test/?key=p4ssw0rd",
        "https://[",
    ],
)
def test_a_base_url_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        HttpClient(url)
    assert "p4ssw0rd" not in caught.value.message


def test_credentials_do_not_cross_the_network_unencrypted() -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        HttpClient("http://directory.test/", authorize=bearer(SecretRef("env:X")))
    for near in ("http://localhost:1/", "http://[::1]:1/"):
        assert HttpClient(near, authorize=bearer(SecretRef("env:X"))).origin == near.rstrip("/")


async def test_a_certificate_is_checked_against_the_given_authority(tmp_path: Path) -> None:
    ca_file = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca_file, tmp_path / "key.pem")
    async with faults.FaultServer(tls=context) as server:
        server.script("/users", faults.in_json({"safe": True}))
        async with HttpClient(server.url, ca_file=ca_file) as asking:
            assert (await asking.get_json("users"))[0] == {"safe": True}
        async with HttpClient(server.url) as asking:
            with pytest.raises(Refused, match="not trusted") as caught:
                await asking.get_json("users")
        assert "ca_file" in caught.value.advice
        async with HttpClient(server.url.replace("localhost", "127.0.0.1"), ca_file=ca_file) as asking:
            with pytest.raises(Refused, match="not trusted"):
                await asking.get_json("users")
    for wrong in (tmp_path / "missing.pem", tmp_path / "key.pem"):
        with pytest.raises(ConfigurationError, match="cannot read the certificates"):
            HttpClient("https://e.test", ca_file=wrong)


def test_the_next_link_is_found_whatever_its_place() -> None:
    both = [("Link", '<https://e/self>; rel="self"'), ("Link", '<https://e/n?a=1,2>; title="x"; rel="next"')]
    assert next_link(httpx.Headers(both)) == "https://e/n?a=1,2"
    assert next_link(httpx.Headers(both[::-1])) == "https://e/n?a=1,2"
    assert next_link(httpx.Headers({"link": "<https://e/n>; rel=next, <https://e/l>; rel=last"})) == "https://e/n"
    assert next_link(httpx.Headers({"link": '<https://e/p>; rel="prev"'})) is None
    assert next_link(httpx.Headers({})) is None


@pytest.mark.parametrize(
    "header",
    [
        '</n>; title="a, b"; rel="next"',
        "</n>; rel='next'",
        "</n>;REL=NEXT",
        '</n> ; rel = "last next"; title="x; y"',
        '</p>; rel=prev,, </n>;; title="</no>; rel=next"; rel="next";',
        "</n>; rel=next; title*=UTF-8''a%20b",
    ],
)
def test_the_next_link_is_found_however_it_is_written(header: str) -> None:
    assert next_link(httpx.Headers({"link": header})) == "/n"
    assert next_link(httpx.Headers({"link": header.replace("next", "nextish").replace("NEXT", "up")})) is None


@pytest.mark.parametrize("header", ['/n?token=planted; rel="next"', "</n>; rel=next oops", "</n; rel=next"])
def test_a_link_header_that_cannot_be_read_is_not_the_end(header: str) -> None:
    with pytest.raises(Misbehaved, match="the header Link cannot be read") as caught:
        next_link(httpx.Headers({"link": header}))
    assert "planted" not in caught.value.message


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    begin = clock.now() - dt.timedelta(days=1)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "ca.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    return folder / "ca.pem"
