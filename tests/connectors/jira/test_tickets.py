"""Jira as a ticket system, over real HTTP, against a site that behaves as documented."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from connectors.jira import TicketSettings
from connectors.jira.adf import text_of
from connectors.jira.tickets import Jira
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.tickets import Change, Status, TicketRef, TicketSystem
from tests.connectors.jira.conftest import REQUEST, ticket
from tests.simulators.http_injection import FaultKind
from tests.simulators.jira.server import CLIENT, TOKEN
from tests.simulators.jira.server import Jira as Simulator

System = Callable[..., Jira]
KEY = "rec-acme-nc-000001"


async def keys(system: Jira, prefix: str = "rec-acme-nc-") -> list[str]:
    return [key async for key, _ in system.keyed(prefix)]


async def test_a_ticket_is_made_found_and_read_back(system: System, site: Simulator) -> None:
    made = system(priorities={"high": "High"})
    assert isinstance(made, TicketSystem)
    ref = await made.create(ticket(fields={"components": [{"name": "Access"}], "labels": ["iso9001"]}))
    assert await made.find(KEY) == [ref]
    (issue,) = site.site.issues.values()
    assert ref == TicketRef(issue["id"], "GRC-1", f"{site.url}/browse/GRC-1")
    fields = issue["fields"]
    assert fields["summary"] == "NC-000001: 3 accounts outlived their owner"
    assert [node["type"] for node in fields["description"]["content"]] == ["paragraph", "paragraph", "bulletList"]
    assert fields["labels"] == ["iso9001", KEY, "reconciler"]
    assert (fields["priority"], fields["duedate"]) == ({"name": "High"}, "2026-03-09")
    assert fields["components"] == [{"name": "Access"}]
    view = await made.read(ref)
    assert (view.ref, view.status, view.raw_status, view.key) == (ref, Status.OPEN, "To Do", KEY)
    assert view.updated_at is not None
    assert (view.comments, view.assignee, view.resolution) == ((), None, None)


async def test_preview_is_what_create_sends_without_the_credentials(system: System, site: Simulator) -> None:
    for made in (system(), system(request=REQUEST)):
        shown = made.preview(ticket())
        await made.create(ticket())
        (method, url, body) = site.requests[-1]
        assert (shown.method, shown.url, json.loads(shown.body)) == (method, url, body)
        assert shown.headers["Authorization"] == "Basic ***"
        assert TOKEN not in str(shown)


async def test_the_search_lags_and_says_so_by_its_settle_time(system: System, site: Simulator) -> None:
    made = system()
    assert made.settle_seconds == 300
    assert system(settle_seconds=5).settle_seconds == 5
    site.site.frozen = True
    ref = await made.create(ticket())
    assert await made.find(KEY) == []
    assert (await made.read(ref)).key == KEY  # by its id it is there at once
    site.site.frozen = False
    assert await made.find(KEY) == [ref]


def test_the_due_date_is_a_day_of_the_zone(system: System) -> None:
    due = datetime(2026, 3, 9, 23, 30, tzinfo=UTC)
    for zone, day in (("UTC", "2026-03-09"), ("Europe/Amsterdam", "2026-03-10"), ("America/Lima", "2026-03-09")):
        assert f'"duedate": "{day}"' in system(time_zone=zone).preview(ticket(due_at=due)).body
    assert "duedate" not in system(due_field="").preview(ticket()).body
    assert '"customfield_10060": "2026-03-09"' in system(due_field="customfield_10060").preview(ticket()).body


async def test_two_of_one_key_are_both_found_oldest_first(system: System, site: Simulator) -> None:
    made = system()
    first, second = await made.create(ticket()), await made.create(ticket())
    clone = site.site.clone(first.id)
    assert await made.find(KEY) == [first, second, TicketRef(clone["id"], "GRC-3", f"{site.url}/browse/GRC-3")]
    assert not made.idempotent


@pytest.mark.parametrize(
    "kind", [FaultKind.RESET_WITHIN, FaultKind.CUT_BY_LENGTH, FaultKind.EMPTY_BODY, FaultKind.MALFORMED_JSON]
)
@pytest.mark.parametrize("request_type", [None, REQUEST])
async def test_a_lost_answer_is_unknown_and_never_sent_again(
    system: System, site: Simulator, kind: FaultKind, request_type: dict[str, Any] | None
) -> None:
    made = system(request=request_type)
    site.faults.add(kind, path="/issue$|/request$")
    with pytest.raises(Unreachable):
        await made.create(ticket())
    (issue,) = site.site.issues.values()
    (found,) = await made.find(KEY)
    assert found.id == issue["id"]
    assert len(site.requests) == 1


@pytest.mark.parametrize("kind", [FaultKind.SERVER_ERROR, FaultKind.GATEWAY_TIMEOUT, FaultKind.HTML_OK])
async def test_an_error_of_the_server_is_unknown_too(system: System, site: Simulator, kind: FaultKind) -> None:
    site.faults.add(kind, times=None)
    with pytest.raises(Unreachable):
        await system().create(ticket())
    assert site.faults.number == 1


async def test_a_rate_limit_is_waited_out_and_files_once(system: System, site: Simulator) -> None:
    site.faults.add(FaultKind.THROTTLED, times=2)
    await system().create(ticket())
    assert len(site.site.issues) == 1


async def test_a_rate_limit_that_stays_is_throttled(system: System, site: Simulator) -> None:
    site.faults.add(FaultKind.THROTTLED, times=None)
    with pytest.raises(Throttled):
        await system().create(ticket())
    assert site.site.issues == {}


async def test_wrong_credentials_never_make_an_empty_answer(
    system: System, site: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    await system().create(ticket())
    monkeypatch.setenv("JIRA_TOKEN", "planted-wrong")
    with pytest.raises(Refused, match="as to a stranger"):
        await system().find(KEY)
    site.named = False
    with pytest.raises(Refused, match="lack BROWSE_PROJECTS") as caught:
        await system().find(KEY)
    assert caught.value.missing_permission == "BROWSE_PROJECTS"
    with pytest.raises(Refused, match="lack BROWSE_PROJECTS"):
        await keys(system())
    site.strangers = False
    with pytest.raises(Refused, match="must be authenticated") as caught:
        await system().create(ticket())
    assert "planted-wrong" not in str(caught.value)
    assert len(site.site.issues) == 1


async def test_a_service_account_files_too_and_renews_its_token(
    system: System, site: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JIRA_SECRET", CLIENT[1])
    oauth = {"client_id": CLIENT[0], "client_secret": "env:JIRA_SECRET", "token_url": f"{site.url}/oauth/token"}
    made = system(user=None, api_token=None, site="https://acme.atlassian.net", **oauth)
    ref = await made.create(ticket())
    assert ref.url == "https://acme.atlassian.net/browse/GRC-1"
    site.tokens.clear()
    assert (await made.read(ref)).key == KEY
    assert made.preview(ticket()).headers["Authorization"] == "Bearer ***"


async def test_fields_that_jira_refuses_are_named_with_their_key(system: System, site: Simulator) -> None:
    del site.site.form["labels"], site.site.form["duedate"]
    with pytest.raises(Refused, match="labels: Field 'labels' cannot be set") as caught:
        await system().create(ticket(fields={"customfield_10099": "x"}))
    assert "customfield_10099: Field" in caught.value.message
    for key in ("key_field, or fields.labels", "due_field", "fields.customfield_10099"):
        assert key in caught.value.advice
    with pytest.raises(Refused, match="Specify a valid issue type") as caught:
        await system(issue_type="Nothing").create(ticket())
    assert "Correct issue_type" in caught.value.advice
    assert site.site.issues == {}


async def test_a_request_is_made_with_its_key_in_it(system: System, site: Simulator) -> None:
    made = system(request=REQUEST)
    ref = await made.create(ticket())
    assert await made.find(KEY) == [ref]
    (issue,) = site.site.issues.values()
    assert issue["fields"]["labels"] == [KEY, "reconciler"]
    assert "duedate" not in issue["fields"]
    await made.change(ref, Change("rec-m-1", "Still there."))
    (remark,) = site.site.comments[ref.id]
    assert remark["properties"] == [{"key": "sd.public.comment", "value": {"internal": True}}]


@pytest.mark.parametrize("place", ["summary", "customfield_10050"])
@pytest.mark.parametrize("request_type", [None, REQUEST])
async def test_without_labels_a_text_field_carries_the_key(
    system: System, site: Simulator, place: str, request_type: dict[str, Any] | None
) -> None:
    for form in (site.site.form, site.site.request_form):
        del form["labels"]
        form["customfield_10050"] = False
    made = system(request=request_type, key_field=place)
    ref = await made.create(ticket(title="t " * 200))
    longer = await made.create(ticket(f"{KEY}-7"))  # the index finds it for the shorter key too: words are parted at -
    assert await made.find(KEY) == [ref]
    (issue, _) = site.site.issues.values()
    assert f"reconciler {KEY}" in issue["fields"][place]
    assert len(issue["fields"]["summary"]) <= 255
    assert (await made.read(ref)).key == KEY
    assert [found async for found in made.keyed("rec-acme-nc-")] == [(KEY, ref), (f"{KEY}-7", longer)]
    site.site.edit(ref.id, {place: "renamed by a person"})
    assert (await made.read(ref)).key == ""
    assert await made.find(KEY) == []


async def test_a_service_desk_says_no_in_its_own_shape(system: System, site: Simulator) -> None:
    site.site.request_form["customfield_10050"] = True
    with pytest.raises(Refused, match="customfield_10050 is required"):
        await system(request=REQUEST).create(ticket())


@pytest.mark.parametrize(
    ("wanted", "name", "status"),
    [
        (Status.RESOLVED, "Resolved", Status.RESOLVED),
        (Status.CLOSED, "Done", Status.CLOSED),
        (Status.OPEN, "To Do", Status.OPEN),
    ],
)
async def test_a_ticket_is_ended_and_reopened(
    system: System, site: Simulator, wanted: Status, name: str, status: Status
) -> None:
    made = system()
    ref = await made.create(ticket())
    if wanted is Status.OPEN:
        await made.change(ref, Change("rec-m-0", status=Status.CLOSED))
        assert (await made.read(ref)).resolution == "Done"
    await made.change(
        ref, Change("rec-m-1", "The finding\n\n- is gone.", wanted, {"labels": ["seen"], "duedate": None})
    )
    view = await made.read(ref)
    assert (view.status, view.raw_status, view.key) == (status, name, KEY)
    assert view.resolution == ("Done" if name == "Done" else None)  # the screen of Resolved does not ask for one
    (remark,) = view.comments
    assert remark.text == "The finding\n- is gone.\n[rec-m-1]"
    assert (remark.author, remark.at is not None) == ("Reconciler", True)
    assert site.site.issues[ref.id]["fields"]["labels"] == [KEY, "reconciler", "seen"]
    await made.change(ref, Change("rec-m-2", status=wanted))
    moves = [url for _, url, _ in site.requests if url.endswith("/transitions")]
    assert len(moves) == (2 if wanted is Status.OPEN else 1)


async def test_a_mark_that_the_product_wrote_is_not_written_twice(system: System) -> None:
    made = system()
    ref = await made.create(ticket())
    await made.change(ref, Change("rec-m-1", "Gone.\n\n[rec-m-1]"))
    (remark,) = (await made.read(ref)).comments
    assert remark.text.count("[rec-m-1]") == 1


async def test_a_lost_remark_is_told_by_its_mark_and_a_lost_move_by_the_status(system: System, site: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    site.faults.add(FaultKind.RESET_BEFORE, path="/transitions$", at=1)
    change = Change("rec-m-1", "Gone.", Status.CLOSED)
    with pytest.raises(Unreachable):
        await made.change(ref, change)
    assert (await made.read(ref)).comments == ()  # it remarks last
    site.faults.add(FaultKind.RESET_WITHIN, path="/comment$")
    with pytest.raises(Unreachable):
        await made.change(ref, change)
    view = await made.read(ref)
    assert (view.status, len(view.comments)) == (Status.CLOSED, 1)


async def test_a_way_that_is_not_clear_is_asked_for(system: System, site: Simulator) -> None:
    site.site.transitions = {"51": "Cancelled", "52": "Done"}
    site.site.names = {"52": "Accept"}
    ref = await system().create(ticket())
    with pytest.raises(ConfigurationError, match="several transitions lead to closed: Cancelled, Accept") as caught:
        await system(closing=["Finish"]).change(ref, Change("rec-m-1", status=Status.CLOSED))
    assert "closing" in caught.value.advice
    await system(closing=["accept"]).change(ref, Change("rec-m-1", status=Status.CLOSED))
    assert (await system().read(ref)).raw_status == "Done"
    with pytest.raises(Refused, match="no transition leads to open"):
        await system().change(ref, Change("rec-m-2", status=Status.OPEN))
    site.site.transitions = {"53": "In Progress"}
    await system().change(ref, Change("rec-m-2", status=Status.OPEN))
    assert (await system().read(ref)).raw_status == "In Progress"


async def test_without_the_right_to_move_nothing_moves(system: System, site: Simulator) -> None:
    ref = await system().create(ticket())
    site.site.granted.remove("TRANSITION_ISSUES")
    with pytest.raises(Refused, match="these credentials may do: none") as caught:
        await system().change(ref, Change("rec-m-1", status=Status.CLOSED))
    assert caught.value.missing_permission == "TRANSITION_ISSUES"


async def test_an_issue_that_moved_is_the_same_issue(system: System, site: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    site.site.rehome(ref.id, "OPS-77")
    view = await made.read(ref)
    assert (view.ref.id, view.ref.number, view.key) == (ref.id, "OPS-77", KEY)
    (found,) = await made.find(KEY)
    assert (found.id, found.number) == (ref.id, "OPS-77")


async def test_a_deleted_issue_is_gone_and_one_that_cannot_be_seen_is_not(system: System, site: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    site.site.granted.remove("BROWSE_PROJECTS")
    with pytest.raises(Refused, match="lack BROWSE_PROJECTS"):
        await made.read(ref)
    with pytest.raises(Refused, match="lack BROWSE_PROJECTS"):
        await made.find(KEY)
    site.site.granted.add("BROWSE_PROJECTS")
    site.site.delete(ref.id)
    assert (await made.read(ref)).status is Status.GONE
    assert await made.find(KEY) == []
    with pytest.raises(Refused, match="does not exist"):
        await made.change(ref, Change("rec-m-1", "Hello?"))


async def test_not_found_in_another_shape_is_no_proof(system: System) -> None:
    made = system(url=system().endpoint + "/elsewhere")
    with pytest.raises(Refused, match="404"):
        await made.read(TicketRef("10001"))


async def test_a_label_that_a_person_took_away_is_empty(system: System, site: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    site.site.edit(ref.id, {}, {"labels": [{"remove": KEY}]})
    assert (await made.read(ref)).key == ""
    assert await made.find(KEY) == []
    assert await keys(made) == []


async def test_every_key_of_a_prefix_is_listed_page_by_page(system: System, site: Simulator) -> None:
    site.most = 3
    made = system()
    refs = [await made.create(ticket(f"rec-acme-nc-{number:06}")) for number in range(10)]
    await made.create(ticket("rec-other-nc-000001"))
    assert [ref async for _, ref in made.keyed("rec-acme-nc-")] == refs
    assert await keys(made) == [f"rec-acme-nc-{number:06}" for number in range(10)]
    site.repeat_token = True
    with pytest.raises(Misbehaved, match="leads to one that was read"):
        await keys(made)


async def test_a_page_that_neither_ends_nor_leads_on_is_no_answer(system: System, site: Simulator) -> None:
    made = system()
    site.faults.add(FaultKind.WRONG_TYPE, path="/search")
    with pytest.raises(Misbehaved, match="where dict is due"):
        await made.find(KEY)


async def test_remarks_are_read_page_by_page(system: System, site: Simulator) -> None:
    site.most = 2
    made = system()
    ref = await made.create(ticket())
    for number in range(5):
        site.site.comment(ref.id, {"type": "doc", "content": [{"type": "text", "text": f"No. {number}"}]}, "Ada")
    comments = (await made.read(ref)).comments
    assert [(one.author, one.text) for one in comments] == [("Ada", f"No. {number}") for number in range(5)]


async def test_check_passes_and_names_what_is_missing(system: System, site: Simulator) -> None:
    site.most = 4
    assert await system(priorities={"high": "High"}).check() == []
    site.site.granted -= {"SCHEDULE_ISSUES"}
    with pytest.raises(Refused, match="duedate"):
        await system().create(ticket())
    assert [gap.missing_permission for gap in await system().check()] == ["SCHEDULE_ISSUES"]
    assert await system(due_field="").check() == []
    site.site.granted -= {"ADD_COMMENTS", "EDIT_ISSUES"}
    site.site.form |= {"customfield_10060": True}
    del site.site.form["duedate"], site.site.form["components"]
    gaps = await system(fields={"components": []}).check()
    assert [(gap.subject, gap.missing_permission) for gap in gaps] == [
        ("", "EDIT_ISSUES"),
        ("", "ADD_COMMENTS"),
        ("", "SCHEDULE_ISSUES"),
        ("components", ""),
        ("duedate", ""),
        ("customfield_10060", ""),
    ]


async def test_check_refuses_what_could_never_file(system: System, site: Simulator) -> None:
    with pytest.raises(ConfigurationError, match="no issue type 'Story'") as caught:
        await system(issue_type="Story").check()
    assert caught.value.advice == "Set issue_type to one of: Bug, Task."
    with pytest.raises(Refused, match="No project could be found"):
        await system(project="NOPE").check()
    del site.site.form["labels"]
    with pytest.raises(Refused, match="labels is not on the form of the issue or request type"):
        await system().check()
    assert await system(key_field="summary").check() == []
    site.site.granted.remove("CREATE_ISSUES")
    with pytest.raises(Refused, match="lack CREATE_ISSUES"):
        await system().check()
    with pytest.raises(Refused, match="do not have permission to create"):
        await system(key_field="summary").create(ticket())


async def test_check_of_a_request_type(system: System, site: Simulator) -> None:
    assert await system(request=REQUEST).check() == []
    site.site.request_form["customfield_10050"] = True
    (gap,) = await system(request=REQUEST).check()
    assert gap.subject == "customfield_10050"
    site.site.presets.add("customfield_10050")
    assert await system(request=REQUEST).check() == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"summary": "x"}, "fields.summary is no field that may be filled"),
        ({"project": {"key": "X"}}, "fields.project is no field"),
        ({"a b": 1}, "fields.a b is no field"),
        ({"labels": ["a b"]}, "fields.labels: not a list of words"),
    ],
)
async def test_fields_that_cannot_be_sent_are_refused_before_anything_is(
    system: System, site: Simulator, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        await system().create(ticket(fields=fields))
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        system().preview(ticket(fields=fields))
    assert site.requests == []


async def test_keys_and_ids_that_could_be_more_are_refused(system: System) -> None:
    made = system()
    for key in ("", 'rec-" OR 1', "nc-000001", "rec-" + "x" * 65):
        with pytest.raises(ConfigurationError, match="no key of a ticket"):
            await made.create(ticket(key))
        with pytest.raises(ConfigurationError, match="no key of a ticket"):
            await made.find(key)
    with pytest.raises(ConfigurationError, match="no key of a ticket"):
        await keys(made, "")
    with pytest.raises(ConfigurationError, match="no id of an issue"):
        await made.read(TicketRef("../x"))
    ref = await made.create(ticket())
    with pytest.raises(ConfigurationError, match="no ticket can be made gone"):
        await made.change(ref, Change("rec-m-1", status=Status.GONE))


async def test_long_texts_are_cut_and_rich_fields_are_documents(system: System, site: Simulator) -> None:
    made = system(rich_text=["customfield_10050"])
    await made.create(ticket(title="t" * 300, body="b" * 40_000, fields={"customfield_10050": "why"}))
    (issue,) = site.site.issues.values()
    assert len(issue["fields"]["summary"]) == 255
    first, said, last = [node["content"][0]["text"] for node in issue["fields"]["description"]["content"]]
    assert said == f"(cut: {40_000 - len(first) - len(last)} characters)"
    assert issue["fields"]["customfield_10050"]["type"] == "doc"


async def test_what_counts_of_a_long_list_is_its_document(system: System, site: Simulator) -> None:
    made = system()
    listed = "\n".join(f"- F-{number:020}: u-{number}" for number in range(1, 1001))
    ref = await made.create(ticket(body=f"A thousand findings stand:\n{listed}\n"))
    said = text_of(site.site.issues[ref.id]["fields"]["description"])
    assert said.startswith("A thousand findings stand:\n- F-00000000000000000001: u-1\n")
    assert said.endswith("- F-00000000000000001000: u-1000")
    assert "(cut: " in said
    await made.change(ref, Change("rec-m-1", f"{listed}\n\n[rec-m-1]"))
    assert (await made.read(ref)).comments[0].text.endswith("[rec-m-1]")


async def test_the_screen_of_a_transition_is_filled_or_what_is_missing_is_named(
    system: System, site: Simulator
) -> None:
    site.site.screens = {"31": ("resolution", "customfield_10070"), "11": ("customfield_10070",)}
    ref = await system().create(ticket())
    with pytest.raises(ConfigurationError, match="transition Done asks for customfield_10070") as caught:
        await system().change(ref, Change("rec-m-1", status=Status.CLOSED))
    assert "transition_fields.customfield_10070" in caught.value.advice
    made = system(transition_fields={"customfield_10070": {"value": "Access"}, "customfield_10071": "elsewhere"})
    await made.change(ref, Change("rec-m-1", status=Status.CLOSED))
    fields = {"resolution": {"name": "Done"}, "customfield_10070": {"value": "Access"}}
    assert site.requests[-1][2] == {"transition": {"id": "31"}, "fields": fields}
    await made.change(ref, Change("rec-m-2", status=Status.OPEN))
    assert (await made.read(ref)).status is Status.OPEN


def test_settings_that_cannot_work_are_refused(given: dict[str, Any]) -> None:
    cloud = "https://api.atlassian.com/ex/jira/11111111-2222-3333-4444-555555555555"
    for changes, message in (
        ({"user": None}, "user: give user with api_token"),
        ({"client_id": "x"}, "user: give user with api_token"),
        ({"url": "http://acme.atlassian.net"}, "unencrypted"),
        ({"url": cloud}, "site is missing"),
        ({"project": "grc"}, "project"),
        ({"issue_type": "Task", "request": REQUEST}, "issue_type does nothing with request"),
        ({"fields": {"summary": "x"}}, "fields.summary is filled by the product"),
        ({"key_field": "customfield_1", "fields": {"customfield_1": "x"}}, "fields.customfield_1 is filled"),
        ({"key_field": "description"}, "key_field"),
        ({"marker": "two words"}, "marker"),
        ({"time_zone": "Europe/Nowhere"}, "is not an IANA time zone"),
    ):
        with pytest.raises(ValueError) as caught:
            TicketSettings.model_validate(given | changes)
        assert message in str(caught.value)
    assert TicketSettings.model_validate(given | {"url": cloud, "site": "https://acme.atlassian.net"}).due == "duedate"
