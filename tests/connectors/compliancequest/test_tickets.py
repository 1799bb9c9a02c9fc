"""Records are filed once under an external id, read back, and what is not known is not said."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tenacity import wait_none

from connectors.compliancequest.tickets import ComplianceQuestTickets
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.tickets import Change, ExceptionRegister, Status, TicketSystem
from tests.connectors.compliancequest import quality
from tests.connectors.compliancequest.quality import BODY, KEY, NC, PART, RISK, STATUS, TITLE, opened, ticket
from tests.simulators.http_injection import FaultKind
from tests.simulators.salesforce.server import Salesforce
from tests.simulators.salesforce.writing import needs

FIRST = "rec-acme-nc-000001"
UPSERT = rf"/sobjects/{NC}/{KEY}/"


@pytest.fixture
def salesforce(monkeypatch: pytest.MonkeyPatch) -> Iterator[Salesforce]:
    monkeypatch.setenv("CQ_SECRET", quality.SECRET)
    monkeypatch.setattr("reconciler.sdk.http._BACKOFF", wait_none())
    with quality.running() as started:
        yield started


@pytest.fixture
async def qms(salesforce: Salesforce) -> AsyncIterator[ComplianceQuestTickets]:
    system = opened(salesforce.url)
    yield system
    await system.close()


def records(salesforce: Salesforce, entity: str = NC) -> list[dict[str, object]]:
    return list(salesforce.org.entities[entity].rows.values())


async def test_a_ticket_becomes_one_record_and_is_found_by_its_key(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    assert isinstance(qms, TicketSystem)
    made = await qms.create(ticket(fields={STATUS: "Open", PART: "P-1"}))
    (row,) = records(salesforce)
    assert (row["Id"], row[KEY], row[TITLE], row[PART]) == (made.id, FIRST, "NC-000001: a leaver can sign in", "P-1")
    assert str(row[BODY]).startswith("It does not hold.")
    (found,) = await qms.find(FIRST)
    assert (found.id, found.number, found.url) == (made.id, row["Name"], f"{salesforce.url}/{made.id}")
    assert list(await qms.find("rec-acme-nc-000002")) == []


async def test_what_is_previewed_is_what_is_sent_and_holds_no_secret(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    preview = qms.preview(ticket())
    await qms.create(ticket())
    assert preview.method == "PATCH"
    assert preview.url == f"{salesforce.url}/services/data/v62.0/sobjects/{NC}/{KEY}/{FIRST}"
    assert json.loads(preview.body) == salesforce.written.bodies[-1]
    assert preview.headers["Authorization"] == "Bearer ***"
    assert quality.SECRET not in repr(preview)


@pytest.mark.parametrize("old", [False, True])
async def test_filing_twice_leaves_one_record(
    salesforce: Salesforce, qms: ComplianceQuestTickets, *, old: bool
) -> None:
    salesforce.written.old_answers = old
    first = await qms.create(ticket())
    assert (await qms.create(ticket())).id == first.id
    assert (salesforce.written.created, salesforce.written.updated) == (1, 1)


async def test_a_lost_answer_is_asked_for_again_and_leaves_one_record(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    lost = salesforce.faults.add(FaultKind.RESET_WITHIN, path=UPSERT)
    made = await qms.create(ticket())
    assert [fired.fault for fired in salesforce.faults.fired] == [lost]
    assert [row["Id"] for row in records(salesforce)] == [made.id]


async def test_several_records_of_one_key_are_a_conflict_that_names_both(
    salesforce: Salesforce,
) -> None:
    qms = opened(salesforce.url)  # made before the field became Unique
    user = next(iter(salesforce.org.users))
    ids = [salesforce.org.insert(NC, **{KEY: FIRST, "OwnerId": user}) for _ in range(2)]
    with pytest.raises(Refused, match="several records carry this external id") as caught:
        await qms.create(ticket())
    assert all(one in caught.value.message for one in ids)
    assert [ref.id for ref in await qms.find(FIRST)] == ids
    assert salesforce.written.created == salesforce.written.updated == 0
    await qms.close()


async def test_validation_rules_are_named_by_the_key_that_fills_the_field(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    salesforce.written.rules[NC] = [needs(PART, "compliancequest__Type_Of_Issue__c", "Product"), needs(TITLE)]
    with pytest.raises(Refused) as caught:
        await qms.create(ticket(title="", fields={"compliancequest__Type_Of_Issue__c": "Product"}))
    assert f"[filing.systems.qms] fields.{PART}: SQX_Part is required" in caught.value.message
    assert f"title_field ({TITLE}): NC_Title is required" in caught.value.message
    assert records(salesforce) == []


async def test_a_long_ticket_is_cut_to_what_the_fields_hold(salesforce: Salesforce) -> None:
    fields = salesforce.org.entities[NC].fields
    fields[TITLE], fields[BODY] = replace(fields[TITLE], length=80), replace(fields[BODY], length=2000, rich=True)
    long = ticket(title="t " * 100, body="<b>F</b> & more\n" * 500, fields={STATUS: "Open"})
    short = opened(salesforce.url)
    assert [gap.reason.partition(":")[0] for gap in await short.check()] == [
        f"{TITLE} holds 80 characters, and title_length is 255",
        f"{BODY} holds 2000 characters, and body_length is 32000",
        BODY,
    ]
    with pytest.raises(Refused, match=rf"title_field \({TITLE}\): .*data value too large"):
        await short.create(long)
    fits = opened(salesforce.url, title_length=80, body_length=2000, body_html=True)
    assert list(await fits.check()) == []
    made = await fits.create(long)
    await fits.change(made, Change(mark="m-1", comment="What came:\n" + "- F-1: u-1\n" * 2000 + "\n[m-1]"))
    assert (await fits.read(made)).comments[0].text.endswith("[m-1]")
    (row,) = records(salesforce)
    assert "<b>" not in str(row[BODY])
    assert str(row[BODY]).startswith("&lt;b&gt;F&lt;/b&gt; &amp; more<br>")
    assert "(cut: " in str(row[BODY])
    for system in (short, fits):
        await system.close()


async def test_a_lookup_is_given_by_an_external_id(salesforce: Salesforce) -> None:
    supplier = salesforce.org.insert("Account", Code__c="S-7")
    fields = {"compliancequest__SQX_Account__r": {"Code__c": "S-7"}}
    qms = opened(salesforce.url, fields=fields)
    assert list(await qms.check()) == []
    await qms.create(ticket(fields=fields))
    assert records(salesforce)[0]["compliancequest__SQX_Account__c"] == supplier
    with pytest.raises(Refused, match="S-8 not found for field Code__c"):
        await qms.create(ticket(2, fields={"compliancequest__SQX_Account__r": {"Code__c": "S-8"}}))
    await qms.close()


async def test_an_empty_key_is_carried_by_many_and_asks_nothing(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    salesforce.org.insert(NC)
    for key in ("", "A B", "x" * 65):
        with pytest.raises(ConfigurationError, match="no key of a ticket"):
            await qms.find(key)
    assert salesforce.queries == []


@pytest.mark.parametrize(
    ("kind", "error"),
    [(FaultKind.THROTTLED, Throttled), (FaultKind.UNAVAILABLE, Throttled), (FaultKind.SERVER_ERROR, Unreachable)],
)
async def test_what_may_pass_is_said_as_such(
    salesforce: Salesforce, qms: ComplianceQuestTickets, kind: FaultKind, error: type[Exception]
) -> None:
    salesforce.faults.add(kind, path=UPSERT, times=None)
    with pytest.raises((error, Unreachable)):
        await qms.create(ticket())
    assert records(salesforce) == []


async def test_a_record_that_another_request_makes_at_this_moment_is_no_refusal(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    problem = {"message": f"duplicate value found: {KEY} duplicates value on record with id: a05", "fields": []}
    salesforce.written.rules[NC] = [lambda _: {"errorCode": "DUPLICATE_VALUE", **problem}]
    with pytest.raises(Unreachable, match="made at this moment"):
        await qms.create(ticket())
    salesforce.written.rules[NC] = [lambda _: {"errorCode": "DUPLICATE_VALUE", "message": "another field"}]
    with pytest.raises(Refused, match="another field"):
        await qms.create(ticket())


async def test_a_record_is_read_back_with_its_feed(qms: ComplianceQuestTickets) -> None:
    made = await qms.create(ticket(fields={STATUS: "Complete", "Outcome__c": "account disabled"}))
    await qms.change(made, Change(mark="m-1", comment="Seen again.\n[m-1]"))
    view = await qms.read(made)
    assert (view.status, view.raw_status, view.key) == (Status.RESOLVED, "Complete", FIRST)
    assert (view.assignee, view.resolution) == ("Reconciler", "account disabled")
    assert [(one.author, one.text) for one in view.comments] == [("Reconciler", "Seen again.\n[m-1]")]
    assert view.updated_at is not None
    assert view.updated_at.year == 2026


async def test_a_status_that_nobody_mapped_is_not_guessed(qms: ComplianceQuestTickets) -> None:
    made = await qms.create(ticket(fields={STATUS: "Awaiting Feng Shui"}))
    with pytest.raises(Misbehaved, match=r"statuses: 'Awaiting Feng Shui' in .*Status__c is not mapped"):
        await qms.read(made)


async def test_a_deleted_record_is_gone_and_a_hidden_one_is_not_known(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    binned, purged = await qms.create(ticket(1)), await qms.create(ticket(2))
    salesforce.org.delete(NC, binned.id)
    salesforce.org.delete(NC, purged.id, purge=True)
    assert (await qms.read(binned)).status == Status.GONE
    assert (await qms.read(purged)).status == Status.GONE
    assert list(await qms.find(ticket(1).key)) == []
    (user,) = salesforce.org.users.values()
    user.view_all = set()
    blind = opened(salesforce.url)
    hidden = salesforce.org.insert(NC, **{KEY: "rec-acme-nc-000003", "OwnerId": "somebody else"})
    with pytest.raises(Refused, match="is gone cannot be told") as caught:
        await blind.read(type(binned)(hidden))
    assert caught.value.missing_permission == f"View All Records on {NC}"
    with pytest.raises(Refused, match="which records carry our keys cannot be told"):
        await anext(blind.keyed("rec-acme-"))
    await blind.close()


async def test_a_change_sets_status_and_fields_and_ends_with_its_comment(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    made = await qms.create(ticket())
    await qms.change(made, Change(mark="m-2", comment="Verified.", status=Status.CLOSED, fields={PART: "P-9"}))
    (row,) = records(salesforce)
    assert (row[STATUS], row[PART]) == ("Closed", "P-9")
    salesforce.faults.add(FaultKind.RESET_WITHIN, path="/sobjects/FeedItem")
    with pytest.raises(Unreachable, match=r"sobjects/FeedItem") as caught:
        await qms.change(made, Change(mark="m-3", comment="Here again.", status=Status.OPEN))
    assert "look for its result" in caught.value.advice
    view = await qms.read(made)
    assert view.status is Status.OPEN
    assert [one.text for one in view.comments] == ["Verified.", "Here again."]


async def test_what_a_change_needs_and_nobody_configured_is_named(salesforce: Salesforce) -> None:
    qms = opened(salesforce.url, chatter=False, status_values={"open": "Open"})
    made = await qms.create(ticket(fields={STATUS: "Open"}))
    with pytest.raises(ConfigurationError, match=r"\[filing.systems.qms\] status_values.closed is missing"):
        await qms.change(made, Change(mark="m", status=Status.CLOSED))
    with pytest.raises(ConfigurationError, match="chatter = false leaves no place for a comment"):
        await qms.change(made, Change(mark="m", comment="hello"))
    assert (await qms.read(made)).comments == ()
    salesforce.written.rules[NC] = [needs(PART)]
    with pytest.raises(Refused, match=rf"fields.{PART}: SQX_Part is required"):
        await qms.change(made, Change(mark="m", status=Status.OPEN))
    await qms.close()


async def test_every_record_of_a_prefix_is_listed_over_all_pages(salesforce: Salesforce) -> None:
    user = next(iter(salesforce.org.users))
    for number in range(7):
        salesforce.org.insert(NC, **{KEY: f"rec-acme-nc-{number:06}", "OwnerId": user})
    salesforce.org.insert(NC, **{KEY: "rec-other-nc-000001", "OwnerId": user})
    salesforce.shrink = 3
    qms = opened(salesforce.url)
    found = [key async for key, _ in qms.keyed("rec-acme-")]
    assert found == [f"rec-acme-nc-{number:06}" for number in range(7)]
    with pytest.raises(ConfigurationError, match="no beginning of a key"):
        await anext(qms.keyed("rec_acme%"))
    salesforce.faults.add(FaultKind.NEXT_FOREIGN, path="LIKE")
    with pytest.raises(Misbehaved, match="a link leads to"):
        _ = [key async for key, _ in qms.keyed("rec-acme-")]
    await qms.close()


async def test_check_names_what_is_missing(salesforce: Salesforce) -> None:
    (user,) = salesforce.org.users.values()
    user.view_all, user.locked = set(), {f"{NC}.{BODY}"}
    user.reads -= {"FeedItem"}
    qms = opened(salesforce.url, fields={"Nothing__c": "x"})
    said = {(gap.subject, gap.reason, gap.missing_permission) for gap in await qms.check()}
    assert (NC, f"{BODY} cannot be set by the running user", f"Edit on {BODY}") in said
    assert (NC, "Nothing__c is not shown", "Edit on Nothing__c") in said
    assert f"View All Records on {NC}" in {permission for _, _, permission in said}
    assert any(subject == "FeedItem" for subject, _, _ in said)
    await qms.close()
    unkeyed = opened(salesforce.url, external_id="Missing__c")
    with pytest.raises(Refused, match="has no External ID field Missing__c"):
        await unkeyed.check()
    loose = opened(salesforce.url, external_id="Loose__c")
    for asked in (loose.check(), loose.create(ticket())):
        with pytest.raises(Refused, match="Loose__c is not Unique: two records may come to carry one key"):
            await asked
    assert records(salesforce) == []
    for system in (unkeyed, loose):
        await system.close()


async def test_check_of_what_is_well_says_nothing(salesforce: Salesforce, qms: ComplianceQuestTickets) -> None:
    assert list(await qms.check()) == []
    assert records(salesforce) == []


RISKS = {
    "object": RISK,
    "columns": {"reason": "Reason__c", "expires_at": "Ends__c", "approved_at": "Ends_At__c", "status": "State__c"},
    "values": {"status": {"active": "In Force"}},
    "time_zone": "Europe/Amsterdam",
}


async def test_an_accepted_risk_is_written_once_as_an_exception(salesforce: Salesforce) -> None:
    qms = opened(salesforce.url, exceptions=RISKS)
    assert isinstance(qms, ExceptionRegister)
    assert qms.holds_exceptions
    assert list(await qms.check()) == []
    fields = {
        "reason": "Vendor needs it",
        "status": "active",
        "approved_at": datetime(2026, 3, 1, 9, tzinfo=UTC),
        "expires_at": datetime(2026, 3, 31, 21, 59, 59, tzinfo=UTC),
    }
    first = await qms.put("RA-000001", fields)
    salesforce.written.old_answers = True
    assert await qms.put("RA-000001", fields | {"reason": "Vendor still needs it", "unmapped": 1}) == first
    (row,) = records(salesforce, RISK)
    assert (row["Id"], row[KEY], row["Reason__c"]) == (first, "RA-000001", "Vendor still needs it")
    assert (row["State__c"], row["Ends_At__c"], row["Ends__c"]) == ("In Force", "2026-03-01T09:00:00Z", "2026-03-31")
    await qms.close()


@pytest.mark.parametrize(
    ("until", "day"),
    [
        (datetime(2026, 3, 31, 21, 59, 59, tzinfo=UTC), "2026-03-31"),
        (datetime(2026, 3, 31, 22, 0, 0, tzinfo=UTC), "2026-03-31"),
        (datetime(2026, 3, 31, 12, 0, 0, tzinfo=UTC), "2026-03-30"),
    ],
)
async def test_a_day_never_lasts_longer_than_what_was_accepted(
    salesforce: Salesforce, until: datetime, day: str
) -> None:
    qms = opened(salesforce.url, exceptions=RISKS)
    await qms.put("RA-000002", {"expires_at": until})
    assert records(salesforce, RISK)[0]["Ends__c"] == day
    await qms.close()


async def test_an_exception_that_cannot_be_written_names_the_key(
    salesforce: Salesforce, qms: ComplianceQuestTickets
) -> None:
    assert not qms.holds_exceptions
    with pytest.raises(ConfigurationError, match=r"\[filing.systems.qms\] exceptions is missing"):
        await qms.put("RA-1", {})
    dated = opened(salesforce.url, exceptions={"object": RISK, "columns": {"expires_at": "Ends__c"}})
    with pytest.raises(ConfigurationError, match=r"exceptions\] time_zone is missing: Ends__c holds dates"):
        await dated.put("RA-1", {"expires_at": datetime(2026, 3, 31, tzinfo=UTC)})
    with pytest.raises(ConfigurationError, match="without a number"):
        await dated.put("", {})
    strange = opened(salesforce.url, exceptions={"object": RISK, "columns": {"reason": "Why__c"}})
    with pytest.raises(ConfigurationError, match=r"columns.reason: Acme_Risk_Acceptance__c shows no Why__c"):
        await strange.put("RA-1", {})
    ruled = opened(salesforce.url, exceptions={"object": RISK, "columns": {"approved_by": "Approver__c"}})
    salesforce.written.rules[RISK] = [needs("Approver__c")]
    with pytest.raises(Refused, match=r"exceptions.columns.approved_by \(Approver__c\): Approver is required"):
        await ruled.put("RA-1", {})
    for system in (dated, strange, ruled):
        await system.close()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": "capa"}, "title_field is missing"),
        ({"kind": "finding"}, "body_field is missing"),
        ({"external_id": "Key; DROP"}, "external_id: 'Key; DROP' is no API name"),
        ({"fields": {KEY: "x"}}, f"fields.{KEY}: the service refuses it"),
        ({"assignee_field": "Owner Name"}, "assignee_field: 'Owner Name' is no field"),
        ({"flow": "jwt_bearer"}, "client_secret does nothing"),
        ({"exceptions": {"object": RISK, "columns": {"reasn": "R__c"}}}, "no such column of exceptions.*reasn.*reason"),
        ({"exceptions": {"object": RISK, "columns": {"reason": "R"}, "values": {"status": {}}}}, "values.status does"),
        ({"exceptions": RISKS | {"time_zone": "Mars/Base"}}, "'Mars/Base' is not an IANA time zone"),
        ({"statuses": {"Open": "sort of open"}}, "statuses"),
    ],
)
def test_a_section_that_cannot_work_is_refused_with_its_key(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        opened("https://acme.my.salesforce.com", **changes)


def test_findings_and_capas_are_filed_where_their_fields_are_named() -> None:
    named = {"title_field": "T__c", "body_field": "B__c"}
    for kind, entity in (("finding", "SQX_Finding__c"), ("capa", "SQX_CAPA__c")):
        preview = opened("https://acme.my.salesforce.com", kind=kind, **named).preview(ticket())
        assert f"compliancequest__{entity}/{KEY}/{FIRST}" in preview.url
        assert set(json.loads(preview.body)) == {"T__c", "B__c"}
    with pytest.raises(ConfigurationError, match="no key of a ticket"):
        opened("https://acme.my.salesforce.com").preview(ticket(key=""))
