"""Live look-ups: found in every state, gone only when proven, each class of credentials told apart."""

from __future__ import annotations

import pytest

from reconciler.sdk.connector import Lookup, PersonKeys, Presence
from reconciler.sdk.errors import Refused, Unreachable
from tests.connectors.entra.conftest import EVERYTHING, Opener
from tests.simulators.graph import objects as make
from tests.simulators.graph.sample import ANNA, BEN, CARLA, DAVID, DEPLOYER, HUGO, MACHINE, PAYROLL, sample
from tests.simulators.graph.server import GraphSimulator
from tests.simulators.http_injection import FaultKind

INGO = make.guid("user", 12)
NOBODY = make.guid("user", 999)
OLD_GROUP = make.guid("group", 10)
"""A group among the deleted items."""


@pytest.mark.parametrize(
    ("keys", "account", "matched"),
    [
        (PersonKeys(employee_id="E-001"), ANNA, "employee_id"),
        (PersonKeys(emails=("anna@contoso.onmicrosoft.com",)), ANNA, "email"),
        (PersonKeys(emails=("a.arnold@contoso.example",)), ANNA, "email"),
        (PersonKeys(emails=("hugo+home@mail.example",)), HUGO, "email"),
        (PersonKeys(emails=("david@partner.example",)), DAVID, "email"),
        (PersonKeys(logins=("ben@contoso.onmicrosoft.com",)), BEN, "login"),
        (PersonKeys(employee_id="E-012"), INGO, "employee_id"),
        (PersonKeys(logins=("ingo@contoso.onmicrosoft.com",)), INGO, "login"),
        (PersonKeys(account_ids=(INGO,)), INGO, "account_id"),
        (PersonKeys(account_ids=(CARLA,)), CARLA, "account_id"),
    ],
)
async def test_a_person_is_found_by_each_key_in_each_state(
    keys: PersonKeys, account: str, matched: str, graph: GraphSimulator, opened: Opener
) -> None:
    source = opened(graph)
    assert isinstance(source, Lookup)
    found = await source.find(keys)
    assert [(ref.account_id, ref.matched_by) for ref in found.accounts] == [(account, (matched,))]
    assert found.gaps == ()


async def test_an_apostrophe_in_a_key_is_no_syntax(graph: GraphSimulator, opened: Opener) -> None:
    found = await opened(graph).find(PersonKeys(emails=("o'hara@contoso.example",), employee_id="x' or '1' eq '1"))
    assert found.accounts == ()
    assert found.gaps == ()


@pytest.mark.parametrize(
    "keys",
    [
        PersonKeys(logins=("go@contoso.onmicrosoft.com",)),
        PersonKeys(emails=("o@contoso.onmicrosoft.com", "")),
        PersonKeys(logins=("",), account_ids=("",)),
        PersonKeys(account_ids=(OLD_GROUP,)),
        PersonKeys(),
    ],
)
async def test_nobody_is_found_by_part_of_a_name_or_by_none(
    keys: PersonKeys, graph: GraphSimulator, opened: Opener
) -> None:
    found = await opened(graph).find(keys)  # ingo@contoso.onmicrosoft.com is among the deleted
    assert (found.accounts, found.gaps) == ((), ())


async def test_a_search_goes_through_all_its_batches_and_pages(graph: GraphSimulator, opened: Opener) -> None:
    for number in range(300, 520):
        graph.tenant.add("users", make.user(number, f"u{number}", f"U {number}", employeeId="E-777"))  # type: ignore[attr-defined] # as above
    found = await opened(graph).find(PersonKeys(employee_id="E-777"))
    assert (len(found.accounts), found.gaps) == (220, ())
    keys = PersonKeys(employee_id="E-012", emails=("a@x.test", "b@x.test", "c@x.test"))
    graph.faults.add(FaultKind.SERVER_ERROR, path="batch", at=2)
    found = await opened(graph).find(keys)
    assert [ref.account_id for ref in found.accounts] == [INGO]
    assert {gap.subject for gap in found.gaps} == {"email"}


