"""A client certificate that is the same every time it is made."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

_SERIAL = 0x4D6572696469616E


@cache
def made_up_certificate() -> bytes:
    """Return the certificate, DER; Ed25519 signs without chance, so its bytes never change."""
    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"a key of the demonstration").digest())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Meridian client")])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=_SERIAL,
        not_valid_before=datetime(2025, 6, 1, tzinfo=UTC),
        not_valid_after=datetime(2027, 6, 1, tzinfo=UTC),
    )
    return builder.sign(key, None).public_bytes(Encoding.DER)


def credential_part(certificate: bytes) -> str:
    """Return what the directory's connector puts behind the account's id: serial number and fingerprint."""
    serial = x509.load_der_x509_certificate(certificate).serial_number
    return f"{serial:x}:{hashlib.sha256(certificate).hexdigest()[:16]}"
