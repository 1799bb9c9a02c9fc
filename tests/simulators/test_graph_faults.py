"""The simulated Graph under strain: batches, throttling, injected faults, size, and the SDK's own transport."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import httpx
import msgspec
import pytest
from kiota_abstractions.api_error import APIError
from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator
from kiota_abstractions.authentication import BaseBearerTokenAuthenticationProvider as BearerProvider
from kiota_abstractions.method import Method
from kiota_abstractions.request_information import RequestInformation
from msgraph.generated.models.o_data_errors.o_data_error import ODataError
from msgraph.graph_request_adapter import GraphRequestAdapter
from msgraph.graph_service_client import GraphServiceClient
from msgraph_core import GraphClientFactory  # type: ignore[import-untyped] # ships no py.typed

from tests.simulators.graph import objects as make
from tests.simulators.graph.generated import GeneratedTenant
from tests.simulators.graph.raw_client import EVENTUAL, RawClient, asking
from tests.simulators.graph.sample import ANNA, BEN, CARLA, sample
from tests.simulators.graph.server import GraphSimulator
from tests.simulators.graph.throttle import Throttle
from tests.simulators.http_injection import FOREIGN, STATUS_OF, FaultKind


@pytest.fixture
def client() -> Iterator[RawClient]:
    with asking(GraphSimulator(sample())) as asked:
        yield asked


@pytest.fixture
def crowd() -> Iterator[RawClient]:
    with asking(GraphSimulator(GeneratedTenant(1_000), tls=False)) as asked:
        yield asked


def item(name: str, url: str, **given: object) -> dict[str, object]:
    return {"id": name, "method": "GET", "url": url, **given}


# Batches.


def test_a_batch_is_answered_item_by_item_in_another_order(client: RawClient) -> None:
    answer = client.batch(
        item("1", f"/users/{ANNA}?$select=id"),
        item("2", f"/users/{make.guid('user', 999)}"),
        item("3", "/users?$count=true&$top=2", headers={"ConsistencyLevel": "eventual"}),
        item("4", "/users/$count", headers={"consistencylevel": "eventual"}),
        item("5", "/applications", method="PATCH"),
        item("6", "relative"),
    )
    responses = answer.json()["responses"]
    assert [each["id"] for each in responses] == ["6", "5", "4", "3", "2", "1"]
    assert {each["id"]: each["status"] for each in responses} == {
        "1": 200, "2": 404, "3": 200, "4": 200, "5": 405, "6": 400,
    }  # fmt: skip
    by_id = {each["id"]: each for each in responses}
    assert by_id["1"]["body"]["id"] == ANNA
    assert by_id["3"]["body"]["@odata.count"] == 11
    assert by_id["3"]["body"]["@odata.nextLink"].startswith(client.graph.url)


def test_a_batch_has_twenty_items_at_most_each_with_an_id_of_its_own(client: RawClient) -> None:
    assert client.batch(*(item(str(number), "/users?$top=1") for number in range(20))).status_code == 200
    assert client.batch(*(item(str(number), "/users?$top=1") for number in range(21))).status_code == 400
    assert client.batch(item("1", "/users"), item("1", "/groups")).status_code == 400
    header = {"Authorization": f"Bearer {client.token}"}
    assert client.http.post(f"{client.graph.url}/v1.0/$batch", content=b"{", headers=header).status_code == 400


def test_permissions_hold_for_each_item() -> None:
    with asking(GraphSimulator(sample(), roles={"User.Read.All"})) as client:
        responses = client.batch(item("1", "/users?$top=1"), item("2", "/applications")).json()["responses"]
        assert {each["id"]: each["status"] for each in responses} == {"1": 200, "2": 403}


def test_items_of_a_batch_break_on_their_own(client: RawClient) -> None:
    path = "/users/{}/authentication/methods"
    client.graph.item_faults.add(FaultKind.THROTTLED, path=ANNA)
    client.graph.item_faults.add(FaultKind.RESET_BEFORE, path=BEN)
    client.graph.item_faults.add(FaultKind.EMPTY_BODY, path=CARLA)
    client.graph.item_faults.add(FaultKind.WRONG_TYPE, path="/groups")
    asked = [item(name, path.format(name)) for name in (ANNA, BEN, CARLA)] + [item("g", "/groups?$top=1")]
    responses = {each["id"]: each for each in client.batch(*asked).json()["responses"]}
    assert responses[ANNA]["status"] == 429
    assert responses[ANNA]["headers"]["Retry-After"] == "1"
    assert BEN not in responses
    assert (responses[CARLA]["status"], responses[CARLA]["body"]) == (200, None)
    assert isinstance(responses["g"]["body"], list)
    again = {each["id"]: each["status"] for each in client.batch(*asked).json()["responses"]}
    assert set(again.values()) == {200}


# Throttling.


def throttled(throttle: Throttle) -> GraphSimulator:
    return GraphSimulator(sample(), tls=False, throttle=throttle)


def test_resource_units_are_counted_as_documented_and_run_out() -> None:
    at = [100.0]
    throttle = Throttle(units=10, now=lambda: at[0])
    with asking(throttled(throttle)) as client:
        assert client.get("users").headers["x-ms-resource-unit"] == "2"
        assert client.get("users?$select=id").headers["x-ms-resource-unit"] == "1"
        members = client.get(f"groups/{make.guid('group', 1)}/members")
        assert members.headers["x-ms-resource-unit"] == "3"
        assert "x-ms-throttle-limit-percentage" not in members.headers
        transitive = client.get(f"groups/{make.guid('group', 1)}/transitiveMembers?$select=id")
        assert transitive.headers["x-ms-resource-unit"] == "4"
        assert transitive.headers["x-ms-throttle-limit-percentage"] == "1.00"
        at[0] += 3.5
        refused = client.get("users?$select=id")
        assert refused.status_code == 429
        assert refused.json()["error"]["code"] == "TooManyRequests"
        assert refused.headers["Retry-After"] == "7"
        assert refused.headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
        assert refused.headers["x-ms-throttle-scope"].startswith("Tenant_Application/ReadWrite/")
        at[0] += 6.5
        assert client.get("users?$select=id").status_code == 200
    assert [(window.used, window.refused) for window in throttle.windows] == [(10, 1), (1, 0)]


@pytest.mark.parametrize(
    ("path", "units"),
    [("users?$top=5", "1"), ("users?$expand=manager&$select=id", "2"), ("applications", "2"), ("subscribedSkus", "3"),
     ("groups", "1"), ("oauth2PermissionGrants", "2"), (f"users/{ANNA}/memberOf", "2")],
)  # fmt: skip
def test_costs(client: RawClient, path: str, units: str) -> None:
    assert client.get(path).headers["x-ms-resource-unit"] == units


def test_reports_have_a_limit_of_their_own_and_may_not_say_how_long() -> None:
    with asking(throttled(Throttle(reports=2, announced=False, now=lambda: 0.0))) as client:
        assert [client.get("auditLogs/signIns").status_code for _ in range(3)] == [200, 200, 429]
        assert "Retry-After" not in client.get("auditLogs/directoryAudits").headers
        assert client.get("users").status_code == 200


def test_items_of_a_batch_are_throttled_one_by_one() -> None:
    with asking(throttled(Throttle(units=3, now=lambda: 0.0))) as client:
        answer = client.batch(*(item(str(number), "/users?$select=id") for number in range(5)))
        assert answer.status_code == 200
        refused = [each for each in answer.json()["responses"] if each["status"] == 429]
        assert len(refused) == 2
        assert refused[0]["headers"]["Retry-After"] == "10"


# Injected faults.


@pytest.mark.parametrize("kind", sorted(STATUS_OF))
def test_the_nth_request_is_answered_with_a_status(crowd: RawClient, kind: FaultKind) -> None:
    crowd.graph.faults.add(kind, at=2, path="/users")
    assert [crowd.get("users?$top=1").status_code for _ in range(3)] == [200, STATUS_OF[kind], 200]
    announced = kind in {FaultKind.THROTTLED, FaultKind.UNAVAILABLE}
    crowd.graph.faults.add(kind, path="/groups", times=None)
    for _ in range(2):
        answer = crowd.get("groups?$top=1")
        assert answer.status_code == STATUS_OF[kind]
        assert ("Retry-After" in answer.headers) == announced


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.RESET_BEFORE, httpx.NetworkError),
        (FaultKind.RESET_WITHIN, httpx.NetworkError),
        (FaultKind.CUT_BY_LENGTH, httpx.RemoteProtocolError),
        (FaultKind.CUT_CHUNKED, httpx.RemoteProtocolError),
        (FaultKind.HANG, httpx.ReadTimeout),
    ],
)
def test_a_connection_breaks(crowd: RawClient, kind: FaultKind, error: type[Exception]) -> None:
    crowd.http.timeout = httpx.Timeout(30.0, read=2.0 if kind is FaultKind.HANG else 30.0)
    crowd.graph.faults.add(kind, path="/users")
    with pytest.raises(error):
        crowd.get("users?$top=5")
    assert crowd.get("users?$top=5").status_code == 200


def test_the_token_endpoint_breaks_too(crowd: RawClient) -> None:
    crowd.graph.faults.add(FaultKind.SERVER_ERROR, path="/oauth2/")
    url = f"{crowd.graph.authority}/{crowd.graph.tenant.tenant_id}/oauth2/v2.0/token"
    assert crowd.http.post(url, data={}).status_code == 500
    assert crowd.http.post(url, data={}).status_code == 400


def test_bodies_that_are_none_or_damaged(crowd: RawClient) -> None:
    for kind in (FaultKind.EMPTY_BODY, FaultKind.HTML_OK, FaultKind.MALFORMED_JSON):
        crowd.graph.faults.add(kind, path="/users")
        with pytest.raises(ValueError, match=r"Expecting|Unterminated|delimiter"):
            crowd.get("users?$top=5").json()
        assert crowd.get("users?$top=5").json()
    crowd.graph.faults.add(FaultKind.WRONG_TYPE, path="/users")
    assert isinstance(crowd.get("users?$top=5").json(), list)


def second_page(crowd: RawClient, kind: FaultKind, field: str = "") -> list[list[str]]:
    """Return the ids of the pages of a chain whose second one is not as it should be; four pages at most."""
    crowd.graph.faults.add(kind, at=2, path="/users", field=field)
    pages: list[list[str]] = []
    link: str | None = "users?$top=400&$select=id,userType"
    while link is not None and not link.startswith(FOREIGN) and len(pages) < 4:
        page = crowd.get(link).json()
        pages.append([row.get("id", "") for row in page["value"]])
        link = page.get("@odata.nextLink")
    return pages


@pytest.mark.parametrize(
    ("kind", "sizes", "distinct"),
    [
        (FaultKind.EMPTY_PAGE, [400, 0, 200], 600),
        (FaultKind.EMPTY_END, [400, 0], 400),
        (FaultKind.NEXT_MISSING, [400, 400], 800),
        (FaultKind.NEXT_REPEATED, [400, 400, 400, 200], 1_000),
        (FaultKind.NEXT_FOREIGN, [400, 400], 800),
        (FaultKind.DUPLICATED_PAGE, [400, 400, 400, 200], 1_000),
        (FaultKind.REORDERED_PAGE, [400, 400, 200], 1_000),
        (FaultKind.OVERLAPPING_PAGE, [400, 401, 200], 1_000),
    ],
)
def test_a_page_is_not_as_it_should_be(crowd: RawClient, kind: FaultKind, sizes: list[int], distinct: int) -> None:
    pages = second_page(crowd, kind)
    assert [len(page) for page in pages] == sizes
    assert len({each for page in pages for each in page}) == distinct
    assert [fired.fault.kind for fired in crowd.graph.faults.fired] == [kind]


@pytest.mark.parametrize("kind", [FaultKind.UNKNOWN_VALUE, FaultKind.FIELD_MISSING, FaultKind.FIELD_MISTYPED])
def test_items_are_not_as_they_should_be(crowd: RawClient, kind: FaultKind) -> None:
    second_page(crowd, kind, field="userType")
    fired = crowd.graph.faults.fired
    assert [each.fault.kind for each in fired] == [kind]


def test_requests_are_recorded(client: RawClient) -> None:
    client.get("users?$select=id", EVENTUAL)
    asked = client.graph.requests[-1]
    assert (asked.method, asked.path, dict(asked.query)) == ("GET", "/v1.0/users", {"$select": "id"})
    assert asked.headers["consistencylevel"] == "eventual"


def test_answers_are_compressed_where_asked() -> None:
    with asking(GraphSimulator(sample(), compress=True)) as client:
        answer = client.get("users")
        assert answer.headers["content-encoding"] in {"gzip", "deflate"}
        assert len(answer.json()["value"]) == 11


# Size.


def test_a_generated_tenant_is_whole_and_the_same_from_every_side() -> None:
    tenant = GeneratedTenant(2_000)
    with asking(GraphSimulator(tenant, tls=False)) as client:
        users = client.ids("users?$select=id&$top=999")
        assert len(set(users)) == len(users) == 2_000
        assert client.get("users/$count", EVENTUAL).text == "2000"
        groups = client.ids("groups?$select=id&$top=999")
        assert len(groups) == 40
        members = client.value(f"groups/{groups[3]}/members?$select=id")
        assert len(members) == 20
        assert client.ids(f"users/{members[5]['id']}/memberOf?$select=id") == [groups[3]]
        assert groups[1] in client.ids(f"groups/{groups[0]}/members?$select=id")
        assert client.ids(f"groups/{groups[1]}/memberOf?$select=id") == [groups[0]]
        assert client.get("users/user7@contoso.onmicrosoft.com").json()["id"] == make.guid("user", 7)
        assert client.error("users/user2000@contoso.onmicrosoft.com")[0] == 404
        assert client.ids("users?$filter=userPrincipalName eq 'user9@contoso.onmicrosoft.com'") == [users[9]]
        assert len(client.ids("directory/deletedItems/microsoft.graph.user?$select=id")) == 20
        logs = "auditLogs/directoryAudits?$filter=activityDateTime ge 2000-01-01T00:00:00Z&$top=150"
        falling = client.ids(logs + "&$orderby=activityDateTime desc")
        assert client.ids(logs + "&$orderby=activityDateTime") == falling[::-1]
        assert len(falling) == 200


def test_every_collection_of_a_generated_tenant_agrees_with_itself() -> None:
    tenant = GeneratedTenant(1_000_000)
    principal, user = make.guid("servicePrincipal", 4), make.guid("user", 43)
    assert len(tenant.rows("users")) == 1_000_000
    assigned = tenant.related("appRoleAssignments", "resourceId", principal)
    assert {row["resourceId"] for row in assigned.window(0, 99)} == {principal}
    held = tenant.related("appRoleAssignments", "principalId", user)
    assert [row["principalId"] for row in held.window(0, 99)] == [user]
    assert held.find("assignment-2b") is None
    assert tenant.related("oauth2PermissionGrants", "clientId", principal).window(0, 9)[0]["clientId"] == principal
    assert tenant.related("applications", "appId", make.guid("other", 3)).window(0, 9)[0]["displayName"] == "App 3"
    assert len(tenant.related("groups", "mail", "x")) == len(tenant.deleted("group")) == 0
    assert tenant.linked("manager", user) == [make.guid("user", 4)]
    assert tenant.linked("owners", make.guid("group", 2)) == [make.guid("user", 2)]
    assert tenant.linked("members", "nobody") == []
    assert tenant.find(make.guid("user", 1_000_000)) is None
    gone = tenant.deleted("user").window(0, 1)[0]
    assert tenant.deleted("user").find(gone["id"]) == gone
    assert tenant.rows("nothing").window(0, 1) == []


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.simulators.graph", "--users", "300", "--plain", "--units", "5"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        form = {"grant_type": "client_credentials", "client_id": told["client_id"], "client_secret": told["secret"],
                "scope": "https://graph.microsoft.com/.default"}  # fmt: skip
        token = httpx.post(f"{told['url']}/{told['tenant_id']}/oauth2/v2.0/token", data=form).json()["access_token"]
        header = {"Authorization": f"Bearer {token}"}
        assert len(httpx.get(f"{told['url']}/v1.0/users", headers=header).json()["value"]) == 100
        process.stdin.write("windows\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["windows"][0]["used"] == 2
        process.stdin.close()
        assert process.wait(10) == 0


# The SDK's own transport: adapter, middleware, and raw bytes.


class Held(AccessTokenProvider):
    def __init__(self, token: str) -> None:
        self.token = token

    async def get_authorization_token(self, uri: str, additional_authentication_context: object = None) -> str:
        del uri, additional_authentication_context
        return self.token

    def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
        return AllowedHostsValidator(["127.0.0.1"])


@asynccontextmanager
async def adapter(client: RawClient) -> AsyncIterator[Callable[[str], Awaitable[bytes | None]]]:
    """Give what fetches a URL's bytes through the SDK's middleware."""
    # The factory puts its own transport around the client's and never closes that one.
    async with httpx.AsyncHTTPTransport() as inner, httpx.AsyncClient(transport=inner, timeout=30) as plain:
        http = GraphClientFactory.create_with_default_middleware(client=plain)
        made = GraphRequestAdapter(BearerProvider(Held(client.token)), http)
        made.base_url = f"{client.graph.url}/v1.0"
        GraphServiceClient(request_adapter=made)  # registers the parsers of error bodies

        async def fetch(path: str) -> bytes | None:
            asked = RequestInformation()
            asked.http_method = Method.GET
            asked.url = path if "://" in path else f"{client.graph.url}/v1.0/{path}"
            asked.headers.try_add("Accept", "application/json")
            return cast("bytes | None", await made.send_primitive_async(asked, "bytes", {"XXX": ODataError}))

        yield fetch


async def test_the_sdks_adapter_reads_every_page(crowd: RawClient) -> None:
    link: str | None = "users?$select=id&$top=400"
    found = 0
    async with adapter(crowd) as fetch:
        while link is not None:
            page = msgspec.json.decode(await fetch(link) or b"")
            found += len(page["value"])
            link = page.get("@odata.nextLink")
    assert found == 1_000


async def test_the_sdks_adapter_raises_the_vendors_own_error(crowd: RawClient) -> None:
    async with adapter(crowd) as fetch:
        with pytest.raises(ODataError) as caught:
            await fetch("users/nobody")
    assert caught.value.error is not None
    assert (caught.value.response_status_code, caught.value.error.code) == (404, "Request_ResourceNotFound")


async def test_the_sdks_adapter_waits_as_it_is_told_and_goes_on(crowd: RawClient) -> None:
    crowd.graph.faults.add(FaultKind.THROTTLED, path="/users")
    async with adapter(crowd) as fetch:
        assert len(msgspec.json.decode(await fetch("users?$top=5") or b"")["value"]) == 5


async def test_the_sdks_adapter_gives_none_for_an_empty_answer_and_an_error_for_html(crowd: RawClient) -> None:
    crowd.graph.faults.add(FaultKind.EMPTY_BODY, path="/users")
    crowd.graph.faults.add(FaultKind.BAD_GATEWAY_HTML, path="/groups")
    async with adapter(crowd) as fetch:
        assert not await fetch("users?$top=5")
        with pytest.raises(APIError):
            await fetch("groups?$top=5")