async def test_secrets_are_not_evaluable_where_the_registration_cannot_be_read(
    graph: GraphSimulator, opened: Opener
) -> None:
    graph.faults.add(FaultKind.SERVER_ERROR, path=r"/applications\?", times=None)
    live = await opened(graph).reread(DEPLOYER)
    told = {one.kind: one for one in live.credentials}
    assert live.presence is Presence.PRESENT
    assert told["client_secret"].presence is Presence.NOT_EVALUABLE
    assert "could not be read" in told["client_secret"].reason


@pytest.mark.parametrize("mark", ["smtp", "SMTP"])
async def test_a_guest_is_found_by_any_address_in_any_case(mark: str, opened: Opener) -> None:
    tenant = sample()
    guest = make.guest(61, "first_last@my-home.test", "First Last", otherMails=[])
    guest |= {"mail": None, "proxyAddresses": [f"{mark}:F.Last@My-Home.test"]}
    tenant.add("users", guest)
    with GraphSimulator(tenant, roles=EVERYTHING) as graph:
        for email in ("First_Last@my-home.test", "f.last@my-home.test"):
            found = await opened(graph).find(PersonKeys(emails=(email,)))
            assert [ref.account_id for ref in found.accounts] == [guest["id"]]


@pytest.mark.parametrize("text", ["", "garbage", "../../organization", "ben@contoso.onmicrosoft.com", "a'b"])
async def test_what_is_no_id_is_neither_there_nor_gone(text: str, graph: GraphSimulator, opened: Opener) -> None:
    live = await opened(graph).reread(text)
    assert (live.presence, live.digest) == (Presence.NOT_EVALUABLE, "")
    assert graph.requests == []


async def test_a_deleted_service_principal_keeps_its_secrets_and_no_password(opened: Opener) -> None:
    tenant = sample()
    secret = make.password_credential(9, "2027-01-01T00:00:00Z")
    tool = make.service_principal(60, "Deleted tool", passwordCredentials=[secret])
    tenant.add("servicePrincipals", tool)
    tenant.soft_delete("servicePrincipals", tool["id"], "2026-11-10T10:00:00Z")
    with GraphSimulator(tenant, roles=EVERYTHING) as graph:
        live = await opened(graph).reread(tool["id"])
        group = await opened(graph).reread(OLD_GROUP)
    told = {one.kind: one for one in live.credentials}
    assert (live.presence, live.status, live.login) == (Presence.DISABLED, "deleted", tool["appId"])
    assert (told["client_secret"].presence, told["client_secret"].ids) == (Presence.DISABLED, (secret["keyId"],))
    assert told["certificate"].presence is Presence.NOT_EVALUABLE  # its registration may hold one
    assert told["password"].presence is Presence.GONE
    assert group.presence is Presence.NOT_EVALUABLE
    assert "no account" in group.reason


async def test_a_search_that_fails_is_a_gap_and_all_failing_an_error(graph: GraphSimulator, opened: Opener) -> None:
    graph.item_faults.add(FaultKind.FORBIDDEN, path=r"/users\?", times=None)
    found = await opened(graph).find(PersonKeys(employee_id="E-012"))
    assert [ref.account_id for ref in found.accounts] == [INGO]
    assert [gap.missing_permission for gap in found.gaps] == ["User.Read.All"]
    graph.faults.add(FaultKind.SERVER_ERROR, times=None, path="batch")
    with pytest.raises(Unreachable):
        await opened(graph).find(PersonKeys(employee_id="E-012"))


async def test_an_enabled_user_with_each_class_of_credentials(graph: GraphSimulator, opened: Opener) -> None:
    live = await opened(graph).reread(ANNA)
    assert (live.presence, live.status, live.login) == (Presence.PRESENT, "enabled", "anna@contoso.onmicrosoft.com")
    told = {one.kind: one for one in live.credentials}
    assert told["password"].presence is Presence.PRESENT
    assert told["mfa_factor"].presence is Presence.PRESENT
    assert len(told["mfa_factor"].ids) == 2
    assert told["session"].presence is told["refresh_token"].presence is Presence.NOT_EVALUABLE
    assert "hour" in told["refresh_token"].lag
    assert told["client_secret"].presence is Presence.GONE
    assert len(live.digest) == 64


