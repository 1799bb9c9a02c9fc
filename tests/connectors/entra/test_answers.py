"""Answers that the simulator never gives, from a server of our own: too large, uncounted, gone, in another's place."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web

from connectors.entra import client
from connectors.entra.access import NO_ROLE
from connectors.entra.client import Ask
from reconciler.sdk.connector import Presence
from reconciler.sdk.errors import Misbehaved, SourceError, Unreachable
from tests.connectors.entra.conftest import Opener, Part, read
from tests.simulators.graph import objects as make
from tests.simulators.graph.sample import ANNA
from tests.simulators.graph.server import SECRET, GraphSimulator
from tests.simulators.http_injection import FaultKind
from tests.simulators.http_server import LoopbackServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
USERS = [{"id": make.guid("user", n), "userPrincipalName": f"u{n}@x.test", "accountEnabled": True} for n in (1, 2)]


def answer(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return web.Response(status=status, body=body, headers={"Content-Type": "application/json", **(headers or {})})


async def ask(handle: Handler, graph: GraphSimulator, opened: Opener, table: str, part: str) -> Part:
    """Read one part from a server that answers as ``handle`` does; tokens come from the simulator."""

    async def counted(request: web.Request) -> web.StreamResponse:
        return web.Response(text="2") if request.path.endswith("/$count") else await handle(request)

    def application() -> web.Application:
        served = web.Application()
        served.router.add_route("*", "/{path:.*}", counted)
        return served

    with LoopbackServer(application, tls=False) as server:
        return await read(opened(graph, endpoint_url=server.url, sign_in_activity=False), table, part)


async def test_an_answer_without_a_length_is_bounded_by_its_bytes(
    graph: GraphSimulator, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_MAX_BYTES", 100_000)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        try:
            for _ in range(1_000):
                await response.write(b" " * 10_000)
        except ConnectionError:
            pass
        return response

    with pytest.raises(Misbehaved, match="larger than"):
        await ask(endless, graph, opened, "accounts", "users")


async def test_what_is_small_only_while_it_is_packed_is_bounded_too(
    graph: GraphSimulator, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_MAX_BYTES", 100_000)

    async def packed(request: web.Request) -> web.StreamResponse:
        del request
        return answer(gzip.compress(b" " * 10_000_000), headers={"Content-Encoding": "gzip"})

    with pytest.raises(Misbehaved, match="larger than"):
        await ask(packed, graph, opened, "accounts", "users")

    async def damaged(request: web.Request) -> web.StreamResponse:
        del request
        return answer(b"no gzip", headers={"Content-Encoding": "gzip"})

    with pytest.raises(Misbehaved, match="compression"):
        await ask(damaged, graph, opened, "accounts", "users")


async def test_where_a_count_is_refused_the_list_is_asked_for_without_one(
    graph: GraphSimulator, opened: Opener
) -> None:
    consent = {"id": "c", "clientId": "a", "resourceId": "b", "consentType": "AllPrincipals", "scope": "read write"}
    held = {
        "id": "h",
        "principalId": "p",
        "principalType": "User",
        "resourceId": "s",
        "appRoleId": NO_ROLE,
    }
    asked: list[str] = []

    def one(url: str) -> tuple[int, Any]:
        asked.append(url)
        if "appRoleAssignedTo" in url or "oauth2PermissionGrants" in url:
            if "$count=true" in url:
                return 400, {"error": {"code": "Request_BadRequest", "message": "$count is not supported"}}
            return 200, {"value": [consent if "oauth2" in url else held]}
        return 200, {"value": [{"id": "s"}], "@odata.count": 1}

    async def uncounted(request: web.Request) -> web.StreamResponse:
        if not request.path.endswith("/$batch"):
            status, content = one(request.path_qs)
            return answer(content, status)
        items = []
        for item in json.loads(await request.read())["requests"]:
            status, content = one(item["url"])
            items.append({"id": item["id"], "status": status, "body": content})
        return answer({"responses": items})

    consents = await ask(uncounted, graph, opened, "grants", "consents")
    assert (len(consents.rows), consents.gaps) == (2, [])
    assigned = await ask(uncounted, graph, opened, "grants", "app role assignments")
    assert (len(assigned.rows), assigned.total, assigned.gaps) == (1, None, [])
    assert len(asked) == 5  # each list once with a count and once without, and the applications


@pytest.mark.parametrize(
    ("ids", "error"),
    [(["0", "1"], None), (["0"], Unreachable), (["0", "0"], Misbehaved), (["0", "1", "2"], Misbehaved)],
)
async def test_a_batch_is_answered_whole_or_not_at_all(
    ids: list[str], error: type[SourceError] | None, graph: GraphSimulator, opened: Opener
) -> None:
    async def serve(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/$batch"):
            return answer({"responses": [{"id": one, "status": 200, "body": {"value": []}} for one in ids]})
        return answer({"value": USERS, "@odata.count": 2})

    if error is None:
        found = await ask(serve, graph, opened, "credentials", "authentication methods")
        assert (found.rows, found.total) == ([], None)  # no method at all, not even a password, proves nothing
        return
    with pytest.raises(error):
        await ask(serve, graph, opened, "credentials", "authentication methods")


async def test_a_page_link_that_is_gone_reads_the_part_from_its_start(graph: GraphSimulator, opened: Opener) -> None:
    async def gone(request: web.Request) -> web.StreamResponse:
        if "skiptoken" in request.path_qs:
            return answer({"error": {"code": "x", "message": "expired"}}, 410)
        link = f"{request.scheme}://{request.host}/v1.0/users?$skiptoken=a"
        return answer({"value": USERS[:1], "@odata.nextLink": link})

    with pytest.raises(Unreachable) as raised:
        await ask(gone, graph, opened, "accounts", "users")
    assert raised.value.restart


@pytest.mark.parametrize(
    "content",
    [
        {"value": None},
        {},
        {"value": [None]},
        {"value": [{"id": 5}]},
        {"value": USERS, "@odata.nextLink": ""},
        {"value": USERS, "@odata.nextLink": 5},
        {"error": {"code": "x", "message": "in a 200"}},
        b'{"value":' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"value":[{"id":"\xff"}]}',
    ],
)
async def test_what_is_no_page_is_never_a_short_one(content: Any, graph: GraphSimulator, opened: Opener) -> None:
    async def strange(request: web.Request) -> web.StreamResponse:
        del request
        return answer(content)

    with pytest.raises(Misbehaved):
        await ask(strange, graph, opened, "accounts", "users")


@pytest.mark.parametrize(
    "change",
    [
        {"accountEnabled": "true"},
        {"accountEnabled": None},
        {"createdDateTime": "yesterday"},
        {"createdDateTime": "2024-01-01T00:00:00"},
        {"manager": {}},
        {"proxyAddresses": [None]},
        {"signInActivity": {"lastSignInDateTime": ""}},
    ],
)
async def test_a_value_that_is_not_what_graph_documents_is_a_gap_and_the_row_stays(
    change: dict[str, Any], graph: GraphSimulator, opened: Opener
) -> None:
    async def odd(request: web.Request) -> web.StreamResponse:
        del request
        return answer({"value": [USERS[0] | change, USERS[1]]})

    found = await ask(odd, graph, opened, "accounts", "users")
    assert len(found.by("account_id")) == 2
    assert found.total is None
    assert found.gaps


async def test_many_requests_that_are_turned_away_at_once_fetch_one_new_token(
    graph: GraphSimulator, opened: Opener
) -> None:
    source = opened(graph)
    await source.check()
    graph.tokens.revoke_all()
    before = len([one for one in graph.requests if one.path.endswith("/token")])
    assert len(set(await asyncio.gather(*(source._client.count(Ask("/users/$count")) for _ in range(20))))) == 1
    assert len([one for one in graph.requests if one.path.endswith("/token")]) == before + 1


async def test_a_token_that_is_never_accepted_is_replaced_once(graph: GraphSimulator, opened: Opener) -> None:
    source = opened(graph)
    await source.check()
    graph.faults.add(FaultKind.UNAUTHORIZED, path=r"/users/\$count", times=None)
    with pytest.raises(SourceError, match="401"):
        await source._client.count(Ask("/users/$count"))
    assert len(graph.faults.fired) == 2


async def test_another_user_than_the_one_asked_for_is_not_evaluable(
    graph: GraphSimulator, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = graph.tenant.rows("users")
    monkeypatch.setattr(type(rows), "find", lambda _self, _name: make.user(2, "ben", "Ben"))
    live = await opened(graph).reread(ANNA)
    assert live.presence is Presence.NOT_EVALUABLE
    assert "another user" in live.reason


async def test_nothing_secret_is_logged_whatever_the_level(
    graph: GraphSimulator, opened: Opener, caplog: pytest.LogCaptureFixture
) -> None:
    source = opened(graph)
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "azure", "kiota_http", "msal", "urllib3", "aiohttp"):
        caplog.set_level(logging.DEBUG, logger=name)
    await source.check()
    await read(source, "accounts", "users")
    await source.reread(ANNA)
    assert caplog.records
    assert SECRET not in caplog.text
    assert not [token for token in graph.tokens.issued if token in caplog.text]
