"""The simulated token endpoint: who gets a token, and what a token opens."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import jwt
import pytest
from azure.identity import CertificateCredential, ClientSecretCredential
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from reconciler.clock import now
from tests.simulators.graph.entra_tokens import ASSERTION, Client
from tests.simulators.graph.raw_client import RawClient, asking
from tests.simulators.graph.sample import sample
from tests.simulators.graph.server import CLIENT_ID, SECRET, GraphSimulator
from tests.simulators.graph.tenant import TENANT_ID

SCOPE = "https://graph.microsoft.com/.default"
FORM = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "client_secret": SECRET, "scope": SCOPE}


@pytest.fixture(scope="module")
def signing() -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "worker")])
    start = now() - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return key, certificate


@pytest.fixture
def client() -> Iterator[RawClient]:
    with asking(GraphSimulator(sample())) as asked:
        yield asked


def post(client: RawClient, form: dict[str, str], tenant: str = TENANT_ID) -> httpx.Response:
    return client.http.post(f"{client.graph.authority}/{tenant}/oauth2/v2.0/token", data=form)


def assertion(client: RawClient, key: rsa.RSAPrivateKey, certificate: x509.Certificate, **given: object) -> str:
    at = int(now().timestamp())
    claims = {
        "aud": f"{client.graph.authority}/{TENANT_ID}/oauth2/v2.0/token",
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "jti": "1",
        "nbf": at - 10,
        "exp": at + 300,
        **given,
    }
    thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("=")
    return jwt.encode(claims, key, algorithm="PS256", headers={"x5t#S256": thumbprint})


def test_a_secret_is_exchanged_for_a_token_that_names_the_apps_permissions(client: RawClient) -> None:
    answer = post(client, FORM)
    assert answer.status_code == 200
    assert answer.json()["token_type"] == "Bearer"
    assert answer.json()["expires_in"] == 3599
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert "User.Read.All" in claims["roles"]
    assert (claims["tid"], claims["appid"], claims["aud"]) == (TENANT_ID, CLIENT_ID, "https://graph.microsoft.com")


@pytest.mark.parametrize(
    ("changed", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "99999999-0000-4000-8000-000000000000"}, 400, "unauthorized_client"),
        ({"scope": "User.Read.All"}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_secret": ""}, 401, "invalid_client"),
    ],
)
def test_what_is_not_right_gets_no_token(client: RawClient, changed: dict[str, str], status: int, error: str) -> None:
    answer = post(client, {**FORM, **changed})
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.json()["error_description"].startswith("AADSTS")
    assert SECRET not in answer.text


def test_another_tenant_is_not_known(client: RawClient) -> None:
    other = "99999999-0000-4000-8000-000000000000"
    assert post(client, FORM, other).json()["error"] == "invalid_request"
    assert client.http.get(f"{client.graph.authority}/{other}/v2.0/.well-known/openid-configuration").status_code == 401


def test_a_disabled_app_gets_no_token() -> None:
    clients = [Client(CLIENT_ID, frozenset(), SECRET, enabled=False)]
    with asking(GraphSimulator(sample(), clients=clients)) as client:
        assert post(client, FORM).json()["error_codes"] == [7000112]


def test_an_assertion_is_verified_for_real(signing: tuple[rsa.RSAPrivateKey, x509.Certificate]) -> None:
    key, certificate = signing
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with asking(GraphSimulator(sample(), certificate=certificate)) as client:
        form = {"grant_type": "client_credentials", "client_id": CLIENT_ID, "scope": SCOPE}

        def answered(text: str) -> int:
            return post(client, {**form, "client_assertion_type": ASSERTION, "client_assertion": text}).status_code

        assert answered(assertion(client, key, certificate)) == 200
        assert answered(assertion(client, stranger, certificate)) == 401
        assert answered(assertion(client, key, certificate, aud="https://elsewhere.invalid")) == 401
        assert answered(assertion(client, key, certificate, exp=int(now().timestamp()) - 5)) == 401
        assert answered(assertion(client, key, certificate, iss="someone")) == 401
        assert answered("no.token.atall") == 401
        assert post(client, form).json()["error_codes"] == [7000216]


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ({}, "Access token is empty."),
        ({"Authorization": "Bearer"}, "Access token is empty."),
        ({"Authorization": "Basic abc"}, "Access token is empty."),
        ({"Authorization": "Bearer nonsense"}, "JWT is not well formed"),
        ({"Authorization": "Bearer a.b.c"}, "Invalid audience"),
    ],
)
def test_without_a_token_of_its_own_graph_answers_401(client: RawClient, header: dict[str, str], words: str) -> None:
    answer = client.http.get(f"{client.graph.url}/v1.0/users", headers=header)
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "InvalidAuthenticationToken"
    assert words in answer.json()["error"]["message"]
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_tokens_expire_and_can_be_revoked(client: RawClient) -> None:
    assert client.get("users").status_code == 200
    client.graph.tokens.skew = 3600
    assert client.get("users").status_code == 401
    client.token = client.graph.token()
    assert client.get("users").status_code == 200
    client.graph.tokens.revoke_all()
    assert client.get("users").status_code == 401


def test_an_app_without_permissions_has_no_roles_claim_and_sees_nothing() -> None:
    with asking(GraphSimulator(sample(), roles=())) as client:
        assert "roles" not in jwt.decode(client.token, options={"verify_signature": False})
        assert client.error("users") == (403, "Authorization_RequestDenied")


def test_discovery_answers_what_msal_asks(client: RawClient) -> None:
    origin = client.graph.authority
    found = client.http.get(f"{origin}/{TENANT_ID}/v2.0/.well-known/openid-configuration").json()
    assert found["token_endpoint"] == f"{origin}/{TENANT_ID}/oauth2/v2.0/token"
    known = f"{origin}/common/discovery/instance?api-version=1.1&authorization_endpoint="
    instance = client.http.get(f"{known}{origin}/{TENANT_ID}/oauth2/v2.0/authorize").json()
    assert instance["tenant_discovery_endpoint"].startswith(f"{origin}/{TENANT_ID}/v2.0")
    assert client.http.get(f"{known}https://elsewhere.invalid/x").json()["error"] == "invalid_instance"
    assert client.http.get(f"{origin}/nothing/here").status_code == 404


def test_azure_identity_signs_in_with_a_secret(client: RawClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    with ClientSecretCredential(
        TENANT_ID, CLIENT_ID, SECRET, authority=client.graph.authority, disable_instance_discovery=True,
        connection_verify=str(client.graph.ca_file),
    ) as credential:  # fmt: skip
        client.token = credential.get_token(SCOPE).token
    assert client.get("users").status_code == 200


def test_azure_identity_signs_in_with_a_certificate(
    signing: tuple[rsa.RSAPrivateKey, x509.Certificate], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "localhost")
    key, certificate = signing
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "worker.pem"
    path.write_bytes(private + certificate.public_bytes(pem))
    with (
        asking(GraphSimulator(sample(), certificate=certificate)) as client,
        CertificateCredential(
            TENANT_ID, CLIENT_ID, str(path), authority=client.graph.authority, disable_instance_discovery=True,
            connection_verify=str(client.graph.ca_file),
        ) as credential,
    ):  # fmt: skip
        client.token = credential.get_token(SCOPE).token
        assert client.get("users").status_code == 200


def test_the_certificate_of_the_server_is_its_own(client: RawClient) -> None:
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=ssl.create_default_context()) as stranger:
        stranger.get(client.graph.url)
