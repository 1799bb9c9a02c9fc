from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.ldap.settings import Settings
from reconciler.sdk.settings import SourceSettings

GOOD: dict[str, Any] = {"connector": "ldap", "url": "ldap://127.0.0.1:3890", "base_dn": "dc=acme,dc=test"}
SIGNED_IN: dict[str, Any] = {"bind_dn": "cn=reader", "bind_password": "env:LDAP_PASSWORD"}


def test_the_contract_keys_alone_are_enough() -> None:
    settings = Settings(**GOOD, **SIGNED_IN, canaries=["uid=canary,ou=people,dc=acme,dc=test"])
    assert (settings.host, settings.port, settings.bases) == ("127.0.0.1", 3890, ("dc=acme,dc=test",))


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [("ldap://h", "h", 389), ("ldaps://h", "h", 636), ("ldaps://h:1636/", "h", 1636), ("ldap://[::1]:1", "::1", 1)],
)
def test_url_parts(url: str, host: str, port: int) -> None:
    settings = Settings(**GOOD | {"url": url})
    assert (settings.host, settings.port) == (host, port)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "http://127.0.0.1"}, "must start with ldap://"),
        ({"url": "ldap://"}, "scheme, host and port only"),
        ({"url": "ldap://h/dc=x"}, "scheme, host and port only"),
        ({"url": "ldap://u:p@h"}, "scheme, host and port only"),
        ({"url": "ldap://h:99999"}, "is no URL"),
        ({"base_dn": []}, "name at least one subtree"),
        ({"base_dn": "acme"}, "no distinguished name"),
        ({"base_dn": ["dc=test", "ou=x, DC=Test"]}, "lies under another"),
        ({"base_dn": ["dc=test", "DC=Test"]}, "lies under another"),
        ({"group_base_dn": ["ou=g", "ou=x,ou=g"]}, "lies under another group_base_dn"),
        ({"group_base_dn": []}, "name at least one subtree"),
        ({"bind_dn": "cn=reader"}, "go together"),
        ({"bind_password": "env:X"}, "go together"),
        ({"bind_dn": "cn=reader", "bind_password": "hunter2"}, "never the secret itself"),
        ({"url": "ldaps://h", "start_tls": True}, "start_tls is for ldap://"),
        ({"url": "ldap://ldap.acme.test", **SIGNED_IN}, "would travel unencrypted to ldap.acme.test"),
        ({"url": "ldap://10.0.0.7", **SIGNED_IN}, "allow_plaintext"),
        ({"user_filter": "uid=x"}, "no LDAP filter"),
        ({"group_filter": "((cn=x)"}, "no LDAP filter"),
        ({"attributes": ["employeeType", "userPassword;x"]}, "holds a secret"),
        ({"attributes": ["*"]}, "'*' is no attribute"),
        ({"map": {"title": "ms-Mcs-AdmPwd"}}, "holds a secret"),
        ({"map": {"title": "+"}}, "'+' is no attribute"),
        ({"map": {"status": "x"}}, "status"),
        ({"page_sise": 3}, "page_sise"),
        ({"page_size": 0}, "page_size"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"profile": "edirectory"}, "profile"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match="1 validation error") as wrong:
        Settings(**GOOD | changes)
    assert said in str(wrong.value)
    assert "hunter2" not in wrong.value.errors()[0]["msg"]


@pytest.mark.parametrize(
    "changes",
    [
        {"url": "ldap://localhost", **SIGNED_IN},
        {"url": "ldap://[::1]", **SIGNED_IN},
        {"url": "ldap://ldap.acme.test", "start_tls": True, **SIGNED_IN},
        {"url": "ldap://ldap.acme.test", "allow_plaintext": True, **SIGNED_IN},
        {"url": "ldap://ldap.acme.test"},
    ],
)
def test_a_password_travels_encrypted_or_on_loopback(changes: dict[str, Any]) -> None:
    assert Settings(**GOOD | changes).host


def test_every_key_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


def test_the_readme_lists_every_key_as_the_settings_describe_it() -> None:
    readme = (Path(__file__).parents[3] / "connectors" / "ldap" / "README.md").read_text().splitlines()
    own = {name: field for name, field in Settings.model_fields.items() if name not in SourceSettings.model_fields}
    assert [name for name, field in own.items() if f"| `{name}` | {field.description} |" not in readme] == []
