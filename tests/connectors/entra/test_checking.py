"""What check() says of a token that does not see everything, and how the reader signs in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from connectors.entra.auth import origin
from reconciler import clock
from reconciler.errors import ConfigurationError
from reconciler.sdk.connector import Status
from reconciler.sdk.errors import Misbehaved, Refused
from reconciler.sdk.secrets import redact
from tests.connectors.entra.conftest import EVERYTHING, Opener, pull_whole, read, sealed, settings
from tests.simulators.graph.sample import sample
from tests.simulators.graph.server import SECRET, GraphSimulator
from tests.simulators.graph.throttle import Throttle

BROAD = "Directory.Read.All"


@pytest.mark.parametrize(
    ("missing", "table", "part", "column"),
    [
        ("User.Read.All", "accounts", "users", ""),
        ("GroupMember.Read.All", "grants", "group members", ""),
        ("Application.Read.All", "accounts", "service principals", ""),
        ("RoleManagement.Read.Directory", "entitlements", "directory roles", ""),
        ("UserAuthenticationMethod.Read.All", "credentials", "authentication methods", ""),
        ("AuditLog.Read.All", "events", "directory audits", ""),
        ("AuditLog.Read.All", "accounts", "", "last_sign_in_at"),
        ("DelegatedPermissionGrant.Read.All", "grants", "consents", ""),
    ],
)
async def test_each_missing_permission_is_named_with_what_it_hides(
    missing: str, table: str, part: str, column: str, opened: Opener
) -> None:
    with GraphSimulator(sample(), roles=EVERYTHING - {missing, BROAD}) as graph:
        gaps = await opened(graph).check()
    assert (table, part, column) in {(g.table, g.subject, g.column) for g in gaps if g.missing_permission == missing}


async def test_what_a_permission_hides_is_in_doubt_and_nothing_else(opened: Opener, tmp_path: Path) -> None:
    roles = (EVERYTHING | {"DelegatedPermissionGrant.Read.All"}) - {"Application.Read.All", BROAD}
    with GraphSimulator(sample(), roles=roles) as graph:
        given = settings(graph, tables=["accounts"])
        found = sealed(await pull_whole(opened(graph, tables=["accounts"]), given, tmp_path))
    assert {part: one.status for (_, part), one in found.items()} == {
        "users": Status.COMPLETE,
        "deleted users": Status.COMPLETE,
        "service principals": Status.FAILED,
        "deleted service principals": Status.FAILED,
    }


async def test_a_token_without_any_permission_is_refused(opened: Opener) -> None:
    with GraphSimulator(sample(), roles=()) as graph, pytest.raises(Refused, match="no application permission"):
        await opened(graph).check()


async def test_a_wrong_secret_is_refused_and_never_shown(
    graph: GraphSimulator, opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTRA_SECRET", "not~the~secret~at~all")
    with pytest.raises(Refused, match="AADSTS7000215") as refused:
        await opened(graph).check()
    assert "not~the~secret" not in refused.value.message + refused.value.advice


async def test_tokens_and_secrets_are_concealed(graph: GraphSimulator, opened: Opener) -> None:
    await opened(graph).check()
    token = next(iter(graph.tokens.issued))
    assert redact(f"x {token} y {SECRET}") == "x [redacted] y [redacted]"


async def test_an_authority_that_is_not_trusted_is_no_silent_pass(graph: GraphSimulator, opened: Opener) -> None:
    with pytest.raises(Exception, match=r"(?i)certificate|token|trusted"):
        await opened(graph, ca_file=None).check()


def _certificate(password: bytes | None = None) -> tuple[x509.Certificate, bytes]:
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reader")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(clock.now() - timedelta(days=1))
        .not_valid_after(clock.now() + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    how: serialization.KeySerializationEncryption = (
        serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how)
    return made, private + made.public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize("password", [None, "planted-passphrase"])
async def test_a_certificate_signs_in(
    password: str | None, opened: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, pem = _certificate(password.encode() if password else None)
    (tmp_path / "reader.pem").write_bytes(pem)
    given = {"client_secret": None, "client_certificate": f"file:{tmp_path}/reader.pem"}
    if password:
        monkeypatch.setenv("KEY_PASSWORD", password)
        given["certificate_password"] = "env:KEY_PASSWORD"
    with GraphSimulator(sample(), roles=EVERYTHING, certificate=certificate) as graph:
        found = await read(opened(graph, **given), "accounts", "users")
    assert found.total == 11


async def test_a_file_that_is_no_certificate_is_named_without_its_text(
    graph: GraphSimulator, opened: Opener, tmp_path: Path
) -> None:
    (tmp_path / "reader.pem").write_text("-----BEGIN NOTHING-----", encoding="utf-8")
    given = {"client_secret": None, "client_certificate": f"file:{tmp_path}/reader.pem"}
    with pytest.raises(ConfigurationError, match="client_certificate") as refused:
        await opened(graph, **given).check()
    assert "NOTHING" not in refused.value.message


@pytest.mark.parametrize(
    "link",
    [
        "https://elsewhere.invalid/v1.0/users",
        "https://localhost.elsewhere.invalid/v1.0/users",
        "http://localhost/v1.0/users",
        "https://user@localhost/v1.0/users",
        "https://localhost:1/v1.0/users",
        "https://localhost\\@elsewhere.invalid/v1.0/users",
        "https://localhost/elsewhere",
        "https://[",
    ],
)
async def test_a_link_to_another_origin_gets_no_token(link: str, graph: GraphSimulator, opened: Opener) -> None:
    source = opened(graph)
    await source.check()
    with pytest.raises(Misbehaved):
        source._client.follow(link)
    if origin(link) != origin(graph.url):
        assert await source._client.tokens.get_authorization_token(link) == ""


async def test_a_rate_limit_is_met_without_a_storm(opened: Opener, tmp_path: Path) -> None:
    with GraphSimulator(sample(), roles=EVERYTHING, throttle=Throttle(units=40, seconds=1.0)) as graph:
        given = settings(graph, tables=["grants"], may_be_empty=["grants"])
        found = sealed(await pull_whole(opened(graph, tables=["grants"]), given, tmp_path))
        windows = list(graph.throttle.windows)
    assert {one.status for one in found.values()} == {Status.COMPLETE}
    assert sum(window.refused for window in windows) > 0
    assert max(window.refused for window in windows) <= 20  # one batch at most, then everybody waits
