"""Pull a table from a source as the product does, without its retries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors.ldap.settings import Settings
from connectors.ldap.source import LdapSource
from reconciler.sdk.connector import Gap
from reconciler.sdk.records import Record
from tests.servers.slapd import READER, READER_PASSWORD, SUFFIX


class NoParents:
    """This connector does not fan out over earlier tables."""

    def values(self, table: str, column: str) -> Iterator[str]:
        raise AssertionError((table, column))


@dataclass
class Pulled:
    """All that came of one table."""

    rows: list[Any] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    canaries: set[str] = field(default_factory=set)
    sizes: list[int] = field(default_factory=list)

    def by(self, column: str) -> dict[str, Any]:
        """Return the rows by one column, which must be unique."""
        found = {getattr(row, column): row for row in self.rows}
        assert len(found) == len(self.rows)
        return found


def settings(url: str, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> Settings:
    """Settings of the reader; ``password`` sets another one."""
    monkeypatch.setenv("LDAP_PASSWORD", changes.pop("password", READER_PASSWORD))
    given: dict[str, Any] = {
        "connector": "ldap",
        "url": url,
        "bind_dn": READER,
        "bind_password": "env:LDAP_PASSWORD",
        "base_dn": SUFFIX,
    }
    return Settings(**(given | changes))


def source(url: str, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> LdapSource:
    return LdapSource("corp", settings(url, monkeypatch, **changes), Path("/"))


async def pull(source_: LdapSource, table: str) -> Pulled:
    """Read every page of every partition."""
    pulled = Pulled()
    try:
        for partition in await source_.partitions(table, NoParents()):
            cursor, seen = None, set()
            while True:
                page = await source_.page(table, partition, cursor)
                pulled.rows += page.rows
                pulled.gaps += page.gaps
                pulled.canaries |= page.canaries
                pulled.sizes.append(len(page.rows))
                assert all(isinstance(row, Record) for row in page.rows)
                cursor = page.next
                if cursor is None:
                    break
                assert cursor not in seen
                seen.add(cursor)
    finally:
        await source_.close()
    return pulled
