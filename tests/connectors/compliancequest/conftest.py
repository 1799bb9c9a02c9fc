"""A running org, and pulls of it through the product's own page loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from connectors.compliancequest import Settings, open_source
from connectors.compliancequest.source import ComplianceQuestSource
from reconciler.collect import Limits, Pull, pull
from reconciler.sdk.connector import Status
from reconciler.snapshot.store import Snapshot, SnapshotStore
from tests.connectors.compliancequest import company
from tests.servers.certificates import Authority
from tests.simulators.salesforce.server import App, Salesforce

SECRET = "planted-Secret/of+the=app"


@dataclass
class Pulled:
    """What a pull left behind."""

    snapshot: Snapshot

    def status(self, table: str = "people") -> Status:
        return self.snapshot.status("qms", table)

    def count(self, table: str = "people") -> int:
        return self.snapshot.rows("qms", table)

    def gaps(self, table: str = "people") -> str:
        entries = [entry for entry in self.snapshot.manifest.coverage if entry.table == table]
        return " | ".join(
            f"{gap.subject} {gap.reason} {gap.missing_permission}".strip() for entry in entries for gap in entry.gaps
        )

    def rows(self, table: str = "people") -> list[dict[str, Any]]:
        """Return the rows of a COMPLETE table, without nulls."""
        found = []
        for entry in self.snapshot.manifest.coverage:
            if entry.table == table:
                for file in entry.files:
                    read = pq.read_table(self.snapshot.folder / file.path)
                    found += read.to_pylist()
        return [{name: value for name, value in row.items() if value is not None} for row in found]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate file of one authority: reading this machine's own takes longer than a whole pull."""
    folder = tmp_path_factory.mktemp("authority")
    Authority("Nobody").write(folder, ["localhost"], ["127.0.0.1"])
    return str(folder / "ca.pem")


@pytest.fixture
def salesforce(monkeypatch: pytest.MonkeyPatch) -> Iterator[Salesforce]:
    """An org with the objects of the company, an app, and a reader with every right that he needs."""
    monkeypatch.setenv("CQ_SECRET", SECRET)
    org = company.org()
    app = App("the-client", company.reader(org), secret=SECRET)
    with Salesforce(org, tls=False, apps=[app]) as running:
        yield running


@pytest.fixture
def settings(salesforce: Salesforce, authority: str) -> Callable[..., Settings]:
    def make(**changes: Any) -> Settings:
        given = {
            "connector": "compliancequest",
            "domain": salesforce.url,
            "client_id": "the-client",
            "client_secret": "env:CQ_SECRET",
            "ca_file": authority,
            "tables": ["people"],
            "max_attempts": 1,
        }
        return Settings.model_validate(given | changes)

    return make


@pytest.fixture
def source(settings: Callable[..., Settings]) -> Callable[..., ComplianceQuestSource]:
    def make(**changes: Any) -> ComplianceQuestSource:
        return open_source("qms", settings(**changes), Path("/"))

    return make


@pytest.fixture
def collected(settings: Callable[..., Settings], tmp_path: Path) -> Callable[..., Any]:
    """Pull through ``reconciler.collect``; waits between retries take no time."""

    async def run(**changes: Any) -> Pulled:
        chosen = settings(**changes)
        snapshot = await pull(
            [Pull(open_source("qms", chosen, Path("/")), "compliancequest", chosen)],
            SnapshotStore(tmp_path / "snapshots"),
            estate="acme",
            as_of=datetime(2026, 3, 1, tzinfo=UTC),
            limits=Limits(),
            accepted=[],
            report=lambda _: None,
            sleep=_no_sleep,
        )
        return Pulled(snapshot)

    return run


async def _no_sleep(seconds: float) -> None:
    del seconds
