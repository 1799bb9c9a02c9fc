"""Tickets filed in a real Request Tracker, altered by somebody else, and read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs
from sqlmodel import col, select

from reconciler import clock
from reconciler.database import Database
from reconciler.database import opened as opened_database
from reconciler.database.filing import CommentRow, TicketRow
from reconciler.filing.facts import example
from reconciler.filing.night import Exchanged, enqueue, exchange
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused
from reconciler.sdk.tickets import Change, Status, TicketRef, TicketSystem
from reconciler.settings import load
from tests.connectors.request_tracker.conftest import Open
from tests.connectors.request_tracker.parts import CAUSE, ELSEWHERE, LEAST, MOVED, ticket, without
from tests.servers.request_tracker import CLERK, KEY_FIELD, QUEUE, ROOT, STRANGER, RequestTracker


def _field(rt: RequestTracker, number: str, name: str) -> list[str]:
    listed = rt.call("GET", f"ticket/{number}").json["CustomFields"]
    (held,) = (one["values"] for one in listed if one["name"] == name)
    return [str(one) for one in held]


async def test_a_ticket_is_filed_with_its_key_priority_and_date(rt: RequestTracker, opened: Open, key: str) -> None:
    due = datetime(2026, 12, 24, 22, 30, tzinfo=UTC)
    body = "Zwölf Konten – 帳戶 😀.\n\n- S-1-5: läuft\n- 'quoted' \"text\" {{ braces }}"
    async with opened(fields={"CustomFields": {CAUSE: "left"}, "Owner": CLERK}) as system:
        assert isinstance(system, TicketSystem)
        filed = ticket(key, title="Leavers\nkeep\taccess", body=body, due_at=due, fields=system._settings.fields)
        ref = await system.create(filed)
        assert await system.find(key) == [ref]
        shown = await system.read(ref)
    assert ref.url == f"{rt.url}/Ticket/Display.html?id={ref.id}"
    assert (shown.key, shown.status, shown.raw_status, shown.assignee) == (key, Status.OPEN, "new", CLERK)
    assert shown.comments == ()
    assert shown.updated_at is not None
    assert abs(shown.updated_at - clock.now()) < timedelta(minutes=5)
    there = rt.call("GET", f"ticket/{ref.id}").json
    assert (there["Subject"], there["Due"]) == ("Leavers keep access", "2026-12-24T22:30:00Z")
    assert there["Priority"] == "80"
    assert _field(rt, ref.id, CAUSE) == ["left"]
    (text,) = rt.call("GET", f"ticket/{ref.id}/attachments", params={"fields": "Content"}).json["items"]
    assert text["Content"] == body


async def test_a_search_sees_each_ticket_at_once(opened: Open, key: str) -> None:
    async with opened() as system:
        assert system.settle_seconds == 0
        for number in range(6):
            ref = await system.create(ticket(f"{key}-{number}"))
            assert await system.find(f"{key}-{number}") == [ref]


async def test_two_tickets_of_one_key_are_both_found_oldest_first(rt: RequestTracker, opened: Open, key: str) -> None:
    async with opened() as system:
        first, second = await system.create(ticket(key)), await system.create(ticket(key))
        rt.call("PUT", f"ticket/{first.id}", {"Status": "resolved"})
        assert await system.find(key) == [first, second]
        assert await system.find(f"{key}-other") == []


async def test_what_somebody_else_says_and_does_is_read_back(rt: RequestTracker, opened: Open, key: str) -> None:
    async with opened(page_size=3) as system:
        ref = await system.create(ticket(key))
        rt.call("POST", f"ticket/{ref.id}/comment", {"Content": "Ich seh's – 😀", "ContentType": "text/plain"})
        page = "<p>Done &amp; <b>dusted</b></p><p>Bye</p><style>p {}</style>"
        file = {"FileName": "proof.txt", "FileType": "text/plain", "FileContent": "aGVsbG8="}
        answer = {"Content": page, "ContentType": "text/html", "Attachments": [file]}
        rt.call("POST", f"ticket/{ref.id}/correspond", answer)
        for number in range(7):
            said = {"Content": f"remark {number}", "ContentType": "text/plain"}
            rt.call("POST", f"ticket/{ref.id}/comment", said, user=CLERK)
        rt.call("PUT", f"ticket/{ref.id}", {"Owner": CLERK, "Status": "resolved"})
        shown = await system.read(ref)
    assert (shown.status, shown.raw_status, shown.assignee) == (Status.RESOLVED, "resolved", CLERK)
    texts = [comment.text for comment in shown.comments]
    assert texts == ["Ich seh's – 😀", "Done & dusted\n\nBye", *(f"remark {number}" for number in range(7))]
    assert {comment.author for comment in shown.comments} == {CLERK}
    assert len({comment.id for comment in shown.comments}) == 9
    assert all(comment.at is not None and comment.at.tzinfo is not None for comment in shown.comments)


async def test_a_ticket_is_remarked_on_resolved_and_reopened(rt: RequestTracker, opened: Open, key: str) -> None:
    async with opened() as system:
        ref = await system.create(ticket(key))
        await system.change(ref, Change("m-1", comment="Still there.\n\n[m-1]", fields={"CustomFields": {CAUSE: "x"}}))
        await system.change(ref, Change("m-2", comment="Gone.\n\n[m-2]", status=Status.RESOLVED))
        resolved = await system.read(ref)
        await system.change(ref, Change("m-2", status=Status.RESOLVED))
        await system.change(ref, Change("m-3", comment="Back.\n\n[m-3]", status=Status.OPEN))
        opens = await system.read(ref)
        await system.change(ref, Change("m-4", status=Status.CLOSED))
        closed = await system.read(ref)
    assert (resolved.status, opens.status, opens.raw_status) == (Status.RESOLVED, Status.OPEN, "open")
    assert closed.status is Status.RESOLVED
    assert [comment.text[-5:] for comment in opens.comments] == ["[m-1]", "[m-2]", "[m-3]"]
    assert {comment.author for comment in opens.comments} == {"filer"}
    assert _field(rt, ref.id, CAUSE) == ["x"]


async def test_correspondence_does_not_reopen_what_it_resolves(opened: Open, key: str) -> None:
    async with opened(remark="correspond", resolution_field=CAUSE, written={"closed": "rejected"}) as system:
        ref = await system.create(ticket(key))
        given = Change(
            "m-1", comment="Gone. [m-1]", status=Status.RESOLVED, fields={"CustomFields": {CAUSE: "by hand"}}
        )
        await system.change(ref, given)
        shown = await system.read(ref)
        await system.change(ref, Change("m-2", status=Status.CLOSED))
        closed = await system.read(ref)
    assert (shown.status, shown.resolution) == (Status.RESOLVED, "by hand")
    assert [comment.text for comment in shown.comments] == ["Gone. [m-1]"]
    assert (closed.status, closed.raw_status) == (Status.CLOSED, "rejected")


async def test_a_deleted_ticket_is_gone_and_so_is_an_id_that_never_was(
    rt: RequestTracker, opened: Open, key: str
) -> None:
    async with opened() as system:
        ref = await system.create(ticket(key))
        await system.create(ticket(f"{key}-b"))
        assert rt.call("DELETE", f"ticket/{ref.id}").status == 204
        assert (await system.read(ref)).status is Status.GONE
        with pytest.raises(Refused, match=f"ticket {ref.id} is deleted"):
            await system.change(ref, Change("m", status=Status.OPEN))
        assert (await system.read(ref)).status is Status.GONE
        assert (await system.read(TicketRef("999999"))).status is Status.GONE
        assert await system.find(key) == []
        assert [one async for one, _ in system.keyed(key)] == [f"{key}-b"]


async def test_a_key_that_was_taken_away_and_a_ticket_that_was_merged_show(
    rt: RequestTracker, opened: Open, key: str
) -> None:
    async with opened() as system:
        first, second = await system.create(ticket(key)), await system.create(ticket(f"{key}-b"))
        rt.call("PUT", f"ticket/{first.id}", {"CustomFields": {KEY_FIELD: ""}})
        assert (await system.read(first)).key == ""
        rt.call("PUT", f"ticket/{first.id}", {"MergeInto": second.id})
        merged = await system.read(first)
        assert (merged.ref, merged.key) == (first, f"{key}-b")
        with pytest.raises(Refused, match=f"merged into ticket {second.id}"):
            await system.change(first, Change("m", comment="hello [m]"))
        assert (await system.read(second)).comments == ()


async def test_a_ticket_that_was_moved_is_found_and_read(rt: RequestTracker, opened: Open, key: str) -> None:
    async with opened() as system:
        ref = await system.create(ticket(key))
        assert rt.call("PUT", f"ticket/{ref.id}", {"Queue": MOVED}).status == 200
        assert rt.call("GET", f"ticket/{ref.id}").json["Queue"]["id"] != rt.call("GET", f"queue/{QUEUE}").json["id"]
        assert await system.find(key) == [ref]
        assert (await system.read(ref)).key == key


async def test_every_key_of_a_beginning_is_listed_whole(opened: Open, key: str) -> None:
    async with opened(page_size=4) as system:
        filed = {f"{key}-{number:02d}": await system.create(ticket(f"{key}-{number:02d}")) for number in range(9)}
        assert dict([one async for one in system.keyed(f"{key}-")]) == filed
        assert [one async for one in system.keyed("nobody-")] == []


async def test_long_and_odd_texts_arrive(rt: RequestTracker, opened: Open, key: str) -> None:
    odd = "a\x00b\x1bc\ud800d\r\ne"
    async with opened() as system:
        ref = await system.create(ticket(key, title="ü" * 300, body="x" * 1_200_000 + " end"))
        await system.change(ref, Change("m-1", comment=odd + "y" * 1_100_000 + " [m-1]"))
        (said,) = (await system.read(ref)).comments
    assert said.text.startswith("abc?d\neyyy")
    assert said.text.endswith("y [m-1]")
    assert rt.call("GET", f"ticket/{ref.id}").json["Subject"] == "ü" * 98 + "…"
    (text, _) = rt.call("GET", f"ticket/{ref.id}/attachments", params={"fields": "Content"}).json["items"]
    assert text["Content"].endswith("x end")
    assert "(cut: 200004 characters)" in text["Content"]


async def test_a_preview_is_what_is_sent_without_the_token(rt: RequestTracker, opened: Open, key: str) -> None:
    async with opened() as system:
        shown = system.preview(ticket(key))
    assert (shown.method, shown.url) == ("POST", f"{rt.url}/REST/2.0/ticket")
    assert shown.headers["Authorization"] == "token ***"
    answer = rt.call("POST", "ticket", json.loads(shown.body))
    assert _field(rt, answer.json["id"], KEY_FIELD) == [key]


async def test_what_rt_would_drop_is_refused_before_anything_is_sent(opened: Open, key: str) -> None:
    async with opened() as system:
        with pytest.raises(ConfigurationError, match=f"no custom field '{ELSEWHERE}'"):
            await system.create(ticket(key, fields={"CustomFields": {ELSEWHERE: "x"}}))
        with pytest.raises(ConfigurationError, match="RT knows no field 'Colour'"):
            await system.create(ticket(key, fields={"Colour": "red"}))
        with pytest.raises(Refused, match="isn't a valid status"):
            await system.create(ticket(key, fields={"Status": "sleeping"}))
        for wrong in ("", "A-1", "x' OR id > 0 OR 'a' = 'a", "é-123"):
            with pytest.raises(ConfigurationError, match="no key of a ticket"):
                await system.create(ticket(wrong))
            with pytest.raises(ConfigurationError, match="no key of a ticket"):
                await system.find(wrong)
        with pytest.raises(ConfigurationError, match="no beginning of a key"):
            [one async for one in system.keyed("x%' OR 1")]
        with pytest.raises(ConfigurationError, match="no id of a ticket"):
            await system.read(TicketRef("1/history"))
        assert await system.find(key) == []


async def test_a_queue_that_rt_does_not_have_is_named(rt: RequestTracker, opened: Open, key: str) -> None:
    async with opened(queue="Nowhere") as system:
        with pytest.raises(ConfigurationError, match="queue: RT has no queue 'Nowhere'"):
            await system.check()
        with pytest.raises(ConfigurationError, match="queue: RT has no queue"):
            await system.create(ticket(key))
    disabled = rt.new_queue(f"Disabled {key}")
    rt.call("PUT", f"queue/{rt.call('GET', f'queue/{disabled}', user=ROOT).json['id']}", {"Disabled": 1}, user=ROOT)
    async with opened(queue=disabled) as system:
        with pytest.raises(ConfigurationError, match="is disabled"):
            await system.check()


async def test_an_unknown_custom_field_is_named_with_the_setting(opened: Open) -> None:
    async with opened(key_field="Nonsense") as system:
        with pytest.raises(Refused, match=r"key_field: tickets of queue .* show no custom field 'Nonsense'"):
            await system.check()
        with pytest.raises(Refused, match="key_field"):
            await system.find("acme-1")
    async with opened(fields={"CustomFields": {"Nonsense": "x"}}) as system:
        with pytest.raises(ConfigurationError, match=r"fields\.CustomFields: .* no custom field 'Nonsense'"):
            await system.check()


async def test_a_status_that_nobody_explained_is_not_guessed(opened: Open, key: str) -> None:
    async with opened(statuses={"stalled": "closed"}) as system:
        ref = await system.create(ticket(key))
        await system.change(ref, Change("m", fields={"Status": "stalled"}))
        assert (await system.read(ref)).status is Status.CLOSED


async def test_a_queue_may_be_given_by_id(rt: RequestTracker, opened: Open, key: str) -> None:
    async with opened(queue=str(rt.call("GET", f"queue/{QUEUE}").json["id"])) as system:
        assert await system.check() == []
        ref = await system.create(ticket(key))
        assert await system.find(key) == [ref]


async def test_the_least_rights_suffice(opened: Open, key: str) -> None:
    async with opened(LEAST) as system:
        # Somebody is mailed of each remark, which leaves entries in the history that this user does not see.
        ref = await system.create(ticket(key, fields={"AdminCc": "team@acme.test"}))
        assert await system.check() == []
        assert await system.find(key) == [ref]
        assert await system.find(f"{key}-other") == []
        await system.change(ref, Change("m-1", comment="Gone. [m-1]", status=Status.RESOLVED))
        await system.change(ref, Change("m-2", comment="Back. [m-2]", status=Status.OPEN))
        shown = await system.read(ref)
        assert await _all(system, key) == [key]
    assert (shown.status, [said.text for said in shown.comments]) == (Status.OPEN, ["Gone. [m-1]", "Back. [m-2]"])


@pytest.mark.parametrize(
    ("rights", "gap"),
    [
        (("CreateTicket",), "no ticket can be made"),
        (("ModifyTicket",), "cannot be changed"),
        (("CommentOnTicket", "ModifyTicket"), "nothing can be remarked"),
        (("ShowTicket",), "no ticket of the queue shows"),
    ],
    ids=lambda given: given[0] if isinstance(given, tuple) else "",
)
async def test_a_missing_right_is_named(opened: Open, key: str, rights: tuple[str, ...], gap: str) -> None:
    async with opened() as system:
        await system.create(ticket(key))
        assert await system.check() == []
    async with opened(without(*rights)) as system:
        found = await system.check()
    assert (found[0].missing_permission, gap in found[0].reason) == (rights[0], True), found


@pytest.mark.parametrize("right", ["SeeQueue", "SeeCustomField"])
async def test_nothing_is_filed_or_concluded_where_queue_or_key_is_hidden(opened: Open, key: str, right: str) -> None:
    async with opened() as system:
        await system.create(ticket(key))
    async with opened(without(right)) as system:
        for doing in (system.check(), system.find(f"{key}-b"), system.create(ticket(f"{key}-b"))):
            with pytest.raises(Refused) as caught:
                await doing
            assert caught.value.missing_permission == right
    async with opened() as system:
        assert await system.find(f"{key}-b") == []


async def test_a_search_that_may_see_nothing_is_no_proof(rt: RequestTracker, opened: Open, key: str) -> None:
    async with opened() as system:
        ref = await system.create(ticket(key))
    async with opened(without("ShowTicket")) as system:
        for doing in (system.find(key), system.read(ref), _all(system, key)):
            with pytest.raises(Refused) as caught:
                await doing
            assert caught.value.missing_permission == "ShowTicket"
        # It was proven by now that tickets are hidden: none is made that could not be found again.
        with pytest.raises(Refused, match="cannot be told"):
            await system.create(ticket(f"{key}-b"))
    async with opened(without("ShowTicket")) as system:
        made = await system.create(ticket(f"{key}-c"))
        with pytest.raises(Refused, match=f"ticket {made.id} is there, and hidden"):
            await system.create(ticket(f"{key}-d"))
    empty = rt.new_queue(f"Empty {key}")
    async with opened(queue=empty) as system:
        assert await system.check() == []
        assert await system.find(f"{key}-e") == []
        assert await _all(system, f"{key}-e") == []


async def _all(system: TicketSystem, prefix: str) -> list[str]:
    return [key async for key, _ in system.keyed(prefix)]


async def test_a_right_that_is_missing_for_a_change_is_named(opened: Open, key: str) -> None:
    async with opened(without("ModifyTicket")) as system:
        ref = await system.create(ticket(key))
        with pytest.raises(Refused, match=r"Status did not change \(.*Permission Denied\)"):
            await system.change(ref, Change("m-1", comment="[m-1]", status=Status.RESOLVED))
        shown = await system.read(ref)
    assert (shown.status, shown.comments) == (Status.OPEN, ())
    async with opened(without("CommentOnTicket", "ModifyTicket")) as system:
        with pytest.raises(Refused, match="Permission Denied"):
            await system.change(ref, Change("m-1", comment="[m-1]"))
    async with opened(without("ModifyCustomField")) as system:
        with pytest.raises(Refused, match=f"{CAUSE} did not change"):
            await system.change(ref, Change("m-1", fields={"CustomFields": {CAUSE: "x"}}))
    async with opened() as system:
        with pytest.raises(Refused, match="Owner did not change"):
            await system.change(ref, Change("m-1", fields={"Owner": "nobody-of-that-name"}))
        with pytest.raises(ConfigurationError, match="never deleted"):
            await system.change(ref, Change("m-1", status=Status.GONE))


async def test_remarks_that_do_not_show_stop_it_before_it_repeats_itself(opened: Open, key: str) -> None:
    async with opened(without("ShowTicketComments")) as system:
        ref = await system.create(ticket(key))
        await system.change(ref, Change("m-1", comment="Once. [m-1]"))
        with pytest.raises(Refused, match="remarks on tickets are hidden"):
            await system.read(ref)
        with pytest.raises(Refused, match="remarks on tickets are hidden"):
            await system.change(ref, Change("m-1", comment="Once. [m-1]"))
    async with opened() as system:
        assert len((await system.read(ref)).comments) == 1


async def test_a_ticket_that_did_not_keep_its_key_is_the_last(opened: Open, key: str) -> None:
    async with opened(without("SetInitialCustomField", "ModifyCustomField")) as system:
        with pytest.raises(Misbehaved, match="did not keep its key"):
            await system.create(ticket(key))
        with pytest.raises(Refused, match="did not keep its key"):
            await system.create(ticket(f"{key}-b"))


async def test_a_wrong_token_is_refused_and_never_shown(opened: Open, key: str) -> None:
    token = "1-77-0123456789abcdef0123456789abcdef"
    async with opened(token) as system:
        for doing in (system.check(), system.find(key), system.create(ticket(key)), system.read(TicketRef("1"))):
            with pytest.raises(Refused, match="HTTP 401") as caught:
                await doing
            assert "Check token" in caught.value.advice
            assert token not in f"{caught.value.message} {caught.value.advice}"
    async with opened(STRANGER) as system:
        with pytest.raises(Refused, match="hidden from this token"):
            await system.check()


def _ledger(database: Database) -> tuple[TicketRow, list[str]]:
    with database.reading() as session:
        row = session.exec(select(TicketRow)).one()
        texts = [one.text for one in session.exec(select(CommentRow).order_by(col(CommentRow.at)))]
        session.expunge_all()
        return row, texts


async def test_the_nightly_exchange_files_follows_reopens_and_notices_a_deletion(
    rt: RequestTracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RT_TOKEN", rt.tokens[LEAST])
    config = tmp_path / "reconciler.toml"
    config.write_text(
        f"""
