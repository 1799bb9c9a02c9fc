from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.connectors import load
from reconciler.sdk.connector import Page, Partition, Source
from reconciler.sdk.errors import ConfigurationError
from reconciler.sdk.testing import ReadRows

SmallPages = Callable[[int], None]


class Folder:
    """A folder of files, and the source that reads it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, content: str | bytes) -> Path:
        place = self.path / name
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        return place

    def source(self, **settings: Any) -> Source:
        connector = load("files")
        chosen = connector.Settings.model_validate({"connector": "files", "path": self.path.name, **settings})
        return connector.open_source("qms", chosen, self.path.parent)

    async def pages(self, table: str, **settings: Any) -> list[Page]:
        """Check the source, then read one table whole."""
        source = self.source(**settings)
        try:
            await source.check()
            (partition,) = await source.partitions(table, ReadRows())
            return await chain(source, table, partition)
        finally:
            await source.close()

    def rows(self, table: str, **settings: Any) -> list[Any]:
        return [row for page in asyncio.run(self.pages(table, **settings)) for row in page.rows]

    def one(self, table: str, **settings: Any) -> Any:
        (row,) = self.rows(table, **settings)
        return row

    def error(self, table: str, **settings: Any) -> str:
        """Return message and advice of the configuration error that reading ends in."""
        with pytest.raises(ConfigurationError) as caught:
            self.rows(table, **settings)
        assert caught.value.advice
        return f"{caught.value.message}\n{caught.value.advice}"

    def reports(self, **settings: Any) -> dict[str, frozenset[str]]:
        return dict(self.source(**settings).reports)


async def chain(source: Source, table: str, partition: Partition) -> list[Page]:
    pages = [await source.page(table, partition, None)]
    while pages[-1].next is not None:
        pages.append(await source.page(table, partition, pages[-1].next))
    return pages


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    path = tmp_path / "qms"
    path.mkdir()
    return Folder(path)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> SmallPages:
    """Return a function that sets how many rows make a page."""
    load("files")

    def choose(rows: int) -> None:
        monkeypatch.setattr("reconciler.connectors.files.client.PAGE_ROWS", rows)

    return choose
