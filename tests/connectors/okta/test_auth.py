"""Credentials: API token, and private key as PEM or JWK; scopes that are refused; an access token that ends early."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import RSAAlgorithm

from connectors.okta import open_source
from connectors.okta.settings import SCOPES
from connectors.okta.source import OktaSource
from reconciler.errors import ConfigurationError
from reconciler.sdk.connector import Partition, Presence, Status
from reconciler.sdk.errors import Refused, SourceError
from tests.connectors.okta.conftest import pulled, read, settings_for
from tests.simulators.http_injection import FaultKind
from tests.simulators.okta.auth import ServiceApp
from tests.simulators.okta.server import OktaSimulator
from tests.simulators.okta.small import small_org

CLIENT = "0oa1simreconciler000"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(key: Any) -> str:
    form = serialization.PrivateFormat.PKCS8
    encoded: bytes = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return encoded.decode()


def written_below(folder: Path) -> str:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file()).decode("latin-1")


def service(**given: Any) -> dict[str, ServiceApp]:
    public = RSAAlgorithm.to_jwk(KEY.public_key(), as_dict=True)
    return {CLIENT: ServiceApp(**{"keys": {"k1": public}, "scopes": frozenset(SCOPES), **given})}


@pytest.fixture
def simulator() -> Iterator[OktaSimulator]:
    with OktaSimulator(small_org(), clients=service()) as running:
        yield running


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the settings of the service app."""
    monkeypatch.setenv("OKTA_TEST_KEY", pem(KEY))
    return {"client_id": CLIENT, "private_key": "env:OKTA_TEST_KEY", "key_id": "k1"}


async def test_a_pem_key_reads_everything(simulator: OktaSimulator, key: dict[str, Any], tmp_path: Path) -> None:
    snapshot = await pulled(simulator, tmp_path, **key)
    assert {entry.status for entry in snapshot.manifest.coverage} == {Status.COMPLETE}
    assert {seen.authorization.split(" ")[0] for seen in simulator.requests if seen.method == "GET"} == {"Bearer"}
    assert len(simulator.gate.issued) == 1


async def test_a_jwk_with_its_own_kid_is_taken(
    simulator: OktaSimulator, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., OktaSource]
) -> None:
    jwk = {**RSAAlgorithm.to_jwk(KEY, as_dict=True), "kid": "k1", "key_ops": ["sign"], "ext": True, "alg": "RS256"}
    monkeypatch.setenv("OKTA_TEST_KEY", json.dumps(jwk))
    source = opened(simulator, client_id=CLIENT, private_key="env:OKTA_TEST_KEY")
    assert len((await read(source, "entitlements", "groups")).rows) == 6


async def test_an_access_token_that_ends_early_is_renewed_once(
    simulator: OktaSimulator, key: dict[str, Any], opened: Callable[..., OktaSource]
) -> None:
    source = opened(simulator, **key)
    await read(source, "entitlements", "apps")
    simulator.gate.revoke_all()
    assert len((await read(source, "accounts", "users")).rows) == 16
    assert len(simulator.gate.issued) == 2


async def test_a_token_that_is_refused_again_is_not_asked_for_without_end(
    simulator: OktaSimulator, key: dict[str, Any], opened: Callable[..., OktaSource]
) -> None:
    source = opened(simulator, **key)
    simulator.faults.add(FaultKind.UNAUTHORIZED, path="^/api/v1/apps", times=None)
    with pytest.raises(Refused, match="HTTP 401"):
        await source.page("entitlements", Partition("apps"), None)
    assert len(simulator.gate.issued) == 2


async def test_scopes_that_are_not_granted_are_named_and_the_rest_is_read(key: dict[str, Any], tmp_path: Path) -> None:
    granted = frozenset(SCOPES) - {"okta.logs.read", "okta.apiTokens.read"}
    with OktaSimulator(small_org(), clients=service(scopes=granted)) as simulator:
        snapshot = await pulled(simulator, tmp_path, **key)
    missing = {
        (entry.table, entry.partition): {gap.missing_permission for gap in entry.gaps}
        for entry in snapshot.manifest.coverage
        if entry.status is not Status.COMPLETE
    }
    assert missing == {
        ("credentials", "api tokens"): {"okta.apiTokens.read"},
        ("events", "system log"): {"okta.logs.read"},
    }


async def test_a_client_with_no_scope_at_all_is_refused_with_every_scope_named(
    key: dict[str, Any], opened: Callable[..., OktaSource]
) -> None:
    clients = service(scopes=frozenset())
    with (
        OktaSimulator(small_org(), clients=clients) as simulator,
        pytest.raises(Refused, match="invalid_scope") as caught,
    ):
        await opened(simulator, scopes=list(SCOPES[:2]), **key).check()
    assert caught.value.missing_permission == ", ".join(SCOPES[:2])


