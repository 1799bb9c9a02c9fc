"""What every AWS test shares: credentials for loopback servers, and a walk over whole tables."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from connectors.aws import Settings, open_source
from reconciler.collect import Limits, Pull, pull
from reconciler.sdk.connector import Gap, Partition, Source
from reconciler.snapshot.store import Snapshot, SnapshotStore
from tests.servers import moto_server

ADMIN = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
READ = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)


@dataclass
class Table:
    """One partition of one table, read to its end."""

    rows: list[Any] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    total: int | None = None
    pages: int = 0
    canaries: set[str] = field(default_factory=set)


class NoParents:
    """No earlier rows."""

    def values(self, table: str, column: str) -> Iterator[str]:
        del table, column
        return iter(())


async def read(source: Source, table: str, partition: str | None = None) -> Table:
    """Read one partition (the only one, where none is named) page by page."""
    parts = await source.partitions(table, NoParents())
    chosen = [part for part in parts if partition in {None, part.name}]
    assert len(chosen) == 1
    found = Table()
    cursor = None
    while True:
        page = await source.page(table, Partition(chosen[0].name), cursor)
        found.rows += page.rows
        found.gaps += page.gaps
        found.total = page.total if page.total is not None else found.total
        found.canaries |= page.canaries
        found.pages += 1
        cursor = page.next
        if cursor is None:
            return found


async def seal(url: str, folder: Path, **given: Any) -> Snapshot:
    """Pull a whole source into a snapshot, without waiting between retries."""
    settings = Settings.model_validate({"connector": "aws", "endpoint_url": url} | given)
    return await pull(
        [Pull(open_source("aws", settings, folder), "aws", settings)],
        SnapshotStore(folder / "snapshots"),
        estate="acme",
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        limits=Limits(),
        accepted=(),
        report=lambda _progress: None,
        sleep=_at_once,
    )


async def _at_once(_seconds: float) -> None:
    """Wait for nothing."""


@pytest.fixture(autouse=True)
def _no_ambient_credentials(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep the developer's own AWS configuration, proxies and metadata service out of the tests."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ROLE_ARN", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


@pytest_asyncio.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Callable[..., Source]]:
    """Open sources that are closed when the test ends."""
    sources: list[Source] = []

    def opener(endpoint_url: str | None, **settings: Any) -> Source:
        given = Settings(connector="aws", endpoint_url=endpoint_url, **settings)
        sources.append(open_source("aws", given, tmp_path))
        return sources[-1]

    yield opener
    for source in sources:
        await source.close()


@pytest.fixture(scope="session")
def _served() -> Iterator[moto_server.MotoServer]:
    with moto_server.serve() as server:
        yield server


@pytest.fixture
def moto(_served: moto_server.MotoServer) -> moto_server.MotoServer:
    """An empty AWS API server."""
    _served.reset()
    return _served


@pytest.fixture
def moto_with_policies(
    _served: moto_server.MotoServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[moto_server.MotoServer]:
    """An empty AWS API server that knows a few of AWS's own managed policies: all 1,600 take seconds an account."""
    from moto.iam import models
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    every = json.loads(aws_managed_policies_data)
    few = {name: every[name] for name in ("AdministratorAccess", "ReadOnlyAccess", "SecurityAudit")}
    monkeypatch.setattr(models, "aws_managed_policies_data", json.dumps(few))
    monkeypatch.setenv("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")
    _served.reset()
    yield _served
    monkeypatch.undo()
    _served.reset()
