"""Many verdicts in little memory: a large estate has millions, and each is read once or twice, in order.

A verdict is kept as its line of canonical JSON, the same that the digest of an evaluation is made of.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, overload

import msgspec
import pyarrow as pa

from reconciler.estate.results import Verdict

BATCH = 10_000
"""So many verdicts, about, are packed together; what fits into one batch stays as it is."""

_CODEC: Literal["zstd"] = "zstd"
_ENCODER = msgspec.json.Encoder(order="sorted")
_DECODER = msgspec.json.Decoder(Verdict)


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """So many verdicts as compressed lines, the size that these have, and the order in which a subject is named."""

    count: int
    size: int
    data: bytes
    identity: tuple[str, ...]

    def verdicts(self) -> list[Verdict]:
        """Unpack them; ``ValueError`` or ``OSError`` where the bytes are damaged."""
        plain = pa.decompress(self.data, decompressed_size=self.size, codec=_CODEC, asbytes=True)
        found = _DECODER.decode_lines(plain)
        if list(self.identity) != sorted(self.identity):
            for verdict in found:
                subject = {name: verdict.subject[name] for name in self.identity}
                msgspec.structs.force_setattr(verdict, "subject", subject)
        return found


class Packed(Sequence[Verdict]):
    """A tuple of verdicts that unpacks a batch whenever one of it is asked for: iterate rather than index."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        self.batches = tuple(batches)

    def __len__(self) -> int:
        return sum(batch.count for batch in self.batches)

    def __iter__(self) -> Iterator[Verdict]:
        for batch in self.batches:
            yield from batch.verdicts()

    @overload
    def __getitem__(self, at: int) -> Verdict: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Verdict]: ...
    def __getitem__(self, at: int | slice) -> Verdict | Sequence[Verdict]:
        if isinstance(at, slice):
            return tuple(self)[at]
        place = at if at >= 0 else len(self) + at
        for batch in self.batches if place >= 0 else ():
            if place < batch.count:
                return batch.verdicts()[place]
            place -= batch.count
        raise IndexError(at)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Packed | tuple):
            return NotImplemented
        return len(self) == len(other) and all(one == two for one, two in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(self.batches)


def lines(verdicts: Sequence[Verdict]) -> bytes:
    """Return verdicts as lines of canonical JSON."""
    return b"".join(_ENCODER.encode(verdict) + b"\n" for verdict in verdicts)


def batch(verdicts: Sequence[Verdict]) -> Batch:
    """Pack some verdicts of one rule."""
    return compress(len(verdicts), lines(verdicts), tuple(verdicts[0].subject))


def canonical(plain: bytes) -> bytes:
    """Return DuckDB's lines as ``lines`` would have written them: it writes some control characters with capitals."""
    return lines(_DECODER.decode_lines(plain)) if b"\\u00" in plain else plain


def compress(count: int, plain: bytes, identity: tuple[str, ...]) -> Batch:
    """Pack so many verdicts' lines."""
    return Batch(count, len(plain), pa.compress(plain, codec=_CODEC, asbytes=True), identity)


def together(batches: Sequence[Batch]) -> Sequence[Verdict]:
    """Return the verdicts of some batches: as a tuple, where there is no more than one."""
    return Packed(batches) if len(batches) > 1 else tuple(one for each in batches for one in each.verdicts())
