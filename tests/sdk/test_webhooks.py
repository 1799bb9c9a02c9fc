"""Deliveries are signed so that the library of any receiver takes them."""

from __future__ import annotations

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from reconciler.sdk.errors import ConfigurationError
from reconciler.sdk.secrets import SecretRef
from reconciler.sdk.webhooks import signed, signer

OLD, NEW = "whsec_" + "QUJD" * 8, "whsec_" + "REVG" * 8


def test_a_delivery_is_signed_with_each_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLD", OLD)
    monkeypatch.setenv("NEW", NEW)
    headers = signed("msg_1", b'{"a":1}', [SecretRef("env:NEW"), SecretRef("env:OLD")])
    for secret in (OLD, NEW):
        assert Webhook(secret).verify(b'{"a":1}', headers) == {"a": 1}
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(b'{"a":2}', headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + "R0hJ" * 8).verify(b'{"a":1}', headers)


@pytest.mark.parametrize("secret", ["QUJD" * 8, "whsec_QUJD", "whsec_" + "QUJD" * 30, "whsec_no base64"])
def test_a_secret_that_signs_nothing_is_named_and_not_repeated(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    monkeypatch.setenv("HOOK", secret)
    with pytest.raises(ConfigurationError, match="env:HOOK signs no webhook") as caught:
        signer(SecretRef("env:HOOK"))
    assert secret not in caught.value.message
