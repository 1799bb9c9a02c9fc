"""One person, live: found in every state and past the lag of search; gone only on Okta's word for that id."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

from connectors.okta.source import OktaSource
from reconciler.sdk.connector import LiveAccount, LiveCredentials, Lookup, PersonKeys, Presence
from reconciler.sdk.errors import SourceError
from tests.simulators.http_injection import FaultKind
from tests.simulators.okta.auth import Principal
from tests.simulators.okta.server import TOKEN, OktaSimulator
from tests.simulators.okta.small import small_org, uid

Opener = Callable[..., OktaSource]


@pytest.fixture
def lagging() -> Iterator[OktaSimulator]:
    """Serve an org whose search sees no change until it is told to."""
    with OktaSimulator(small_org(search_lag=float("inf"))) as simulator:
        yield simulator


def of(account: LiveAccount, kind: str) -> LiveCredentials:
    return next(one for one in account.credentials if one.kind == kind)


async def test_the_source_is_a_lookup(okta: OktaSimulator, opened: Opener) -> None:
    assert isinstance(opened(okta), Lookup)


async def test_a_person_is_found_by_mail_login_number_and_id_in_every_state(
    okta: OktaSimulator, opened: Opener
) -> None:
    source = opened(okta)
    by_mail = await source.find(PersonKeys(emails=("ann@EXAMPLE.test",)))
    assert {(ref.account_id, ref.matched_by) for ref in by_mail.accounts} == {
        (uid("ann"), ("email",)),
        (uid("ann2"), ("email",)),
    }
    gone = await source.find(PersonKeys(logins=("deprovisioned@example.test",)))
    assert [ref.account_id for ref in gone.accounts] == [uid("deprovisioned")]
    number = await source.find(PersonKeys(employee_id="1010"))
    assert [ref.matched_by for ref in number.accounts] == [("employee_id",)]
    by_id = await source.find(PersonKeys(account_ids=(uid("bob"), "0oa1simbatch00000000", "00u1simnobody0000000")))
    assert [ref.account_id for ref in by_id.accounts] == [uid("bob"), "0oa1simbatch00000000"]
    nobody = await source.find(PersonKeys(emails=('x" or status pr or profile.email eq "',)))
    assert nobody.accounts == ()
    assert nobody.gaps == ()


async def test_a_rename_that_search_has_not_seen_is_found_directly(lagging: OktaSimulator, opened: Opener) -> None:
    ann = lagging.org.get("users", uid("ann"))
    assert ann is not None
    lagging.org.change(uid("ann"), profile={**ann["profile"], "login": "new@example.test", "email": "new@example.test"})
    found = await opened(lagging).find(PersonKeys(emails=("new@example.test",)))
    assert [ref.account_id for ref in found.accounts] == [uid("ann")]


async def test_a_search_that_fails_is_a_gap_and_all_failing_is_a_failure(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta)
    okta.faults.add(FaultKind.SERVER_ERROR, path="search=", times=None)
    found = await source.find(PersonKeys(emails=("ann@example.test",)))
    assert [ref.account_id for ref in found.accounts] == [uid("ann")]
    assert [gap.subject for gap in found.gaps] == ["search"]
    okta.faults.add(FaultKind.SERVER_ERROR, times=None)
    with pytest.raises(SourceError, match="HTTP 500"):
        await source.find(PersonKeys(emails=("ann@example.test",)))


async def test_each_class_of_a_users_credentials_is_told(okta: OktaSimulator, opened: Opener) -> None:
    ann = await opened(okta).reread(uid("ann"))
    assert (ann.presence, ann.login, ann.status) == (Presence.PRESENT, "ann@example.test", "enabled")
    assert {one.kind: one.presence for one in ann.credentials} == {
        "password": Presence.PRESENT,
        "mfa_factor": Presence.PRESENT,
        "api_token": Presence.GONE,
        "refresh_token": Presence.PRESENT,
        "session": Presence.NOT_EVALUABLE,
    }
    assert of(ann, "refresh_token").ids == ("oar1simann0000000000",)
    assert "1 consents" in of(ann, "refresh_token").reason
    assert "no call that lists" in of(ann, "session").reason
    assert of(ann, "session").lag
    assert len(ann.digest) == 64


@pytest.mark.parametrize(
    ("name", "presence"),
    [
        ("suspended", Presence.PRESENT),
        ("locked.out", Presence.PRESENT),
        ("staged", Presence.PRESENT),
        ("leaving", Presence.PRESENT),
        ("deprovisioned", Presence.DISABLED),
    ],
)
async def test_only_a_deprovisioned_user_is_disabled(
    name: str, presence: Presence, okta: OktaSimulator, opened: Opener
) -> None:
    assert (await opened(okta).reread(uid(name))).presence is presence


async def test_tokens_outlive_a_deprovisioned_owner(okta: OktaSimulator, opened: Opener) -> None:
    left = await opened(okta).reread(uid("deprovisioned"))
    assert of(left, "api_token") == LiveCredentials(
        "api_token", Presence.PRESENT, ("00T1simold0000000000",), lag=of(left, "api_token").lag
    )


async def test_a_password_that_another_provider_keeps_cannot_be_told(okta: OktaSimulator, opened: Opener) -> None:
    found = of(await opened(okta).reread(uid("no.password")), "password")
    assert found.presence is Presence.NOT_EVALUABLE
    assert "FEDERATION" in found.reason


async def test_a_service_app_is_an_account_with_its_secrets_and_keys(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta)
    batch = await source.reread("0oa1simbatch00000000")
    assert (batch.presence, of(batch, "client_secret").presence) == (Presence.PRESENT, Presence.PRESENT)
    assert len(of(batch, "client_secret").ids) == 2
    assert of(batch, "certificate").presence is Presence.GONE


async def test_a_deleted_user_is_gone_with_the_proof_beside_it(lagging: OktaSimulator, opened: Opener) -> None:
    lagging.org.delete("users", uid("bob"))
    bob = await opened(lagging).reread(uid("bob"))
    assert bob.presence is Presence.GONE
    assert "SUPER_ADMIN" in bob.reason
    assert of(bob, "mfa_factor").presence is Presence.GONE
    assert of(bob, "session").presence is Presence.NOT_EVALUABLE


async def test_credentials_that_see_some_users_only_never_say_gone(opened: Opener) -> None:
    some = Principal(role="USER_ADMIN", user_id=uid("ann"), sees=frozenset({uid("ann")}))
    with OktaSimulator(small_org(), tokens={TOKEN: some}) as simulator:
        bob = await opened(simulator).reread(uid("bob"))
    assert bob.presence is Presence.NOT_EVALUABLE


async def test_a_login_is_no_id(okta: OktaSimulator, opened: Opener) -> None:
    found = await opened(okta).reread("ann@example.test")
    assert found.presence is not Presence.PRESENT
    for name in ("", "me", "a/b"):
        assert (await opened(okta).reread(name)).presence is Presence.NOT_EVALUABLE


@pytest.mark.parametrize(
    "kind", [FaultKind.FORBIDDEN, FaultKind.SERVER_ERROR, FaultKind.HTML_OK, FaultKind.RESET_BEFORE]
)
async def test_a_class_that_fails_is_not_evaluable_and_never_gone(
    kind: FaultKind, okta: OktaSimulator, opened: Opener
) -> None:
    okta.faults.add(kind, path="/factors|/clients|/api-tokens", times=None)
    ann = await opened(okta).reread(uid("ann"))
    assert ann.presence is Presence.PRESENT
    for name in ("mfa_factor", "refresh_token", "api_token"):
        assert of(ann, name).presence is Presence.NOT_EVALUABLE
        assert of(ann, name).reason
    okta.faults.add(kind, path="^/api/v1/users", times=None)
    assert (await opened(okta).reread(uid("ann"))).presence is Presence.NOT_EVALUABLE


async def test_what_is_no_id_of_okta_s_is_never_gone(okta: OktaSimulator, opened: Opener) -> None:
    source = opened(okta)
    for name in (
        "ann@example.test",
        "left@example.test",
        "garbage",
        "..",
        ".",
        " ",
        "\ud800",
        "x" * 5000,
        "00u/..",
        "%2e",
    ):
        found = await source.reread(name)
        assert found.presence is Presence.NOT_EVALUABLE, name
        assert found.reason
    await source.find(PersonKeys(logins=("..", "\ud800", "\x00"), account_ids=(".", "\ud800")))


@pytest.mark.parametrize("body", [b"{}", b'{"id": 7}', b'{"id": "00u1simsomebody00000"}', b"[]", b"null"])
async def test_an_answer_that_is_not_the_object_is_not_gone(body: bytes, opened: Opener) -> None:
    """Okta answers 200, so it did not say not found."""

    class Odd(OktaSimulator):
        def json(self, content: Any) -> web.Response:
            del content
            return web.Response(body=body, content_type="application/json")

    with Odd(small_org()) as simulator:
        found = await opened(simulator).reread(uid("bob"))
    assert found.presence is Presence.NOT_EVALUABLE


async def test_a_deleted_app_is_gone_with_the_classes_of_an_app(okta: OktaSimulator, opened: Opener) -> None:
    okta.org.delete("apps", "0oa1simbatch00000000")
    found = await opened(okta).reread("0oa1simbatch00000000")
    assert found.presence is Presence.GONE
    assert {one.kind: one.presence for one in found.credentials} == dict.fromkeys(
        ("client_secret", "certificate", "refresh_token"), Presence.GONE
    )


@pytest.mark.parametrize("kind", [FaultKind.EMPTY_PAGE, FaultKind.EMPTY_END])
async def test_an_empty_page_that_came_once_is_not_gone(kind: FaultKind, okta: OktaSimulator, opened: Opener) -> None:
    okta.faults.add(kind, path="/factors", times=1)
    assert of(await opened(okta).reread(uid("ann")), "mfa_factor").presence is not Presence.GONE


async def test_no_api_token_at_all_proves_nothing_without_full_sight(okta: OktaSimulator, opened: Opener) -> None:
    for token in ("00T1simold0000000000", "00T1simadmin00000000", "00T1simbob0000000000"):
        okta.org.delete("api-tokens", token)
    rows = okta.org.rows["api-tokens"]
    for token in [rows[index]["id"] for index in range(len(rows))]:
        okta.org.delete("api-tokens", token)
    assert of(await opened(okta).reread(uid("ann")), "api_token").presence is Presence.GONE
    unproven = opened(okta, full_view_roles=["cr0nobody"])
    assert of(await unproven.reread(uid("ann")), "api_token").presence is Presence.NOT_EVALUABLE


async def test_a_short_name_of_several_logins_finds_them_all(okta: OktaSimulator, opened: Opener) -> None:
    ann = okta.org.get("users", uid("ann"))
    assert ann is not None
    other = {**ann, "id": uid("annother"), "profile": {**ann["profile"], "login": "ann@other.test"}}
    okta.org.put("users", other)
    found = await opened(okta).find(PersonKeys(logins=("ann",)))
    assert {ref.account_id for ref in found.accounts} == {uid("ann"), uid("annother")}


async def test_a_user_deactivated_just_now_is_disabled_before_search_knows(
    lagging: OktaSimulator, opened: Opener
) -> None:
    lagging.org.change(uid("ann"), status="DEPROVISIONED")
    source = opened(lagging)
    found = await source.find(PersonKeys(emails=("ann@example.test",)))
    assert uid("ann") in {ref.account_id for ref in found.accounts}
    assert (await source.reread(uid("ann"))).presence is Presence.DISABLED
    await source.close()
    await source.close()
    assert (await source.reread(uid("ann"))).presence is Presence.DISABLED
