"""Sign what is sent to a receiver of webhooks, as Standard Webhooks has it: an id, a time, and ``v1`` HMACs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from standardwebhooks import Webhook

from reconciler import clock
from reconciler.sdk.errors import ConfigurationError
from reconciler.sdk.secrets import SecretRef, reveal

_SHORTEST, _LONGEST = 24, 64


def signed(number: str, body: bytes, secrets: Iterable[SecretRef]) -> dict[str, str]:
    """Return the headers of a delivery sent now, signed with each secret; ``number`` is the same for a repetition.

    Raises ``ConfigurationError`` naming a secret that signs nothing.
    """
    at = clock.now()
    return {
        "webhook-id": number,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signer(one).sign(number, at, body.decode()) for one in secrets),
    }


def signer(reference: SecretRef) -> Webhook:
    """Return what signs with a secret; raise ``ConfigurationError`` for one that is none, without repeating it."""
    text = reveal(reference)
    plain = text.removeprefix("whsec_").rstrip("=")
    try:
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith("whsec_") or not _SHORTEST <= len(key) <= _LONGEST:
        raise ConfigurationError(
            f"the secret {reference} signs no webhook",
            advice="It is whsec_ and the base64 of 24 to 64 random bytes.",
        )
    return Webhook(key)
