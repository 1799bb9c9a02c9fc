"""Three vendors' ticket systems by their profiles: filed once, read back, and nothing guessed."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from tenacity import wait_none

from reconciler.connectors import load_tickets
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.tickets import Change, Status, TicketRef, TicketSystem
from tests.connectors.rest import desks
from tests.connectors.rest.desks import SERVICES, opened, ticket
from tests.simulators.desks.freshservice import Freshservice
from tests.simulators.desks.service import Service
from tests.simulators.desks.vault import NOTE, Vault
from tests.simulators.desks.zendesk import Zendesk
from tests.simulators.http_faults import FaultServer, in_json
from tests.simulators.http_injection import FaultKind

PROFILES = sorted(SERVICES)
CREATES = {
    "zendesk": r"^/api/v2/tickets.json$",
    "freshservice": r"^/api/v2/tickets$",
    "veeva-vault": r"/vobjects/quality_event__qdm",
}


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.sdk.http._BACKOFF", wait_none())
    for name, secret in desks.SECRETS.items():
        monkeypatch.setenv(name, secret)


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service(profile: str) -> Iterator[Service]:
    with SERVICES[profile]() as running:
        yield running


@pytest.fixture
async def system(profile: str, service: Service) -> AsyncIterator[TicketSystem]:
    made = opened(profile, service.url)
    yield made
    await made.close()


async def closed(system: TicketSystem, call: Any) -> Any:
    """Return what a call gives, and close the system."""
    try:
        return await call
    finally:
        await system.close()


async def test_a_ticket_is_made_found_and_read_back(service: Service, system: TicketSystem) -> None:
    assert isinstance(system, TicketSystem)
    made = await system.create(ticket())
    assert service.held() == {ticket().key: 1}
    assert [ref.id for ref in await system.find(ticket().key)] == [made.id]
    assert list(await system.find("rec-acme-nc-000009")) == []
    view = await system.read(made)
    assert (view.status, view.key, view.ref.id) == (Status.OPEN, ticket().key, made.id)
    assert view.raw_status in {"new", "2", "open_state__c"}
    assert view.updated_at is not None


async def test_what_is_previewed_is_what_is_sent_and_holds_no_secret(
    profile: str, service: Service, system: TicketSystem
) -> None:
    preview = system.preview(ticket())
    assert service.requests == []
    await system.create(ticket())
    sent = [target for _, target in service.requests if "auth" not in target]
    assert preview.url == f"{service.url}{sent[0]}"
    assert preview.headers["Authorization"] == "***"
    assert not any(secret in repr(preview) for secret in desks.SECRETS.values())
    (row,) = service.tickets.values()
    body = json.loads(preview.body)
    shown = {"zendesk": lambda: body["ticket"], "freshservice": lambda: body, "veeva-vault": lambda: body[0]}[profile]()
    assert {name: row.get(name) for name in shown if name != "comment"} == {
        name: value for name, value in shown.items() if name != "comment"
    }
    assert row["email"] == "r@acme.test"


async def test_status_and_comment_are_set_and_read_back(system: TicketSystem) -> None:
    made = await system.create(ticket())
    await system.change(made, Change(mark="m-1", comment="Gone.\n[m-1]", status=Status.RESOLVED))
    view = await system.read(made)
    assert view.status is Status.RESOLVED
    assert "[m-1]" in view.comments[-1].text
    assert view.comments[-1].at is not None
    assert view.comments[-1].author
    await system.change(made, Change(mark="m-2", status=Status.OPEN))
    assert (await system.read(made)).status is Status.OPEN


async def test_every_key_of_a_prefix_is_listed_over_all_pages(service: Service, system: TicketSystem) -> None:
    if isinstance(service, Freshservice):
        service.most = 30
    count = 35 if isinstance(service, Freshservice) else 5
    for number in range(1, count + 1):
        await system.create(ticket(number))
    await system.create(ticket(99, key="rec-other-nc-000001"))
    found = [key async for key, _ in system.keyed("rec-acme-")]
    assert sorted(found) == [ticket(number).key for number in range(1, count + 1)]


async def test_a_lost_answer_leaves_one_ticket_or_is_looked_up(
    profile: str, service: Service, system: TicketSystem
) -> None:
    service.faults.add(FaultKind.RESET_WITHIN, path=CREATES[profile])
    if profile == "freshservice":
        with pytest.raises(Unreachable):
            await system.create(ticket())
    else:
        await system.create(ticket())
    assert service.held() == {ticket().key: 1}
    assert len(await system.find(ticket().key)) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.THROTTLED, Throttled),
        (FaultKind.SERVER_ERROR, Unreachable),
        (FaultKind.BAD_GATEWAY_HTML, Unreachable),
        (FaultKind.FORBIDDEN, Refused),
        (FaultKind.HTML_OK, Misbehaved),
        (FaultKind.EMPTY_BODY, Misbehaved),
    ],
)
async def test_what_may_pass_is_told_from_what_will_not(
    profile: str, service: Service, system: TicketSystem, kind: FaultKind, error: type[Exception]
) -> None:
    service.faults.add(kind, path=CREATES[profile], times=None)
    with pytest.raises(error):
        await system.create(ticket())


async def test_a_ticket_that_is_gone_is_told_from_one_that_is_not_known(
    profile: str, service: Service, system: TicketSystem
) -> None:
    made = await system.create(ticket())
    service.tickets.clear()
    assert (await system.read(made)).status is Status.GONE
    if profile != "veeva-vault":
        astray = opened(profile, f"{service.url}/elsewhere")
        with pytest.raises(Refused, match="HTTP 404"):
            await closed(astray, astray.read(made))


async def test_wrong_credentials_are_refused(profile: str, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in desks.SECRETS:
        monkeypatch.setenv(name, "planted-and-wrong")
    system = opened(profile, service.url)
    with pytest.raises(Refused) as caught:
        await closed(system, system.check())
    assert "planted-and-wrong" not in str(caught.value)


async def test_check_finds_nothing_to_say(service: Service, system: TicketSystem) -> None:
    assert list(await system.check()) == []
    assert service.tickets == {}


async def test_a_status_that_nobody_mapped_is_not_guessed(service: Service, system: TicketSystem) -> None:
    made = await system.create(ticket())
    service.tickets[made.id] |= {"status": "odd", "state__v": "odd"}
    with pytest.raises(Misbehaved, match=r"\[filing.systems.desk\] statuses: 'odd' is not mapped"):
        await system.read(made)


async def test_a_ticket_without_a_key_is_refused(service: Service, system: TicketSystem) -> None:
    with pytest.raises(ConfigurationError, match="no key of a ticket"):
        await system.create(ticket(key=""))
    with pytest.raises(ConfigurationError, match="no key of a ticket"):
        await system.find("")
    assert service.requests == []


class TestZendesk:
    """Idempotency keys, and what a closed ticket takes."""

    async def test_the_same_request_within_two_hours_is_one_ticket(self) -> None:
        with Zendesk() as service:
            system = opened("zendesk", service.url)
            first = await system.create(ticket())
            assert (await system.create(ticket())).id == first.id
            with pytest.raises(Refused, match="HTTP 400"):
                await system.create(ticket(title="another"))
            assert service.lookups == ["miss", "hit"]
            service.later = 7_201
            await system.create(ticket())
            assert [ref.id for ref in await system.find(ticket().key)] == ["1", "2"]
            assert not system.idempotent
            await system.close()

    async def test_a_closed_ticket_says_why_it_takes_nothing(self) -> None:
        with Zendesk() as service:
            system = opened("zendesk", service.url)
            made = await system.create(ticket())
            service.tickets[made.id]["status"] = "closed"
            assert (await system.read(made)).status is Status.CLOSED
            with pytest.raises(Refused, match="HTTP 422"):
                await system.change(made, Change(mark="m", status=Status.OPEN))
            with pytest.raises(Refused, match="HTTP 422"):
                await closed(system, system.create(ticket(2, body="")))

    async def test_what_a_finding_says_is_no_markdown(self) -> None:
        said = "Seen on [the portal](https://evil.test) ![x](https://evil.test/pixel) <b>now</b>"
        with Zendesk() as service:
            system = opened("zendesk", service.url)
            made = await system.create(ticket(body=said))
            await system.change(made, Change(mark="m-1", comment=f"{said}\n\n[m-1]"))
            pages = [one["html_body"] for one in service.tickets[made.id]["said"]]
            assert not any(mark in page for page in pages for mark in ("<a ", "<img", "<b>"))
            first, second = (await closed(system, system.read(made))).comments
            assert first.text == said
            assert second.text.endswith("[m-1]")

    async def test_a_long_text_is_cut_to_what_a_comment_holds_its_escapes_counted(self) -> None:
        with Zendesk() as service:
            system = opened("zendesk", service.url)
            made = await closed(system, system.create(ticket(body='- <&">\n' * 10_000)))
            assert "(cut: " in service.tickets[made.id]["said"][0]["html_body"]

    async def test_a_request_that_another_is_at_work_on_may_have_been_done(self) -> None:
        answer = in_json({"error": "Conflict", "description": "a request under this key is in progress"}, 409)
        async with FaultServer() as server:
            server.script("/api/v2/tickets.json", answer)
            system = opened("zendesk", server.url)
            with pytest.raises(Unreachable, match="HTTP 409"):
                await closed(system, system.create(ticket()))

    async def test_severity_becomes_a_priority_and_fields_are_laid_over(self) -> None:
        with Zendesk() as service:
            system = opened("zendesk", service.url)
            fields = {"group_id": 7, "facts": "x", "custom_fields": [{"id": 1, "value": "y"}]}
            made = await system.create(ticket(fields=fields))
            await closed(system, system.change(made, Change(mark="m", fields={"group_id": 8})))
            row = service.tickets[made.id]
            assert (row["priority"], row["group_id"], row["facts"]) == ("urgent", 8, "x")
            assert row["status"] == "new"


class TestFreshservice:
    """A filter that lags, a trash, and HTML."""

    async def test_a_new_ticket_is_found_only_later(self) -> None:
        with Freshservice(lag=300) as service:
            system = opened("freshservice", service.url)
            await system.create(ticket())
            assert list(await system.find(ticket().key)) == []
            assert system.settle_seconds == 300
            service.later = 301
            assert len(await closed(system, system.find(ticket().key))) == 1

    async def test_the_trash_does_not_count(self) -> None:
        with Freshservice() as service:
            system = opened("freshservice", service.url)
            made = await system.create(ticket())
            service.tickets[made.id]["deleted"] = True
            assert (await system.read(made)).status is Status.GONE
            assert list(await closed(system, system.find(ticket().key))) == []

    async def test_texts_are_html_and_nothing_of_ours_is_markup(self) -> None:
        with Freshservice() as service:
            system = opened("freshservice", service.url)
            made = await closed(system, system.create(ticket(body=f"{ticket().body}Ask them.\n")))
            assert service.tickets[made.id]["description"] == (
                "<p>It does not hold.</p><ul><li>F-1: u-1001</li><li>F-2: &lt;b&gt;</li></ul><p>Ask them.</p>"
            )
            assert service.tickets[made.id]["priority"] == 4

    async def test_a_list_that_ends_too_early_is_no_list(self) -> None:
        with Freshservice(most=10) as service:
            system = opened("freshservice", service.url)
            for number in range(12):
                await system.create(ticket(number))
            with pytest.raises(Misbehaved, match="10 of 12 read"):
                await closed(system, _all(system))

    async def test_a_ticket_of_another_workspace_is_found_there(self) -> None:
        fields = {"email": "r@acme.test", "workspace_id": 5}
        with Freshservice() as service:
            system = opened("freshservice", service.url, fields=fields)
            made = await system.create(ticket(fields=fields))
            assert [ref.id for ref in await system.find(ticket().key)] == [made.id]
            assert await closed(system, _all(system)) == [ticket().key]
            primary = opened("freshservice", service.url)
            assert list(await closed(primary, primary.find(ticket().key))) == []

    async def test_a_missing_field_is_refused(self) -> None:
        with Freshservice() as service:
            system = opened("freshservice", service.url)
            with pytest.raises(Refused, match="HTTP 400"):
                await closed(system, system.create(ticket(fields={})))
            assert service.tickets == {}


class TestVault:
    """What goes wrong comes with HTTP 200."""

    async def test_twice_is_one_record_for_ever(self) -> None:
        with Vault() as service:
            system = opened("veeva-vault", service.url)
            first = await system.create(ticket())
            assert (await system.create(ticket(title="again"))).id == first.id
            assert system.idempotent
            assert [row["name__v"] for row in service.tickets.values()] == ["again"]
            await system.change(first, Change(mark="m-1", comment="Here again."))
            await closed(system, system.change(first, Change(mark="m-1", comment="Here again.")))
            assert len(service.notes) == 1

    async def test_a_session_that_ended_is_opened_anew(self) -> None:
        with Vault() as service:
            system = opened("veeva-vault", service.url)
            await system.create(ticket())
            service.end_sessions()
            await system.create(ticket(2))
            assert len(service.sessions) == 2
            assert service.held() == {ticket(1).key: 1, ticket(2).key: 1}
            await system.close()

    async def test_a_vault_that_opens_no_session_just_now_is_asked_again_later(self) -> None:
        with Vault(busy=True) as service:
            system = opened("veeva-vault", service.url)
            with pytest.raises(Throttled, match="authentication API calls"):
                await system.create(ticket())
            service.busy = False
            await closed(system, system.create(ticket()))

    @pytest.mark.parametrize(
        ("kind", "error"),
        [("API_LIMIT_EXCEEDED", Throttled), ("UNEXPECTED_ERROR", Unreachable), ("INSUFFICIENT_ACCESS", Refused)],
    )
    async def test_an_error_with_http_200_is_an_error(self, kind: str, error: type[Exception]) -> None:
        with Vault() as service:
            system = opened("veeva-vault", service.url)
            service.fault = kind
            with pytest.raises(error, match=f"injected {kind}"):
                await closed(system, system.create(ticket()))
            assert service.tickets == {}

    async def test_a_name_is_no_longer_than_a_vault_holds(self) -> None:
        with Vault() as service:
            system = opened("veeva-vault", service.url)
            await closed(system, system.create(ticket(title="t" * 250, body="b" * 40_000)))
            (row,) = service.tickets.values()
            assert (len(row["name__v"]), row["name__v"][-1]) == (128, "…")
            assert "(cut: " in row["description__c"]

    async def test_a_record_that_is_refused_within_a_batch_says_why(self) -> None:
        with Vault(required=frozenset({"product__v"})) as service:
            system = opened("veeva-vault", service.url)
            with pytest.raises(Refused, match=r"Missing required parameter \[product__v\]"):
                await closed(system, system.create(ticket()))

    async def test_a_status_needs_its_action(self) -> None:
        with Vault() as service:
            system = opened("veeva-vault", service.url, change=None, status_values={})
            made = await system.create(ticket())
            with pytest.raises(ConfigurationError, match=r"\[filing.systems.desk\] change is missing"):
                await system.change(made, Change(mark="m", status=Status.CLOSED))
            assert [gap.reason.partition(": ")[0] for gap in await system.check()] == [
                "[filing.systems.desk] change is missing"
            ]
            assert NOTE not in service.tickets
            await system.close()

    async def test_what_a_change_needs_and_nobody_configured_is_named(self) -> None:
        with Vault() as service:
            system = opened("veeva-vault", service.url, status_values={}, comment=None)
            made = await system.create(ticket())
            for change, says in (
                (Change(mark="m", fields={"product__v": "P"}), "change is missing"),
                (Change(mark="m", status=Status.CLOSED), "status_values.closed is missing"),
                (Change(mark="m", comment="hello"), "comment is missing"),
            ):
                with pytest.raises(ConfigurationError, match=says):
                    await system.change(made, change)
            await system.close()

    async def test_a_session_id_that_is_none_is_not_sent(self) -> None:
        auth = desks.SECTIONS["veeva-vault"]["auth"]
        with Vault() as service:
            system = opened("veeva-vault", service.url, auth=auth | {"token": "userId"})
            with pytest.raises(Misbehaved, match="the session id is none"):
                await closed(system, system.check())
            assert service.requests == [("POST", "/api/v25.1/auth")]


async def _all(system: TicketSystem) -> list[str]:
    return [key async for key, _ in system.keyed("rec-acme-")]


async def test_a_page_that_comes_again_is_an_error() -> None:
    with Zendesk() as service:
        paging = {"style": "next_url", "next": "'/api/v2/tickets.json?external_id=x'", "more": "`true`"}
        keyed = {"path": "api/v2/tickets.json", "params": {"external_id": "x"}, "items": "tickets", "paging": paging}
        system = opened("zendesk", service.url, keyed={**keyed, "id": "id", "key": "external_id"})
        with pytest.raises(Misbehaved, match="the chain goes round"):
            await closed(system, _all(system))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"profile": "remedy"}, "no such profile: 'remedy'; there are freshservice, veeva-vault, zendesk"),
        ({"url": "http://acme.zendesk.test"}, "url: .*unencrypted"),
        ({"find": {"params": {"external_id": "{{ kee }}"}}}, "find: unknown field kee in .*; known: key, var"),
        ({"comment": {"body": {"x": "{{ comment"}}}, "comment: .* is no template"),
        ({"headers": {"Authorization": "Bearer planted"}}, "Authorization holds credentials: use auth"),
        ({"create": {"headers": {"cookie": "a=planted"}}}, "create.headers\n.*cookie holds credentials"),
        ({"create": {"form": {"a": "b"}}}, "body and form: give one of them"),
        ({"create": {"path": "https://elsewhere.test/x"}}, "is no path below url"),
        ({"create": {"id": "ticket..id"}}, "is not a JMESPath expression"),
        ({"statuses": {"odd": "somehow"}}, "statuses.odd"),
        ({"auth": {"type": "session", "path": "a", "user": "u", "password": "secret", "token": "t"}}, "be a reference"),
    ],
)
def test_a_section_that_cannot_work_is_refused_with_its_key(changes: dict[str, Any], says: str) -> None:
    given = desks.section("zendesk", "https://acme.zendesk.test") | changes
    with pytest.raises(ValueError, match=says):
        load_tickets("rest").TicketSettings.model_validate(given)


@pytest.mark.parametrize(
    ("create", "says"),
    [
        ({"fields_into": "ticket.comment.html_body"}, "fields_into names no table of the body"),
        ({"fields_into": "0"}, None),
        ({"body": {"ticket": {"external_id": "none"}}}, "the body does not carry the key"),
        ({"body": {"ticket": {"email": "{{ key }}"}}}, "the body does not carry the key"),  # fields.email takes it away
        ({"body": {"ticket": {"external_id": "{{ key.nothing.there }}"}}}, "cannot be filled in"),
    ],
)
def test_a_request_that_cannot_be_made_is_refused_before_it_is_sent(create: dict[str, Any], says: str | None) -> None:
    system = opened("zendesk", "https://acme.zendesk.test", create=create)
    if says is None:
        assert json.loads(system.preview(ticket()).body)["0"] == {"email": "r@acme.test"}
        return
    with pytest.raises(ConfigurationError, match=says):
        system.preview(ticket())


async def test_an_answer_that_names_no_ticket_is_not_taken_for_one() -> None:
    with Zendesk() as service:
        system = opened("zendesk", service.url, create={"id": "ticket.nothing"})
        with pytest.raises(Misbehaved, match=r"create.id = ticket.nothing finds nothing"):
            await closed(system, system.create(ticket()))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"find": {"items": "count"}}, "items = count finds NoneType where a list is due"),
        ({"find": {"items": "length(tickets)"}}, "finds int where a list is due"),
        ({"find": {"items": "length(next_page)"}}, "an expression fails"),
        ({"find": {"id": "nothing"}}, "a ticket without an id"),
        ({"find": {"key": "nothing"}}, "ticket 1 is found by a key and shows none"),
        ({"find": {"key": "length(id)"}}, "fails: "),
    ],
)
async def test_a_list_that_cannot_be_read_is_no_empty_list(changes: dict[str, Any], says: str) -> None:
    with Zendesk() as service:
        system = opened("zendesk", service.url, **changes)
        await system.create(ticket())
        with pytest.raises(Misbehaved, match=says):
            await closed(system, system.find(ticket().key))


async def test_what_a_ref_holds_cannot_lead_to_another_path() -> None:
    with Zendesk() as service:
        system = opened("zendesk", service.url)
        view = await closed(system, system.read(TicketRef("../../secret?x=")))
        assert view.status is Status.GONE
        assert service.requests[0][1].startswith("/api/v2/tickets/..%2F..%2Fsecret%3Fx%3D.json")
    system = opened("freshservice", "https://acme.freshservice.test")
    with pytest.raises(ConfigurationError, match="id would lead elsewhere"):
        await closed(system, system.read(TicketRef("..")))
