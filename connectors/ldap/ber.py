"""Search answers from octets, strictly: our own reader behind ldap3's connection.

ldap3 takes an entry apart value by value, each through several calls, and cuts a value short in silence where its
length runs past the message. Here one pass keeps the octets as they came, and every length must fit exactly into
what holds it: a message that does not is ``Malformed`` and never an entry with less in it. ldap3 still connects,
signs in, sends, and turns every answer but entries into its own terms.
"""

from __future__ import annotations

from typing import Any

import ldap3
from ldap3.strategy.base import RESPONSE_COMPLETE, SESSION_TERMINATED_BY_SERVER
from ldap3.utils.asn1 import decode_message_fast

PAGED_RESULTS = "1.2.840.113556.1.4.319"

_INTEGER, _OCTETS, _SEQUENCE, _SET = 0x02, 0x04, 0x30, 0x31
_ENTRY, _REFERENCE, _INTERMEDIATE = 0x64, 0x73, 0x79
_CONSTRUCTED = 0x20
_SHORT = 0x7F
"""The longest length that is written in one octet."""
_RECEIVE = 65_536
_NAMES = 4_096
"""Attribute names kept in lower case; a directory uses dozens, only ranges are ever new."""


class Malformed(ValueError):  # noqa: N818 - named for what the message is
    """Octets that are no whole BER value (X.690, definite lengths) of the shape that LDAP wants here."""


def length_at(data: bytes, at: int) -> tuple[int, int]:
    """Return (start, stop) of the content whose length is written at ``at``; raises ``IndexError`` where data ends."""
    size = data[at]
    at += 1
    if size <= _SHORT:
        return at, at + size
    octets = size & _SHORT
    # Four octets say up to 4 GB; none is an indefinite length, which LDAP forbids (RFC 4511, 5.1).
    if not 0 < octets <= 4:  # noqa: PLR2004 - said above
        message = f"a length of {octets} octets"
        raise Malformed(message)
    start = at + octets
    if start > len(data):
        raise IndexError
    return start, start + int.from_bytes(data[at:start], "big")


def span(data: bytes, at: int, tag: int, end: int) -> tuple[int, int]:
    """Return (start, stop) of the content of the value at ``at``, which must carry ``tag`` and end by ``end``."""
    if data[at] != tag:
        message = f"tag {data[at]:#04x} where {tag:#04x} belongs"
        raise Malformed(message)
    start, stop = length_at(data, at + 1)
    if stop > end:
        message = "a value is longer than what holds it"
        raise Malformed(message)
    return start, stop


def decode_entry(  # noqa: C901, PLR0912 - one pass in place is the point: a call for each length costs a tenth more
    data: bytes, at: int, end: int, names: dict[bytes, str]
) -> tuple[str, dict[str, list[bytes]]]:
    """Return (DN, lower-case attribute -> raw values) of the SearchResultEntry whose content is ``data[at:end]``.

    ``names`` remembers names in lower case. Values of an attribute that comes twice are joined. Raises ``Malformed``.
    """
    try:
        start, stop = span(data, at, _OCTETS, end)
        dn = data[start:stop].decode(errors="backslashreplace")
        at, last = span(data, stop, _SEQUENCE, end)
        found: dict[str, list[bytes]] = {}
        while at < last:
            # Nearly every length is short: read in place, a call for the others. What runs past its end is seen below.
            size = data[at + 1]
            if data[at] == _SEQUENCE and size <= _SHORT:
                start = at + 2
                at = start + size
            else:
                start, at = span(data, at, _SEQUENCE, last)
            size = data[start + 1]
            if data[start] == _OCTETS and size <= _SHORT:
                start += 2
                stop = start + size
            else:
                start, stop = span(data, start, _OCTETS, at)
            name = names.get(data[start:stop]) or _name(data[start:stop], names)
            size = data[stop + 1]
            if data[stop] == _SET and size <= _SHORT:
                start = stop + 2
                stop = start + size
            else:
                start, stop = span(data, stop, _SET, at)
            if stop != at or at > last:
                message = f"something follows the values of {name}, or they run past its end"
                raise Malformed(message)
            values = found.setdefault(name, [])
            while start < stop:
                size = data[start + 1]
                if data[start] == _OCTETS and size <= _SHORT:  # nearly every value, so without a call
                    here = start + 2
                    start = here + size
                else:
                    here, start = span(data, start, _OCTETS, stop)
                values.append(data[here:start])
            if start != stop:
                message = f"a value of {name} is longer than what holds it"
                raise Malformed(message)
    except IndexError:
        message = "an entry is cut short"
        raise Malformed(message) from None
    if at != end:
        message = "something follows the attributes of an entry"
        raise Malformed(message)
    return dn, found


