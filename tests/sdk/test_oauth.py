from __future__ import annotations

import asyncio
import base64
import logging
import traceback
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from reconciler import clock
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Unreachable
from reconciler.sdk.http import HttpClient, Limits
from reconciler.sdk.oauth import JWT_BEARER, TokenSource, client_credentials, jwt_assertion
from reconciler.sdk.secrets import SecretRef
from tests.simulators import http_faults as faults

WORD = "planted secret/with+signs"
TOKEN = "fetched-T0ken.of-the-house"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[faults.FaultServer]:
    monkeypatch.setenv("OAUTH_SECRET", WORD)
    async with faults.FaultServer() as running:
        yield running


async def no_sleep(seconds: float) -> None:
    del seconds


def tokens(server: faults.FaultServer, **more: Any) -> TokenSource:
    return client_credentials(
        f"{server.url}/token",
        client_id="recon ciler",
        secret=SecretRef("env:OAUTH_SECRET"),
        limits=Limits(attempts=2),
        sleep=no_sleep,
        **more,
    )


def form(request: faults.Request) -> dict[str, list[str]]:
    return parse_qs(request.body.decode())


def issued(number: int = 1, **more: Any) -> faults.Behaviour:
    return faults.in_json({"access_token": f"{TOKEN}-{number}", "token_type": "bearer", "expires_in": 3600, **more})


async def test_the_secret_goes_in_a_header_or_in_the_form(server: faults.FaultServer) -> None:
    server.script("/token", issued())
    first = tokens(server, scope="read write", audience="https://api.test")
    assert await first() == f"Bearer {TOKEN}-1"
    await first.close()
    second = tokens(server, style="post")
    assert await second() == f"Bearer {TOKEN}-1"
    await second.close()
    basic, post = server.requests
    assert form(basic) == {
        "grant_type": ["client_credentials"],
        "scope": ["read write"],
        "audience": ["https://api.test"],
    }
    assert base64.b64decode(basic.headers["authorization"].removeprefix("Basic ")) == (
        b"recon+ciler:planted+secret%2Fwith%2Bsigns"
    )
    assert form(post)["client_secret"] == [WORD]
    assert "authorization" not in post.headers


async def test_a_token_is_kept_until_it_is_about_to_expire(
    server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    server.script("/token", issued(1), issued(2, expires_in="100"), issued(3, expires_in=None), issued(4))
    source = tokens(server)
    assert {await source() for _ in range(3)} == {f"Bearer {TOKEN}-1"}
    assert set(await asyncio.gather(*(source() for _ in range(5)))) == {f"Bearer {TOKEN}-1"}
    now[0] += 3540
    assert await source() == f"Bearer {TOKEN}-2"
    now[0] += 89
    assert await source() == f"Bearer {TOKEN}-2"
    now[0] += 1
    assert await source() == f"Bearer {TOKEN}-3"
    now[0] += 1e9
    assert await source() == f"Bearer {TOKEN}-3"
    source.forget(f"Bearer {TOKEN}-2")
    assert await source() == f"Bearer {TOKEN}-3"
    source.forget(f"Bearer {TOKEN}-3")
    assert await source() == f"Bearer {TOKEN}-4"
    await source.close()


async def test_a_token_that_the_service_refuses_is_fetched_anew_once(server: faults.FaultServer) -> None:
    server.script("/token", issued(1), issued(2))
    server.script("/rows", faults.answer(401), faults.in_json({"rows": 3}))
    source = tokens(server)
    async with HttpClient(server.url, authorize=source) as client:
        assert (await client.get_json("rows"))[0] == {"rows": 3}
    await source.close()
    asked = [request.headers["authorization"] for request in server.requests if request.target == "/rows"]
    assert asked == [f"Bearer {TOKEN}-1", f"Bearer {TOKEN}-2"]


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (faults.in_json({"error": "invalid_client", "error_description": f"not {WORD}"}, 401), Refused, "not "),
        (faults.in_json({"error": "invalid_scope"}, 400), Refused, "scope is not granted"),
        (faults.in_json({"token_type": "bearer"}), Misbehaved, "no access_token"),
        (faults.in_json({"access_token": "", "token_type": "bearer"}), Misbehaved, "no access_token"),
        (faults.in_json({"access_token": TOKEN, "token_type": "mac"}), Misbehaved, "type"),
        (faults.text(b"<html>", "text/html"), Misbehaved, "instead of JSON"),
        (faults.reset(), Unreachable, "reset"),
        (faults.answer(404), Refused, "404"),
    ],
)
async def test_no_token_is_an_error_with_a_remedy_and_without_secrets(
    server: faults.FaultServer,
    answer: faults.Behaviour,
    error: type[Refused | Misbehaved | Unreachable],
    says: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.script("/token", answer)
    source = tokens(server, style="post")
    with caplog.at_level(logging.DEBUG), pytest.raises(error) as caught:
        await source()
    await source.close()
    said = "".join(traceback.format_exception(caught.value)) + caught.value.advice + caplog.text
    assert says in said
    assert caught.value.advice
    assert WORD not in said
    assert TOKEN not in said


async def test_what_comes_with_a_token_can_be_looked_at_before_it_is_used(server: faults.FaultServer) -> None:
    def inspect(answer: Any) -> None:
        raise Refused(f"a token for {answer['instance_url']}")

    server.script("/token", issued(instance_url="https://elsewhere.test"))
    asking = tokens(server, inspect=inspect)
    with pytest.raises(Refused, match="elsewhere"):
        await asking()
    await asking.close()


async def test_a_hiccup_of_the_token_endpoint_is_tried_again(server: faults.FaultServer) -> None:
    server.script("/token", faults.reset(), issued())
    source = tokens(server)
    assert await source() == f"Bearer {TOKEN}-1"
    await source.close()


async def test_an_assertion_is_signed_and_says_who_for_whom(
    server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = rsa.generate_private_key(65537, 2048)
    monkeypatch.setenv("OAUTH_KEY", _pem(key))
    server.script("/token", faults.in_json({"access_token": TOKEN}))
    source = jwt_assertion(
        f"{server.url}/token",
        client_id="client-7",
        private_key=SecretRef("env:OAUTH_KEY"),
        subject="reader@corp.test",
        audience="https://login.test",
        key_id="k1",
    )
    assert await source() == f"Bearer {TOKEN}"
    await source.close()
    sent = form(server.requests[0])
    assert sent["grant_type"] == [JWT_BEARER]
    claims = jwt.decode(sent["assertion"][0], key.public_key(), ["RS256"], audience="https://login.test")
    assert (claims["iss"], claims["sub"]) == ("client-7", "reader@corp.test")
    assert 0 < claims["exp"] - clock.now().timestamp() <= 180
    assert jwt.get_unverified_header(sent["assertion"][0])["kid"] == "k1"


async def test_a_key_that_cannot_sign_is_a_configuration_error(
    server: faults.FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OAUTH_KEY", "-----BEGIN PRIVATE KEY-----\nplantedkey\n-----END PRIVATE KEY-----")
    source = jwt_assertion(
        f"{server.url}/token", client_id="c", private_key=SecretRef("env:OAUTH_KEY"), subject="s", audience="a"
    )
    with pytest.raises(ConfigurationError, match="env:OAUTH_KEY cannot sign") as caught:
        await source()
    assert "plantedkey" not in "".join(traceback.format_exception(caught.value))
    await source.close()
    assert server.requests == []


def test_a_secret_is_not_sent_unencrypted() -> None:
    with pytest.raises(ConfigurationError, match="unencrypted"):
        client_credentials("http://login.test/token", client_id="c", secret=SecretRef("env:X"))


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
