"""Entries of a change log as changes: OpenLDAP's accesslog and 389's retro changelog. Pure: no network, no clock.

Both hold what was written, passwords included. Values are looked at here to tell what was done, and are not kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from .values import Entry, generalized_time

ACCESSLOG_ATTRIBUTES = (
    "reqStart", "reqType", "reqSession", "reqAuthzID", "reqDN", "reqResult", "reqMod", "reqOld", "reqEntryUUID",
    "reqNewRDN", "reqNewSuperior",
)  # fmt: skip
CHANGELOG_ATTRIBUTES = (
    "changeNumber", "changeTime", "changeType", "changes", "targetDn", "targetUniqueId", "newRdn", "newSuperior",
)  # fmt: skip
_VERBS = {"add": "+", "delete": "-", "replace": "="}


@dataclass(frozen=True, slots=True)
class Modification:
    """One attribute changed: values added (+), removed (-; none: all of them), or put in place of all (=)."""

    attribute: str
    verb: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of a change log; ``unique_id`` is the target's immutable id where the log keeps it."""

    event_id: str
    occurred_at: datetime | None
    kind: str
    dn: str
    unique_id: str | None
    actor: str | None
    outcome: str | None
    modifications: tuple[Modification, ...]
    classes: frozenset[str]
    """The target's object classes, lower case; empty where the log does not say."""
    digest: str


def from_accesslog(entry: Entry) -> Change:
    """Read an entry of slapo-accesslog; raises ``ValueError`` where it has no start or its time is none."""
    start = entry.text("reqStart")
    if start is None:
        message = "it has no reqStart"
        raise ValueError(message)
    modifications = tuple(_merged(map(_accesslog_value, entry.texts("reqMod"))))
    kept = [_accesslog_value(text) for text in entry.texts("reqOld")]  # "name: value", as no verb is needed
    classes = {v.lower() for m in (*modifications, *kept) if m.attribute == "objectclass" for v in m.values}
    result = entry.text("reqResult")
    actor = entry.text("reqAuthzID") or None
    kind = (entry.text("reqType") or "").lower()
    dn = entry.text("reqDN") or ""
    return Change(
        event_id=start,
        occurred_at=generalized_time(start),
        kind=kind,
        dn=dn,
        unique_id=_lower(entry.text("reqEntryUUID")) or _only(modifications, "entryuuid"),
        actor=dn if kind == "bind" else actor,
        outcome=None if result is None else "success" if result == "0" else f"result {result}",
        modifications=modifications,
        classes=frozenset(classes) if kind in {"add", "delete"} else frozenset(),
        digest=_digest(entry),
    )


def from_changelog(entry: Entry) -> Change:
    """Read an entry of the retro changelog; raises ``ValueError`` where it breaks its own form."""
    number = entry.text("changeNumber")
    if number is None or not number.isdigit():
        message = f"its changeNumber is {number!r}"
        raise ValueError(message)
    time = entry.text("changeTime")
    kind = (entry.text("changeType") or "").lower()
    raw = entry.raw("changes")
    lines = _unfolded(raw[0].rstrip(b"\0").decode(errors="backslashreplace")) if raw else []
    modifications = tuple(_merged(_added(lines) if kind == "add" else _modified(lines)))
    classes = {v.lower() for m in modifications if m.attribute == "objectclass" for v in m.values}
    return Change(
        event_id=number,
        occurred_at=None if time is None else generalized_time(time),
        kind=kind,
        dn=entry.text("targetDn") or "",
        unique_id=_lower(entry.text("targetUniqueId")),
        actor=_only(modifications, "modifiersname"),
        outcome="success",  # nothing else is logged
        modifications=modifications,
        classes=frozenset(classes) if kind == "add" else frozenset(),
        digest=_digest(entry),
    )


def _accesslog_value(text: str) -> Modification:
    """Read ``name:+ value``, ``name:-``, ``name:= value`` or, of old values, ``name: value``."""
    name, _, rest = text.partition(":")
    verb = rest[:1] if rest[:1] in {"+", "-", "=", "#"} else ""
    value = rest[len(verb) :]
    return Modification(_plain(name), verb or "+", (value[1:],) if value else ())


def _added(lines: list[str]) -> Iterator[Modification]:
    for line in lines:
        name, value = _ldif(line)
        yield Modification(_plain(name), "+", (value,))


def _modified(lines: list[str]) -> Iterator[Modification]:
    attribute, verb = "", ""
    for line in lines:
        if line == "-" or not line:
            attribute = ""
            continue
        name, value = _ldif(line)
        if not attribute:
            attribute, verb = _plain(value), _VERBS.get(name.lower(), "#")
            yield Modification(attribute, verb, ())
        else:
            yield Modification(attribute, verb, (value,))


def _merged(given: Iterator[Modification]) -> Iterator[Modification]:
    """Join what was done to one attribute in one way, in the order it began."""
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for each in given:
        key = (each.attribute, each.verb)
        found[key] = found.get(key, ()) + each.values
    return (Modification(attribute, verb, values) for (attribute, verb), values in found.items())


def _unfolded(text: str) -> list[str]:
    return text.replace("\n ", "").splitlines()


def _ldif(line: str) -> tuple[str, str]:
    name, marker, value = line.partition(":")
    if not marker:
        message = "a line of its changes is no LDIF"  # the line itself may hold a secret
        raise ValueError(message)
    if not value.startswith(":"):
        return name, value.strip()
    try:
        return name, base64.b64decode(value[1:].strip(), validate=True).decode(errors="backslashreplace")
    except binascii.Error:
        message = f"its {name} is no base64"
        raise ValueError(message) from None


def _only(modifications: tuple[Modification, ...], attribute: str) -> str | None:
    return next((m.values[-1] for m in modifications if m.attribute == attribute and m.values), None)


def _plain(name: str) -> str:
    return name.partition(";")[0].strip().lower()


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _digest(entry: Entry) -> str:
    """Return the SHA-256 of the entry as it was sent: its attributes in order of name, their values in hex."""
    told = {name: [value.hex() for value in values] for name, values in entry.attributes.items()}
    return hashlib.sha256(json.dumps([entry.dn, told], sort_keys=True).encode()).hexdigest()
