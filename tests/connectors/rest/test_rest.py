from __future__ import annotations

import datetime as dt
import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from reconciler.collect import Limits, Pull, pull
from reconciler.connectors import load
from reconciler.sdk.connector import Partition, Status
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.testing import check_source
from reconciler.snapshot.store import Snapshot, SnapshotStore
from tests.connectors.rest.conftest import PEOPLE, STYLES, checked, pages_of, settings_of, source_of
from tests.simulators.http_faults import FaultServer, in_json
from tests.simulators.http_injection import FaultKind
from tests.simulators.rest_qms import CLIENT, PASSWORD, TOKEN, Qms

APPROVALS = {
    "path": "all/approvals",
    "paging": {"style": "none", "total": "count"},
    "rows": "items",
    "columns": {"approval_id": "key", "person_id": "subject.number", "decided_at": "decided", "decision": "open"},
    "constants": {"kind": "access_request"},
    "values": {"decision": {"true": "", "*": "approved"}},
}


async def sealed(qms: Qms, folder: Path, **changes: Any) -> Snapshot:
    settings = settings_of(qms, retry_seconds=0, **changes)
    return await pull(
        [Pull(load("rest").open_source("qms", settings, folder), "rest", settings)],
        SnapshotStore(folder),
        estate="acme",
        as_of=dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
        limits=Limits(),
        accepted=(),
        report=lambda _: None,
    )


async def test_answers_become_rows_of_the_estate(qms: Qms) -> None:
    mapping = {"people": {**PEOPLE, "path": "link/people"}, "approvals": APPROVALS}
    source = source_of(qms, mapping=mapping, epoch="milliseconds", canaries=["3"])
    assert await check_source(source) == []
    assert source.endpoint == qms.url
    first = (await pages_of(source_of(qms, canaries=["3", "99"])))[0]
    one, _, three, _ = first.rows
    assert (one.person_id, one.full_name, one.emails, one.kind) == ("1", "Name 1", ["p1@acme.test"], "employee")  # type: ignore[attr-defined] # people
    assert (one.ends_on, three.kind) == (dt.date(2026, 3, 31), "contractor")  # type: ignore[attr-defined] # people
    assert first.canaries == {"3"}
    (page,) = await pages_of(source_of(qms, mapping=mapping, epoch="milliseconds"), "approvals")
    approval: Any = page.rows[0]
    assert (approval.approval_id, approval.person_id, approval.decision) == ("QA-1", "1", "approved")
    assert approval.decided_at == dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC)
    assert approval.kind == "access_request"


async def test_an_application_s_own_users_are_an_identity_source(qms: Qms) -> None:
    accounts = {
        "path": "link/people",
        "rows": "items",
        "columns": {"account_id": "number", "login": "mails[0]", "last_sign_in_at": "changed"},
        "constants": {"kind": "human", "can_sign_in": True},
    }
    pages = await pages_of(source_of(qms, mapping={"accounts": accounts}, time_zone="Europe/Amsterdam"), "accounts")
    row: Any = pages[0].rows[0]
    assert (row.source, row.account_id, row.login, row.can_sign_in) == ("qms", "1", "p1@acme.test", True)
    assert row.last_sign_in_at == dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC)


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in {FaultKind.HANG, FaultKind.DRIP}])
@pytest.mark.parametrize(("style", "at"), [("link", 1), ("link", 3), ("cursor", 2)])
async def test_no_fault_on_any_page_makes_fewer_rows_complete(
    qms: Qms, tmp_path: Path, kind: FaultKind, at: int, style: str
) -> None:
    paging = {**STYLES[style], "total": "count"} if style == "cursor" else STYLES[style]
    times = 3 if kind is FaultKind.DUPLICATED_PAGE else None  # for ever is stopped after a thousand pages
    qms.faults.add(kind, at=at + 1, path="people", times=times)  # the first request is that of check()
    snapshot = await sealed(qms, tmp_path, style=style, paging=paging)
    if snapshot.status("qms", "people") is Status.COMPLETE:
        assert snapshot.rows("qms", "people") == len(qms.people)
    else:
        assert snapshot.gaps("qms", "people")


