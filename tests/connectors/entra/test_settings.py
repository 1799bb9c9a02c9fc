"""Settings: what cannot be meant is refused with the key's name, and never the secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.entra import Settings, open_source
from connectors.entra.permissions import NEEDED
from reconciler.errors import ConfigurationError

GIVEN: dict[str, Any] = {
    "connector": "entra",
    "tenant_id": "contoso.example",
    "client_id": "c",
    "client_secret": "env:S",
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client_secret": "the~secret~itself"}, "reference"),
        ({"client_secret": None}, "either client_secret or client_certificate"),
        ({"client_certificate": "file:/x.pem"}, "either client_secret or client_certificate"),
        ({"certificate_password": "env:P"}, "certificate_password"),
        ({"tenant_id": "../other"}, "tenant_id"),
        ({"endpoint_url": "http://graph.example"}, "unencrypted"),
        ({"endpoint_url": "https://graph.example/v1.0"}, "endpoint_url"),
        ({"endpoint_url": "https://user:pw@graph.example"}, "endpoint_url"),
        ({"endpoint_url": "https://graph.example:99999"}, "endpoint_url"),
        ({"endpoint_url": "ftp://graph.example"}, "endpoint_url"),
        ({"authority_url": "http://127.0.0.1:1"}, "https"),
        ({"attributes": ["a,b"]}, "not the name of a property"),
        ({"attributes": ["passwordProfile"]}, "holds a secret"),
        ({"attributes": ["manager"]}, "column of its own"),
        ({"attributes": ["signInActivity"]}, "column of its own"),
        ({"attributes": [f"extension_{n:050}" for n in range(20)]}, "longer than"),
        ({"page_size": 1000}, "page_size"),
        ({"events_days": 0}, "events_days"),
        ({"no_such_key": 1}, "no_such_key"),
    ],
)
def test_what_cannot_be_meant_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(**(GIVEN | change))
    said = "; ".join(f"{error['loc']} {error['msg']}" for error in refused.value.errors())
    assert words in said
    assert "the~secret" not in said
    assert "pw@" not in said


def test_national_clouds_and_loopback_may_be_named() -> None:
    given = Settings(
        **GIVEN, endpoint_url="https://graph.microsoft.us/", authority_url="https://login.microsoftonline.us"
    )
    assert open_source("entra", given, Path("/")).endpoint == "https://graph.microsoft.us"
    assert Settings(**GIVEN, endpoint_url="http://127.0.0.1:8080").endpoint_url == "http://127.0.0.1:8080"
    assert Settings(**GIVEN, endpoint_url="http://localhost:8080").endpoint_url == "http://localhost:8080"


def test_a_file_of_authorities_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="ca_file"):
        open_source("entra", Settings(**GIVEN, ca_file="missing.pem"), tmp_path)


def test_the_policy_in_deploy_is_what_check_asks_for() -> None:
    path = Path(__file__).parents[3] / "deploy" / "policies" / "entra-read.json"
    found = json.loads(path.read_text(encoding="utf-8"))["permissions"]
    assert [(one["permission"], one["appRoleId"], one["purpose"]) for one in found] == [
        (one.name, one.app_role_id, one.purpose) for one in NEEDED
    ]
    assert not [one.name for one in NEEDED if "Write" in one.name]