def require_whole(data: bytes, at: int, end: int) -> None:
    """Raise ``Malformed`` unless ``data[at:end]`` is a sequence of whole values, and so is every constructed one."""
    try:
        while at < end:
            tag = data[at]
            start, at = span(data, at, tag, end)
            if tag & _CONSTRUCTED:
                require_whole(data, start, at)
    except (IndexError, RecursionError):
        message = "an answer is cut short"
        raise Malformed(message) from None


class AnswerReader:
    """Takes the place of the receiving half of a synchronous ldap3 connection, once it is signed in.

    Not earlier: what a server sends before TLS starts must not be waiting here when it has.
    """

    def __init__(self, connection: ldap3.Connection) -> None:
        self._connection = connection
        self._strategy = connection.strategy
        self._data, self._at = b"", 0
        self._names: dict[bytes, str] = {}
        self._strategy._get_response = self.read  # noqa: SLF001 - where ldap3's strategies differ, and we are one more

    def read(self, number: int, timeout: float | None) -> Any:
        """Return the answers to message ``number`` in ldap3's terms; the time-out is the socket's.

        Raises ``Malformed``, and ``OSError`` where the connection breaks.
        """
        del timeout
        found: list[Any] = []
        while self._receive():
            data = self._data
            try:
                start, end = length_at(data, self._at + 1)
                first, at = span(data, start, _INTEGER, end)
                answers = int.from_bytes(data[first:at], "big")
                tag = data[at]
                inner, stop = span(data, at, tag, end)
            except IndexError:
                text = "a message is cut short"
                raise Malformed(text) from None
            if answers == 0:
                break  # the only unsolicited notification there is: a disconnection
            if answers != number:
                text = f"an answer to message {answers} instead of {number}"
                raise Malformed(text)
            require_whole(data, stop, end)
            message, self._at = slice(self._at, end), end
            if tag == _ENTRY:
                dn, attributes = decode_entry(data, inner, stop, self._names)
                found.append({"type": "searchResEntry", "dn": dn, "raw_attributes": attributes})
                continue
            require_whole(data, inner, stop)
            found.append(self._other(data[message]))
            if tag not in {_REFERENCE, _INTERMEDIATE}:
                return [*found, RESPONSE_COMPLETE]
        return SESSION_TERMINATED_BY_SERVER

    def _other(self, message: bytes) -> dict[str, Any]:
        """Turn an answer that is no entry into ldap3's terms; its paging control must be whole inside as well."""
        taken: dict[str, Any] = decode_message_fast(message)  # type: ignore[no-untyped-call] # ldap3 has no types here
        for control in taken["controls"] or ():
            parts = [part[3] for part in control[3]]
            if parts[0] == PAGED_RESULTS.encode():
                start, stop = span(parts[-1], 0, _SEQUENCE, len(parts[-1]))
                require_whole(parts[-1], start, stop)
        answer: dict[str, Any] = self._strategy.decode_response_fast(taken)
        return answer

    def _receive(self) -> bool:
        """Have one whole message at hand; False where the server closed the connection."""
        while (missing := _missing(self._data, self._at)) > 0:
            parts = [self._data[self._at :]]
            while missing > 0:
                received = self._connection.socket.recv(_RECEIVE)
                if not received:
                    return False
                parts.append(received)
                missing -= len(received)
            self._data, self._at = b"".join(parts), 0
        return True


def _missing(data: bytes, at: int) -> int:
    """Return how many octets at least the message that begins at ``at`` still wants."""
    if at < len(data) and data[at] != _SEQUENCE:
        message = f"tag {data[at]:#04x} where a message begins"
        raise Malformed(message)
    try:
        return length_at(data, at + 1)[1] - len(data)
    except IndexError:
        return 1


def _name(raw: bytes, names: dict[bytes, str]) -> str:
    name = raw.decode(errors="backslashreplace").lower()
    if len(names) < _NAMES:
        names[raw] = name
    return name
