"""Whether a delivery is genuine: Standard Webhooks, GitHub's style, and Veeva Spark (pure).

Each function returns the delivery's id or raises ``NotGenuineError``, whose reason is for our log only: who sends
what is not genuine is told nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from standardwebhooks import Webhook

from reconciler.clock import parse_instant

_SECONDS = re.compile(r"[1-9][0-9]{0,10}")
_CERTIFICATE_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MOST_SIGNATURES = 20
_SIGNED = "x-vaultapisignature-"

Headers = Sequence[tuple[str, str]]
"""Names in lower case, and values; a name may come more than once."""


class NotGenuineError(Exception):
    """The delivery is not known to come from whom it should, or not now."""


class Spark(msgspec.Struct, frozen=True):
    """What a Spark message says of itself, before its signature is known to be right."""

    certificate_id: str
    signature: bytes
    signed: bytes
    """What the signature covers."""


def one(headers: Headers, *names: str) -> str:
    """Return the only value of the first of these headers that is there.

    Raises ``NotGenuineError`` where none is, or it has several.
    """
    name = next((each for each in names if any(key == each for key, _ in headers)), names[0])
    values = [value.strip() for key, value in headers if key == name]
    if len(values) != 1 or not values[0]:
        raise NotGenuineError(f"the header {name} is missing or comes twice")
    return values[0]


def standard(headers: Headers, body: bytes, *, signers: Sequence[Webhook], now: datetime, tolerance: timedelta) -> str:
    """Verify a delivery of Standard Webhooks (``v1``) and return its ``webhook-id``; any of ``signers`` may fit."""
    delivery_id = one(headers, "webhook-id")
    stamp = one(headers, "webhook-timestamp")
    if not _SECONDS.fullmatch(stamp):
        raise NotGenuineError("its timestamp is no number of seconds")
    sent = datetime.fromtimestamp(int(stamp), UTC)
    if abs(now - sent) > tolerance:
        raise NotGenuineError(f"it was signed at {sent.isoformat()}, too long ago or in the future")
    given = one(headers, "webhook-signature").split(" ")
    if len(given) > _MOST_SIGNATURES:
        raise NotGenuineError("it carries too many signatures")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise NotGenuineError("its body is not UTF-8") from None
    expected = [signer.sign(delivery_id, sent, text).encode() for signer in signers]
    # Every pair is compared, each in constant time: how long it takes tells nothing about which came close.
    fits = [hmac.compare_digest(ours, theirs.encode()) for ours in expected for theirs in given]
    if not any(fits):
        raise NotGenuineError("no signature fits")
    return delivery_id


def github(headers: Headers, body: bytes, *, secrets: Sequence[str]) -> None:
    """Verify a delivery signed as GitHub does; its id is not signed, and there is no timestamp.

    Jira signs alike under the older name of the header, which carries SHA-1 from GitHub: that fits nothing here.
    """
    given = one(headers, "x-hub-signature-256", "x-hub-signature").encode()
    expected = [b"sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest().encode() for key in secrets]
    if not any([hmac.compare_digest(ours, given) for ours in expected]):  # noqa: C419 - each is compared, see above
        raise NotGenuineError("no signature fits")


def spark(headers: Headers, body: bytes, *, vault_ids: Collection[str], path: str, now: datetime) -> Spark:
    """Read a Spark message's headers, and check what can be checked before its certificate is fetched.

    Every vault of every customer signs with the same keys: so it must name a vault of ``vault_ids``, and a URL
    that ends in ``path``. https://developer.veevavault.com/sdk/#message-signing-verification
    """
    names = sorted({name for name, _ in headers if name.startswith(_SIGNED)})
    signed: Mapping[str, str] = {name: one(headers, name) for name in names}
    try:
        certificate_id, url = signed[_SIGNED + "certificateid"], signed[_SIGNED + "url"]
        not_before = parse_instant(signed[_SIGNED + "requestnotbefore"])
        not_after = parse_instant(signed[_SIGNED + "requestnotafter"])
        vault = signed[_SIGNED + "vaultid"]
    except KeyError as missing:
        raise NotGenuineError(f"the header {missing.args[0]} is missing") from None
    except ValueError:
        raise NotGenuineError("NotBefore or NotAfter is no instant") from None
    if not not_before <= now <= not_after:
        raise NotGenuineError(f"it holds from {not_before.isoformat()} until {not_after.isoformat()} only")
    if vault not in vault_ids:
        raise NotGenuineError("it comes from a vault that may not send")
    if not urlsplit(url).path.endswith(path):
        raise NotGenuineError("it was signed for another address")
    if not _CERTIFICATE_ID.fullmatch(certificate_id):
        raise NotGenuineError("its certificate id is none")
    try:
        signature = base64.b64decode(one(headers, "x-vaultapi-signaturev2"), validate=True)
    except (binascii.Error, ValueError):
        raise NotGenuineError("its signature is not base64") from None
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    return Spark(certificate_id, signature, lines.encode() + body + b"\n" + url.encode())


def verify_spark(message: Spark, certificate: bytes, *, now: datetime) -> None:
    """Verify the signature (SHA-256 with RSA, PKCS #1 v1.5) by the PEM certificate that the message names."""
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        raise NotGenuineError("its certificate is none") from None
    key = found.public_key()
    if not found.not_valid_before_utc <= now <= found.not_valid_after_utc or not isinstance(key, rsa.RSAPublicKey):
        raise NotGenuineError("its certificate is not valid now, or not of RSA")
    try:
        key.verify(message.signature, message.signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise NotGenuineError("its signature does not fit") from None
