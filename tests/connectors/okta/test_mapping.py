"""Single payloads: states in transition, events of odd forms, answers by remedy, buckets of rate limits."""

from __future__ import annotations

import msgspec
import pytest

from connectors.okta import events, failures
from connectors.okta.client import _bucket
from connectors.okta.connector import user_state
from connectors.okta.credentials import enrolled
from connectors.okta.shapes import Decoder, Factor, Group, User
from reconciler.errors import SourceError
from reconciler.sdk.errors import Misbehaved, Refused, Throttled, Unreachable


@pytest.mark.parametrize(
    ("status", "target", "raw", "mapped", "can"),
    [
        ("ACTIVE", "DEPROVISIONED", "ACTIVE -> DEPROVISIONED", "enabled", True),
        ("DEPROVISIONED", "ACTIVE", "DEPROVISIONED -> ACTIVE", "disabled", True),
        ("STAGED", "SOMETHING", "STAGED -> SOMETHING", "staged", None),
        ("SOMETHING", "ACTIVE", "SOMETHING -> ACTIVE", None, None),
        ("ACTIVE", "ACTIVE", "ACTIVE", "enabled", True),
        ("SOMETHING", None, "SOMETHING", None, None),
        (None, None, None, None, None),
    ],
)
def test_a_transition_is_as_open_as_the_more_open_of_its_states(
    status: str | None, target: str | None, raw: str | None, mapped: str | None, can: bool | None
) -> None:
    state = user_state(User(id="u", status=status, transitioning_to_status=target))
    assert (state.raw, state.status, state.can_sign_in) == (raw, mapped, can)


@pytest.mark.parametrize(
    ("kind", "status", "counts"),
    [
        ("push", "ACTIVE", True),
        ("webauthn", "ENROLLED", True),
        ("sms", "PENDING_ACTIVATION", False),
        ("push", "EXPIRED", False),
        ("question", "ACTIVE", False),
        (None, "ACTIVE", True),
    ],
)
def test_a_second_factor_is_one_that_works_and_is_no_question(kind: str | None, status: str, counts: bool) -> None:
    assert enrolled([Factor(id="f", factor_type=kind, status=status)]) is counts


def test_okta_writes_the_privilege_of_a_group_in_two_ways() -> None:
    body = (
        b'[{"id": "a", "type": "OKTA_GROUP", "profile": {}, "_embedded": {"stats": {"hasAdminPrivlege": true}}},'
        b' {"id": "b", "type": "OKTA_GROUP", "profile": {}, "_embedded": {"stats": {"hasAdminPrivilege": false}}},'
        b' {"id": "c", "type": "OKTA_GROUP", "profile": {}}]'
    )
    items, problems = Decoder(Group, "type").array(body, "x")
    assert ([item.administers for item in items], list(problems)) == ([True, False, None], [])


def test_an_event_of_an_odd_form_keeps_its_row() -> None:
    body = msgspec.json.encode(
        [
            {"uuid": "a", "published": "yesterday", "eventType": "user.session.start", "target": None},
            {"uuid": "b", "published": "2026-01-01T00:00:00.000Z", "eventType": "x", "actor": "nobody"},
            {"published": "2026-01-01T00:00:00.000Z"},
        ]
    )
    rows, problems = events.read("okta", body, "x", "debugContext.ticket")
    assert [(row.event_id, row.occurred_at is None, row.action) for row in rows] == [
        ("a", True, "sign_in"),
        ("b", False, None),
    ]
    assert {problem.subject for problem in problems} == {"a", "b", ""}


@pytest.mark.parametrize("body", [b"", b"{}", b"[1", b'"x"', b"\xff", b"[[[["])
def test_a_page_of_events_that_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(Misbehaved):
        events.read("okta", body, "x", None)


@pytest.mark.parametrize(
    ("status", "headers", "body", "remedy"),
    [
        (429, {"X-Rate-Limit-Reset": "1767225660", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, b"", Throttled),
        (429, {}, b"", Throttled),
        (401, {}, b"", Refused),
        (403, {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}, b"", Refused),
        (403, {}, b'{"errorCode": "E0000015"}', Refused),
        (403, {}, b'{"errorCode": "E0000006"}', failures.ObjectRefused),
        (404, {}, b'{"errorCode": "E0000007"}', failures.Absent),
        (404, {}, b"<html>", Refused),
        (302, {}, b"", Misbehaved),
        (408, {}, b"", Unreachable),
        (503, {}, b"", Unreachable),
        (400, {}, b"\xff", Refused),
        (400, {}, b'{"errorCode": "E0000001"}', failures.ObjectRefused),
        (204, {}, b"", Misbehaved),
    ],
)
def test_each_status_has_its_remedy(
    status: int, headers: dict[str, str], body: bytes, remedy: type[SourceError]
) -> None:
    found = failures.judge(status, headers, body, shown="https://x/y", scope="okta.users.read")
    assert type(found) is remedy
    assert found.advice


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"X-Rate-Limit-Reset": "1767225660", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 60.0),
        ({"X-Rate-Limit-Reset": "1767225600", "Date": "Thu, 01 Jan 2026 00:00:30 GMT"}, None),
        ({"X-Rate-Limit-Reset": "1767225660\u00b2", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, None),
        ({"X-Rate-Limit-Reset": "9999999999", "Date": "Thu, 01 Jan 2026 00:00:00 GMT"}, 120.0),
        ({"X-Rate-Limit-Limit": "0", "X-Rate-Limit-Reset": "1767225660"}, 1.0),
        ({"Retry-After": "7"}, 7.0),
        ({"X-Rate-Limit-Reset": "soon"}, None),
    ],
)
def test_the_wait_is_okta_s_own_by_its_own_clock(headers: dict[str, str], seconds: float | None) -> None:
    assert failures.pause(headers) == seconds


@pytest.mark.parametrize(
    ("path", "bucket"),
    [
        ("/api/v1/users", "/api/v1/users"),
        ("/api/v1/users/00u1/factors", "/api/v1/users/*/factors"),
        ("/api/v1/groups/rules", "/api/v1/groups/rules"),
        ("/api/v1/apps/0oa1/credentials/secrets", "/api/v1/apps/*/credentials/secrets"),
        ("/api/v1/users/00u1/roles/ra1/targets/groups", "/api/v1/users/*/roles/*/targets/groups"),
    ],
)
def test_paths_that_differ_by_ids_share_a_limit(path: str, bucket: str) -> None:
    assert _bucket(path) == bucket