[estate]
name = "nightly"
time_zone = "Europe/Amsterdam"
[sources.qms]
connector = "files"
path = "qms"
[filing]
enabled = true
[filing.systems.rt]
connector = "request_tracker"
url = "{rt.url}"
token = "env:RT_TOKEN"
queue = "{QUEUE}"
fields.Owner = "{CLERK}"
"""
    )
    database = opened_database(f"sqlite:///{tmp_path / 'reconciler.db'}")
    loaded = load(config)
    fact = structs.replace(example(), seen=1, verified_run=None, closed=False)

    async def night() -> Exchanged:
        enqueue(loaded, database, [fact], at=clock.now())
        return await exchange(loaded, database, [fact])

    first = await night()
    assert (first.sent.filed, first.complete) == (1, True), first
    row, _ = _ledger(database)
    assert (row.state, row.key) == ("filed", f"rec-nightly-{fact.about.lower()}")
    rt.call("POST", f"ticket/{row.remote_id}/comment", {"Content": "Done, I think.", "ContentType": "text/plain"})
    rt.call("PUT", f"ticket/{row.remote_id}", {"Status": "resolved"})
    second = await night()
    assert (second.sent.changed, second.complete) == (1, True), second
    third = await night()
    assert (third.sent.changed, third.complete) == (0, True), third
    row, texts = _ledger(database)
    assert (row.status, row.raw_status, row.assignee) == ("open", "open", CLERK)
    assert (texts[0], len(texts)) == ("Done, I think.", 2)
    rt.call("DELETE", f"ticket/{row.remote_id}")
    last = await night()
    assert not last.sent.filed
    assert _ledger(database)[0].state == "gone"
