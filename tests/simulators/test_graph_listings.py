"""The simulated listings: which properties, which pages, which counts, which filters."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.graph import objects as make
from tests.simulators.graph import sample as company
from tests.simulators.graph.raw_client import EVENTUAL, RawClient, asking
from tests.simulators.graph.sample import ANNA, BEN, CARLA, DAVID, EVA, HUGO, IDA, sample
from tests.simulators.graph.server import READER, GraphSimulator
from tests.simulators.graph.tenant import P1, Tenant
from tests.simulators.graph.vocabulary import USER_DEFAULTS


@pytest.fixture
def client() -> Iterator[RawClient]:
    with asking(GraphSimulator(sample())) as asked:
        yield asked


def crowd(users: int) -> Tenant:
    tenant = Tenant()
    tenant.add("users", *(make.user(number, f"u{number}", f"User {number}") for number in range(users)))
    return tenant


def test_without_select_only_the_documented_properties_come(client: RawClient) -> None:
    for row in client.value("users"):
        assert sorted(row) == sorted(USER_DEFAULTS)


def test_select_gives_what_is_named_and_null_where_there_is_none(client: RawClient) -> None:
    rows = client.value("users?$select=id,accountEnabled,userType,employeeId")
    assert {"id": HUGO, "accountEnabled": True, "userType": None, "employeeId": None} in rows


def test_a_property_that_does_not_exist_is_refused(client: RawClient) -> None:
    answer = client.get("users?$select=id,shoeSize")
    assert answer.status_code == 400
    assert "'shoeSize' on type 'microsoft.graph.user'" in answer.json()["error"]["message"]


def test_properties_of_single_users_are_refused_in_listings(client: RawClient) -> None:
    assert client.get("users?$select=aboutMe").status_code == 501


def test_a_url_too_long_is_refused(client: RawClient) -> None:
    assert client.error("users?$select=" + ",".join(["displayName"] * 400)) == (400, "BadRequest")


def test_sign_in_activity_is_left_out_for_those_who_never_signed_in(client: RawClient) -> None:
    rows = {row["id"]: row for row in client.value("users?$select=userPrincipalName,signInActivity")}
    assert "signInActivity" not in rows[CARLA]
    assert rows[IDA]["signInActivity"]["lastSuccessfulSignInDateTime"] is None
    assert rows[ANNA]["signInActivity"]["lastSignInDateTime"] == "2026-11-19T07:00:00Z"


def test_sign_in_activity_needs_the_licence_and_the_permission() -> None:
    path = "users?$select=id,signInActivity"
    with asking(GraphSimulator(sample(licences=()))) as client:
        assert client.error(path) == (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")
        assert client.get("users?$select=id").status_code == 200
    with asking(GraphSimulator(sample([P1]), roles={"User.Read.All"})) as client:
        assert client.error(path) == (403, "Authentication_MSGraphPermissionMissing")
        assert client.get("users?$select=id").status_code == 200


def test_a_licence_that_cannot_be_seen_is_taken_for_none() -> None:
    graph = GraphSimulator(sample(), roles={"User.Read.All", "AuditLog.Read.All"})
    graph.service.lister.licence_unseen = True
    with asking(graph) as client:
        code = (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant")
        assert client.error("users?$select=id,signInActivity") == code
        assert client.error("auditLogs/signIns") == code
        assert client.get("auditLogs/directoryAudits").status_code == 200


def test_pages_have_a_hundred_rows_unless_asked_otherwise() -> None:
    with asking(GraphSimulator(crowd(250))) as client:
        pages = list(client.pages("users?$select=id"))
        assert [len(page["value"]) for page in pages] == [100, 100, 50]
        assert [len(page["value"]) for page in client.pages("users?$select=id&$top=200")] == [200, 50]
        assert len({row["id"] for page in pages for row in page["value"]}) == 250


def test_a_last_full_page_has_no_next_link() -> None:
    with asking(GraphSimulator(crowd(200))) as client:
        assert len(list(client.pages("users?$select=id"))) == 2


@pytest.mark.parametrize("top", ["0", "1000", "-1", "many"])
def test_a_page_size_out_of_range_is_refused(client: RawClient, top: str) -> None:
    assert client.error(f"users?$top={top}")[0] == 400
    assert client.error(f"groups?$top={top}")[0] == 400


def test_pages_with_sign_in_activity_are_of_five_hundred_at_most() -> None:
    with asking(GraphSimulator(crowd(600))) as client:
        sizes = [len(page["value"]) for page in client.pages("users?$select=id,signInActivity&$top=999")]
    assert sizes == [500, 100]


def test_logs_come_by_the_thousand_and_no_more(client: RawClient) -> None:
    assert client.get("auditLogs/directoryAudits?$top=1000").status_code == 200
    assert client.error("auditLogs/directoryAudits?$top=1001")[0] == 400


def test_collections_without_pages_take_no_notice_of_a_page_size(client: RawClient) -> None:
    assert len(client.value("directoryRoles?$top=1")) == 3
    assert len(client.value("roleManagement/directory/roleDefinitions?$top=1")) == 4


def test_a_next_link_is_opaque_absolute_and_keeps_the_query() -> None:
    with asking(GraphSimulator(crowd(30))) as client:
        first = client.get("users?$select=id&$top=10").json()
        link = first["@odata.nextLink"]
        assert link.startswith(f"{client.graph.url}/v1.0/users?")
        assert "$select=id" in link
        assert "$skiptoken=" in link
        assert client.error(link.split("$skiptoken=")[0] + "$skiptoken=made-up") == (400, "Directory_ExpiredPageToken")


def test_a_page_token_belongs_to_its_query_and_can_expire() -> None:
    with asking(GraphSimulator(crowd(30))) as client:
        link = client.get("users?$top=10").json()["@odata.nextLink"]
        elsewhere = link.replace("/users?", "/users?$filter=accountEnabled eq true&")
        assert client.error(elsewhere) == (400, "Directory_ExpiredPageToken")
        client.graph.service.lister.expired_pages = True
        assert client.error(link) == (400, "Directory_ExpiredPageToken")


def test_a_chain_of_an_advanced_query_needs_its_header_on_every_page() -> None:
    with asking(GraphSimulator(crowd(30))) as client:
        first = client.get("users?$top=10&$count=true", EVENTUAL).json()
        assert first["@odata.count"] == 30
        assert client.error(first["@odata.nextLink"]) == (400, "Directory_ExpiredPageToken")
        second = client.get(first["@odata.nextLink"], EVENTUAL).json()
        assert "@odata.count" not in second  # documented: on the first page only
        assert len(second["value"]) == 10


def test_a_count_without_the_header_is_left_out_in_silence(client: RawClient) -> None:
    assert "@odata.count" not in client.get("users?$count=true").json()
    assert client.get("users?$count=true", EVENTUAL).json()["@odata.count"] == 11


def test_a_bare_count_is_text_and_needs_the_header(client: RawClient) -> None:
    assert client.error("users/$count") == (400, "Request_BadRequest")
    answer = client.get("users/$count", EVENTUAL)
    assert (answer.text, answer.headers["content-type"]) == ("11", "text/plain")
    assert client.get("groups/$count", EVENTUAL).text == "9"
    assert client.get(f"groups/{company.STAFF}/members/$count", EVENTUAL).text == "5"
    assert client.get("directory/deletedItems/microsoft.graph.user/$count", EVENTUAL).text == "1"
    assert client.get("users/$count?$filter=userType eq 'Guest'", EVENTUAL).text == "3"


@pytest.mark.parametrize(
    ("sieve", "found"),
    [
        (f"id eq '{BEN}'", {BEN}),
        (f"id in ('{BEN}','{ANNA}')", {BEN, ANNA}),
        ("userPrincipalName eq 'BEN@contoso.onmicrosoft.com'", {BEN}),
        ("employeeId eq 'E-003'", {CARLA}),
        ("mail eq 'david@partner.example'", {DAVID}),
        ("startswith(displayName,'anna')", {ANNA}),
        ("startsWith(mail,'david@') or startsWith(mail,'eva@')", {DAVID, EVA}),
        ("displayName eq 'Hugo O''Hara'", {HUGO}),
        ("proxyAddresses/any(p:p eq 'smtp:a.arnold@contoso.example')", {ANNA}),
        ("proxyAddresses/any(p:startswith(p,'smtp:a.arnold'))", {ANNA}),
        ("otherMails/any(m:m eq 'hugo%2Bhome@mail.example')", {HUGO}),
        ("otherMails/any(m:m eq 'hugo+home@mail.example')", set()),
        ("accountEnabled eq false and employeeId eq 'E-003'", {CARLA}),
        ("onPremisesSyncEnabled eq true", {BEN}),
        ("externalUserState eq 'PendingAcceptance'", {EVA}),
        ("identities/any(i:i/issuer eq 'ExternalAzureAD' and i/signInType eq 'x') or mail eq 'eva@supplier.example'",
         {EVA}),
    ],
)  # fmt: skip
def test_filters(client: RawClient, sieve: str, found: set[str]) -> None:
    assert set(client.ids(f"users?$select=id&$filter={sieve}")) == found


@pytest.mark.parametrize(
    "sieve",
    [
        "mail eq",
        "mail eq 'x",
        "(mail eq 'x'",
        "mail like 'x'",
        "mail eq x",
        "mail eq 'x' mail",
        "any(",
        "mail,",
        f"id eq {BEN}",
    ],
)
def test_a_filter_that_is_none_is_refused(client: RawClient, sieve: str) -> None:
    assert client.error(f"users?$filter={sieve}")[0] == 400


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("$filter=accountEnabled ne true", 2),
        ("$filter=not(accountEnabled eq true)", 2),
        ("$filter=endswith(mail,'@partner.example')", 1),
        ("$filter=proxyAddresses/$count eq 2", 1),
        ("$filter=accountEnabled eq true&$orderby=displayName", 9),
        ("$orderby=createdDateTime", 11),
        ('$search="displayName:anna"', 1),
        ('$search="displayName:arno"', 1),
    ],
)
def test_advanced_queries_need_header_and_count(client: RawClient, query: str, found: int) -> None:
    assert client.error(f"users?{query}&$count=true") == (400, "Request_UnsupportedQuery")
    if "$search" not in query:
        assert client.error(f"users?{query}", EVENTUAL) == (400, "Request_UnsupportedQuery")
    answer = client.get(f"users?{query}&$count=true", EVENTUAL)
    assert answer.json()["@odata.count"] == found == len(answer.json()["value"])


def test_advanced_queries_lag_behind_and_plain_ones_do_not(client: RawClient) -> None:
    new = make.user(50, "nina", "Nina Neu")
    client.graph.service.tenant.rows("users").held.append(new)  # type: ignore[attr-defined] # the sample's are a list
    client.graph.lag.unseen.add(new["id"])
    client.graph.lag.lingering["users"] = [make.user(51, "olaf", "Olaf Old")]
    client.graph.lag.stale[CARLA] = make.user(3, "carla", "Carla Conti", accountEnabled=True)
    plain = set(client.ids("users?$select=id"))
    indexed = client.get("users?$select=id,accountEnabled&$count=true", EVENTUAL).json()
    assert new["id"] in plain
    assert make.guid("user", 51) not in plain
    assert indexed["@odata.count"] == 12
    rows = {row["id"]: row["accountEnabled"] for row in indexed["value"]}
    assert new["id"] not in rows
    assert make.guid("user", 51) in rows
    assert rows[CARLA] is True
    assert client.get(f"users/{CARLA}?$select=accountEnabled").json()["accountEnabled"] is False
    assert client.get("users/$count", EVENTUAL).text == "12"


def test_manager_is_expanded_where_there_is_one(client: RawClient) -> None:
    rows = {row["id"]: row for row in client.value("users?$select=id&$expand=manager($select=id)")}
    assert rows[BEN]["manager"] == {"@odata.type": "#microsoft.graph.user", "id": ANNA}
    assert "manager" not in rows[ANNA]


def test_nothing_is_expanded_by_advanced_queries(client: RawClient) -> None:
    assert client.get("users?$expand=manager&$count=true").status_code == 200
    for query in ("$expand=manager&$count=true", "$expand=manager"):
        assert client.error(f"users?{query}", EVENTUAL) == (400, "Request_UnsupportedQuery")


def test_what_can_be_sorted_differs_by_type(client: RawClient) -> None:
    assert client.get("users?$orderby=userPrincipalName desc").status_code == 200
    assert client.get("groups?$orderby=displayName").status_code == 200
    assert client.error("applications?$orderby=displayName") == (400, "Request_UnsupportedQuery")
    assert client.get("applications?$orderby=displayName&$count=true", EVENTUAL).status_code == 200


def test_unknown_expansions_and_skip_are_refused(client: RawClient) -> None:
    assert client.error("users?$expand=shoes")[0] == 400
    assert client.error("users?$skip=10")[0] == 400
    assert client.error("users?$orderby=displayName sideways")[0] == 400
    assert client.error('users?$search="anna"&$count=true', EVENTUAL)[0] == 400


def test_a_delta_ends_with_a_link_for_what_comes_next() -> None:
    tenant = crowd(250)
    with asking(GraphSimulator(tenant)) as client:
        pages = list(client.pages("users/delta?$select=id", {"Prefer": "odata.maxpagesize=100"}))
        assert [len(page["value"]) for page in pages] == [100, 100, 50]
        assert ["@odata.deltaLink" in page for page in pages] == [False, False, True]
        gone = make.guid("user", 7)
        tenant.soft_delete("users", gone, "2026-11-20T00:00:00Z")
        changes = client.value(pages[-1]["@odata.deltaLink"])
        assert changes == [{"id": gone, "@removed": {"reason": "changed"}}]


def test_what_needs_more_than_reading_is_null() -> None:
    path = f"users?$select=customSecurityAttributes,employeeLeaveDateTime&$filter=id eq '{ANNA}'"
    tenant = sample()
    anna = tenant.rows("users").find(ANNA)
    assert anna is not None
    anna |= {"customSecurityAttributes": {"a": 1}, "employeeLeaveDateTime": "2026-12-31T00:00:00Z"}
    more = READER | {"CustomSecAttributeAssignment.Read.All", "User-LifeCycleInfo.Read.All"}
    with asking(GraphSimulator(tenant)) as client:
        assert client.value(path) == [{"customSecurityAttributes": None, "employeeLeaveDateTime": None}]
    with asking(GraphSimulator(tenant, roles=more)) as client:
        assert client.value(path)[0]["employeeLeaveDateTime"] == "2026-12-31T00:00:00Z"
