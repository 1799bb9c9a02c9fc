"""The Okta simulator's lists behave as the Management API's documentation says."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.simulators.okta import shapes
from tests.simulators.okta.generated import GeneratedOrg, Sizes
from tests.simulators.okta.org import Org
from tests.simulators.okta.paging import LinkStyle
from tests.simulators.okta.server import ADMIN, TOKEN, OktaSimulator
from tests.simulators.okta.small import STATES, small_org, uid

Get = Callable[..., httpx.Response]


@contextmanager
def client_of(okta: OktaSimulator, authorization: str = f"SSWS {TOKEN}") -> Iterator[httpx.Client]:
    trust: ssl.SSLContext | bool = True
    if okta.ca_file is not None:
        trust = ssl.create_default_context(cafile=str(okta.ca_file))
    headers = {"Authorization": authorization}
    with httpx.Client(base_url=okta.url, verify=trust, headers=headers, trust_env=False) as client:
        yield client


@contextmanager
def serving(org: Org | None = None, **options: Any) -> Iterator[tuple[OktaSimulator, httpx.Client]]:
    with (
        OktaSimulator(org if org is not None else small_org(), tls=False, **options) as okta,
        client_of(okta) as client,
    ):
        yield okta, client


def every(client: httpx.Client, path: str) -> list[dict[str, Any]]:
    """Follow Link headers to the end; no id may come twice."""
    rows: list[dict[str, Any]] = []
    url: str | None = path
    while url is not None:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        rows += answer.json()
        url = answer.links.get("next", {}).get("url")
    assert len({row["id"] for row in rows}) == len(rows)
    return rows


def states(rows: list[dict[str, Any]]) -> set[str]:
    return {row["status"] for row in rows}


def test_a_plain_list_omits_deprovisioned_users_and_search_does_not() -> None:
    with serving(page_size=4) as (okta, client):
        everyone = every(client, "/api/v1/users?search=status+pr")
        assert states(everyone) == set(STATES)
        assert len(everyone) == len(okta.org.rows["users"])
        plain = every(client, "/api/v1/users")
        assert states(plain) == set(STATES) - {"DEPROVISIONED"}
        assert len(plain) == len(everyone) - 1
        filtered = every(client, '/api/v1/users?filter=status eq "DEPROVISIONED" or status eq "STAGED"')
        assert states(filtered) == {"DEPROVISIONED", "STAGED"}


@pytest.mark.parametrize("style", ["separate", "reversed", "joined"])
def test_links_come_in_every_form_that_the_protocol_allows(style: LinkStyle) -> None:
    with serving(page_size=3, links=style) as (okta, client):
        answer = client.get("/api/v1/users?limit=3")
        count = 1 if style == "joined" else 2
        assert len(answer.headers.get_list("link", split_commas=False)) == count
        assert answer.links["self"]["url"] == f"{okta.url}/api/v1/users?limit=3"
        assert "limit=3" in answer.links["next"]["url"]
        assert len(every(client, "/api/v1/users")) == len(okta.org.rows["users"]) - 1


def test_cursors_are_opaque_and_belong_to_their_list() -> None:
    with serving() as (_, client):
        after = client.get("/api/v1/users?limit=2").links["next"]["url"].partition("after=")[2].partition("&")[0]
        assert "00u" not in after
        assert client.get(f"/api/v1/groups?after={after}").status_code == 400
        assert client.get("/api/v1/users?after=rubbish").status_code == 400
        assert client.get("/api/v1/users?limit=0").json()["errorCode"] == "E0000001"


def test_a_cursor_survives_the_deletion_of_the_user_it_rests_on() -> None:
    with serving() as (okta, client):
        first = client.get("/api/v1/users?limit=5")
        okta.org.delete("users", first.json()[-1]["id"])
        rest = every(client, first.links["next"]["url"])
        assert len(first.json()) + len(rest) == len(okta.org.rows["users"])


def test_page_sizes_are_held_to_the_documented_most() -> None:
    with serving(GeneratedOrg(Sizes(users=1500, members=1200, groups=3, app_users=600, apps=2, app_groups=3))) as (
        _,
        client,
    ):
        group, app = "00g1sim0000000000001", "0oa1sim0000000000001"
        sizes = {
            "/api/v1/users?limit=5000": 200,
            "/api/v1/users": 200,
            "/api/v1/users?q=user": 10,
            f"/api/v1/groups/{group}/users": 1000,
            f"/api/v1/apps/{app}/users?limit=9999": 500,
            f"/api/v1/apps/{app}/users": 50,
        }
        assert {path: len(client.get(path).json()) for path in sizes} == sizes


def test_search_compares_sorts_and_refuses_nonsense() -> None:
    with serving(page_size=4) as (_, client):
        found = every(
            client, '/api/v1/users?search=profile.department eq "engineering" and (status gt "STAGED" or id pr)'
        )
        assert found
        by_mail = every(client, '/api/v1/users?search=profile.email eq "ann@example.test"')
        assert {row["id"] for row in by_mail} == {uid("ann"), uid("ann2")}
        backwards = every(client, "/api/v1/users?search=status pr&sortBy=id&sortOrder=desc")
        assert [row["id"] for row in backwards] == sorted((row["id"] for row in backwards), reverse=True)
        assert len(backwards) == len(every(client, "/api/v1/users?search=status pr"))
        for wrong in ('status ne "ACTIVE"', "status", 'status eq "A" and', 'nonsense eq "A"', '(status eq "A"'):
            answer = client.get("/api/v1/users", params={"search": wrong})
            assert (answer.status_code, answer.json()["errorCode"]) == (400, "E0000031"), wrong


def test_q_finds_by_the_beginning_of_a_name_and_is_not_paged() -> None:
    with serving() as (_, client):
        answer = client.get("/api/v1/users?q=ANN&limit=1")
        assert len(answer.json()) == 1
        assert "next" not in answer.links
        assert len(client.get("/api/v1/groups?q=eng").json()) == 1
        assert [row["label"] for row in client.get("/api/v1/apps?q=wik").json()] == ["Wiki"]


def test_search_lags_behind_what_an_id_shows_at_once() -> None:
    with serving(small_org(search_lag=float("inf"))) as (okta, client):
        okta.org.change(uid("ann"), status="DEPROVISIONED")
        okta.org.delete("users", uid("bob"))
        okta.org.put("users", shapes.user(uid("new"), "new@example.test"))

        def searched() -> dict[str, str]:
            return {row["id"]: row["status"] for row in every(client, "/api/v1/users?search=status pr")}

        assert client.get(f"/api/v1/users/{uid('ann')}").json()["status"] == "DEPROVISIONED"
        assert client.get(f"/api/v1/users/{uid('bob')}").status_code == 404
        assert (searched()[uid("ann")], uid("bob") in searched(), uid("new") in searched()) == ("ACTIVE", True, False)
        okta.org.reindex()
        assert (searched()[uid("ann")], uid("bob") in searched(), uid("new") in searched()) == (
            "DEPROVISIONED",
            False,
            True,
        )


def test_one_user_by_id_login_short_name_and_me() -> None:
    with serving() as (_, client):
        for name in (uid("bob"), "bob@example.test", "BOB", "bob"):
            assert client.get(f"/api/v1/users/{name}").json()["id"] == uid("bob"), name
        assert client.get("/api/v1/users/me").json()["id"] == ADMIN
        missing = client.get("/api/v1/users/00u1simnobody0000000")
        assert (missing.status_code, missing.json()["errorCode"]) == (404, "E0000007")


def test_groups_with_stats_count_what_members_list() -> None:
    with serving(page_size=2) as (_, client):
        groups = every(client, "/api/v1/groups?expand=stats")
        assert {row["type"] for row in groups} == {"OKTA_GROUP", "APP_GROUP", "BUILT_IN"}
        for row in groups:
            members = every(client, f"/api/v1/groups/{row['id']}/users")
            assert row["_embedded"]["stats"]["usersCount"] == len(members)
        assert all("_embedded" not in row for row in every(client, "/api/v1/groups"))
        kinds = every(client, '/api/v1/groups?filter=type eq "APP_GROUP"')
        assert [row["type"] for row in kinds] == ["APP_GROUP"]
        assert {row["status"] for row in every(client, "/api/v1/groups/rules")} == {"ACTIVE", "INACTIVE", "INVALID"}


def test_apps_that_are_not_active_come_only_when_asked_for() -> None:
    with serving() as (okta, client):
        assert {row["status"] for row in every(client, "/api/v1/apps")} == {"ACTIVE"}
        assert len(every(client, "/api/v1/apps?includeNonDeleted=true")) == len(okta.org.rows["apps"])
        assert [row["label"] for row in every(client, '/api/v1/apps?filter=status eq "INACTIVE"')] == ["Retired"]


def test_the_newest_group_and_user_can_be_asked_for() -> None:
    with serving(GeneratedOrg(Sizes(users=450, groups=40)), page_size=100) as (_, client):
        for kind, search in (("users", "status pr"), ("groups", 'type eq "OKTA_GROUP"')):
            forwards = every(client, f"/api/v1/{kind}?search={search}&sortBy=created&sortOrder=asc")
            newest = client.get(f"/api/v1/{kind}?search={search}&sortBy=created&sortOrder=desc&limit=1").json()
            assert newest == forwards[-1:]
            assert [row["created"] for row in forwards] == sorted(row["created"] for row in forwards)


def test_lists_below_an_object_need_the_object() -> None:
    with serving() as (_, client):
        assert client.get(f"/api/v1/users/{uid('suspended')}/factors").json() == []
        for path in ("groups/00g1simnothing00000/users", "users/00u1simnothing00000/factors", "apps/0oa0/users"):
            assert client.get(f"/api/v1/{path}").status_code == 404, path
        assert client.get("/api/v1/no/such/thing").json()["errorCode"] == "E0000007"


def test_administrators_are_paged_in_the_body() -> None:
    with serving(page_size=2) as (okta, client):
        found, url, pages = [], "/api/v1/iam/assignees/users", 0
        while url:
            answer = client.get(url)
            assert "link" not in answer.headers
            found += [row["id"] for row in answer.json()["value"]]
            url, pages = answer.json()["_links"].get("next", {}).get("href", ""), pages + 1
        assert (found, pages) == ([ADMIN, uid("ann"), uid("bob")], 2)
        roles = client.get(f"/api/v1/users/{uid('ann')}/roles").json()
        assert [role["type"] for role in roles] == ["GROUP_MEMBERSHIP_ADMIN", "CUSTOM"]
        assert roles[1]["_links"]["role"]["href"].startswith(okta.url)
        assert client.get(f"/api/v1/iam/resource-sets/{roles[1]['resource-set']}/bindings").json()["roles"]
        assert client.get("/oauth2/v1/clients/0oa1simbatch00000000/roles").json()[0]["assignmentType"] == "CLIENT"


def test_what_the_service_cannot_list_is_not_listed_in_full() -> None:
    with serving() as (_, client):
        token = client.get("/api/v1/api-tokens").json()[0]
        assert "token" not in token
        assert set(token) >= {"id", "name", "userId", "created", "lastUpdated", "expiresAt", "tokenWindow"}
        refresh = client.get(f"/api/v1/users/{uid('ann')}/clients/0oa1simweb0000000000/tokens").json()[0]
        assert refresh["status"] == "ACTIVE"
        assert not {"token", "refresh_token"} & set(refresh)


def test_a_million_users_are_made_when_asked_for() -> None:
    with serving(GeneratedOrg(Sizes(users=1_000_000, groups=3000))) as (_, client):
        last = client.get("/api/v1/users?search=status pr&sortBy=id&sortOrder=desc&limit=1").json()[0]
        assert last["profile"]["login"] == "user999999@example.test"
        assert client.get(f"/api/v1/users/{last['id']}").json() == last
        assert client.get("/api/v1/users/user123456@example.test").json()["profile"]["employeeNumber"] == "223456"
        assert client.get("/api/v1/users/00u1sim00000000zzzzz").status_code == 404
        groups = client.get("/api/v1/groups?limit=10000").json()
        assert len(groups) == 3000
        member = client.get(f"/api/v1/groups/{groups[1]['id']}/users?limit=1").json()[0]
        assert groups[1]["id"] in {row["id"] for row in client.get(f"/api/v1/users/{member['id']}/groups").json()}