async def test_values_that_do_not_fit_are_gaps_naming_key_row_and_remedy(qms: Qms, tmp_path: Path) -> None:
    qms.people[1]["type"] = "Robot"
    qms.people[2]["leaving"] = "31.03.2026"
    qms.people[3]["mails"] = {"work": "x"}
    qms.people[4]["number"] = None
    snapshot = await sealed(qms, tmp_path)
    assert snapshot.status("qms", "people") is Status.PARTIAL
    said = "\n".join(snapshot.gaps("qms", "people"))
    assert "[sources.qms.mapping.people.columns] kind: 'Robot' is none of the values that are mapped" in said
    assert "person_id 2" in said
    assert "ends_on: '31.03.2026' is no date" in said
    assert "emails: {'work': 'x'} stands where a list of texts is due" in said
    assert "row 1 of the page" in said
    assert "part of the key" in said
    qms.people = [{**row, "type": "Robot"} for row in qms.people * 5]
    (page,) = await pages_of(source_of(qms, "all"))
    assert len(page.gaps) == 21
    assert "50 further values" in page.gaps[-1].reason


async def test_a_name_that_no_row_has_takes_the_column_away_and_says_so(qms: Qms, tmp_path: Path) -> None:
    people = {**PEOPLE, "path": "link/people", "columns": {**PEOPLE["columns"], "department": "nmae.full"}}
    (gap,) = await checked(source_of(qms, mapping={"people": people}))
    assert (gap.table, gap.column) == ("people", "department")
    assert "did you mean name?" in gap.reason
    snapshot = await sealed(qms, tmp_path, mapping={"people": people})
    assert snapshot.status("qms", "people") is Status.COMPLETE
    assert await checked(source_of(qms, mapping={"people": {**people, "omits_null": True}})) == []
    key = {**PEOPLE, "path": "link/people", "columns": {"person_id": "id"}, "values": {}}
    (gap,) = await checked(source_of(qms, mapping={"people": key}))
    assert gap.column == ""


async def test_no_list_is_not_an_empty_list(qms: Qms) -> None:
    people = {**PEOPLE, "path": "link/people", "rows": "rows"}
    with pytest.raises(Misbehaved, match="rows = rows finds NoneType") as caught:
        await checked(source_of(qms, mapping={"people": people}))
    assert "[sources.qms.mapping.people] rows" in caught.value.advice
    for rows in ("items[].mails", "items[].number"):
        page = (await pages_of(source_of(qms, mapping={"people": {**people, "rows": rows}})))[0]
        assert "stands where an object is due" in page.gaps[0].reason
    with pytest.raises(Misbehaved, match="an expression fails"):
        await pages_of(source_of(qms, mapping={"people": {**people, "rows": "keys(items)"}}))
    people = {**PEOPLE, "path": "link/people", "columns": {"person_id": "number", "kind": "keys(number)"}}
    page = (await pages_of(source_of(qms, mapping={"people": people})))[0]
    assert "keys(number) fails" in page.gaps[0].reason


async def test_no_rows_are_believed_only_where_none_is_an_ordinary_state(qms: Qms, tmp_path: Path) -> None:
    qms.people = []
    suppliers = {**APPROVALS, "path": "all/suppliers", "columns": {"supplier_id": "id"}, "constants": {}, "values": {}}
    snapshot = await sealed(
        qms, tmp_path, mapping={"people": {**PEOPLE, "path": "link/people"}, "suppliers": suppliers}
    )
    assert snapshot.status("qms", "people") is Status.PARTIAL
    assert any('may_be_empty = ["people"]' in gap for gap in snapshot.gaps("qms", "people"))
    assert snapshot.status("qms", "suppliers") is Status.COMPLETE
    suppliers = {**suppliers, "paging": {"style": "none"}}
    snapshot = await sealed(qms, tmp_path, mapping={"suppliers": suppliers})
    assert snapshot.status("qms", "suppliers") is Status.PARTIAL


