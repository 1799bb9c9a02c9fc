"""One chain of pages over an object that changes meanwhile: every record once, none lost, and proof of it.

A chain has three parts. First every record that matches, by the service's own locator. Then once more those changed
since just before it began, of which the ones not read yet are rows. Then, deleted ones too, the ids of everything
changed since then: what was read and no longer matches has left. At the end the service's count of what matches now
must be what was read less what has left; where it is not, the last two parts are repeated.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import msgspec
import numpy as np

from reconciler.sdk.errors import Misbehaved, Unreachable

ROUNDS = 3
"""Times that the changes are read before a count that will not agree is reported as it is."""

OVERLAP = timedelta(minutes=15)
"""How far before the last change that was visible others may still come to light: a record is stamped when it is
written and seen when its transaction ends, and Salesforce ends one after 10 minutes."""

BEGINNING = "1970-01-01T00:00:00Z"

Phase = Literal["rows", "changed", "touched"]


class State(msgspec.Struct, array_like=True, frozen=True):
    """Where a chain stands: the cursor. ``link`` empty is the first page of the phase; ``read`` counts records."""

    phase: Phase = "rows"
    link: str = ""
    read: int = 0
    round: int = 1


_decode = msgspec.json.Decoder(State).decode
_encode = msgspec.json.Encoder().encode


def from_cursor(cursor: str | None) -> State:
    """Return the state that a cursor holds."""
    return State() if cursor is None else _decode(cursor)


def to_cursor(state: State) -> str:
    """Return a state as a cursor."""
    return _encode(state).decode()


def since(latest: str | None) -> str:
    """Return from when changes are read again, as SOQL writes it; ``latest`` is the last change before the chain."""
    if latest is None:
        return BEGINNING
    try:
        moment = datetime.fromisoformat(latest).astimezone(UTC)
    except ValueError:
        raise Misbehaved("the last change of an object is no instant", advice="Check api_version.") from None
    return f"{(moment - OVERLAP).isoformat()[:19]}Z"


@dataclass(slots=True)
class Memory:
    """What was read so far in one chain, eight bytes a record, so that any page can be asked for again."""

    since: str
    _read: array[int] = field(default_factory=lambda: array("q"))
    _sorted: Any = None
    _current: set[int] = field(default_factory=set)
    _gone: set[int] = field(default_factory=set)
    _links: dict[str, str] = field(default_factory=dict)

    def at(self, state: State) -> None:
        """Go back to where ``state`` stands; raise ``Unreachable`` (restart) where this memory does not reach."""
        if state.read > len(self._read):
            raise Unreachable("the chain was begun elsewhere", advice="It is read anew.", restart=True)
        if state.read < len(self._read):
            del self._read[state.read :]
            self._sorted = None
        if state.phase == "changed" and not state.link:
            self._current, self._gone = set(), set()

    def follow(self, state: State, link: str | None) -> None:
        """Note where a page leads; raise ``Misbehaved`` where another page led there before."""
        if link is not None and self._links.setdefault(link, to_cursor(state)) != to_cursor(state):
            raise Misbehaved("a locator leads back to records that were read", advice="Report this to the provider.")

    def keep(self, ids: Iterable[str]) -> None:
        """Remember records as read."""
        self._read.extend(hash(one) for one in ids)
        self._sorted = None

    def fresh(self, records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return those of the changed records that were not read yet; all of them still match."""
        self._current.update(hash(record["Id"]) for record in records)
        return [record for record in records if not self._was_read(hash(record["Id"]))]

    def touched(self, ids: Iterable[str]) -> None:
        """Take ids of changed and deleted records: those that were read and match no longer have left."""
        self._gone.update(one for one in map(hash, ids) if one not in self._current and self._was_read(one))

    @property
    def left(self) -> int:
        """Records that were read and have left since."""
        return len(self._gone)

    @property
    def read(self) -> int:
        """Records that were read."""
        return len(self._read)

    def _was_read(self, key: int) -> bool:
        if self._sorted is None:
            self._sorted = np.sort(np.array(self._read, dtype=np.int64))
        place = int(np.searchsorted(self._sorted, key))
        return place < len(self._sorted) and int(self._sorted[place]) == key
