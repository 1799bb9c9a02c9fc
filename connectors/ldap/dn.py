"""Distinguished names (RFC 4514), made comparable: two spellings of one entry give one text."""

from __future__ import annotations

import re

_SPECIAL = re.compile(r'[\\+"#;]|\s[,=]|[,=]\s|\s\s|^\s|\s$')
_PAIR = re.compile(rb"\\([0-9a-fA-F]{2}|.)", re.DOTALL)
_RESERVED = re.compile(r'[\\,+"]')
_UNIQUE_NAME = re.compile(r"#'[01]*'B$")


def normalise(dn: str) -> str:
    """Return ``dn`` with case, spaces and escapes settled; text that is no DN comes back case folded.

    Attribute values are compared without regard to case, as all usual naming attributes are.
    """
    if not _SPECIAL.search(dn):
        return dn.casefold()
    return ",".join(_rdn(part) for part in _split(dn, ","))


def parent(dn: str) -> str:
    """Return the normalised DN above ``dn``; empty for a root entry."""
    return ",".join(_rdn(part) for part in _split(dn, ",")[1:])


def first_value(dn: str, attribute: str) -> str | None:
    """Return the value that ``attribute`` has in the leftmost RDN, case kept; None where it is not named there."""
    for part in _split(_split(dn, ",")[0], "+"):
        name, _, value = part.partition("=")
        if name.strip().casefold() == attribute.casefold():
            return _unescape(value)
    return None


def under(normalised: str, base: str) -> bool:
    """Say whether a normalised DN is ``base`` or lies below it; everything lies below the empty base."""
    return not base or normalised == base or normalised.endswith("," + base)


def without_unique_id(value: str) -> str:
    """Return the DN of a ``uniqueMember`` value (Name And Optional UID, RFC 4517, 3.3.21)."""
    return _UNIQUE_NAME.sub("", value)


def _split(text: str, separator: str) -> list[str]:
    """Split at ``separator`` where it is neither escaped nor quoted."""
    if "\\" not in text and '"' not in text:
        return text.split(separator)
    parts, start, at, quoted = [], 0, 0, False
    while at < len(text):
        char = text[at]
        if char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def _rdn(text: str) -> str:
    pairs = []
    for part in _split(text, "+"):
        name, _, value = part.partition("=")
        plain = " ".join(_unescape(value).split()).casefold()
        pairs.append(f"{name.strip().casefold()}={_RESERVED.sub(_escaped, plain)}")
    return "+".join(sorted(pairs))


def _unescape(value: str) -> str:
    text = value.strip()
    if text.endswith("\\"):
        text += " "  # the stripped space was an escaped one
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return _PAIR.sub(_octet, text.encode()).decode(errors="backslashreplace")


def _octet(match: re.Match[bytes]) -> bytes:
    found = match[1]
    return bytes.fromhex(found.decode()) if len(found) > 1 else found


def _escaped(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):02x}"
