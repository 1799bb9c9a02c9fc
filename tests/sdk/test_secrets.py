from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from pydantic import BaseModel, ValidationError

from reconciler.errors import ConfigurationError
from reconciler.sdk.secrets import SecretRef, conceal, redact, reveal


class Section(BaseModel):
    password: SecretRef


def test_a_secret_comes_from_the_environment_and_is_hidden_from_then_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "from-the-environment")
    assert reveal(SecretRef("env:PLANTED")) == "from-the-environment"
    assert redact("it was from-the-environment.") == "it was [redacted]."


@pytest.mark.parametrize("written", ["from-a-file", "from-a-file\n", "from-a-file\r\n"])
def test_a_secret_comes_from_a_file_without_its_last_line_break(tmp_path: Path, written: str) -> None:
    place = tmp_path / "secret"
    place.write_bytes(written.encode())
    assert reveal(SecretRef(f"file:{place}")) == "from-a-file"


def test_a_secret_keeps_its_own_spaces(tmp_path: Path) -> None:
    place = tmp_path / "secret"
    place.write_text(" pass phrase \n", encoding="utf-8")
    assert reveal(SecretRef(f"file:{place}")) == " pass phrase "


def test_a_missing_or_empty_secret_is_named_by_its_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_SECRET", raising=False)
    empty = tmp_path / "empty"
    empty.write_text("\n", encoding="utf-8")
    for reference in ("env:NO_SUCH_SECRET", f"file:{empty}", f"file:{tmp_path}/none", f"file:{tmp_path}"):
        with pytest.raises(ConfigurationError, match="secret") as caught:
            reveal(SecretRef(reference))
        assert reference in caught.value.message
        assert caught.value.advice


def test_a_file_that_is_no_text_is_an_error_that_does_not_carry_its_bytes(tmp_path: Path) -> None:
    place = tmp_path / "binary"
    place.write_bytes(b"half-a-secret\xff")
    with pytest.raises(ConfigurationError, match="UTF-8") as caught:
        reveal(SecretRef(f"file:{place}"))
    assert "half-a-secret" not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("wrong", ["hunter2hunter2", "env:", "vault:path", ":x", ""])
def test_a_setting_that_is_no_reference_is_refused_without_repeating_it(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be a reference") as caught:
        SecretRef(wrong)
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ValidationError):
        Section.model_validate({"password": wrong})
    assert Section.model_validate({"password": "env:X"}).password == "env:X"


def test_a_secret_is_hidden_in_every_form_that_messages_give_it() -> None:
    secret = 'p/+ "ä\\ö\n end'
    assert conceal(secret) == secret
    forms = [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        repr(secret),
        base64.b64encode(secret.encode()).decode(),
    ]
    for form in forms:
        assert redact(f"<{form}>").strip("<>\"'") == "[redacted]"


def test_of_two_secrets_the_longer_is_hidden_first() -> None:
    conceal("begin-of")
    conceal("begin-of-another")
    assert redact("begin-of-another") == "[redacted]"
    assert conceal("") == ""
    assert redact("") == ""
