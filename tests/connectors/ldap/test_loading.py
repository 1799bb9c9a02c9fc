"""What loads when, and what is said where the test server is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ds389, samba, slapd


def test_the_settings_load_without_the_sdks() -> None:
    code = (
        "import sys, reconciler.connectors as c; c.load('ldap').Settings; "
        "print([name for name in ('ldap3', 'cryptography', 'pyasn1') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_product_opens_the_source_by_its_name() -> None:
    code = (
        "import reconciler.connectors as c; from pathlib import Path; m = c.load('ldap'); "
        "s = m.Settings(connector='ldap', url='ldap://127.0.0.1:1', base_dn='dc=x'); "
        "print(m.open_source('corp', s, Path('/')).endpoint)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "ldap://127.0.0.1:1"


def test_a_missing_slapd_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_args, **_named: None)
    with pytest.raises(RuntimeError, match="apt-get install slapd"):
        slapd.Slapd(tmp_path, {})


def test_a_missing_samba_or_389_is_named_with_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(RuntimeError, match="run these tests as root"):
        samba.Samba(tmp_path)
    monkeypatch.setattr("shutil.which", lambda *_args, **_named: None)
    with pytest.raises(RuntimeError, match="apt-get install --no-install-recommends samba"):
        samba.Samba(tmp_path)
    with pytest.raises(RuntimeError, match="apt-get install 389-ds-base"):
        ds389.Ds389(tmp_path, {})
