"""One real OpenLDAP for the folder, with a company in it; and the few steps every test takes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.connectors.ldap.company import company
from tests.servers.slapd import Slapd


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The company's directory; tests must not change or stop it."""
    with Slapd(tmp_path_factory.mktemp("slapd"), company()) as server:
        yield server