async def test_a_key_of_somebody_else_is_refused_without_showing_it(
    simulator: OktaSimulator, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., OktaSource]
) -> None:
    other = pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    monkeypatch.setenv("OKTA_TEST_KEY", other)
    with pytest.raises(Refused, match="invalid_client") as caught:
        await opened(simulator, client_id=CLIENT, private_key="env:OKTA_TEST_KEY", key_id="k1").check()
    assert "PRIVATE" not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (pem(ec.generate_private_key(ec.SECP256R1())), "private_key"),
        ("no key", "neither a PEM private key nor a JWK"),
        ("{broken", "no valid JSON"),
        ('{"kty": "EC", "d": "x"}', "no private RSA key"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----", "private_key"),
    ],
)
async def test_a_key_that_cannot_sign_is_a_configuration_error_that_names_it(
    secret: str, said: str, simulator: OktaSimulator, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., OktaSource]
) -> None:
    monkeypatch.setenv("OKTA_TEST_KEY", secret)
    source = opened(simulator, client_id=CLIENT, private_key="env:OKTA_TEST_KEY", key_id="k1")
    with pytest.raises(ConfigurationError, match=said):
        await source.check()


async def test_a_wrong_api_token_is_refused(
    simulator: OktaSimulator, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., OktaSource]
) -> None:
    monkeypatch.setenv("OKTA_TEST_TOKEN", "00wrongtoken")
    with pytest.raises(Refused, match="HTTP 401") as caught:
        await opened(simulator).check()
    assert "00wrongtoken" not in str(caught.value)


async def test_a_token_with_a_line_break_is_a_configuration_error(
    simulator: OktaSimulator, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., OktaSource]
) -> None:
    monkeypatch.setenv("OKTA_TEST_TOKEN", "00wrong\ntoken")
    with pytest.raises(ConfigurationError, match="api_token"):
        await opened(simulator).check()


async def test_a_server_of_an_unknown_authority_is_refused(simulator: OktaSimulator, tmp_path: Path) -> None:
    settings = settings_for(simulator).model_copy(update={"ca_file": None})
    source = open_source("okta", settings, tmp_path)
    with pytest.raises(Refused, match="certificate is not trusted"):
        await source.check()
    await source.close()


async def test_a_ca_file_that_is_not_there_is_a_configuration_error(simulator: OktaSimulator, tmp_path: Path) -> None:
    source = open_source("okta", settings_for(simulator).model_copy(update={"ca_file": "gone.pem"}), tmp_path)
    with pytest.raises(ConfigurationError, match="ca_file"):
        await source.check()
    await source.close()


async def test_the_sdk_takes_nothing_from_its_own_environment(
    simulator: OktaSimulator, monkeypatch: pytest.MonkeyPatch, opened: Callable[..., OktaSource]
) -> None:
    monkeypatch.setenv("OKTA_CLIENT_ORGURL", "https://elsewhere.invalid")
    monkeypatch.setenv("OKTA_CLIENT_TOKEN", "00other")
    monkeypatch.setenv("OKTA_CLIENT_AUTHORIZATIONMODE", "Bearer")
    monkeypatch.setenv("OKTA_CLIENT_RATELIMIT_MAXRETRIES", "9")
    assert len((await read(opened(simulator), "entitlements", "apps")).rows) == 6


async def test_no_secret_reaches_a_log_a_snapshot_or_a_message(
    simulator: OktaSimulator, key: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for kind in (FaultKind.UNAUTHORIZED, FaultKind.HTML_OK, FaultKind.RESET_WITHIN, FaultKind.NEXT_FOREIGN):
        simulator.faults.add(kind, path="^/api/v1/(apps|groups)", at=3)
    await pulled(simulator, tmp_path, **key)
    everything = written_below(tmp_path) + caplog.text
    body = pem(KEY).splitlines()[3]
    for secret in (*simulator.gate.issued, body, "planted-client-secret"):
        assert secret not in everything


async def test_a_user_is_gone_only_with_proof_of_sight(key: dict[str, Any], opened: Callable[..., OktaSource]) -> None:
    key["scopes"] = ["okta.users.read"]
    with OktaSimulator(small_org(), clients=service()) as simulator:
        without = await opened(simulator, **key).reread("00u1simnobody0000000")
        canary = await opened(simulator, canaries=["ann@example.test"], **key).reread("00u1simnobody0000000")
    assert without.presence is Presence.NOT_EVALUABLE
    assert canary.presence is Presence.GONE
    assert "canary" in canary.reason


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.THROTTLED_SILENT,
        FaultKind.SERVER_ERROR,
        FaultKind.BAD_GATEWAY_HTML,
        FaultKind.EMPTY_BODY,
        FaultKind.HTML_OK,
        FaultKind.MALFORMED_JSON,
        FaultKind.WRONG_TYPE,
        FaultKind.CUT_BY_LENGTH,
        FaultKind.RESET_BEFORE,
    ],
)
async def test_a_token_endpoint_that_breaks_is_said_by_remedy(
    kind: FaultKind, key: dict[str, Any], opened: Callable[..., OktaSource], simulator: OktaSimulator
) -> None:
    simulator.faults.add(kind, path="^/oauth2/v1/token", times=None)
    with pytest.raises(SourceError) as caught:
        await opened(simulator, scopes=["okta.users.read"], **key).check()
    assert "/oauth2/v1/token" in str(caught.value)
    assert caught.value.advice
    simulator.faults.clear()
    assert len((await read(opened(simulator, factors=False, **key), "accounts", "users")).rows) == 16
