"""Configuration errors name the key, and nothing of it becomes syntax of a query."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.compliancequest import Settings
from connectors.compliancequest.soql import Condition, count, is_name, is_path, literal, select
from tests.connectors.compliancequest.company import OBJECTS
from tests.simulators.salesforce.soql import SoqlError, parse

GIVEN: dict[str, Any] = {
    "connector": "compliancequest",
    "domain": "https://acme.my.salesforce.com",
    "client_id": "key",
    "client_secret": "env:SECRET",
}


def objects(table: str, **changes: Any) -> dict[str, Any]:
    return {"objects": {table: {**OBJECTS[table], **changes}}}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"domain": "acme.my.salesforce.com"}, "domain must be https"),
        ({"domain": "http://acme.my.salesforce.com"}, "domain must be https"),
        ({"domain": "https://acme.my.salesforce.com/services"}, "without a path"),
        ({"domain": "https://me:pw@acme.my.salesforce.com"}, "without user"),
        ({"audience": "login"}, "audience must be"),
        ({"client_secret": None}, "client_secret is needed"),
        ({"user": "a@b"}, "user does nothing"),
        ({"flow": "jwt_bearer"}, "client_secret does nothing"),
        ({"flow": "jwt_bearer", "client_secret": None, "private_key": "env:K"}, "user is needed"),
        ({"client_secret": "the secret itself"}, "client_secret"),
        ({"time_zone": "Amsterdam"}, "time_zone"),
        ({"page_size": 100}, "page_size"),
        ({"api_version": "latest"}, "api_version"),
        ({"tables": ["accounts"]}, "tables: accounts is no governance table"),
        ({"tables": ["suppliers"]}, r"objects\.suppliers\.object is missing"),
        (objects("suppliers", object=None), r"objects\.suppliers\.object is missing"),
        ({"tables": ["people"], **objects("suppliers")}, r"objects\.suppliers does nothing"),
        ({"objects": {"poeple": {}}}, "did you mean people"),
        (objects("people", object="Person; DROP"), "is no API name"),
        (objects("people", columns={"names": "Name"}), r"objects\.people\.columns: no such column"),
        (objects("people", columns={"full_name": "Name FROM User"}), r"objects\.people\.columns\.full_name"),
        (objects("people", columns={"full_name": ["Name", "Alias"]}), "several fields fill a list only"),
        (objects("people", columns={"person_id": ""}), r"objects\.people\.columns\.person_id is missing"),
        (objects("people", columns={"status": "A.B.C.D.E.F.G"}), "at most 5 relationships"),
        (objects("people", where={"Name = 'x' OR Name": "y"}), r"objects\.people\.where"),
        (objects("people", where={"Name": []}), "matches nothing"),
        (objects("people", where={"Name": {"not": "x", "set": True}}), "either not"),
        (objects("people", values={"knid": {"a": "b"}}), "did you mean kind"),
        (objects("people", columns={}, values={"kind": {"a": "employee"}}), r"values\.kind does nothing"),
        (objects("contracts", columns={"supplier_id": "Account__c"}), r"columns\.contract_id is missing"),
    ],
)
def test_what_cannot_be_meant_names_its_key(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Settings.model_validate(GIVEN | changes)


def test_every_key_is_described() -> None:
    schema = Settings.model_json_schema()
    for model in (schema, *schema["$defs"].values()):
        for name, entry in model["properties"].items():
            assert entry.get("description"), name


def test_defaults_are_laid_under_what_is_configured() -> None:
    settings = Settings.model_validate(
        GIVEN
        | {
            "objects": {
                "people": {"columns": {"department": "", "kind": "Kind__c"}, "values": {"kind": {"x": "employee"}}},
                "documents": {"object": "Policy__c", "columns": {"document_id": "Name"}},
            }
        }
    )
    made = settings.mappings
    assert list(made) == ["people", "trainings", "documents"]
    assert "department" not in made["people"].columns
    assert made["people"].columns["kind"] == ("Kind__c",)
    assert made["people"].values["status"] == {"true": "active", "false": "inactive"}
    assert (made["documents"].columns, made["documents"].where) == ({"document_id": ("Name",)}, ())
    assert list(Settings.model_validate(GIVEN | {"tables": ["trainings"]}).mappings) == ["trainings"]


def test_conditions_are_written_as_soql() -> None:
    where = {
        "A__c": "it's \\ here\n",
        "B__c": [1, 2],
        "C__c": {"not": "x"},
        "D__c": {"not": ["x", "y"]},
        "E__c": {"set": True},
        "F__c": {"set": False},
        "G__c": True,
        "H__c": date(2026, 3, 31),
        "I__c": datetime(2026, 3, 31, 12, tzinfo=UTC),
        "J__c": 1.5,
    }
    made = Settings.model_validate(GIVEN | objects("people", where=where)).mappings["people"]
    written = count("X__c", made.where)
    assert written == (
        "SELECT COUNT() FROM X__c WHERE A__c = 'it\\'s \\\\ here\\n' AND B__c IN (1, 2) AND C__c != 'x' "
        "AND D__c NOT IN ('x', 'y') AND E__c != null AND F__c = null AND G__c = true AND H__c = 2026-03-31 "
        "AND I__c = 2026-03-31T12:00:00Z AND J__c = 1.5"
    )
    assert parse(written).where[0].values[0].value == "it's \\ here\n"  # type: ignore[index] # literals


@pytest.mark.parametrize("text", ["' OR Name != '", "\\' OR Name != '", "x\\", "'", "\n\r\t\b\f", "a;b--"])
def test_no_value_becomes_syntax(text: str) -> None:
    parsed = parse(select("X", ["Id"], [Condition("Name", (text,)), Condition("B", (True,))]))
    assert [condition.path for condition in parsed.where] == ["Name", "B"]
    assert parsed.where[0].values[0].value == text  # type: ignore[index] # literals


@pytest.mark.parametrize("text", ["", "1a", "a b", "a'", "a.", ".a", "a-b", "é", "a\n", "a,b", "COUNT()", "a" * 300])
def test_what_is_no_name_is_refused(text: str) -> None:
    assert not is_name(text)
    assert not is_path(text)


def test_an_instant_without_a_zone_is_utc() -> None:
    assert literal(datetime(2026, 3, 31, 12)) == "2026-03-31T12:00:00Z"  # noqa: DTZ001 - the point of the test


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT",
        "SELECT Id",
        "SELECT Id FROM",
        "SELECT Id FROM X WHERE",
        "SELECT Id FROM X WHERE a",
        "SELECT Id FROM X WHERE a = b",
        "SELECT Id FROM X WHERE a ( 1",
        "SELECT Id FROM X WHERE a = 'x' OR b = 'y'",
        "SELECT Id FROM X GROUP BY Id",
        "SELECT Id FROM X; SELECT",
        "SELECT Id, MAX(a) b FROM X",
        "SELECT MIN(a) b FROM X",
        "SELECT Id FROM X LIMIT x",
    ],
)
def test_the_simulator_refuses_what_it_does_not_understand(text: str) -> None:
    with pytest.raises(SoqlError) as refused:
        parse(text)
    assert refused.value.code == "MALFORMED_QUERY"
