"""Every setting that cannot work is refused with its key named; loading the settings loads no SDK."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.okta import Settings

TOKEN: dict[str, Any] = {"connector": "okta", "org_url": "https://acme.okta.com", "api_token": "env:T"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"org_url": "acme.okta.com"}, "org_url"),
        ({"org_url": "https://acme.okta.com/api"}, "without a path"),
        ({"org_url": "https://me:secret@acme.okta.com"}, "without a path, query, user"),
        ({"org_url": "http://acme.okta.com"}, "unencrypted"),
        ({"org_url": "https://acme-admin.okta.com"}, "leave -admin out"),
        ({"org_url": "https://acme.okta.com:no"}, "org_url"),
        ({"api_token": None}, "set either api_token, or client_id"),
        ({"client_id": "0oa"}, "set either api_token, or client_id"),
        ({"api_token": None, "client_id": "0oa"}, "client_id and private_key belong together"),
        ({"key_id": "k"}, "key_id does nothing"),
        ({"scopes": ["okta.users.read"]}, "scopes does nothing"),
        ({"api_token": "00secret"}, "must be a reference"),
        ({"page_size": 201}, "page_size"),
        ({"events_days": 91}, "events_days"),
        ({"kinds": {"x": "robot"}}, "kinds"),
        ({"unheard_of": 1}, "unheard_of"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said) as caught:
        Settings(**{**TOKEN, **given})
    assert "00secret" not in str(caught.value.errors(include_input=False))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://acme.okta.com/", "https://acme.okta.com"),
        ("https://acme.okta.com:443", "https://acme.okta.com"),
        ("https://id.acme.example:8443/", "https://id.acme.example:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://localhost:80", "http://localhost"),
    ],
)
def test_the_url_is_an_origin(url: str, origin: str) -> None:
    assert Settings(**{**TOKEN, "org_url": url}).org_url == origin


def test_every_key_is_described() -> None:
    assert all(field.description for field in Settings.model_fields.values())


def test_settings_load_without_the_sdk() -> None:
    code = (
        "import sys, connectors.okta; sys.exit(any(name.split('.')[0] in {'okta', 'aiohttp'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_source_loads_the_sdk_s_executor_and_not_its_client() -> None:
    code = (
        "import sys, connectors.okta.source; ours = [name for name in sys.modules if name.startswith('okta.')]; "
        "sys.exit('okta.client' in ours or 'okta.request_executor' not in ours or len(ours) > 200)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
