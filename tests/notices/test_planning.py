"""Who is told of what, as time goes by."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from email.headerregistry import Address
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from reconciler.nonconformity.record import Action, Cause, Nonconformity, State
from reconciler.notices import Contacts, Due, Plan, dues, plan
from reconciler.notices.addresses import usable
from reconciler.sections.notices import Notices
from reconciler.snapshot.people import Holder, Holders

DUE = datetime(2026, 3, 18, 12, tzinfo=UTC)
HELD = Holders(
    by_role={
        "access-owner": [Holder("P1", "Ada", date(2024, 1, 1))],
        "lead": [Holder("P2", "Bob", date(2024, 1, 1))],
        "ciso": [Holder("P3", "Cleo", date(2024, 1, 1))],
    }
)
CONTACTS = Contacts(holders=HELD, emails={"P1": "ada@acme.test", "P2": "bob@acme.test", "P3": "cleo@acme.test"})
SMTP = {"host": "localhost", "security": "none", "sender": "reconciler@acme.test"}
HOOK = {"url": "https://chat.acme.test/hook", "secret": "env:HOOK"}


def due(about: str = "NC-000001", **changes: Any) -> Due:
    known = Due(
        about=about,
        title="A leaver can sign in",
        rule_id="IG-LVR-001",
        source="corp",
        severity="high",
        grade="minor",
        due_at=DUE,
        owner_role="access-owner",
        owner="P1",
        standing=3,
    )
    return msgspec.structs.replace(known, **changes)


def planned(now: datetime, *owed: Due, contacts: Contacts = CONTACTS, **section: Any) -> Plan:
    section = {"smtp": SMTP, "digest_weekdays": []} | section
    return plan(
        owed or (due(),),
        now=now,
        time_zone="Europe/Amsterdam",
        section=Notices.model_validate(section),
        escalate_to=["lead", "ciso"],
        contacts=contacts,
    )


def told(found: Plan) -> list[tuple[str, str, str, str]]:
    return [one.key for one in found.notices]


def test_nobody_is_told_before_the_first_day() -> None:
    assert told(planned(DUE - timedelta(days=7, seconds=1))) == []


def test_the_owner_is_reminded_of_the_nearest_day_that_has_come() -> None:
    expected = ("reminder", "NC-000001", "2026-03-18 -7d", "ada@acme.test")
    assert told(planned(DUE - timedelta(days=7))) == [expected]
    assert told(planned(DUE - timedelta(days=1, seconds=1))) == [expected]
    assert told(planned(DUE - timedelta(hours=3))) == [("reminder", "NC-000001", "2026-03-18 -1d", "ada@acme.test")]


def test_another_due_date_is_reminded_of_anew() -> None:
    later = due(due_at=DUE + timedelta(days=30))
    assert told(planned(later.due_at - timedelta(hours=1), later)) == [
        ("reminder", "NC-000001", "2026-04-17 -1d", "ada@acme.test")
    ]


def test_what_is_late_goes_up_a_role_each_time() -> None:
    assert told(planned(DUE + timedelta(hours=23))) == []
    first = ("escalation", "NC-000001", "2026-03-18 +1d", "bob@acme.test")
    assert told(planned(DUE + timedelta(days=1))) == [first]
    second = ("escalation", "NC-000001", "2026-03-18 +7d", "cleo@acme.test")
    assert told(planned(DUE + timedelta(days=7))) == [first, second]


def test_the_last_role_hears_once_of_several_days_that_passed() -> None:
    found = planned(DUE + timedelta(days=40), escalate_days_after=[1, 7, 14, 28])
    assert [(key[2], key[3]) for key in told(found)] == [
        ("2026-03-18 +1d", "bob@acme.test"),
        ("2026-03-18 +28d", "cleo@acme.test"),
    ]


def test_a_role_of_the_chain_goes_up_to_those_above_it() -> None:
    found = planned(DUE + timedelta(days=1), due(owner_role="Lead", owner="P2"))
    assert [key[3] for key in told(found)] == ["cleo@acme.test"]
    top = planned(DUE + timedelta(days=1), due(owner_role="ciso", owner="P3"))
    assert top.notices == ()
    assert top.unaddressed == ("NC-000001 is late, and there is no role above ciso to tell",)


def test_what_a_vacant_role_answers_for_is_told_to_the_role_it_went_up_to() -> None:
    orphan = due(owner_role="nobody", owner="P2", escalated_to="lead")
    assert [key[3] for key in told(planned(DUE - timedelta(days=1), orphan))] == ["bob@acme.test"]
    assert [key[3] for key in told(planned(DUE + timedelta(days=1), orphan))] == ["cleo@acme.test"]


def test_what_is_late_goes_past_a_role_that_nobody_holds() -> None:
    mailbox = "lead@acme.test"
    vacant = Holders(by_role={role: held for role, held in HELD.by_role.items() if role != "lead"})
    without = msgspec.structs.replace(CONTACTS, holders=vacant)
    found = planned(DUE + timedelta(days=1), contacts=without)
    assert ([key[3] for key in told(found)], found.unaddressed) == (["cleo@acme.test"], ())
    read = msgspec.structs.replace(without, addresses={"lead": mailbox})  # nobody holds it, but its mail is read
    assert [key[3] for key in told(planned(DUE + timedelta(days=1), contacts=read))] == [mailbox]


def test_a_day_that_is_named_twice_is_one_stage() -> None:
    found = planned(DUE + timedelta(days=1), escalate_days_after=[1, 1])
    assert [key[3] for key in told(found)] == ["bob@acme.test"]


@pytest.mark.parametrize("days", [-1, 100_000])
def test_days_that_are_none_are_refused(days: int) -> None:
    for key in ("remind_days_before", "escalate_days_after"):
        with pytest.raises(ValidationError):
            Notices.model_validate({key: [days]})


def test_an_address_of_the_configuration_comes_before_that_of_the_holder() -> None:
    contacts = msgspec.structs.replace(CONTACTS, addresses={"Access-Owner": "access@acme.test"})
    assert [key[3] for key in told(planned(DUE - timedelta(days=1), contacts=contacts))] == ["access@acme.test"]


def test_whom_nobody_can_reach_is_said() -> None:
    unknown = Contacts(holders=Holders(unknown="no source reports role_holders"))
    found = planned(DUE - timedelta(days=1), due(owner=None), contacts=unknown)
    assert found.notices == ()
    assert found.unaddressed == (
        "NC-000001: no address is known for role access-owner: its holder is not known: no source reports role_holders",
    )
    odd = msgspec.structs.replace(CONTACTS, addresses={"access-owner": "a@b.test\r\nBcc: c@d.test"})
    found = planned(DUE - timedelta(days=1), contacts=odd)
    assert (found.notices, len(found.unaddressed)) == ((), 1)


def test_each_owner_gets_one_list_on_the_last_digest_day() -> None:
    owed = (
        due("NC-1", severity="low", due_at=DUE + timedelta(days=90)),
        due("NC-2", severity="critical", due_at=DUE + timedelta(days=90)),
        due("NC-3", owner_role="lead", owner="P2", due_at=DUE + timedelta(days=90)),
    )
    monday = datetime(2026, 3, 16, 0, 30, tzinfo=UTC)
    found = planned(monday, *owed, digest_weekdays=["mon"])
    assert [
        (key, [one.about for one in notice.items]) for key, notice in zip(told(found), found.notices, strict=True)
    ] == [
        (("digest", "open", "2026-03-16", "ada@acme.test"), ["NC-2", "NC-1"]),
        (("digest", "open", "2026-03-16", "bob@acme.test"), ["NC-3"]),
    ]
    # A night that failed on Monday is made up for on Tuesday, with Monday's list; before midnight there it is Sunday.
    assert told(planned(monday + timedelta(days=1), *owed, digest_weekdays=["mon"])) == told(found)
    sunday = planned(datetime(2026, 3, 15, 22, 30, tzinfo=UTC), *owed, digest_weekdays=["mon"])
    assert {key[2] for key in told(sunday)} == {"2026-03-09"}
    assert told(planned(monday, *owed)) == []


def test_a_webhook_is_told_each_thing_once_for_each_role() -> None:
    found = planned(DUE + timedelta(days=8), webhook=HOOK, smtp=None, digest_weekdays=["mon"])
    assert [(key[0], key[1], key[3]) for key in told(found)] == [
        ("escalation", "NC-000001", "webhook lead"),
        ("escalation", "NC-000001", "webhook ciso"),
        ("digest", "access-owner", "webhook access-owner"),
    ]
    assert found.unaddressed == ()


@given(
    minutes=st.integers(-60 * 24 * 20, 60 * 24 * 60),
    remind=st.lists(st.integers(0, 30), max_size=4),
    escalate=st.lists(st.integers(0, 30), max_size=4),
)
def test_a_notice_is_never_planned_twice_nor_before_it_is_due(
    minutes: int, remind: list[int], escalate: list[int]
) -> None:
    now = DUE + timedelta(minutes=minutes)
    found = planned(now, due(), due("NC-2"), remind_days_before=remind, escalate_days_after=escalate, webhook=HOOK)
    assert len(set(told(found))) == len(found.notices)
    assert all(one.due_at <= now for one in found.notices)
    assert all(one.kind != "reminder" or now < DUE for one in found.notices)
    mails = [one for one in found.notices if one.channel == "mail" and one.about == "NC-2"]
    assert len([one for one in mails if one.kind == "reminder"]) <= 1
    assert len({one.recipient for one in mails if one.kind == "escalation"}) == len(
        [one for one in mails if one.kind == "escalation"]
    )


def nonconformity(**changes: Any) -> Nonconformity:
    known = Nonconformity(
        nc_id="NC-000001",
        cause=Cause(rule_id="IG-LVR-001"),
        rule_id="IG-LVR-001",
        source="corp",
        supplier_id=None,
        title="A leaver can sign in",
        statement="Ada can sign in",
        controls=(),
        clauses={},
        severity="high",
        grade="minor",
        grade_reason="",
        state=State.OPEN,
        detected_at=DUE - timedelta(days=7),
        detected_run="r1",
        owner_role="access-owner",
        owner="P1",
        escalated_to=None,
        due_at=DUE,
        standing=2,
    )
    return msgspec.structs.replace(known, **changes)


def test_a_corrective_action_is_due_at_the_end_of_its_day() -> None:
    action = Action(by="P9", at=DUE, text="Remove them", owner_role="lead", due_on=date(2026, 3, 20))
    first, second = dues([nonconformity(action=action)], holders=HELD, time_zone="Europe/Amsterdam")
    assert (first.about, first.due_at, first.owner) == ("NC-000001", DUE, "P1")
    assert (second.about, second.owner_role, second.owner) == ("NC-000001 action", "lead", "P2")
    assert second.due_at == datetime(2026, 3, 20, 23, tzinfo=UTC)


def test_nobody_owes_what_is_closed_or_waits_for_the_machine() -> None:
    done = Action(by="P9", at=DUE, text="Done", owner_role="lead", due_on=date(2026, 3, 20), done_by="P2", done_at=DUE)
    found = [nonconformity(state=State.CLOSED), nonconformity(state=State.VERIFYING), nonconformity(action=done)]
    assert [one.about for one in dues(found, holders=HELD, time_zone="UTC")] == ["NC-000001"]


def test_an_address_is_one_plain_address() -> None:
    assert usable("o'hara+iam@mail.acme.test")
    for bad in ("", "ada", "ada@", "@acme.test", "a@b.test,c@d.test", "a b@c.test", "a@b.test\n", "Ada <a@b.test>"):
        assert not usable(bad)
    for bad in ("a..b@c.test", ".a@c.test", "a.@c.test", "a@c..test", "a@c.test.", "a@-c.test", "x" * 65 + "@c.test"):
        assert not usable(bad)


@given(st.text("ab.@-'|", max_size=12))
def test_whatever_is_usable_can_be_written_into_a_header(address: str) -> None:
    if usable(address):
        assert str(Address(addr_spec=address)) == address
