"""Everything wrong with one file, gathered so that it can be mended in one go."""

from __future__ import annotations

from reconciler.sdk.errors import ConfigurationError

LIMIT = 20
"""Problems shown at most; a file with more is read no further."""

EMPTY = "the file is empty: it has not even a header; the export may have failed"
EMPTY_REMEDY = "Export the file again; a file that is meant to have no rows still names its columns."

_SHOWN = 60


class BadValueError(ValueError):
    """A cell that cannot be read: what is wrong, and the remedy."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class Problems:
    """Gather the problems of one file; at the limit they are raised together."""

    def __init__(self, file: str, *, unit: str = "line", limit: int = LIMIT) -> None:
        self.file = file
        self.unit = unit
        self._limit = limit
        self._found: list[tuple[int, str]] = []
        self._remedies: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, place: int | None, message: str, remedy: str, *, column: str = "") -> None:
        """Keep one problem; `place` is its line or row from 1, None for the file as a whole.

        Raises `ConfigurationError` with everything gathered once they reach the limit.
        """
        where = self.file if place is None else f"{self.file}, {self.unit} {place}"
        self._found.append((place or 0, f"{where}, column {column}: {message}" if column else f"{where}: {message}"))
        self._remedies[remedy] = None
        if len(self._found) >= self._limit:
            self.stop(f"The first {self._limit} problems are shown; there may be more.")

    def stop(self, note: str = "") -> None:
        """Raise `ConfigurationError` with everything gathered; do nothing where there is nothing."""
        if not self._found:
            return
        found = [text for _, text in sorted(self._found, key=lambda problem: problem[0])]
        message = found[0] if len(found) == 1 else f"{self.file} has {len(found)} problems:\n  " + "\n  ".join(found)
        # A remedy that is the beginning of another one would be read twice.
        remedies = [one for one in self._remedies if not any(_goes_on(other, one) for other in self._remedies)]
        advice = " ".join([*remedies, *([note] if note else []), "Nothing of this file was used."])
        raise ConfigurationError(message, advice=advice)


def _goes_on(longer: str, remedy: str) -> bool:
    return longer != remedy and longer.startswith(remedy.removesuffix("."))


def shown(value: object) -> str:
    """Return a value as it may stand in a message: quoted, control characters escaped, cut short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
