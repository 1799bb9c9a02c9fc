"""Count along one page chain, so that a page asked for again is not counted twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from reconciler.sdk.connector import Cursor
from reconciler.sdk.errors import Misbehaved, Unreachable


class Tally:
    """Running totals of one page chain, by cursor; also knows a chain that goes in a circle."""

    def __init__(self) -> None:
        self._before: dict[Cursor | None, Counter[str]] = {None: Counter()}
        self._asked_by: dict[Cursor, Cursor | None] = {}
        self.begun = False

    def add(self, cursor: Cursor | None, following: Cursor | None, counts: Mapping[str, int]) -> Counter[str]:
        """Return the totals up to and with the page at ``cursor``; ``following`` is where the next page starts.

        Raises ``Misbehaved`` where another page already led to ``following``, and ``Unreachable`` asking for a
        restart where the chain began in another process and its totals are not known.
        """
        if cursor not in self._before:
            raise Unreachable("the pages before this one were read by another process", restart=True)
        self.begun = True
        totals = self._before[cursor] + Counter(counts)
        if following is not None:
            if self._asked_by.setdefault(following, cursor) != cursor:
                raise Misbehaved(f"AWS gave the marker {following!r} twice: its pages go in a circle")
            self._before[following] = totals
        return totals
