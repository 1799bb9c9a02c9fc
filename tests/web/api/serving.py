"""The application on a real socket, and senders that sign as the three kinds do."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from fastapi import FastAPI

from reconciler.clock import now
from reconciler.settings import Settings, load
from reconciler.web.api import server
from reconciler.web.api.deliveries import Deliveries, Delivery

STANDARD = "whsec_" + base64.b64encode(b"a planted secret of 31 bytes !!").decode()
OLD = "whsec_" + base64.b64encode(b"an older secret of thirty bytes").decode()
GITHUB = "planted-github-secret"

CONFIG = """\
[estate]
name = "acme"
time_zone = "Europe/Amsterdam"
[store]
database = "{url}"
[sources.qms]
connector = "files"
path = "qms"
[inbound.qms]
kind = "standard"
secrets = ["env:HOOK_OLD", "env:HOOK"]
source = "qms"
max_bytes = 2000
[inbound.code]
kind = "github"
secrets = ["env:HOOK_GITHUB"]
source = "qms"
event = "action"
subject = "record"
"""
CONTRACTS = (
    "contract_id,supplier_id,status,starts_on,ends_on,time_zone\nC1,S1,{status},2024-01-01,{ends},Europe/Paris\n"
)


def configured(folder: Path, url: str, more: str = "") -> Settings:
    """Write a configuration with a register of contracts, and load it."""
    (folder / "qms").mkdir(exist_ok=True)
    contract(folder, "active", "2027-12-31")
    path = folder / "reconciler.toml"
    path.write_text(CONFIG.replace("{url}", url) + more)
    return load(path)


def contract(folder: Path, status: str, ends: str) -> None:
    """Write how contract C1 stands in the register."""
    (folder / "qms" / "contracts.csv").write_text(CONTRACTS.format(status=status, ends=ends))


@contextlib.contextmanager
def served(application: FastAPI) -> Iterator[str]:
    """Serve on a free loopback port; yield the URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    running = server(application)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        running.should_exit = True
        thread.join()
        listener.close()


def body(event: str = "contract.terminated", subject: object = "C1", **more: object) -> bytes:
    """Return a body as the endpoint ``qms`` reads it."""
    return json.dumps({"type": event, "data": {"id": subject}, **more}).encode()


def standard(
    content: bytes, *, delivery: str = "msg_1", secret: str = STANDARD, age: timedelta = timedelta(0), stamp: str = ""
) -> dict[str, str]:
    """Sign as Standard Webhooks says, without the library that verifies."""
    stamp = stamp or str(int((now() - age).timestamp()))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.new(key, f"{delivery}.{stamp}.".encode() + content, hashlib.sha256).digest()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        "content-type": "application/json",
    }


def github(content: bytes, *, delivery: str = "d-1", secret: str = GITHUB) -> dict[str, str]:
    """Sign as GitHub does."""
    signed = hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
    return {
        "X-GitHub-Delivery": delivery,
        "X-GitHub-Event": "ping",
        "X-Hub-Signature-256": f"sha256={signed}",
        "Content-Type": "application/json; charset=utf-8",
    }


class Vault:
    """A vault's key and certificate, and messages signed with it."""

    def __init__(self, *, days: int = 30) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vault")])
        start = now() - timedelta(days=100)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(now() + timedelta(days=days))
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    def headers(self, content: bytes, **changes: str) -> dict[str, str]:
        """Return the headers of a message, in mixed case, as documented; ``changes`` by the last part of a name."""
        at = now()
        said = {
            "CertificateId": "00001",
            "ExecutionId": "a123bede-32cb-4dbc-a7d9",
            "RequestId": "ffjkek809809",
            "RequestDateTime": _instant(at),
            "RequestNotBefore": _instant(at - timedelta(minutes=1)),
            "RequestNotAfter": _instant(at + timedelta(minutes=5)),
            "RequestType": "spark_message",
            "URL": "https://hooks.acme.test/hooks/vault",
            "VaultId": "1000023",
        } | changes
        lines = sorted((f"x-vaultapisignature-{name}".lower(), value) for name, value in said.items())
        text = "".join(f"{name}:{value}\n" for name, value in lines).encode() + content + b"\n" + said["URL"].encode()
        signature = self._key.sign(text, padding.PKCS1v15(), hashes.SHA256())
        return {
            **{f"X-VaultAPISignature-{name}": value for name, value in said.items()},
            "X-VaultAPI-SignatureV2": base64.b64encode(signature).decode(),
            "Content-Type": "application/json",
        }


def spark(
    message_id: str = "bb28d4ca", *, attempt: int = 1, items: tuple[str, ...] = ("C1",), session: str = "A1"
) -> bytes:
    """Return the body of a Spark message, as documented."""
    return json.dumps(
        {
            "vault_name": "QMS",
            "send_message_timestamp": f"2026-04-25T21:49:2{attempt}.719Z",
            "send_attempt": attempt,
            "message_id": message_id,
            "message": {"attributes": {"object": "contract__c", "authorization": session}, "items": items},
        }
    ).encode()


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def post(url: str, path: str, content: bytes, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
    """Send a delivery; return the status and what was said."""
    answer = httpx.post(url + path, content=content, headers=dict(headers), trust_env=False)
    return answer.status_code, answer.json()


class Here(NamedTuple):
    """A server that listens, and its settings."""

    url: str
    settings: Settings
    folder: Path

    @property
    def kept(self) -> list[Delivery]:
        """Every delivery that is kept."""
        return Deliveries(self.settings.database_url).all()

    def ended(self, delivery: str) -> Delivery:
        """Wait until a delivery was looked at."""
        return ended(self.settings, delivery)


def ended(settings: Settings, delivery: str) -> Delivery:
    deliveries = Deliveries(settings.database_url)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = next((one for one in deliveries.all() if one.delivery_id == delivery), None)
        if found is not None and (found.state != "waiting" or found.outcome is not None):
            return found
        time.sleep(0.02)
    raise AssertionError(delivery)


def on_sqlite(folder: Path, empty: Path, more: str = "") -> Settings:
    shutil.copy(empty, folder / "reconciler.db")
    return configured(folder, f"sqlite:///{folder / 'reconciler.db'}", more)
