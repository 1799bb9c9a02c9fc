"""Everything wrong with one file, query or answer, gathered so that it can be mended in one go."""

from __future__ import annotations

from reconciler.sdk.errors import ConfigurationError, SourceError

LIMIT = 20
"""Problems shown at most; what has more is read no further."""

_SHOWN = 60


class BadValueError(ValueError):
    """A cell that cannot be read: what is wrong, and the remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class Problems:
    """Gather the problems of one file or query; at the limit they are raised together.

    ``place`` is how messages call it; ``unit`` what places in it are counted in; ``what`` what it is; ``error`` what
    is raised.
    """

    def __init__(
        self,
        place: str,
        *,
        unit: str = "line",
        limit: int = LIMIT,
        what: str = "file",
        error: type[ConfigurationError | SourceError] = ConfigurationError,
    ) -> None:
        self.place = place
        self.unit = unit
        self._limit = limit
        self._what = what
        self._error = error
        self._found: list[tuple[int, str]] = []
        self._remedies: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: int | None, message: str, remedy: str, *, column: str = "") -> None:
        """Keep one problem; `place` is its line or row from 1, None for the whole.

        Raises the error with everything gathered once they reach the limit.
        """
        where = self.place if place is None else f"{self.place}, {self.unit} {place}"
        self._found.append((place or 0, f"{where}, column {column}: {message}" if column else f"{where}: {message}"))
        self._remedies[remedy] = None
        if len(self._found) >= self._limit:
            self.stop(f"The first {self._limit} problems are shown; there may be more.")

    def stop(self, note: str = "") -> None:
        """Raise the error with everything gathered; do nothing where there is nothing."""
        if not self._found:
            return
        found = [text for _, text in sorted(self._found, key=lambda problem: problem[0])]
        message = found[0] if len(found) == 1 else f"{self.place} has {len(found)} problems:\n  " + "\n  ".join(found)
        # A remedy that is the beginning of another one would be read twice.
        remedies = [one for one in self._remedies if not any(_goes_on(other, one) for other in self._remedies)]
        advice = " ".join([*remedies, *([note] if note else []), f"Nothing of this {self._what} was used."])
        raise self._error(message, advice=advice)


def _goes_on(longer: str, remedy: str) -> bool:
    return longer != remedy and longer.startswith(remedy.removesuffix("."))


def shown(value: object) -> str:
    """Return a value as it may stand in a message: quoted, control characters escaped, cut short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
