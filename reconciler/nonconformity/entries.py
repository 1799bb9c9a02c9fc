"""What people may write: names, texts, methods, roles and days, refused where they say nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from datetime import date, datetime
from typing import get_args

from reconciler.errors import ConfigurationError
from reconciler.nonconformity.gates import same
from reconciler.nonconformity.record import MACHINE, Method

METHODS: tuple[Method, ...] = get_args(Method)

_NUMBER = re.compile(r"(?:NC-?)?0*([1-9][0-9]{0,8})", re.IGNORECASE)


def number(wanted: str) -> int:
    """Return the number that ``NC-000123``, ``nc-123`` or ``123`` names."""
    match = _NUMBER.fullmatch(wanted.strip())
    if match is None:
        raise ConfigurationError(
            f"{wanted!r} is no nonconformity", advice="write for example NC-000123, as `nonconformities list` shows it"
        )
    return int(match[1])


def person(by: str) -> str:
    """Return who acts; nobody acts without a name, or as the machine."""
    name = " ".join(_storable(by).split())
    if not name:
        raise ConfigurationError("nobody acts without a name", advice="say who does: --by PERSON_ID")
    if same(name, MACHINE):
        raise ConfigurationError(
            f"{name} is who acts where the machine does; no person may act under that name",
            advice="say which person does: --by PERSON_ID",
        )
    return name


def text(said: str | None, what: str, option: str) -> str:
    """Return a text as it is kept; one that says nothing is refused."""
    kept = _storable(said or "").strip()
    if not any(character.isalnum() for character in kept):
        raise ConfigurationError(f"{what} is missing", advice=f"say it in words: {option} TEXT")
    return kept


def method(word: str) -> Method:
    """Return the method of a cause analysis."""
    for known in METHODS:
        if word.strip().lower().replace("-", "_").replace(" ", "_") == known:
            return known
    raise ConfigurationError(f"{word!r} is no method of cause analysis", advice=f"use one of: {', '.join(METHODS)}")


def role(wanted: str, known: Collection[str]) -> str:
    """Return the role as it is known, whatever the case that it is written in."""
    for each in known:
        if same(each, wanted):
            return each
    close = difflib.get_close_matches(wanted.strip().casefold(), [each.casefold() for each in known], n=1)
    advice = f"did you mean {close[0]}? " if close else ""
    raise ConfigurationError(
        f"no role {wanted.strip()!r} is known: no control names it, and nobody is said to hold it",
        advice=f"{advice}roles known: {', '.join(sorted(known)) or 'none'}",
    )


def due(on: date, at: datetime) -> date:
    """Return the day; one before the day of ``at`` (in its zone) is refused."""
    if on < at.date():
        raise ConfigurationError(
            f"an action cannot be due on {on}: that day is past", advice="give a day that is still to come: --due-on"
        )
    return on


def reason(why: str | None, text: str, *, amends: bool) -> str:
    """Return why something is entered: the reason given, else the text itself; an amendment needs a reason."""
    if why is None and not amends:
        return text
    return _reason(why, "the reason for the change: an entry that is there is amended" if amends else "the reason")


def _reason(why: str | None, what: str) -> str:
    return text(why, what, "--reason")


def _storable(said: str) -> str:
    """Return the text without what a database cannot hold: null characters and halves of characters."""
    whole = said.encode("utf-8", "replace").decode()
    return whole.replace("\x00", "\N{REPLACEMENT CHARACTER}")
