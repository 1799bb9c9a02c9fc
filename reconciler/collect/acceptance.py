"""What a person accepts when a table was held: the rows before and the rows now, read from the sealed snapshots."""

from __future__ import annotations

from reconciler.collect.mass_change import HELD
from reconciler.errors import ConfigurationError
from reconciler.sdk.connector import Status
from reconciler.snapshot.store import Snapshot, SnapshotStore


def held_tables(snapshot: Snapshot, source: str) -> list[str]:
    """Name the tables of ``source`` that ``snapshot`` holds; raise ``ConfigurationError`` where there is none."""
    found = [table for name, table in _held(snapshot) if name == source]
    if not found:
        raise ConfigurationError(
            f"nothing of {source} is held in snapshot {snapshot.snapshot_id}",
            advice=f"Held there: {_named(_held(snapshot))}.",
        )
    return found


def held_drop(store: SnapshotStore, snapshot: Snapshot, source: str, table: str) -> tuple[int, int]:
    """Return the table's rows when it was last COMPLETE before ``snapshot``, and in ``snapshot``.

    Raises ``ConfigurationError`` where ``snapshot`` does not hold the table: there is nothing to accept.
    """
    parts = [entry for entry in snapshot.manifest.coverage if (entry.source, entry.table) == (source, table)]
    held = _held(snapshot)
    if (source, table) not in held:
        raise ConfigurationError(
            f"{source} {table} is not held in snapshot {snapshot.snapshot_id}",
            advice=f"Held there: {_named(held)}. A drop that was not held needs no acceptance.",
        )
    for snapshot_id in store.ids():
        if snapshot_id < snapshot.snapshot_id:
            earlier = store.open(snapshot_id)
            same = earlier.manifest.estate == snapshot.manifest.estate
            if same and earlier.status(source, table) is Status.COMPLETE:
                return earlier.rows(source, table), sum(part.rows for part in parts)
    raise ConfigurationError(
        f"no snapshot before {snapshot.snapshot_id} holds {source} {table} whole",
        advice="Keep the snapshot that the drop is measured against, or accept an earlier drop first.",
    )


def _held(snapshot: Snapshot) -> list[tuple[str, str]]:
    return sorted(
        {(e.source, e.table) for e in snapshot.manifest.coverage for gap in e.gaps if gap.reason.startswith(HELD)}
    )


def _named(held: list[tuple[str, str]]) -> str:
    return ", ".join(f"{source} {table}" for source, table in held) or "none"
