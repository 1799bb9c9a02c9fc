"""Secrets are taken out of whatever is printed."""

from __future__ import annotations

import logging

import pytest

from reconciler import log


def test_hidden_secrets_are_redacted_from_log_lines_and_tracebacks(capsys: pytest.CaptureFixture[str]) -> None:
    secret = "s3cr3t-value"
    log.hide(secret)
    log.configure("INFO")
    try:
        int(secret)
    except ValueError:
        logging.getLogger("reconciler.test").exception("failed for %s", secret)
    shown = capsys.readouterr().err
    assert secret not in shown
    assert shown.count("[redacted]") == 2
    assert logging.getLogger("httpx").level == logging.WARNING


def test_a_text_too_short_to_be_a_secret_is_left_alone() -> None:
    log.hide("abc")
    assert log.redact("abc def") == "abc def"
