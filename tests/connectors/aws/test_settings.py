"""What the settings accept, and what they refuse before anything is read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.aws import Settings, open_source
from reconciler.sdk.errors import ConfigurationError

ROLE = "arn:aws:iam::111122223333:role/reader"


def test_the_contract_needs_nothing_but_the_connector() -> None:
    settings = Settings(connector="aws", endpoint_url="http://127.0.0.1:5555")
    assert (settings.region, settings.accounts, settings.include_root) == ("us-east-1", [], False)
    assert settings.privileged_policies == ["AdministratorAccess", "IAMFullAccess", "PowerUserAccess"]


@pytest.mark.parametrize(
    ("ambient", "own", "expected"),
    [
        (None, None, "https://iam.amazonaws.com"),
        ("http://127.0.0.1:1", None, "http://127.0.0.1:1"),
        ("http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:2"),
    ],
)
def test_the_endpoint_of_the_manifest_is_the_one_that_is_read(
    monkeypatch: pytest.MonkeyPatch, ambient: str | None, own: str | None, expected: str
) -> None:
    if ambient is not None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", ambient)
    assert open_source("aws", Settings(connector="aws", endpoint_url=own), Path()).endpoint == expected


def test_a_certificate_file_that_is_missing_is_named_and_one_that_is_there_is_taken(tmp_path: Path) -> None:
    settings = Settings(connector="aws", ca_file="authorities.pem")
    with pytest.raises(ConfigurationError, match=r"authorities\.pem"):
        open_source("aws", settings, tmp_path)
    (tmp_path / "authorities.pem").write_text("x")
    assert open_source("aws", settings, tmp_path).name == "aws"
    assert Settings(connector="aws", endpoint_url="http://localhost:1").endpoint_url == "http://localhost:1"


def test_every_setting_has_a_description() -> None:
    schema = Settings.model_json_schema()
    tables = [schema["properties"], *(one["properties"] for one in schema["$defs"].values())]
    assert [key for table in tables for key, one in table.items() if "description" not in one] == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"access_key_id": "env:A"}, "belong together"),
        ({"session_token": "env:A"}, "session_token needs"),
        ({"profile": "x", "access_key_id": "env:A", "secret_access_key": "env:B"}, "not both"),
        ({"secret_access_key": "AKIAVERYSECRET"}, "must be a reference"),
        ({"endpoint_url": "127.0.0.1:5555"}, "endpoint_url must be"),
        ({"endpoint_url": "https://user:pw@host"}, "without a user"),
        ({"endpoint_url": "http://aws.example:5555"}, "unencrypted"),
        ({"role_name": "reader"}, "does nothing without accounts"),
        ({"accounts": [{"account_id": "1"}]}, "pattern"),
        ({"accounts": [{"account_id": "111122223333"}] * 2}, "twice"),
        ({"accounts": [{"account_id": "111122223333"}, {"account_id": "444455556666"}]}, "one account only"),
        ({"accounts": [{"account_id": "444455556666", "role_arn": ROLE}]}, "is not in account"),
        ({"accounts": [{"account_id": "111122223333", "external_id": "x"}]}, "no role to assume"),
        ({"acounts": []}, "Extra inputs"),
        ({"organization": {}}, "organization needs role_name"),
        ({"organization": {"exclude": ["1"]}, "role_name": "reader"}, "exclude"),
        ({"identity_center": {"calls_per_second": 21}}, "calls_per_second"),
        ({"identity_center": {"region": "Frankfurt"}}, "region"),
        ({"identity_center": {"instance_arn": "ssoins-1"}}, "instance_arn"),
        ({"events_days": 91}, "events_days"),
        ({"events_regions": ["eu-west-1"]}, "do nothing without events_days"),
        ({"events_role_sessions": True}, "do nothing without events_days"),
        ({"secrets_regions": ["eu-west-1", "eu-west-1"]}, "names a region twice"),
        ({"last_accessed": "sometimes"}, "last_accessed"),
    ],
)
def test_what_cannot_work_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Settings(connector="aws", **given)


def test_the_settings_load_without_the_sdk() -> None:
    code = "import sys, reconciler.connectors.aws; print(sorted({'boto3', 'botocore'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


async def test_an_unencrypted_endpoint_of_the_environment_is_refused(
    opened: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "http://192.0.2.1:9")
    with pytest.raises(ConfigurationError, match="unencrypted"):
        await opened(None).check()
