"""ServiceNow as a ticket system, over real HTTP, against an instance that behaves as documented."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from connectors.servicenow import TicketSettings
from connectors.servicenow.tickets import ServiceNow
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.tickets import Change, Status, TicketRef, TicketSystem
from tests.connectors.servicenow.conftest import ticket
from tests.simulators.http_injection import FaultKind
from tests.simulators.servicenow.instance import Row
from tests.simulators.servicenow.server import CLIENT, PASSWORD
from tests.simulators.servicenow.server import ServiceNow as Simulator

System = Callable[..., ServiceNow]
KEY = "rec-nc-000001"


async def keys(system: ServiceNow, prefix: str = "rec-") -> list[str]:
    return [key async for key, _ in system.keyed(prefix)]


async def test_a_ticket_is_made_found_and_read_back(system: System, instance: Simulator) -> None:
    made = system(fields={"category": "software"})
    assert isinstance(made, TicketSystem)
    ref = await made.create(ticket(fields={"category": "software"}))
    assert await made.find(KEY) == [ref]
    (row,) = instance.records()
    assert (ref.id, ref.number) == (row["sys_id"], row["number"])
    assert ref.url == f"{instance.url}/incident.do?sys_id={ref.id}"
    assert row["correlation_id"] == KEY
    assert row["correlation_display"] == "reconciler"
    assert row["short_description"] == "NC-000001: 3 accounts outlived their owner"
    assert row["description"] == "Three accounts.\n\n- a1\n- a2"
    assert (row["impact"], row["urgency"], row["category"]) == ("1", "2", "software")
    assert row["due_date"] == "2026-03-09 17:30:00"
    view = await made.read(ref)
    assert (view.ref, view.status, view.raw_status, view.key) == (ref, Status.OPEN, "New", KEY)
    assert view.updated_at is not None
    assert (view.comments, view.assignee, view.resolution) == ((), None, None)


async def test_preview_is_what_create_sends_without_the_credentials(system: System, instance: Simulator) -> None:
    made = system()
    shown = made.preview(ticket())
    await made.create(ticket())
    (method, url, body) = instance.requests[0]
    assert (shown.method, shown.url, json.loads(shown.body)) == (method, url, body)
    assert shown.headers["Authorization"] == "Basic ***"
    assert PASSWORD not in str(shown)


async def test_nothing_is_found_where_nothing_is(system: System) -> None:
    assert await system().find(KEY) == []
    assert await keys(system()) == []


async def test_the_instance_makes_two_of_one_key_and_both_are_found_oldest_first(system: System) -> None:
    made = system()
    first, second = await made.create(ticket()), await made.create(ticket())
    assert first.id != second.id
    assert await made.find(KEY) == [first, second]
    assert not made.idempotent


async def test_with_an_import_set_one_key_is_one_record(system: System, instance: Simulator) -> None:
    made = system(import_set="u_reconciler_tickets")
    assert made.idempotent
    refs = [await made.create(ticket()), await made.create(ticket()), await made.create(ticket(title="Other words"))]
    assert refs[0] == refs[1] == refs[2]
    (row,) = instance.records()
    assert row["short_description"] == "Other words"
    assert await made.find(KEY) == [refs[0]]


async def test_an_import_set_that_answers_nothing_leaves_it_unknown(system: System, instance: Simulator) -> None:
    instance.silent_imports = True
    with pytest.raises(Unreachable, match="malformed JSON") as caught:
        await system(import_set="u_reconciler_tickets").create(ticket())
    assert "not known" in caught.value.advice
    assert len(instance.records()) == 1


async def test_a_transform_that_fails_is_said_in_its_own_words(system: System, instance: Simulator) -> None:
    with pytest.raises(Refused, match="the transform failed: Data Policy Exception: Close code is mandatory"):
        await system(import_set="u_reconciler_tickets").create(ticket(fields={"state": "6"}))
    assert instance.records() == []


async def test_a_transform_into_another_table_stops_the_filing(system: System, instance: Simulator) -> None:
    made = system(table="sn_grc_issue", import_set="u_reconciler_tickets")
    with pytest.raises(Misbehaved, match="the answer names 0 records of sn_grc_issue"):
        await made.create(ticket())
    with pytest.raises(Refused, match="the answer names 0 records"):
        await made.create(ticket("rec-nc-000002"))
    assert len(instance.records()) == 1


@pytest.mark.parametrize(
    "kind", [FaultKind.RESET_WITHIN, FaultKind.CUT_BY_LENGTH, FaultKind.EMPTY_BODY, FaultKind.MALFORMED_JSON]
)
async def test_a_lost_answer_is_unknown_and_never_sent_again(
    system: System, instance: Simulator, kind: FaultKind
) -> None:
    instance.faults.add(kind, path="/table/incident")
    with pytest.raises(Unreachable) as caught:
        await system().create(ticket())
    assert "not known" in caught.value.advice
    (row,) = instance.records()
    (found,) = await system().find(KEY)
    assert found.id == row["sys_id"]


@pytest.mark.parametrize("kind", [FaultKind.SERVER_ERROR, FaultKind.GATEWAY_TIMEOUT, FaultKind.HTML_OK])
async def test_an_error_of_the_server_is_unknown_too(system: System, instance: Simulator, kind: FaultKind) -> None:
    instance.faults.add(kind, path="/table/incident", times=None)
    with pytest.raises(Unreachable):
        await system().create(ticket())
    assert len(instance.requests) == 0
    assert instance.faults.number == 1


async def test_a_rate_limit_is_waited_out_and_files_once(system: System, instance: Simulator) -> None:
    instance.faults.add(FaultKind.THROTTLED, times=2)
    await system().create(ticket())
    assert len(instance.records()) == 1


async def test_a_rate_limit_that_stays_is_throttled(system: System, instance: Simulator) -> None:
    instance.faults.add(FaultKind.THROTTLED, times=None)
    with pytest.raises(Throttled, match="Rate limit exceeded"):
        await system().create(ticket())
    assert instance.records() == []


async def test_wrong_credentials_are_refused(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SN_PASSWORD", "planted-wrong")
    with pytest.raises(Refused, match="401") as caught:
        await system().create(ticket())
    assert "planted-wrong" not in str(caught.value)


async def test_a_client_of_oauth_files_too_and_renews_its_token(
    system: System, instance: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SN_SECRET", CLIENT[1])
    made = system(user=None, password=None, client_id=CLIENT[0], client_secret="env:SN_SECRET")
    ref = await made.create(ticket())
    instance.tokens.clear()
    assert await made.find(KEY) == [ref]
    assert made.preview(ticket()).headers["Authorization"] == "Bearer ***"


async def test_a_record_that_drops_its_key_stops_the_filing(system: System, instance: Simulator) -> None:
    def empties(_: str, row: Row) -> None:
        row["correlation_id"] = ""

    instance.instance.rule = empties
    made = system()
    with pytest.raises(Misbehaved, match="did not keep its key"):
        await made.create(ticket())
    with pytest.raises(Refused, match="did not keep its key"):
        await made.create(ticket("rec-nc-000002"))
    assert len(instance.records()) == 1


@pytest.mark.parametrize(
    ("change", "state", "status"),
    [(Status.RESOLVED, "6", Status.RESOLVED), (Status.CLOSED, "7", Status.CLOSED), (Status.OPEN, "2", Status.OPEN)],
)
async def test_a_ticket_is_ended_and_reopened(
    system: System, instance: Simulator, change: Status, state: str, status: Status
) -> None:
    made = system()
    ref = await made.create(ticket())
    if change is Status.OPEN:
        await made.change(ref, Change("rec-m-0", status=Status.CLOSED))
    await made.change(ref, Change("rec-m-1", "The finding is gone.", change, {"category": "software"}))
    (row,) = instance.records()
    assert (row["state"], row["category"]) == (state, "software")
    view = await made.read(ref)
    assert view.status is status
    (remark,) = view.comments
    assert "rec-m-1" in remark.text
    assert remark.text.startswith("The finding is gone.")
    assert (remark.author, remark.at is not None) == ("reconciler", True)
    assert view.resolution == "Solution provided: Ended by reconciler."


async def test_an_end_without_what_the_instance_asks_for_is_refused_by_its_words(system: System) -> None:
    made = system(closing={})
    ref = await made.create(ticket())
    with pytest.raises(Refused, match="Close code is mandatory") as caught:
        await made.change(ref, Change("rec-m-1", status=Status.RESOLVED))
    assert "closing" in caught.value.advice


async def test_a_state_that_a_rule_takes_back_is_refused(system: System, instance: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())

    def keeps(_: str, row: Row) -> None:
        row["state"] = "1"

    instance.instance.rule = keeps
    with pytest.raises(Refused, match="state 7 was asked for, and not kept"):
        await made.change(ref, Change("rec-m-1", status=Status.CLOSED))


async def test_a_lost_change_is_told_by_its_mark(system: System, instance: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    instance.faults.add(FaultKind.RESET_WITHIN, path="/table/incident/")
    with pytest.raises(Unreachable):
        await made.change(ref, Change("rec-m-1", "Still there."))
    (remark,) = (await made.read(ref)).comments
    assert "rec-m-1" in remark.text


async def test_cancelled_and_unheard_of_states_have_their_meaning(system: System, instance: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    for state, status in (("8", Status.CLOSED), ("3", Status.OPEN), ("-5", Status.OPEN)):
        instance.instance.update("incident", ref.id, {"state": state}, "somebody")
        assert (await made.read(ref)).status is status
    instance.instance.tables["incident"][ref.id]["active"] = "false"
    assert (await made.read(ref)).status is Status.CLOSED


async def test_codes_of_an_instance_of_its_own_are_not_taken_for_the_usual_ones(
    system: System, instance: Simulator
) -> None:
    made = system(table="sn_grc_issue")
    ref = await made.create(ticket())
    instance.instance.tables["sn_grc_issue"][ref.id] |= {"state": "3", "active": "true"}
    with pytest.raises(ConfigurationError, match=r"state 3 .* is known as closed, and the record is active"):
        await made.read(ref)
    states = {"closed": ["9"], "reopen": "2", "resolve": "9", "close": "9"}
    assert (await system(table="sn_grc_issue", states=states).read(ref)).status is Status.OPEN


async def test_a_deleted_record_is_gone_and_a_hidden_one_is_not(system: System, instance: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    instance.instance.hidden_rows.add(ref.id)
    with pytest.raises(Refused, match="is there, and hidden"):
        await made.read(ref)
    with pytest.raises(Refused, match="hidden from these credentials"):
        await made.find(KEY)
    instance.instance.hidden_rows.clear()
    instance.instance.delete("incident", ref.id)
    assert (await made.read(ref)).status is Status.GONE
    assert await made.find(KEY) == []
    with pytest.raises(Refused, match="No Record found"):
        await made.change(ref, Change("rec-m-1", "Hello?"))


async def test_a_key_that_a_person_took_away_is_empty(system: System, instance: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    instance.instance.update("incident", ref.id, {"correlation_id": ""}, "somebody")
    assert (await made.read(ref)).key == ""
    assert await made.find(KEY) == []


async def test_every_key_of_a_prefix_is_listed_page_by_page(system: System, instance: Simulator) -> None:
    instance.most = 3
    made = system()
    refs = [await made.create(ticket(f"rec-acme-nc-{number:06}")) for number in range(10)]
    await made.create(ticket("other-nc-1"))
    assert [ref async for _, ref in made.keyed("rec-acme-")] == refs
    assert await keys(made, "rec-acme-") == [f"rec-acme-nc-{number:06}" for number in range(10)]


async def test_a_list_with_hidden_records_is_refused(system: System, instance: Simulator) -> None:
    made = system()
    refs = [await made.create(ticket(f"rec-{number:06}")) for number in range(4)]
    instance.instance.hidden_rows.add(refs[2].id)
    with pytest.raises(Refused, match="1 of 4 records are hidden"):
        await keys(made)


async def test_a_query_that_the_instance_ignores_is_no_answer(system: System, instance: Simulator) -> None:
    made = system()
    await made.create(ticket())
    await made.create(ticket("rec-nc-000002"))
    instance.instance.hidden_fields.add("correlation_id")
    with pytest.raises(Refused, match="was ignored") as caught:
        await made.find(KEY)
    assert caught.value.missing_permission == "read on incident.correlation_id"


async def test_an_answer_without_a_count_or_cut_off_is_no_answer(system: System, instance: Simulator) -> None:
    made = system()
    instance.counted = False
    with pytest.raises(Misbehaved, match="X-Total-Count"):
        await made.find(KEY)
    instance.counted, instance.cancelled = True, True
    with pytest.raises(Unreachable, match="maximum execution time exceeded"):
        await made.find(KEY)


async def test_remarks_that_are_hidden_are_no_silence(system: System, instance: Simulator) -> None:
    made = system()
    ref = await made.create(ticket())
    instance.instance.journal("incident", ref.id, "comments", "Who is that?", "ada")
    assert [(one.author, one.text) for one in (await made.read(ref)).comments] == [("ada", "Who is that?")]
    instance.instance.hidden_tables.add("sys_journal_field")
    with pytest.raises(Refused, match="sys_journal_field"):
        await made.read(ref)
    instance.instance.hidden_tables.clear()
    instance.instance.denied.add("sys_journal_field")
    with pytest.raises(Refused, match="ACL Validation"):
        await made.read(ref)


async def test_an_issue_is_linked_to_its_controls_once(system: System, instance: Simulator) -> None:
    control = "0a" * 16
    fields = {"item": control, "control_items": [control]}
    made = system(table="sn_grc_issue", control_link={}, fields=fields)
    ref = await made.create(ticket(fields=fields))
    await made.change(ref, Change("rec-m-1", fields={"control_items": control}))
    (row,) = instance.records("sn_grc_issue")
    assert (row["item"], row["correlation_id"]) == (control, KEY)
    (link,) = instance.records("sn_grc_m2m_issue_item")
    assert (link["sn_grc_issue"], link["sn_grc_item"]) == (ref.id, control)
    await made.change(ref, Change("rec-m-2", status=Status.CLOSED))
    assert (await made.read(ref)).status is Status.CLOSED


async def test_a_link_that_fails_does_not_unfile_the_issue(
    system: System, instance: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    instance.instance.denied.add("sn_grc_m2m_issue_item")
    fields = {"control_items": ["0a" * 16]}
    made = system(table="sn_grc_issue", control_link={}, fields=fields)
    ref = await made.create(ticket(fields=fields))
    assert await made.find(KEY) == [ref]
    assert "is not linked to control" in caplog.text


async def test_check_names_what_does_not_show(system: System, instance: Simulator) -> None:
    made = system(fields={"u_wrong": "x"})
    assert await made.check() == []  # an empty table proves nothing, and refuses nothing
    await system().create(ticket())
    instance.instance.denied.add("sys_journal_field")
    gaps = await made.check()
    assert [(gap.table, gap.subject) for gap in gaps] == [("incident", "u_wrong"), ("sys_journal_field", "")]
    assert gaps[1].missing_permission == "read on sys_journal_field"
    instance.instance.hidden_tables.add("incident")
    with pytest.raises(Refused, match="1 records are there, and none shows"):
        await made.check()


async def test_check_refuses_a_hidden_key_and_an_unknown_table(system: System, instance: Simulator) -> None:
    await system().create(ticket())
    instance.instance.hidden_fields.add("correlation_id")
    with pytest.raises(Refused, match="correlation_id does not show"):
        await system().check()
    states = {"closed": ["9"], "reopen": "1", "resolve": "9", "close": "9"}
    with pytest.raises(ConfigurationError, match="Invalid table u_nothing"):
        await system(table="u_nothing", states=states).check()


async def test_check_of_the_links(system: System, instance: Simulator) -> None:
    instance.instance.denied.add("sn_grc_m2m_issue_item")
    made = system(table="sn_grc_issue", control_link={})
    await made.create(ticket())
    assert [gap.table for gap in await made.check()] == ["sn_grc_m2m_issue_item"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"correlation_id": "x"}, "fields.correlation_id is no field that may be filled"),
        ({"Group^x": "x"}, "fields.Group^x is no field"),
        ({"group": {"a": 1}}, "fields.group: a field of ServiceNow takes a text"),
        ({"control_items": ["x"]}, "fields.control_items: not a list of sys_ids"),
    ],
)
async def test_fields_that_cannot_be_sent_are_refused_before_anything_is(
    system: System, instance: Simulator, fields: dict[str, Any], message: str
) -> None:
    made = system()
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        await made.create(ticket(fields=fields))
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        made.preview(ticket(fields=fields))
    assert instance.records() == []


async def test_keys_and_ids_that_could_be_more_are_refused(system: System) -> None:
    made = system()
    for key in ("", "a^ORDERBYx", "A-B-C", "x" * 65):
        with pytest.raises(ConfigurationError, match="no key of a ticket"):
            await made.create(ticket(key))
        with pytest.raises(ConfigurationError, match="no key of a ticket"):
            await made.find(key)
    with pytest.raises(ConfigurationError, match="no beginning of a key"):
        await keys(made, "")
    with pytest.raises(ConfigurationError, match="no sys_id"):
        await made.read(TicketRef("x^y"))
    with pytest.raises(ConfigurationError, match="no ticket can be made gone"):
        await made.change(TicketRef("0a" * 16), Change("rec-m-1", status=Status.GONE))


async def test_long_texts_are_cut_and_say_so(system: System, instance: Simulator) -> None:
    await system().create(ticket(title="t" * 200, body="b" * 5000, fields={"category": ["a", "b"]}))
    (row,) = instance.records()
    assert len(row["short_description"]) == 160
    assert row["short_description"].endswith("…")
    assert len(row["description"]) <= 4000
    first, said, last = row["description"].split("\n\n")
    assert said == f"(cut: {5000 - len(first) - len(last)} characters)"
    assert row["category"] == "a,b"


async def test_nothing_that_is_written_becomes_html(system: System, instance: Simulator) -> None:
    made, said = system(), "[code]<script>alert(1)</script>[/CODE]"
    ref = await made.create(ticket(title=said, body=said, fields={"work_notes": said}))
    await made.change(ref, Change("rec-m-1", f"{said * 200}\n\n[rec-m-1]", fields={"comments": said}))
    (row,) = instance.records()
    texts = [row["short_description"], row["description"], *(one.text for one in (await made.read(ref)).comments)]
    assert len(texts) == 5
    assert not any("[code]" in text or "[/CODE]" in text for text in texts)
    assert any(text.endswith("[rec-m-1]") for text in texts)
    assert max(map(len, texts)) <= 4000


def refused(given: dict[str, Any]) -> str:
    with pytest.raises(ValueError) as caught:
        TicketSettings.model_validate(given)
    return str(caught.value)


def test_settings_that_cannot_work_are_refused(given: dict[str, Any]) -> None:
    states = {"closed": ["9"], "reopen": "1", "resolve": "9", "close": "9"}
    for changes, message in (
        ({"user": None}, "user: give user with password"),
        ({"client_id": "x"}, "user: give user with password"),
        ({"url": "http://acme.service-now.com"}, "unencrypted"),
        ({"table": "u_other"}, "states is missing"),
        ({"table": "u_other", "states": states | {"close": "8"}}, "close must be one of closed"),
        ({"table": "u_other", "states": states | {"reopen": "9"}}, "reopen: '9' means resolved or closed"),
        ({"fields": {"correlation_id": "x"}}, "correlation_id carries the key"),
        ({"fields": {"control_items": []}}, "control_items does nothing without control_link"),
        ({"journal": "activity"}, "work_notes"),
    ):
        assert message in refused(given | changes)
    settings = TicketSettings.model_validate(given | {"table": "u_other", "states": states})
    assert (settings.codes.close, settings.ending) == ("9", {})


def test_the_settle_time_is_that_of_a_transaction_unless_set(system: System) -> None:
    assert system().settle_seconds == 120
    assert system(settle_seconds=3).settle_seconds == 3
