"""The little of BER (X.690, definite lengths) that LDAP needs: small, so that thousands of entries are instant."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

INTEGER, OCTETS, ENUMERATED, SEQUENCE, SET = 0x02, 0x04, 0x0A, 0x30, 0x31


@dataclass(frozen=True, slots=True)
class Tlv:
    """One decoded value: its tag, its content octets."""

    tag: int
    content: bytes

    def children(self) -> list[Tlv]:
        """Decode the content as a sequence of values."""
        return list(parse(self.content))

    def integer(self) -> int:
        """Decode the content as a signed integer (also for ENUMERATED and BOOLEAN)."""
        return int.from_bytes(self.content, "big", signed=True)

    def text(self) -> str:
        """Decode the content as UTF-8."""
        return self.content.decode()


def length_at(data: bytes, at: int) -> tuple[int, int] | None:
    """Return (length, offset of the content) of the value whose length starts at ``at``; None where data ends."""
    if at >= len(data):
        return None
    first = data[at]
    if first < 0x80:
        return first, at + 1
    size = first & 0x7F
    if at + 1 + size > len(data):
        return None
    return int.from_bytes(data[at + 1 : at + 1 + size], "big"), at + 1 + size


def parse(data: bytes) -> Iterator[Tlv]:
    """Yield the values in ``data``; raises ``ValueError`` where the last one is cut short."""
    at = 0
    while at < len(data):
        found = length_at(data, at + 1)
        if found is None or found[0] + found[1] > len(data):
            message = "truncated BER value"
            raise ValueError(message)
        length, start = found
        yield Tlv(data[at], data[start : start + length])
        at = start + length


def tlv(tag: int, *parts: bytes) -> bytes:
    """Encode one value from the encoded parts of its content."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    """Encode a signed integer."""
    return tlv(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes | str, tag: int = OCTETS) -> bytes:
    """Encode an octet string; text goes out as UTF-8."""
    return tlv(tag, value.encode() if isinstance(value, str) else value)


def strings(tag: int, values: Iterable[bytes | str]) -> bytes:
    """Encode a sequence or set of octet strings."""
    return tlv(tag, *[octets(value) for value in values])
