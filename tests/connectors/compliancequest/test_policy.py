"""The permission set in deploy/ holds what the default mapping needs, and nothing that writes."""

from __future__ import annotations

import json
from pathlib import Path

from connectors.compliancequest.defaults import DEFAULTS

FOLDER = Path(__file__).parents[3] / "deploy" / "policies"
POLICY = json.loads((FOLDER / "compliancequest-read.json").read_text(encoding="utf-8"))["PermissionSet"]
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
