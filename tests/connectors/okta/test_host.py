"""What the host brings along must not lead astray: its proxy is used; its netrc, okta.yaml and odd clocks are not."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from connectors.okta import Settings, open_source
from connectors.okta.client import OktaClient
from connectors.okta.source import OktaSource
from connectors.okta.transport import proxy_for
from reconciler.sdk.errors import Unreachable
from reconciler.sdk.secrets import SecretRef
from tests.connectors.okta.conftest import read
from tests.simulators.okta.server import OktaSimulator

Opener = Callable[..., OktaSource]


async def test_the_proxy_of_the_environment_is_used_and_a_netrc_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    heard: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    (tmp_path / "netrc").write_text("default login somebody password else\n")
    (tmp_path / "netrc").chmod(0o600)
    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{port}")
        settings = Settings(
            connector="okta", org_url="https://acme.okta.invalid", api_token=SecretRef("env:OKTA_TEST_TOKEN")
        )
        source = open_source("okta", settings, tmp_path)
        with pytest.raises(Unreachable):
            await source.check()
        await source.close()
    assert heard[0].startswith(b"CONNECT acme.okta.invalid:443 ")
    assert base64.b64encode(b"me:p@ss") in heard[0]


@pytest.mark.parametrize(
    ("url", "proxy", "expected"),
    [
        ("https://acme.okta.com", "proxy.example:3128", "http://proxy.example:3128"),
        ("https://acme.okta.com", "http://proxy.example:3128", "http://proxy.example:3128"),
        ("https://acme.okta.com", "", None),
        ("https://acme.internal", "http://proxy.example:3128", None),
        ("https://localhost:8443", "http://proxy.example:3128", None),
        ("http://127.0.0.1:8443", "http://proxy.example:3128", None),
    ],
)
def test_which_proxy_stands_between(
    url: str, proxy: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    monkeypatch.setenv("no_proxy", "acme.internal")
    assert proxy_for(url) == (expected, None)


async def test_a_yaml_file_of_the_sdk_s_own_says_nothing(
    okta: OktaSimulator, opened: Opener, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = "{orgUrl: https://elsewhere.invalid, token: 00other, proxy: {host: nowhere, port: 1}}"
    (tmp_path / "okta.yaml").write_text(f"okta:\n  client: {told}\n")
    for name in ("_GLOBAL_YAML_PATH", "_LOCAL_YAML_PATH"):
        monkeypatch.setattr(f"okta.config.config_setter.{name}", str(tmp_path / "okta.yaml"))
    monkeypatch.setenv("OKTA_CLIENT_PROXY_HOST", "nowhere.invalid")
    monkeypatch.setenv("OKTA_CLIENT_PROXY_PORT", "1")
    assert len((await read(opened(okta), "entitlements", "apps")).rows) == 6


@pytest.mark.parametrize(
    "given",
    [
        {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "9999999999"},
        {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "1"},
        {"X-Rate-Limit-Remaining": "\u00b2", "X-Rate-Limit-Reset": "\u00b2"},
        {"X-Rate-Limit-Remaining": "0", "X-Rate-Limit-Reset": "soon"},
    ],
)
async def test_a_window_that_cannot_be_holds_nobody_up(given: dict[str, str], okta: OktaSimulator) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    settings = Settings(connector="okta", org_url=okta.url, api_token=SecretRef("env:OKTA_TEST_TOKEN"))
    client = OktaClient(settings, okta.ca_file, sleep=sleep)
    told = SimpleNamespace(headers={"X-Rate-Limit-Limit": "600", **given})
    client._learn("/api/v1/users/me", told)
    await client.raw("/api/v1/users/me", "okta.users.read")
    await client.close()
    assert slept == []
