"""Requests that do more than read: what is sent, what is sent again, and what is never sent twice."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from reconciler.sdk.errors import Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.http import HttpClient, Limits
from tests.simulators import http_faults as faults

CREATED = frozenset({200, 201})


@pytest.fixture
async def server() -> AsyncIterator[faults.FaultServer]:
    async with faults.FaultServer() as running:
        yield running


async def no_sleep(seconds: float) -> None:
    del seconds


async def send(server: faults.FaultServer, method: Any = "POST", **more: Any) -> Any:
    options = {"authorize": more.pop("authorize", None), "credential_header": more.pop("header", "Authorization")}
    async with HttpClient(server.url, sleep=no_sleep, limits=Limits(attempts=3), **options) as asking:
        return (await asking.request(method, "tickets", **more))[0]


async def test_json_and_forms_are_sent_as_what_they_are(server: faults.FaultServer) -> None:
    server.script("/tickets", faults.in_json({"id": 7}, 201))
    assert await send(server, json={"title": "Zoë"}, accept=CREATED, headers={"If-Match": "x"}) == {"id": 7}
    assert await send(server, form={"a": "1 2", "b": "&"}, accept=CREATED) == {"id": 7}
    first, second = server.requests
    assert (first.method, json.loads(first.body)) == ("POST", {"title": "Zoë"})
    assert first.headers["content-type"] == "application/json"
    assert first.headers["if-match"] == "x"
    assert (second.body, second.headers["content-type"]) == (b"a=1+2&b=%26", "application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    "fault",
    [faults.reset(), faults.closed(), faults.truncated(), faults.answer(502), faults.answer(503), faults.answer(500)],
    ids=["reset", "closed", "truncated", "502", "503", "500"],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_may_have_been_done_is_not_sent_twice(
    server: faults.FaultServer, fault: faults.Behaviour, method: str
) -> None:
    server.script("/tickets", fault, faults.in_json({"id": 8}))
    with pytest.raises(Unreachable) as caught:
        await send(server, method, json={})
    assert "not known whether" in caught.value.advice
    assert len(server.requests) == 1


async def test_what_was_surely_not_done_is_sent_again(server: faults.FaultServer) -> None:
    server.script(
        "/tickets", faults.answer(429), faults.answer(503, headers={"Retry-After": "1"}), faults.in_json({"id": 9})
    )
    assert await send(server, json={}) == {"id": 9}
    server.script("/tickets", faults.answer(429))
    with pytest.raises(Throttled) as caught:
        await send(server, json={})
    assert "not known" not in caught.value.advice


async def test_a_harmless_request_is_sent_again(server: faults.FaultServer) -> None:
    server.script("/tickets", faults.reset(), faults.truncated(), faults.in_json({"rows": []}))
    assert await send(server, json={"query": "*"}, again=True) == {"rows": []}
    server.script("/tickets", faults.answer(500))
    with pytest.raises(Unreachable) as caught:
        await send(server, json={"query": "*"}, again=True)
    assert "not known" not in caught.value.advice


async def test_an_answer_may_be_empty_only_where_that_is_said(server: faults.FaultServer) -> None:
    server.script("/tickets", faults.answer(204))
    assert await send(server, "DELETE", accept=frozenset({204}), expect=None) is None
    with pytest.raises(Misbehaved, match="malformed JSON"):
        await send(server, "DELETE", accept=frozenset({204}))
    with pytest.raises(Misbehaved, match="HTTP 204"):
        await send(server, "DELETE", expect=None)
    server.script("/tickets", faults.text(b"<html>", "text/html", 201))
    with pytest.raises(Misbehaved, match="text/html"):
        await send(server, accept=CREATED, expect=None)
    server.script("/tickets", faults.in_json([1], 201))
    assert await send(server, accept=CREATED, expect=None) == [1]


class Tokens:
    """An ``Authorize`` that hands out a new token whenever one was refused."""

    def __init__(self, *, renewable: bool = True) -> None:
        self.number = 1
        self.renewable = renewable

    async def __call__(self) -> str:
        return f"Bearer token-{self.number:08}"

    def forget(self, header: str) -> None:
        assert header == f"Bearer token-{self.number:08}"
        self.number += 1


async def test_a_token_that_is_not_accepted_is_renewed_once(server: faults.FaultServer) -> None:
    server.script("/tickets", faults.answer(401), faults.in_json({"id": 1}))
    assert await send(server, json={}, authorize=Tokens()) == {"id": 1}
    assert [request.headers["authorization"][-1] for request in server.requests] == ["1", "2"]
    server.script("/tickets", faults.answer(401))
    with pytest.raises(Refused, match="401"):
        await send(server, json={}, authorize=Tokens())
    assert len(server.requests) == 4


async def test_credentials_can_have_a_header_of_their_own(server: faults.FaultServer) -> None:
    async def key() -> str:
        return "key-of-the-house"

    server.script("/tickets", faults.in_json({}))
    await send(server, "GET", authorize=key, header="X-API-Key")
    assert server.requests[0].headers["x-api-key"] == "key-of-the-house"
    assert "authorization" not in server.requests[0].headers
