"""Who acts on the command line, as the last pull knows people: one person has one name in a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.settings import Settings
    from reconciler.snapshot import Snapshot


def latest(settings: Settings) -> Snapshot | None:
    """Return the estate's newest sealed snapshot, None where there is none yet."""
    from reconciler.snapshot import SnapshotStore

    return SnapshotStore(settings.snapshots).latest_of(settings.config.estate.name)


def person(settings: Settings, written: str) -> str:
    """Return the person_id of an id, a full name or an e-mail address; see ``snapshot.named.person``."""
    from reconciler.snapshot import named

    return named.person(latest(settings), written)
