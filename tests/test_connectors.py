"""The folder is the registry, and so are entry points."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from reconciler import bundled, connectors
from reconciler.errors import ConfigurationError
from reconciler.sdk.settings import SourceSettings


def test_every_folder_is_a_connector_and_loads() -> None:
    assert {"aws", "files", "ldap"} <= set(connectors.names())
    for name in connectors.names():
        module = connectors.load(name)
        assert issubclass(module.Settings, SourceSettings)
        assert callable(module.open_source)


def test_an_unknown_connector_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="unknown connector 'oracle'") as caught:
        connectors.load("oracle")
    assert "ldap" in caught.value.advice


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


def test_a_wrongly_packaged_install_says_so() -> None:
    with pytest.raises(RuntimeError, match="packaged wrongly: no 'nothing' folder"):
        bundled.root("nothing")
