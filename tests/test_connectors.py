"""The folder is the registry, and so are entry points."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from reconciler import bundled, connectors
from reconciler.errors import ConfigurationError
from reconciler.sdk.settings import SourceSettings
from reconciler.sdk.testing import check_source
from reconciler.sdk.tickets import TicketSettings


def test_every_folder_is_a_connector_and_loads() -> None:
    assert {"aws", "files", "ldap"} <= set(connectors.names())
    assert set(connectors.readers()) | set(connectors.filers()) == set(connectors.names())
    for name in connectors.readers():
        module = connectors.load(name)
        assert issubclass(module.Settings, SourceSettings)
        assert callable(module.open_source)
    for name in connectors.filers():
        files = connectors.load_tickets(name)
        assert issubclass(files.TicketSettings, TicketSettings)
        assert callable(files.open_tickets)


def test_an_unknown_connector_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="unknown connector 'oracle'") as caught:
        connectors.load("oracle")
    assert "ldap" in caught.value.advice


def test_a_connector_that_only_reads_files_nothing() -> None:
    with pytest.raises(ConfigurationError, match="the connector 'ldap' files no tickets"):
        connectors.load_tickets("ldap")


def test_other_peoples_connectors_announce_themselves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acme_hr.py").write_text("Settings = None\ndef open_source(name, settings, base): ...\n")
    info = tmp_path / "acme_hr-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-hr\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[reconciler.connectors]\nacme_hr = acme_hr\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "acme_hr" in connectors.names()
    assert connectors.load("acme_hr").__name__ == "acme_hr"  # type: ignore[attr-defined] # a module, seen through its protocol
    sys.modules.pop("acme_hr")


async def test_the_connector_of_the_readme_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = (Path(__file__).parent.parent / "connectors/README.md").read_text()
    (written,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "acme_badges.py").write_text(written)
    monkeypatch.syspath_prepend(tmp_path)
    made = importlib.import_module("acme_badges")
    sys.modules.pop("acme_badges")
    (tmp_path / "badges.txt").write_text("\n".join(f"badge-{number}" for number in range(250)))
    settings = made.Settings(connector="badges", path="badges.txt", canaries=["badge-249"])
    assert await check_source(made.open_source("door", settings, tmp_path)) == []


def test_a_wrongly_packaged_install_says_so() -> None:
    with pytest.raises(RuntimeError, match="packaged wrongly: no 'nothing' folder"):
        bundled.root("nothing")
