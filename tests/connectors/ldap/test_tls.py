"""LDAPS and StartTLS against a real server: verified, always."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.sdk.errors import ConfigurationError, Refused, Unreachable
from tests.connectors.ldap.company import company
from tests.connectors.ldap.pulling import pull, source
from tests.servers.certificates import Authority
from tests.servers.slapd import READER, READER_PASSWORD, Slapd
from tests.simulators.ldap_server import LdapServer

M = pytest.MonkeyPatch


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_ldaps_with_the_right_ca(slapd: Slapd, monkeypatch: M, host: str) -> None:
    url = f"ldaps://{host}:{slapd.tls_port}"
    pulled = await pull(source(url, monkeypatch, ca_file=str(slapd.ca_file)), "accounts")
    assert len(pulled.rows) == 9


async def test_starttls_with_the_right_ca(slapd: Slapd, monkeypatch: M) -> None:
    reader = source(slapd.url, monkeypatch, ca_file=str(slapd.ca_file), start_tls=True)
    assert len((await pull(reader, "grants")).rows) == 15


@pytest.mark.parametrize("start_tls", [True, False])
async def test_an_unknown_ca_is_refused(slapd: Slapd, monkeypatch: M, tmp_path: Path, *, start_tls: bool) -> None:
    Authority("Somebody else's CA").write(tmp_path, ["localhost"])
    url = slapd.url if start_tls else slapd.ldaps_url
    for changes in ({"ca_file": str(tmp_path / "ca.pem")}, {}):
        with pytest.raises(Refused, match="not to be trusted") as refused:
            await source(url, monkeypatch, start_tls=start_tls, **changes).check()
        assert "ca_file" in refused.value.advice


@pytest.mark.parametrize("start_tls", [True, False])
async def test_a_certificate_of_another_host_is_refused(tmp_path: Path, monkeypatch: M, *, start_tls: bool) -> None:
    server = Slapd(tmp_path / "server", company())
    server.authority.write(tmp_path / "server" / "tls", ["ldap.elsewhere.test"])
    with server:
        url = server.url if start_tls else server.ldaps_url
        with pytest.raises(Refused, match=r"127\.0\.0\.1") as refused:
            await source(url, monkeypatch, ca_file=str(server.ca_file), start_tls=start_tls).check()
        assert "host name" in refused.value.advice


async def test_a_server_without_starttls_gets_no_password(monkeypatch: M) -> None:
    with LdapServer({}, users={READER: READER_PASSWORD}) as simulator:
        with pytest.raises(Refused, match="StartTLS"):
            await source(simulator.url, monkeypatch, start_tls=True).check()
        assert simulator.binds == 0


async def test_ldaps_to_a_plain_port_is_unreachable(slapd: Slapd, monkeypatch: M) -> None:
    with pytest.raises(Unreachable):
        await source(f"ldaps://127.0.0.1:{slapd.port}", monkeypatch, timeout_seconds=2).check()


async def test_a_ca_file_that_is_none_is_a_configuration_error(monkeypatch: M, tmp_path: Path) -> None:
    for path in (tmp_path / "absent.pem", Path(__file__)):
        with pytest.raises(ConfigurationError, match="ca_file"):
            await source("ldaps://127.0.0.1:1", monkeypatch, ca_file=str(path)).check()
