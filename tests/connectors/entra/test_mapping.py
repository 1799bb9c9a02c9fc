"""Payloads in the shapes that Microsoft's reference documents, to the rows that must come of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.entra import access, connector, events, proofs, shapes
from connectors.entra.failures import NoLicence, NotFound, judge
from reconciler.sdk.errors import Misbehaved, Refused, SourceError, Throttled, Unreachable

FOLDER = Path(connector.__file__).parent
NOW = datetime(2026, 11, 21, tzinfo=UTC)


def payload(name: str) -> bytes:
    return (FOLDER / "fixtures" / f"{name}.json").read_bytes()


def expected(name: str) -> Any:
    return json.loads((FOLDER / "expected" / f"{name}.json").read_text(encoding="utf-8"))


def plain(rows: list[Any]) -> Any:
    return [{k: v for k, v in msgspec.to_builtins(row).items() if v is not None} for row in rows]


def made(name: str) -> list[Any]:
    if name == "users":
        users = shapes.Shape(shapes.User).page(payload(name), name)
        return [connector.user_account("entra", user) for user in users.value]
    if name == "servicePrincipals":
        services = shapes.Shape(shapes.ServicePrincipal).page(payload(name), name)
        return [connector.service_account("entra", one) for one in services.value]
    if name == "methods":
        methods = shapes.Shape(shapes.Method).page(payload(name), name)
        return [row for one in methods.value if (row := proofs.method_row("entra", "u", one)) is not None]
    pairs, _ = shapes.Shape(shapes.DirectoryAudit).raw(payload(name), name)
    return [events.audit_event("entra", one, raw) for one, raw in pairs]


@pytest.mark.parametrize("name", ["users", "servicePrincipals", "methods", "directoryAudits"])
def test_documented_payloads(name: str) -> None:
    assert plain(made(name)) == expected(name)


def test_a_value_of_another_type_is_named_and_the_row_kept() -> None:
    page = shapes.Shape(shapes.User).page(payload("users"), "/users")
    assert [(one.subject, one.reason.split(" ")[0]) for one in page.problems] == [
        ("0a1b2c3d-0000-4000-8000-000000000004", "accountEnabled")
    ]
    assert len(page.value) == 5
    assert page.value[-1].account_enabled is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"{}", b'{"value": null}', b'{"value": [{"noid": 1}]}', b'{"value": [1]}']
)
def test_what_is_no_page_is_never_an_empty_one(body: bytes) -> None:
    with pytest.raises(Misbehaved):
        shapes.Shape(shapes.User).page(body, "/users")


@pytest.mark.parametrize(
    ("name", "home"),
    [
        ("ada_home.test#EXT#@host.test", "ada@home.test"),
        ("a_d_a_home.test#ext#@host.test", "a_d_a@home.test"),
        ("ada@host.test", None),
        ("#EXT#@host.test", None),
        ("nounderscore#EXT#@host.test", None),
        ("first_last#EXT#@host.test", None),
        ("someone_contoso_com#EXT#@host.test", None),
        ("first_last_my-home.co.test#EXT#@host.test", "first_last@my-home.co.test"),
        ("joe_outlook.com#ext#@host.test", "joe@outlook.com"),
        ("live.com#joe@outlook.com", None),
        (None, None),
    ],
)
def test_guests_are_mapped_home(name: str | None, home: str | None) -> None:
    assert connector.home_address(name) == home


def test_a_deleted_guest_is_mapped_home_without_the_id_before_his_name() -> None:
    key = "1f0a4d0e-7c7e-4f0e-8a57-2f8f5f0e7a11"
    user = shapes.User(id=key, user_principal_name=f"{key.replace('-', '')}ada_home.test#EXT#@host.test")
    account = connector.user_account("entra", user, deleted=True)
    assert (account.login, account.email) == ("ada_home.test#EXT#@host.test", "ada@home.test")
    assert connector.login_of(shapes.User(id=key, user_principal_name="a@b.test"), deleted=True) == "a@b.test"
    assert connector.login_of(shapes.User(id=key), deleted=True) is None


@pytest.mark.parametrize(
    ("kind", "owner", "ours"),
    [
        ("Application", "f8cdef31-a31e-4b4a-93e4-5f571e91255a", False),
        ("ManagedIdentity", "f8cdef31-a31e-4b4a-93e4-5f571e91255a", True),
        ("Application", "0f0e0d0c-0b0a-4908-8706-050403020100", True),
        ("Application", None, True),
    ],
)
def test_microsofts_own_services_are_told_by_who_registered_them(kind: str, owner: str | None, ours: bool) -> None:
    item = shapes.ServicePrincipal(id="s", service_principal_type=kind, app_owner_organization_id=owner)
    assert connector.is_microsofts(item) is not ours


@pytest.mark.parametrize(
    ("start", "end", "status"),
    [
        (None, None, None),
        (None, datetime(2026, 11, 21, tzinfo=UTC), "expired"),
        (datetime(2026, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), "inactive"),
        (datetime(2025, 12, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC), "active"),
    ],
)
def test_credentials_work_between_their_dates(start: Any, end: Any, status: str | None) -> None:
    assert proofs.works(start, end, NOW) == status


def test_unknown_principals_and_consents_are_gaps() -> None:
    held = shapes.RoleAssignment(id="r", principal_id="p", role_definition_id="d")
    assert access.role_grant("entra", held)[1] is not None
    assert access.role_grant("entra", shapes.RoleAssignment(id="r"))[1] is not None
    assert access.app_grant("entra", shapes.AppRoleAssignment(id="a", principal_type="Robot"))[1] is not None
    strange = shapes.Consent(id="c", client_id="x", resource_id="y", consent_type="New", scope="a")
    assert [gap.subject for gap in access.consent_gaps("grants", [strange])] == ["c"]
    device = shapes.Ref(id="d", type="#microsoft.graph.device")
    assert access.member_row("entra", "g", device, dynamic=False) is None
    assert access.member_gap("g", device) is None
    assert access.member_gap("g", shapes.Ref(id="n", type="#microsoft.graph.novelty")) is not None


def test_a_sign_in_says_why_it_failed() -> None:
    failed = shapes.SignIn(id="s", user_id="u", status=shapes.SignInStatus(error_code=50126, failure_reason="Wrong"))
    assert events.sign_in_event("entra", failed, b"{}").outcome == "failure 50126: Wrong"
    assert events.sign_in_event("entra", shapes.SignIn(id="s"), b"{}").outcome is None


def _error(code: str, message: str = "no") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"),
    [
        (429, {"retry-after": "7"}, _error("TooManyRequests"), Throttled),
        (503, {"retry-after": "7"}, b"", Throttled),
        (503, {}, b"", Unreachable),
        (500, {}, b"<html>", Unreachable),
        (408, {}, b"", Unreachable),
        (302, {"location": "https://elsewhere.invalid"}, b"", Misbehaved),
        (204, {}, b"", Misbehaved),
        (200, {"content-type": "text/html"}, b"<html>", Misbehaved),
        (200, {"content-type": "application/json"}, b" ", Misbehaved),
        (401, {}, _error("InvalidAuthenticationToken"), Refused),
        (403, {}, _error("Authorization_RequestDenied"), Refused),
        (403, {}, _error("Authentication_RequestFromNonPremiumTenantOrB2CTenant"), NoLicence),
        (400, {}, _error("AadPremiumLicenseRequired"), NoLicence),
        (400, {}, _error("x", "The tenant needs to have Microsoft Entra ID P2 or Governance license."), NoLicence),
        (404, {}, _error("Request_ResourceNotFound"), NotFound),
        (404, {}, _error("UnknownSegment"), Misbehaved),
        (400, {}, _error("Directory_ExpiredPageToken"), Unreachable),
        (400, {}, _error("BadRequest", "Could not find a property named 'x' on type 'user'"), Refused),
        (400, {}, b"no json", Misbehaved),
    ],
)
def test_each_refusal_has_its_remedy(
    status: int, headers: dict[str, str], body: bytes, kind: type[SourceError]
) -> None:
    with pytest.raises(SourceError) as raised:
        judge(status, headers, body, "/users", "User.Read.All")
    assert type(raised.value) is kind
    if kind is Throttled:
        assert raised.value.retry_after == 7  # type: ignore[attr-defined] # of this kind
    if status == 403 and kind is Refused:
        assert raised.value.missing_permission == "User.Read.All"  # type: ignore[attr-defined] # of this kind
    assert getattr(raised.value, "restart", False) is (b"Expired" in body)


def test_what_an_application_may_do_and_a_consent_that_says_too_little() -> None:
    scope = shapes.Scope(id="1", value="Files.Read", admin_consent_description="Reads files")
    nameless = shapes.Scope(id="2")
    item = shapes.ServicePrincipal(id="s", app_id="x", oauth2_permission_scopes=[scope, nameless])
    rows = list(access.app_rows("entra", item))
    assert [(row.entitlement_id, row.kind, row.name) for row in rows] == [
        ("s", "app", "x"),
        ("s/Files.Read", "scope", "x: Files.Read"),
    ]
    assert list(access.consent_rows("entra", shapes.Consent(id="c", client_id="a"))) == []
    row, gap = access.eligibility_grant("entra", shapes.GroupEligibility(id="e", access_id="member"))
    assert row is None
    assert gap is not None


def test_a_stopped_or_unknown_service_principal_is_not_called_enabled() -> None:
    stopped = shapes.ServicePrincipal(id="s", account_enabled=True, disabled_by_microsoft_status="DisabledDueToAbuse")
    assert connector.service_status(stopped) == ("suspended", False)
    assert connector.service_status(shapes.ServicePrincipal(id="s")) == (None, None)
