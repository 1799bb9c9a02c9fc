"""Spark messages: a vault's certificate, its signature, and what is signed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from reconciler.web.api import app
from reconciler.web.api import certificates as keys
from tests.simulators.http_server import LoopbackServer
from tests.web.api.serving import Here, Vault, on_sqlite, post, served, spark

VAULT = """\
[inbound.vault]
kind = "veeva"
certificate_url = "{certificates}/api/v26.1/services/certificate/"
vault_ids = ["1000023"]
source = "qms"
event = "message.attributes.object"
subject = "message.items"
"""


class Certificates:
    """A vault's certificate endpoint: what it answers, and how often it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []

    def make(self) -> web.Application:
        async def answer(request: web.Request) -> web.Response:
            self.asked.append(request.path)
            status, content = self.answers.get(request.match_info["id"], (200, b'{"responseStatus": "FAILURE"}'))
            return web.Response(status=status, body=content)

        application = web.Application()
        application.router.add_get("/api/v26.1/services/certificate/{id}", answer)
        return application


@pytest.fixture(scope="module")
def vault() -> Vault:
    return Vault()


class TestVeeva:
    @pytest.fixture
    def certificates(self, vault: Vault) -> Iterator[tuple[Certificates, str]]:
        made = Certificates()
        made.answers["00001"] = (200, vault.certificate)
        with LoopbackServer(made.make, tls=False) as server:
            yield made, server.url

    @pytest.fixture
    def there(self, tmp_path: Path, empty: Path, certificates: tuple[Certificates, str]) -> Iterator[Here]:
        settings = on_sqlite(tmp_path, empty, VAULT.format(certificates=certificates[1]))
        with served(app(settings)) as address:
            yield Here(address, settings, tmp_path)

    def test_a_message_is_kept_once_though_each_attempt_differs(
        self, there: Here, vault: Vault, certificates: tuple[Certificates, str]
    ) -> None:
        for attempt, status in ((1, 202), (2, 200)):
            content = spark(attempt=attempt, session=f"session-{attempt}")
            assert post(there.url, "/hooks/vault", content, vault.headers(content))[0] == status
        kept = there.ended("bb28d4ca")
        assert kept.outcome is not None
        assert kept.outcome.said.startswith("qms contracts C1: status active")
        assert kept.headers["x-vaultapisignature-certificateid"] == "00001"
        other = spark(items=("C2",))
        assert post(there.url, "/hooks/vault", other, vault.headers(other))[0] == 409
        assert certificates[0].asked == ["/api/v26.1/services/certificate/00001"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"VaultId": "6666"},
            {"URL": "https://hooks.acme.test/hooks/other"},
            {"RequestNotAfter": "2026-01-01T00:00:00.000Z"},
            {"RequestNotBefore": "2999-01-01T00:00:00.000Z"},
            {"RequestNotAfter": "soon"},
            {"CertificateId": "../../../objects"},
            {"CertificateId": "00002"},
        ],
    )
    def test_a_message_of_another_vault_address_or_time_is_refused(
        self, there: Here, vault: Vault, changes: dict[str, str]
    ) -> None:
        content = spark()
        assert post(there.url, "/hooks/vault", content, vault.headers(content, **changes))[0] == 401
        assert there.kept == []

    def test_what_was_altered_after_it_was_signed_is_refused(self, there: Here, vault: Vault) -> None:
        content = spark()
        headers = vault.headers(content)
        assert post(there.url, "/hooks/vault", spark(items=("C2",)), headers)[0] == 401
        assert post(there.url, "/hooks/vault", content, headers | {"X-VaultAPISignature-RequestId": "other"})[0] == 401
        assert post(there.url, "/hooks/vault", content, headers | {"X-VaultAPI-SignatureV2": "%%%"})[0] == 401
        del headers["X-VaultAPISignature-VaultId"]
        assert post(there.url, "/hooks/vault", content, headers)[0] == 401
        assert there.kept == []

    def test_a_certificate_that_is_none_or_no_longer_valid_is_refused(
        self, there: Here, certificates: tuple[Certificates, str]
    ) -> None:
        late = Vault(days=-1)
        certificates[0].answers["00001"] = (200, late.certificate)
        content = spark()
        assert post(there.url, "/hooks/vault", content, late.headers(content))[0] == 401
        certificates[0].answers["7"] = (200, b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        assert post(there.url, "/hooks/vault", content, late.headers(content, CertificateId="7"))[0] == 401

    @pytest.mark.parametrize("answer", [(500, b""), (302, b""), (200, b"x" * 70_000)])
    def test_what_cannot_be_verified_now_is_neither_genuine_nor_forged(
        self, there: Here, vault: Vault, certificates: tuple[Certificates, str], answer: tuple[int, bytes]
    ) -> None:
        certificates[0].answers["00001"] = answer
        content = spark()
        assert post(there.url, "/hooks/vault", content, vault.headers(content))[0] == 503
        # Nobody may have us ask for each id that they make up.
        assert post(there.url, "/hooks/vault", content, vault.headers(content, CertificateId="8"))[0] == 503
        assert len(certificates[0].asked) == 1
        assert there.kept == []

    def test_a_certificate_that_is_known_serves_on_while_the_vault_does_not_answer(
        self,
        there: Here,
        vault: Vault,
        certificates: tuple[Certificates, str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        content = spark()
        assert post(there.url, "/hooks/vault", content, vault.headers(content))[0] == 202
        monkeypatch.setattr(keys, "_KEPT", timedelta(0))
        certificates[0].answers["00001"] = (500, b"")
        again = spark("another")
        assert post(there.url, "/hooks/vault", again, vault.headers(again))[0] == 202
        monkeypatch.setattr(keys, "_PAUSE", timedelta(0))
        certificates[0].answers["00001"] = (200, b'{"responseStatus": "FAILURE"}')
        assert post(there.url, "/hooks/vault", again, vault.headers(again))[0] == 401

    def test_a_server_that_is_not_there_is_asked_again_later(self, tmp_path: Path, empty: Path, vault: Vault) -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        more = VAULT.format(certificates=f"http://127.0.0.1:{port}")
        settings = on_sqlite(tmp_path, empty, more)
        content = spark()
        with served(app(settings)) as address:
            assert post(address, "/hooks/vault", content, vault.headers(content))[0] == 503
