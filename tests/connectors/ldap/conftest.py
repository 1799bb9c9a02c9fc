"""One real OpenLDAP, Samba domain controller and 389 Directory Server for the folder, each with a company in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest

from tests.connectors.ldap.company import company
from tests.connectors.ldap.domain import populate
from tests.servers.ds389 import Ds389
from tests.servers.samba import Samba
from tests.servers.slapd import Slapd


@pytest.fixture(scope="session")
def slapd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The company's directory; tests must not change or stop it."""
    with Slapd(tmp_path_factory.mktemp("slapd"), company()) as server:
        yield server


@pytest.fixture(scope="session")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Samba]:
    """A domain of Active Directory; tests may add to it and delete what they added."""
    with Samba(tmp_path_factory.mktemp("samba")) as server:
        populate(server)
        yield server


@pytest.fixture(scope="session")
def ds389(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ds389]:
    """The company on 389 Directory Server; tests may add to it and delete what they added."""
    entries = {
        dn: _known_to_389(given) for dn, given in company().items() if "groupOfMembers" not in given["objectClass"]
    }
    with Ds389(tmp_path_factory.mktemp("ds389") / "server", entries) as server:
        yield server


def _known_to_389(given: Mapping[str, Sequence[str | bytes]]) -> dict[str, list[str | bytes]]:
    """Leave out what this server sets itself, and what its schema wants to be ASCII."""
    own = {"pwdAccountLockedTime", "pwdChangedTime", "pwdLastSuccess", "createTimestamp"}
    plain = {"mail", "homeDirectory", "memberUid"}
    return {
        name: [v for v in values if name not in plain or str(v).isascii()] or ["plain"]
        for name, values in given.items()
        if name not in own
    }
