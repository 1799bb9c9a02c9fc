"""What the governance sources cost: CPU a record of sql, rest and files against the decoding of the same rows alone.

Run as ``python -m tests.bench.bench_governance``. Rows come from a SQLite file, from answers in memory and from a CSV
file, so that what is compared is our own work and no server's: the floor has no transport in it that both would
share, and is lower than that of the other connectors. Exits 1 where a source costs more than it is held to.
"""

from __future__ import annotations

import asyncio
import csv
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from reconciler.connectors import load
from reconciler.sdk.connector import Partition, Source
from tests.bench.bench_pull import say

RECORDS = 100_000
PAGE = 5_000
ROUNDS = 3
MOST = {"rest": 3.5, "sql": 6.5, "files": 14.0}
"""Times the floor that a record may cost: each value is translated, checked and named, which the floor does not do."""
COLUMNS = ("person_id", "full_name", "emails", "kind", "status", "ends_on", "department", "manager_id")
Row = tuple[str | None, ...]


def rows() -> list[Row]:
    """Return people as an HR system has them: unique names, few departments, a date for each tenth."""
    return [
        (f"P{n}", f"Name \u00e9 {n}", f"p{n}@acme.test", "employee", "active", "2027-03-31" if n % 10 == 0 else None,
         f"Department {n % 40}", f"P{n // 10}")
        for n in range(RECORDS)
    ]  # fmt: skip


def cost(work: Callable[[], int]) -> float:
    """Return microseconds of CPU a record, the least of some rounds."""
    best = float("inf")
    for _ in range(ROUNDS):
        begun = time.process_time()
        if work() != RECORDS:
            raise SystemExit("not every record came")
        best = min(best, time.process_time() - begun)
    return best / RECORDS * 1e6


def pages(make: Callable[[], Source]) -> int:
    """Read people to the end, as the page loop does, and return how many came."""

    async def read() -> int:
        source = make()
        try:
            await source.check()
            (part,) = await source.partitions("people", _NoParents())
            return await _chain(source, part)
        finally:
            await source.close()

    return asyncio.run(read())


async def _chain(source: Source, part: Partition) -> int:
    found, cursor = 0, None
    while True:
        page = await source.page("people", part, cursor)
        found, cursor = found + len(page.rows), page.next
        if cursor is None:
            return found


class _NoParents:
    def values(self, table: str, column: str) -> Any:
        del table, column
        return iter(())


def sql(people: list[Row], folder: Path) -> tuple[float, float]:
    """Return what the connector and the driver alone cost."""
    with sqlite3.connect(folder / "hr.db") as connection:
        connection.execute(f"CREATE TABLE staff ({', '.join(COLUMNS)})")
        connection.executemany(f"INSERT INTO staff VALUES ({', '.join('?' * len(COLUMNS))})", people)  # noqa: S608 - names of ours
    connection.close()
    query = "SELECT * FROM staff"

    def source() -> Source:
        settings = {"connector": "sql", "url": "sqlite:///hr.db", "queries": {"people": query}, "page_size": PAGE}
        made: Source = load("sql").open_source("hr", load("sql").Settings.model_validate(settings), folder)
        return made

    def bare() -> int:
        reading, found = sqlite3.connect(folder / "hr.db"), 0
        reading.execute(f"SELECT count(*) FROM ({query})").fetchone()  # noqa: S608 - as above
        cursor = reading.execute(query)
        while some := cursor.fetchmany(PAGE):
            found += len(some)
        reading.close()
        return found

    return cost(lambda: pages(source)), cost(bare)


def files(people: list[Row], folder: Path) -> tuple[float, float]:
    """Return what the connector and the csv module alone cost."""
    with (folder / "people.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *people])

    def source() -> Source:
        settings = load("files").Settings.model_validate({"connector": "files", "path": str(folder)})
        made: Source = load("files").open_source("hr", settings, folder)
        return made

    def bare() -> int:
        with (folder / "people.csv").open(encoding="utf-8", newline="") as file:
            return sum(1 for _ in csv.reader(file)) - 1

    return cost(lambda: pages(source)), cost(bare)


def rest(people: list[Row]) -> tuple[float, float]:
    """Return what decoding and mapping, and decoding alone cost."""
    from connectors.rest.connector import Fields, Wrong

    settings: Any = load("rest").Settings.model_validate(
        {
            "connector": "rest",
            "url": "https://hr.acme.test",
            "mapping": {
                "people": {
                    "path": "people",
                    "rows": "items",
                    "columns": {**{name: name for name in COLUMNS}, "full_name": "name.full"},
                    "values": {"kind": {"employee": "employee", "Contract": "contractor"}},
                }
            },
        }
    )
    objects = [dict(zip(COLUMNS, row, strict=True)) | {"name": {"full": row[1]}} for row in people]
    answers = [msgspec.json.encode({"items": objects[n : n + PAGE]}) for n in range(0, RECORDS, PAGE)]
    fields = Fields("people", settings.mapping["people"], source="hr", reading=settings.reading())

    def ours() -> int:
        return sum(len(fields.records(msgspec.json.decode(each)["items"], Wrong("hr", "people"))) for each in answers)

    return cost(ours), cost(lambda: sum(len(msgspec.json.decode(each)["items"]) for each in answers))


def main() -> int:
    """Measure, print, and return 1 where a source costs more than it is held to."""
    people, missed = rows(), 0
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        found = {
            "rest": ("decoded and mapped, against msgspec's decoding", rest(people)),
            "sql": ("the connector's pages, against sqlite3 alone", sql(people, Path(one))),
            "files": ("the connector's pages of CSV, against csv alone", files(people, Path(other))),
        }
    for name, (what, (ours, floor)) in found.items():
        say(f"    {name}: {what}: {ours:5.2f} us a record, {floor:5.2f} us, {ours / floor:4.2f} times")
        if ours > MOST[name] * floor:
            say(f"    MISSED {name}: at most {MOST[name]:g} times")
            missed = 1
    return missed


if __name__ == "__main__":
    sys.exit(main())
