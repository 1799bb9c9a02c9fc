"""Keys of tickets: one for each estate and each thing that is filed, the same for ever."""

from __future__ import annotations

import hashlib
import re

from reconciler.errors import ConfigurationError
from reconciler.sdk.tickets import KEY

_LONGEST = 40
_LIKE_HASHED = re.compile(r"(^|-)[0-9a-f]{8}$")


def key(estate: str, about: str) -> str:
    """Return the key of ``about``, such as NC-000123, in the estate: ``rec-acme-nc-000123``.

    Raises ``ConfigurationError`` for what makes no key.
    """
    return checked(f"rec-{slug(estate)}-{about.lower()}")


def prefix(estate: str, kind: str = "nc") -> str:
    """Return what every key of that kind starts with in the estate."""
    return f"rec-{slug(estate)}-{kind}-"


def is_ours(estate: str, found: str, kind: str = "nc") -> bool:
    """Return whether a key is one of that kind: the prefix of one estate may be that of another, longer named."""
    return re.fullmatch(re.escape(prefix(estate, kind)) + r"[0-9]{6,}", found) is not None


def slug(estate: str) -> str:
    """Return the estate's name in letters, digits and hyphens, no two estates alike.

    A name that is not such a slug itself carries a digest of the whole name, and so does one that looks as if it did.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", estate.lower())[:_LONGEST].strip("-")
    if plain == estate and not _LIKE_HASHED.search(plain):
        return plain
    digest = hashlib.sha256(estate.encode()).hexdigest()[:8]
    return f"{plain[: _LONGEST - 9].strip('-')}-{digest}".strip("-")


def spoken(wanted: str) -> tuple[str, str]:
    """Return what a person may have meant: a key, and a number as it is shown, NC-000123 for ``nc-123``."""
    text = wanted.strip()
    kind, _, number = text.upper().partition("-")
    shown = f"{kind}-{int(number):06}" if number.isascii() and number.isdigit() else text.upper()
    return text.lower(), shown


def checked(found: str, what: str = "key") -> str:
    """Return a key, or the mark of a change, as it is; raise ``ConfigurationError`` for one that cannot be looked up.

    An empty one would be found on every ticket that has none.
    """
    if re.fullmatch(KEY, found) is None:
        raise ConfigurationError(
            f"{found!r} is no {what} of a ticket" if found else f"the {what} of a ticket is empty",
            advice="A key is 3 to 64 of the characters a-z, 0-9 and -, and starts with a letter or digit.",
        )
    return found
