"""The permission sets in deploy/ hold what the defaults need: one to read, and one to file, which deletes nothing."""

from __future__ import annotations

import json
from pathlib import Path

from connectors.compliancequest import TicketSettings
from connectors.compliancequest.defaults import DEFAULTS

FOLDER = Path(__file__).parents[3] / "deploy" / "policies"
POLICY = json.loads((FOLDER / "compliancequest-read.json").read_text(encoding="utf-8"))["PermissionSet"]
FILING = json.loads((FOLDER / "compliancequest-file.json").read_text(encoding="utf-8"))["PermissionSet"]
ALWAYS_SHOWN = {"Id", "Name"}
REQUIRED = {
    "compliancequest__SQX_Personnel_Document_Training__c.compliancequest__SQX_Personnel__c",
    "compliancequest__SQX_Personnel_Document_Training__c.compliancequest__SQX_Controlled_Document__c",
}
"""Lookups without which the record means nothing; entries for required fields are refused."""


def test_every_object_and_field_of_the_defaults_is_granted_and_no_other() -> None:
    entities = {one["object"] for one in POLICY["objectPermissions"]}
    assert entities == {mapping.entity for mapping in DEFAULTS.values()}
    needed = set()
    for mapping in DEFAULTS.values():
        paths = [path for paths in mapping.columns.values() for path in paths]
        for path in [*paths, *(condition.path for condition in mapping.where)]:
            first = path.split(".")[0]
            name = first[: -len("__r")] + "__c" if first.endswith("__r") else first
            if name not in ALWAYS_SHOWN:
                needed.add(f"{mapping.entity}.{name}")
    assert {one["field"] for one in POLICY["fieldPermissions"]} == needed - REQUIRED


def test_nothing_can_be_changed_and_everything_is_seen() -> None:
    for one in POLICY["objectPermissions"]:
        assert one["allowRead"]
        assert one["viewAllRecords"]
        assert not any(one[f"allow{act}"] for act in ("Create", "Edit", "Delete"))
        assert not one["modifyAllRecords"]
    assert not any(one["editable"] for one in POLICY["fieldPermissions"])
    assert {one["name"] for one in POLICY["userPermissions"]} == {
        "ApiEnabled",
        "ViewAllUsers",
        "ViewRoles",
        "ViewSetup",
    }


def test_filing_may_write_its_object_and_fields_alone_and_delete_nothing() -> None:
    settings = TicketSettings.model_validate(
        {"connector": "compliancequest", "domain": "https://x.test", "client_id": "c", "client_secret": "env:S"}
    )
    names = settings.names
    (one,) = FILING["objectPermissions"]
    assert one["object"] == names.entity
    assert one["viewAllRecords"]
    assert all(one[f"allow{act}"] for act in ("Read", "Create", "Edit"))
    assert not one["allowDelete"]
    assert not one["modifyAllRecords"]
    written = {names.title, names.body, settings.status_field, settings.external_id}
    assert {field["field"] for field in FILING["fieldPermissions"]} == {f"{names.entity}.{name}" for name in written}
    assert all(field["readable"] and field["editable"] for field in FILING["fieldPermissions"])
    assert {one["name"] for one in FILING["userPermissions"]} == {"ApiEnabled", "ViewRoles", "ViewSetup"}
