"""Who reads, what he is not shown, and that nothing secret is said on the way."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.compliancequest.source import ComplianceQuestSource
from reconciler.sdk.connector import Partition, Status
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.secrets import redact
from tests.connectors.compliancequest import company
from tests.connectors.compliancequest.company import OBJECTS, PERSONNEL, people
from tests.connectors.compliancequest.conftest import SECRET
from tests.simulators.http_injection import FaultKind
from tests.simulators.salesforce.server import App, Salesforce

Collected = Callable[..., Any]
Opened = Callable[..., ComplianceQuestSource]


async def test_a_hidden_field_leaves_its_column_unknown_and_the_table_whole(
    salesforce: Salesforce, collected: Collected
) -> None:
    people(salesforce.org, 2)
    salesforce.apps[0].user.hidden = {f"{PERSONNEL}.compliancequest__Active__c", "User.Email"}
    pulled = await collected()
    assert (pulled.status(), pulled.count()) == (Status.COMPLETE, 2)
    entry = pulled.snapshot.manifest.sources[0]
    assert "status" not in entry.reports["people"]
    assert "objects.people.columns.status" in entry.unknown["people.status"]
    assert f"Read on {PERSONNEL}.compliancequest__Active__c" in entry.unknown["people.status"]
    assert "Read on User.Email" in entry.unknown["people.emails"]


@pytest.mark.parametrize(
    ("hidden", "says"),
    [
        ({f"{company.ROLE}.Person__c"}, "objects.role_holders.columns.person_id"),
        ({f"{company.ROLE}.SystemModstamp"}, "SystemModstamp"),
        ({f"{company.ROLE}.Role__c"}, f"{company.ROLE} shows no Rolle__c"),
    ],
)
async def test_a_hidden_key_or_a_missing_object_fails_its_own_table_only(
    salesforce: Salesforce, collected: Collected, hidden: set[str], says: str
) -> None:
    people(salesforce.org, 2)
    salesforce.apps[0].user.hidden = hidden
    mapped = {**OBJECTS["role_holders"]}
    if "Rolle__c" in says:
        mapped["columns"] = {**mapped["columns"], "role": "Rolle__c"}
    pulled = await collected(tables=["people", "role_holders"], objects={"role_holders": mapped})
    assert pulled.status("people") is Status.COMPLETE
    assert pulled.status("role_holders") is Status.FAILED
    assert says in pulled.gaps("role_holders")


async def test_an_object_that_is_not_shown_names_its_key_and_right(
    salesforce: Salesforce, collected: Collected, source: Opened
) -> None:
    salesforce.apps[0].user.reads -= {company.ROLE}
    tables = {"tables": ["people", "role_holders"], "objects": {"role_holders": OBJECTS["role_holders"]}}
    pulled = await collected(**tables)
    assert pulled.status("role_holders") is Status.FAILED
    assert f"objects.role_holders.object: {company.ROLE}" in pulled.gaps("role_holders")
    assert f"Read on {company.ROLE}" in pulled.gaps("role_holders")
    opened = source(tables=["role_holders"], objects=tables["objects"])
    with pytest.raises(Refused, match=r"objects\.role_holders\.object"):
        await opened.check()
    await opened.close()


async def test_sharing_that_may_hide_records_is_a_gap(salesforce: Salesforce, collected: Collected) -> None:
    records = people(salesforce.org, 3)
    user = salesforce.apps[0].user
    user.view_all -= {PERSONNEL}
    salesforce.org.update(PERSONNEL, records[0], OwnerId=user.id)
    pulled = await collected()
    assert (pulled.status(), pulled.count()) == (Status.PARTIAL, 1)
    assert f"View All Records on {PERSONNEL}" in pulled.gaps()
    user.system |= {"ViewAllData"}
    assert (await collected()).status() is Status.COMPLETE


async def test_permissions_that_cannot_be_seen_are_not_taken_for_granted(
    salesforce: Salesforce, collected: Collected
) -> None:
    people(salesforce.org, 3)
    salesforce.apps[0].user.system -= {"ViewSetup"}
    pulled = await collected()
    assert pulled.status() is Status.PARTIAL
    assert "View Setup and Configuration" in pulled.gaps()


async def test_users_that_may_be_hidden_make_what_is_looked_up_in_them_unknown(
    salesforce: Salesforce, collected: Collected
) -> None:
    people(salesforce.org, 3)
    salesforce.apps[0].user.system -= {"ViewAllUsers"}
    pulled = await collected()
    assert (pulled.status(), pulled.count()) == (Status.COMPLETE, 3)
    unknown = pulled.snapshot.manifest.sources[0].unknown
    assert "View All Users" in unknown["people.emails"]
    assert "people.full_name" not in unknown
    assert {"person_id", "full_name", "status"} == {name for row in pulled.rows() for name in row}


async def test_records_that_conditions_look_into_may_hide_rows(salesforce: Salesforce, collected: Collected) -> None:
    people(salesforce.org, 3)
    salesforce.apps[0].user.system -= {"ViewAllUsers"}
    where = {"compliancequest__SQX_User__r.EmployeeNumber": {"set": True}}
    pulled = await collected(objects={"people": {"where": where}})
    assert (pulled.status(), pulled.count()) == (Status.PARTIAL, 3)
    assert "View All Users" in pulled.gaps()


async def test_a_column_that_looks_into_two_hidden_objects_is_withdrawn_once(
    salesforce: Salesforce, collected: Collected
) -> None:
    org = salesforce.org
    org.insert(company.ROLE, Role__c="QA head", Person__c=people(org, 1)[0], Since__c="2024-05-01")
    user = salesforce.apps[0].user
    user.system -= {"ViewAllUsers"}
    user.view_all -= {PERSONNEL}
    columns = {**OBJECTS["role_holders"]["columns"], "until": "Person__r.End__c"}
    path = "compliancequest__SQX_User__r"
    pulled = await collected(
        tables=["people", "contracts", "role_holders"],
        objects={
            "role_holders": {**OBJECTS["role_holders"], "columns": columns},
            "people": {"columns": {"department": f"Manager__r.{path}.Department"}},
            "contracts": OBJECTS["contracts"],
        },
    )
    unknown = pulled.snapshot.manifest.sources[0].unknown
    assert f"View All Records on {PERSONNEL}, View All Users" in unknown["people.department"]
    assert pulled.status("role_holders") is Status.COMPLETE
    assert "role_holders.until" in unknown
    assert pulled.status("contracts") is Status.COMPLETE


async def test_an_assertion_signed_by_the_right_key_opens_the_org(
    salesforce: Salesforce, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    people(salesforce.org, 2)
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(2)]
    public = keys[0].public_key()
    salesforce.apps[0].public_key = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()
    given = {
        "flow": "jwt_bearer",
        "client_secret": None,
        "private_key": "env:CQ_KEY",
        "user": "reconciler@acme.test",
    }
    monkeypatch.setenv("CQ_KEY", _pem(keys[0]))
    assert (await collected(**given)).status() is Status.COMPLETE
    stranger = await collected(**(given | {"user": "somebody@acme.test"}))
    assert "hasn't approved this consumer" in stranger.gaps()
    sandbox = await collected(**(given | {"audience": "https://test.salesforce.com"}))
    assert "invalid assertion" in sandbox.gaps()
    monkeypatch.setenv("CQ_KEY", _pem(keys[1]))
    assert "invalid assertion" in (await collected(**given)).gaps()


async def test_the_org_is_known_by_its_certificate(
    source: Opened, authority: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CQ_SECRET", SECRET)
    org = company.org()
    people(org, 2)
    with Salesforce(org, apps=[App("the-client", company.reader(org), secret=SECRET)]) as running:
        opened = source(domain=running.url, ca_file=running.ca_file)
        assert list(await opened.check()) == []
        page = await opened.page("people", Partition(), None)
        assert len(page.rows) == 2
        await opened.close()
        stranger = source(domain=running.url, ca_file=authority)
        with pytest.raises(Refused, match="certificate is not trusted"):
            await stranger.check()
        await stranger.close()


async def test_a_token_for_another_org_is_refused(salesforce: Salesforce, source: Opened) -> None:
    salesforce.instance_url = "https://other.my.salesforce.com"
    opened = source()
    with pytest.raises(Refused, match=r"another address: other\.my\.salesforce\.com") as refused:
        await opened.check()
    await opened.close()
    assert "domain" in refused.value.advice


async def test_a_wrong_secret_is_said_without_repeating_it(
    salesforce: Salesforce, collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    del salesforce
    monkeypatch.setenv("CQ_SECRET", "planted-Wrong/secret=")
    pulled = await collected()
    assert pulled.status() is Status.FAILED
    assert "invalid client credentials" in pulled.gaps()
    assert "planted-Wrong" not in pulled.gaps()


async def test_no_secret_stands_in_what_is_kept_said_or_logged(
    salesforce: Salesforce, collected: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    people(salesforce.org, 3)
    salesforce.shrink = 2
    for kind in (FaultKind.FORBIDDEN, FaultKind.MALFORMED_JSON, FaultKind.NEXT_FOREIGN, FaultKind.RESET_WITHIN):
        salesforce.faults.clear()
        salesforce.faults.add(kind, at=8, times=None)
        pulled = await collected()
        folder = pulled.snapshot.folder
        kept = b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())
        for secret in (SECRET, "planted.Session"):
            assert secret.encode() not in kept
            assert secret not in caplog.text
            assert secret not in pulled.gaps()
    assert redact(f"Bearer {SECRET}") != f"Bearer {SECRET}"


async def test_a_field_that_disappears_during_the_pull_is_refused_by_name(
    salesforce: Salesforce, source: Opened
) -> None:
    people(salesforce.org, 3)
    opened = source()
    await opened.check()
    salesforce.apps[0].user.hidden = {f"{PERSONNEL}.compliancequest__Full_Name__c"}
    with pytest.raises(Refused, match=r"objects\.people: .*compliancequest__Full_Name__c"):
        await opened.page("people", Partition(), None)
    await opened.close()


async def test_a_chain_begun_elsewhere_is_begun_anew(salesforce: Salesforce, source: Opened) -> None:
    people(salesforce.org, 5)
    salesforce.shrink = 2
    first, second = source(), source()
    page = await first.page("people", Partition(), None)
    again = await first.page("people", Partition(), page.next)
    assert (await first.page("people", Partition(), page.next)).rows == again.rows
    with pytest.raises(Unreachable) as broken:
        await second.page("people", Partition(), again.next)
    assert broken.value.restart
    await first.close()
    await second.close()
    await second.close()


async def test_what_is_not_reported_is_not_read(source: Opened) -> None:
    opened = source()
    with pytest.raises(Misbehaved, match="does not report accounts"):
        await opened.page("accounts", Partition(), None)
    with pytest.raises(Misbehaved, match="no partition"):
        await opened.page("people", Partition("x"), None)
    await opened.close()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"columns": {"ends_on": "compliancequest__Full_Name__c"}}, "objects.people.columns.ends_on"),
        ({"columns": {"starts_on": "CreatedDate"}}, "objects.people.columns.starts_on"),
        ({"where": {"compliancequest__Active__c": "yes"}}, "objects.people.where"),
        ({"where": {"Start__c": True}}, "objects.people.where"),
        ({"where": {"Other_Mails__c": "x"}}, "objects.people.where"),
    ],
)
async def test_a_mapping_that_cannot_work_names_its_key(source: Opened, changes: dict[str, Any], key: str) -> None:
    opened = source(objects={"people": changes})
    with pytest.raises(ConfigurationError, match=key.replace(".", r"\.")):
        await opened.check()
    await opened.close()


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        ("MALFORMED_QUERY", ConfigurationError, r"\[sources\.qms\] objects\.people"),
        ("API_DISABLED_FOR_ORG", Refused, "API_DISABLED_FOR_ORG"),
        ("QUERY_TIMEOUT", Unreachable, "QUERY_TIMEOUT"),
        ("SOMETHING_NEW", SourceError, "HTTP 400"),
    ],
)
async def test_the_service_s_own_code_says_what_to_do(
    salesforce: Salesforce, source: Opened, code: str, error: type[Exception], says: str
) -> None:
    opened = source()
    await opened.check()
    salesforce.refuse = code
    with pytest.raises(error, match=says):
        await opened.page("people", Partition(), None)
    await opened.close()


async def test_the_identity_must_name_a_user(salesforce: Salesforce, source: Opened) -> None:
    salesforce.identity = ""
    opened = source()
    with pytest.raises(Misbehaved, match="who the running user is"):
        await opened.check()
    await opened.close()


def _pem(key: rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