async def test_a_denied_table_is_that_table_s_gap_alone(qms: Qms, tmp_path: Path) -> None:
    qms.denied = frozenset({"approvals"})
    mapping = {"people": {**PEOPLE, "path": "link/people"}, "approvals": APPROVALS}
    (gap,) = await checked(source_of(qms, mapping=mapping, epoch="milliseconds"))
    assert gap.table == "approvals"
    assert "needs approvals:read" in gap.reason
    snapshot = await sealed(qms, tmp_path, mapping=mapping, epoch="milliseconds")
    assert snapshot.status("qms", "people") is Status.COMPLETE
    assert snapshot.status("qms", "approvals") is Status.FAILED
    assert len(snapshot.gaps("qms", "approvals")) == 1
    qms.denied = frozenset({"approvals", "people"})
    with pytest.raises(Refused, match="needs"):
        await checked(source_of(qms, mapping=mapping))
    qms.faults.add(FaultKind.SERVER_ERROR, times=None)
    with pytest.raises(Unreachable):
        await checked(source_of(qms, mapping=mapping))


@pytest.mark.parametrize(
    ("auth", "accepted"),
    [
        ({"type": "none"}, ""),
        ({"type": "bearer", "token": "env:QMS_TOKEN", "scheme": "Token"}, f"Token {TOKEN}"),
        ({"type": "header", "name": "X-API-Key", "token": "env:QMS_TOKEN"}, TOKEN),
        (
            {"type": "basic", "user": "ann", "password": "env:QMS_PASSWORD"},
            "Basic YW5uOnBsYW50ZWQtcW1zLXBhc3Mvd29yZA==",
        ),
        ({"type": "basic", "user_secret": "env:QMS_USER"}, "Basic a2V5LW9mLXRoZS1ob3VzZTp4"),
    ],
)
async def test_every_way_of_signing_in(
    qms: Qms, auth: dict[str, Any], accepted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QMS_PASSWORD", PASSWORD)
    monkeypatch.setenv("QMS_USER", "key-of-the-house")
    qms.accepted = {accepted}
    assert len(await pages_of(source_of(qms, auth=auth))) == 3
    qms.accepted = {"another"}
    with pytest.raises(Refused, match="who are you") as caught:
        await checked(source_of(qms, auth=auth))
    assert TOKEN not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("style", ["basic", "post"])
async def test_client_credentials_are_renewed_when_a_token_is_not_accepted_any_more(
    qms: Qms, style: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("QMS_SECRET", CLIENT[1])
    auth = {"type": "client_credentials", "token_url": f"{qms.url}/token", "client_id": CLIENT[0]}
    auth |= {"secret": "env:QMS_SECRET", "style": style}
    with caplog.at_level(logging.DEBUG):
        source = source_of(qms, auth=auth)
        first = await source.page("people", Partition(), None)
        assert qms.issued == 1
        qms.accepted = {"Bearer revoked"}
        second = await source.page("people", Partition(), first.next)
        await source.close()
    assert (len(second.rows), qms.issued) == (4, 2)
    assert "issued-token" not in caplog.text
    assert CLIENT[1] not in caplog.text
    monkeypatch.setenv("QMS_SECRET", "planted-wrong")
    with pytest.raises(Refused, match="no token") as caught:
        await checked(source_of(qms, auth=auth))
    assert "planted-wrong" not in "".join(traceback.format_exception(caught.value))


Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s: s.pop("mapping"), "mapping"),
        (lambda s: s.update(mapping={}), "mapping"),
        (lambda s: s["mapping"].update(peple=s["mapping"]["people"]), "no such table: peple; did you mean people?"),
        (lambda s: s["mapping"]["people"]["columns"].update(ful_name="x"), "mapping.people.columns: no such column"),
        (lambda s: s["mapping"]["people"]["columns"].pop("person_id"), "the key column person_id is missing"),
        (lambda s: s["mapping"]["people"]["columns"].update(kind="a..b"), "mapping.people.columns.kind"),
        (lambda s: s["mapping"]["people"].update(rows="[?"), "mapping.people.rows"),
        (lambda s: s["mapping"]["people"].update(constants={"kind": "employee"}), "the column kind comes 2 times"),
        (lambda s: s["mapping"]["people"].update(values={"status": {}}), "values.status does nothing"),
        (lambda s: s["mapping"]["people"].update(body={}), "body: needs method"),
        (lambda s: s["mapping"]["people"].update(method="POST"), "paging by links asks by GET"),
        (lambda s: s["mapping"]["people"].update(method="DELETE"), "mapping.people.method"),
        (lambda s: s.update(paging={"style": "offset", "limit_parameter": "limit"}), "names no end"),
        (lambda s: s.update(paging={"style": "page", "total": "count"}), "limit_parameter"),
        (lambda s: s.update(paging={"style": "spiral"}), "paging"),
        (lambda s: s.update(auth={"type": "basic", "user": "ann"}), "password: set it"),
        (lambda s: s.update(auth={"type": "basic"}), "user: set it"),
        (lambda s: s.update(auth={"type": "bearer", "token": "planted-secret"}), "auth.bearer.token"),
        (lambda s: s.update(headers={"Authorization": "x"}), "use auth"),
        (lambda s: s.update(may_be_empty=["suppliers"]), "may_be_empty names suppliers"),
        (lambda s: s.update(tables=["nothing"]), "no such table"),
        (lambda s: s.update(profile="nothing"), "no such profile: 'nothing'; there are bamboohr"),
        (lambda s: s.update(time_zone="Mars/Olympus"), "time_zone"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused_by_name(change: Change, says: str) -> None:
    given: dict[str, Any] = {
        "connector": "rest",
        "url": "https://qms.acme.test",
        "paging": dict(STYLES["link"]),
        "mapping": {"people": {**PEOPLE, "columns": dict(PEOPLE["columns"]), "path": "people"}},
    }
    change(given)
    with pytest.raises(ValidationError) as caught:
        load("rest").Settings.model_validate(given)
    assert says in str(caught.value)
    assert "planted-secret" not in str(caught.value.errors(include_input=False))


@pytest.mark.parametrize("url", ["http://qms.acme.test", "https://u:p@qms.acme.test", "qms"])
def test_a_url_that_cannot_be_used_is_an_error_of_its_key(qms: Qms, url: str) -> None:
    with pytest.raises(ValidationError, match="url: "):
        settings_of(qms, url=url)
    auth = {"type": "client_credentials", "client_id": "c", "secret": "env:QMS_TOKEN", "token_url": url}
    with pytest.raises(ValidationError, match="token_url"):
        settings_of(qms, auth=auth)


async def test_what_is_missing_on_this_machine_is_said_with_its_key(qms: Qms, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match=r"\[sources.qms\] ca_file: cannot read the certificates"):
        _ = source_of(qms, ca_file="none.pem").endpoint
    monkeypatch.delenv("QMS_TOKEN")
    with pytest.raises(ConfigurationError, match=r"\[sources.qms\] auth: the secret env:QMS_TOKEN is missing"):
        await checked(source_of(qms))


async def test_a_table_that_is_not_mapped_is_none_of_this_source_s(qms: Qms) -> None:
    source = source_of(qms, tables=["people"], mapping={"people": {**PEOPLE, "path": "x"}, "approvals": APPROVALS})
    assert set(source.reports) == {"people"}
    with pytest.raises(SourceError):
        await source.partitions("approvals", None)  # type: ignore[arg-type] # not looked at
    assert await source.partitions("people", None) == (Partition(),)  # type: ignore[arg-type] # as above


async def test_a_source_opens_a_session_and_another_where_it_is_no_longer_taken(
    qms: Qms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QMS_PASSWORD", "planted-password")
    auth = {"type": "session", "path": "auth", "user": "r", "password": "env:QMS_PASSWORD", "token": "sessionId"}
    async with FaultServer() as server:
        server.script("/auth", in_json({"sessionId": "planted-one"}), in_json({"sessionId": "planted-two"}))
        people: dict[str, Any] = {
            "items": [{"number": "P-1", "name": {"full": "Ann"}, "mails": [], "type": "Staff", "leaving": None}]
        }
        server.script("/all/people", in_json({}, 401), in_json(people | {"count": 1}))
        (page,) = await pages_of(source_of(qms, "all", url=server.url, auth=auth))
    assert len(page.rows) == 1
    asked = [(request.target, request.headers.get("authorization")) for request in server.requests]
    opened, again = ("/auth", None), "/all/people"
    assert asked == [opened, (again, "planted-one"), opened, (again, "planted-two")]
    assert server.requests[0].body == b"username=r&password=planted-password"
