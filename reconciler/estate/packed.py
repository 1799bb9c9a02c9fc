"""Many verdicts in little memory: a large estate has millions, and each is read once or twice, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, overload

import msgspec
import pyarrow as pa

from reconciler.estate.results import Verdict

BATCH = 10_000
"""Verdicts that are packed together; fewer stay as they are."""

_CODEC: Literal["zstd"] = "zstd"
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Verdict])


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """So many verdicts as compressed MessagePack, and the size that this has when it is unpacked."""

    count: int
    size: int
    data: bytes

    def verdicts(self) -> list[Verdict]:
        """Unpack them; ``ValueError`` or ``OSError`` where the bytes are damaged."""
        return _DECODER.decode(pa.decompress(self.data, decompressed_size=self.size, codec=_CODEC, asbytes=True))


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


def pack(verdicts: Iterable[Verdict], *, size: int = BATCH) -> Sequence[Verdict]:
    """Return the verdicts as a tuple, or packed where there are more than ``size``."""
    batches: list[Batch] = []
    waiting: list[Verdict] = []
    for verdict in verdicts:
        if len(waiting) == size:
            batches.append(batch(waiting))
            waiting.clear()
        waiting.append(verdict)
    return Packed([*batches, batch(waiting)]) if batches else tuple(waiting)


def batch(verdicts: Sequence[Verdict]) -> Batch:
    """Pack some verdicts."""
    plain = _ENCODER.encode(verdicts)
    return Batch(len(verdicts), len(plain), pa.compress(plain, codec=_CODEC, asbytes=True))
