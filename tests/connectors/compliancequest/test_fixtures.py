"""Payloads in the shapes that the REST API documents, to the rows that must come of them; no network."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.compliancequest import Settings, TicketSettings, schema
from connectors.compliancequest.chain import since
from connectors.compliancequest.client import read_answer
from connectors.compliancequest.connector import reader
from connectors.compliancequest.schema import FieldInfo, NotVisibleError, Resolved
from reconciler.sdk.columns import columns_of
from reconciler.sdk.errors import ConfigurationError, Misbehaved
from reconciler.sdk.tickets import TicketSettings as FilingSettings

FOLDER = Path(schema.__file__).parent
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def payload(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def test_approvals() -> None:
    described = schema.read_describe(payload("fixtures/describe.json"), "Acme_Approval__c")

    def own(name: str) -> tuple[Resolved, ...]:
        info = schema.find_field(described, name)
        return (Resolved((info.name,), info),)

    lookup = schema.find_relationship(described, "owner")
    columns = {
        "approval_id": own("name"),
        "kind": own("Kind__c"),
        "requested_by": (Resolved(("Owner", "Username"), schema.named_field("Owner", "username")),),
        "approved_by": own(lookup.name),
        "justification": own("Reason__c"),
        "decided_at": own("Decided__c"),
        "valid_until": own("Until__c"),
    }
    settings = Settings.model_validate(
        {
            "connector": "compliancequest",
            "domain": "https://acme.my.salesforce.com",
            "client_id": "x",
            "client_secret": "env:X",
            "time_zone": "Europe/Amsterdam",
        }
    )
    made = reader(
        "approvals",
        described.name,
        columns,
        {"kind": {"access": "access_request"}},
        source="qms",
        reading=settings.reading(),
    )
    assert made.paths == ["Id", "Name", "Kind__c", "Owner.Username", "OwnerId", "Reason__c", "Decided__c", "Until__c"]
    answer = read_answer(payload("fixtures/query.json"))
    assert (answer.total, answer.next) == (3, None)
    rows, gaps = made.read(answer.records)
    plain = [{k: v for k, v in msgspec.to_builtins(row).items() if v is not None} for row in rows]
    found: dict[str, Any] = {"rows": plain, "gaps": [f"{gap.subject}: {gap.reason.partition(':')[0]}" for gap in gaps]}
    wanted = payload("expected/approvals.json")
    assert found["rows"] == wanted["rows"]
    assert sorted(found["gaps"]) == sorted(wanted["gaps"])


@pytest.mark.parametrize(
    "content",
    [{}, {"name": "X", "fields": {}}, {"name": "X", "fields": [{"name": "A"}]}, {"name": "X", "fields": ["A"]}],
)
def test_what_is_no_describe_is_refused(content: dict[str, Any]) -> None:
    with pytest.raises(Misbehaved, match="describe of X"):
        schema.read_describe(content, "X")


def test_a_name_that_is_not_shown_gets_the_nearest_one() -> None:
    described = schema.read_describe(payload("fixtures/describe.json"), "Acme_Approval__c")
    with pytest.raises(NotVisibleError, match="did you mean Decided__c"):
        schema.find_field(described, "Decidd__c")
    with pytest.raises(NotVisibleError, match="did you mean Owner"):
        schema.find_relationship(described, "Onwer")
    with pytest.raises(NotVisibleError, match="it has Alias"):
        schema.named_field("Owner", "Salary")
    with pytest.raises(NotVisibleError):
        schema.find_relationship(described, "Name")


def test_a_masked_field_is_no_value() -> None:
    column = next(one for one in columns_of("people") if one.name == "employee_id")
    masked = Resolved(("Secret__c",), FieldInfo("Secret__c", "encryptedstring"))
    with pytest.raises(ConfigurationError, match="masked"):
        schema.check_fit(masked, column, "objects.people.columns.employee_id", zoned=True)


def test_the_mark_lies_before_the_last_change() -> None:
    assert since("2026-03-01T08:10:00.000+0000") == "2026-03-01T07:55:00Z"
    assert since("2026-03-01T08:10:00.000+0100") == "2026-03-01T06:55:00Z"
    assert since(None) == "1970-01-01T00:00:00Z"
    with pytest.raises(Misbehaved):
        since("yesterday")


def test_the_configurations_in_the_readme_are_taken() -> None:
    first, jwt, mapped, filing = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    whole = tomllib.loads(first + mapped)["sources"]["qms"]
    assert set(Settings.model_validate(whole).mappings) == {"people", "suppliers", "trainings", "documents"}
    signed = {name: value for name, value in whole.items() if name != "client_secret"} | tomllib.loads(jwt)
    assert Settings.model_validate(signed).flow == "jwt_bearer"
    assert TicketSettings.model_validate(tomllib.loads(filing)["filing"]["systems"]["qms"]).kind == "nonconformity"


def test_the_readme_names_every_setting() -> None:
    own = set(Settings.model_fields) - {"connector", "may_be_empty", "concurrency", "retry_seconds"}
    own |= set(TicketSettings.model_fields) - set(FilingSettings.model_fields)
    assert {name for name in own if f"`{name}" not in README} - {"objects"} == set()
