"""What one walk over all principals has found, kept so that two tables need no two walks."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from reconciler.sdk.connector import Cursor

from .center_types import Assignment

Pair = tuple[str, str]
"""An AWS account id and the ARN of a permission set."""


class Book:
    """Pairs with the page on which each first came up, and who holds which.

    Identity Center holds 100,000 users and as many groups at most; kept are only those who are assigned something
    themselves, each with numbers for its pairs: some megabytes.
    """

    def __init__(self) -> None:
        self._numbers: dict[Pair, int] = {}
        self._first: list[Cursor | None] = []
        self._held: dict[str, tuple[int, ...]] = {}
        self._keep = False
        self._whole = False
        self._given = False

    def begin(self, *, keep: bool) -> None:
        """Forget everything: a walk starts; with ``keep`` it notes who holds what."""
        self.__init__()  # type: ignore[misc]  # the same object, as new
        self._keep = keep

    def note(self, cursor: Cursor | None, found: Iterable[tuple[str, Assignment]], *, closed: bool) -> list[Pair]:
        """Note one page; return the pairs that first came up on it, alike however often the page is asked for."""
        here: dict[Pair, None] = {}
        for principal, one in found:
            pair = (one.AccountId, one.PermissionSetArn)
            number = self._numbers.setdefault(pair, len(self._numbers))
            if number == len(self._first):
                self._first.append(cursor)
            if self._first[number] == cursor:
                here[pair] = None
            if self._keep:
                self._held[principal] = tuple(dict.fromkeys((*self._held.get(principal, ()), number)))
        self._whole = closed and self._keep
        return list(here)

    def first_page(self) -> Cursor | None:
        """Return where the notes begin, None where there are none to be used: a walk is due.

        Notes serve once, so that a source read again sees what changed.
        """
        usable = self._whole and not self._given
        self._given = True
        return "kept 0" if usable else None

    def held(self, start: int, stop: int) -> list[tuple[str, list[Pair]]]:
        """Return principals ``start`` to ``stop`` with the pairs they hold."""
        pairs = list(self._numbers)
        return [(who, [pairs[n] for n in numbers]) for who, numbers in islice(self._held.items(), start, stop)]
