"""Parquet in and out, the manifest, and the store of sealed snapshots."""

from reconciler.snapshot.store import Snapshot, SnapshotStore

__all__ = ["Snapshot", "SnapshotStore"]