async def test_a_disabled_a_deleted_and_a_purged_user_differ(graph: GraphSimulator, opened: Opener) -> None:
    source = opened(graph)
    disabled = await source.reread(CARLA)
    assert disabled.presence is Presence.DISABLED
    assert {one.kind: one.presence for one in disabled.credentials}["password"] is Presence.DISABLED
    deleted = await source.reread(INGO)
    assert (deleted.presence, deleted.status) == (Presence.DISABLED, "deleted")
    assert "restored" in (deleted.raw_status or "")
    graph.tenant.purge("user", INGO)  # type: ignore[attr-defined] # the tenant of these tests is one of explicit objects
    gone = await source.reread(INGO)
    assert gone.presence is Presence.GONE
    assert {one.presence for one in gone.credentials} == {Presence.GONE, Presence.NOT_EVALUABLE}


async def test_a_service_principal_with_what_its_registration_holds(graph: GraphSimulator, opened: Opener) -> None:
    source = opened(graph)
    told = {one.kind: one for one in (await source.reread(PAYROLL)).credentials}
    assert told["client_secret"].presence is Presence.PRESENT
    assert len(told["client_secret"].ids) == 3
    told = {one.kind: one for one in (await source.reread(DEPLOYER)).credentials}
    assert told["certificate"].presence is Presence.PRESENT
    machine = await source.reread(MACHINE)
    assert machine.presence is Presence.PRESENT
    assert {one.kind: one.presence for one in machine.credentials}["client_secret"] is Presence.GONE


@pytest.mark.parametrize("without", ["User.Read.All", "Application.Read.All"])
async def test_nothing_is_gone_for_a_token_that_could_not_see_it(without: str, opened: Opener) -> None:
    roles = EVERYTHING - {without, "Directory.Read.All"}
    with GraphSimulator(sample(), roles=roles) as graph:
        live = await opened(graph).reread(NOBODY)
    assert live.presence is Presence.NOT_EVALUABLE
    assert live.reason


@pytest.mark.parametrize(
    "kind", [FaultKind.SERVER_ERROR, FaultKind.FORBIDDEN, FaultKind.EMPTY_BODY, FaultKind.HTML_OK], ids=str
)
@pytest.mark.parametrize("path", [f"/users/{NOBODY}", "deletedItems/0", "/users\\?"])
async def test_a_fault_never_makes_anybody_gone(
    kind: FaultKind, path: str, graph: GraphSimulator, opened: Opener
) -> None:
    graph.item_faults.add(kind, path=path, times=None)
    live = await opened(graph).reread(NOBODY)
    assert live.presence is not Presence.GONE or not graph.item_faults.fired


async def test_an_empty_tenant_proves_nothing(graph: GraphSimulator, opened: Opener) -> None:
    for rows in graph.tenant.collections.values():  # type: ignore[attr-defined] # as above
        rows.clear()
    live = await opened(graph).reread(NOBODY)
    assert live.presence is Presence.NOT_EVALUABLE
    assert "nothing else is to be seen" in live.reason


async def test_methods_that_cannot_be_read_are_not_evaluable(opened: Opener) -> None:
    with GraphSimulator(sample(), roles=EVERYTHING - {"UserAuthenticationMethod.Read.All"}) as graph:
        live = await opened(graph).reread(ANNA)
    told = {one.kind: one for one in live.credentials}
    assert live.presence is Presence.PRESENT
    assert told["mfa_factor"].presence is Presence.NOT_EVALUABLE


async def test_a_wrong_secret_is_not_evaluable_for_a_reread_and_refused_for_a_search(
    graph: GraphSimulator, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTRA_SECRET", "wrong~secret~of~nobody")
    live = await opened(graph).reread(ANNA)
    assert live.presence is Presence.NOT_EVALUABLE
    assert "wrong~secret" not in live.reason
    with pytest.raises(Refused) as refused:
        await opened(graph).find(PersonKeys(employee_id="E-001"))
    assert "AADSTS7000215" in refused.value.message
    assert "wrong~secret" not in str(refused.value.message)
