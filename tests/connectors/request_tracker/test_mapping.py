"""Settings that would do nothing or harm are refused, and values of RT are read as what they are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.request_tracker import TicketSettings, open_tickets
from connectors.request_tracker.connector import comment, instant, lacking, moment, plain, subject, written
from reconciler.sdk.errors import ConfigurationError, Misbehaved
from reconciler.sdk.tickets import Status

SECTION = {"connector": "request_tracker", "url": "https://rt.acme.test/rt/", "token": "env:RT_TOKEN", "queue": "IG"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"url": "http://rt.acme.test"}, "unencrypted"),
        ({"url": "https://rt.acme.test/REST/2.0"}, "without /REST/2.0"),
        ({"token": "1-14-secret"}, "must be a reference"),
        ({"queue": ""}, "queue"),
        ({"queue": "a/b"}, "queue"),
        ({"key_field": "a'b"}, "key_field"),
        ({"fields": {"Subject": "x"}}, "Subject is what the template title says"),
        ({"fields": {"Colour": "red"}}, "RT knows no field 'Colour'"),
        ({"fields": {"CustomFields": "x"}}, "must be a table"),
        ({"fields": {"CustomFields": {"reconciler KEY": "x"}}}, "carries the key"),
        ({"statuses": {"approved": "gone"}}, "only deleted means gone"),
        ({"statuses": {"Deleted": "closed"}}, "only deleted means gone"),
        ({"statuses": {"approved": "done"}}, "statuses"),
        ({"written": {"open": "resolved"}}, "written.open"),
        ({"written": {"resolved": "approved"}}, "written.resolved"),
        ({"written": {"closed": "deleted"}}, "written.closed"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TicketSettings.model_validate(SECTION | given)


def test_a_lifecycle_of_ones_own_is_taken() -> None:
    given = {
        "statuses": {"Approved": "closed", "waiting": "open"},
        "written": {"open": "waiting", "closed": "approved"},
    }
    settings = TicketSettings.model_validate(SECTION | given)
    assert (settings.meanings["approved"], settings.meanings["new"]) == (Status.CLOSED, Status.OPEN)
    assert [settings.written.word(one) for one in (Status.OPEN, Status.RESOLVED, Status.CLOSED)] == [
        "waiting",
        "resolved",
        "approved",
    ]
    system = open_tickets("itsm", settings.model_copy(update={"settle_seconds": 5.0}), Path())
    assert (system.endpoint, system.settle_seconds) == ("https://rt.acme.test", 5.0)


def test_values_are_written_as_rt_takes_them() -> None:
    settings = TicketSettings.model_validate(SECTION)
    at = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
    fields = {"Starts": at, "SLA": None, "Cc": ("a@acme.test",), "CustomFields": {"Cause": ["a\x00", 1]}}
    assert written(settings, fields) == {
        "Starts": "2026-11-21 09:30:00",
        "Cc": ["a@acme.test"],
        "CustomFields": {"Cause": ["a", 1]},
    }
    with pytest.raises(ConfigurationError, match="Content is what the template body says"):
        written(settings, {"Content": "x"})
    assert instant(datetime.fromisoformat("2026-11-21T01:00:00+02:00")) == "2026-11-20 23:00:00"


def test_instants_of_rt_are_read_and_its_zero_is_none() -> None:
    assert moment("2026-11-21T17:58:23Z") == datetime(2026, 11, 21, 17, 58, 23, tzinfo=UTC)
    assert moment("2026-11-21T17:58:23") == datetime(2026, 11, 21, 17, 58, 23, tzinfo=UTC)
    assert moment("1970-01-01T00:00:00Z") is None
    assert moment(None) is None
    with pytest.raises(Misbehaved):
        moment("yesterday")


def test_a_title_fits_and_stays_whole_characters() -> None:
    assert subject(" two\nlines\t ") == "two lines"
    assert subject("x" * 200) == "x" * 200
    assert len(subject("😀" * 200).encode()) <= 200
    assert subject("😀" * 200).endswith("😀…")
    assert plain("a\r\nb\rc\td") == "a\nb\nc\td"


def test_a_remark_is_its_plain_text_else_what_its_page_says() -> None:
    entry = {"id": 5, "Creator": None}
    page = {"ContentType": "text/html", "Content": "<head><title>t</title></head>a<br>b<p>c&nbsp;d</p>", "Filename": ""}
    words = {"ContentType": "text/plain", "Content": "plain"}
    file = {"ContentType": "text/plain", "Content": "no", "Filename": "x.txt"}
    assert comment(entry, [file, page, words]).text == "plain"
    assert comment(entry, [file, page]).text == "a\nb\nc\xa0d"
    assert comment(entry, [file]) == comment(entry, [])
    assert (comment(entry, []).author, comment(entry, []).at) == ("", None)


def test_what_did_not_change_is_told_as_far_as_rt_shows_it() -> None:
    record = {
        "Status": "open",
        "Owner": {"id": "Nobody"},
        "Priority": "Low",
        "CustomFields": [{"name": "Cause", "values": ["a", "b"]}],
    }
    asked = {"Status": "resolved", "Owner": "ann", "Priority": 50, "CustomFields": {"cause": ["b", "a"], "Hidden": "x"}}
    assert lacking(asked, record) == ["Status", "Owner"]
    assert lacking({"Status": "OPEN", "CustomFields": {"Cause": "a"}}, record) == ["Cause"]
