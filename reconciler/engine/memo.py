"""Keep an evaluation beside its snapshot, so that the same question about an unchanged snapshot is answered by reading.

A kept evaluation is found by the SHA-256 of everything that decides it: the manifest (which holds the digest of every
file), rules, parameters, the declared rows, the instant, the options that matter, DuckDB's version and this product's
own sources. Whatever differs makes another name; a file that is damaged is no answer, and the work is done again. A
replay must prove, and asks ``evaluate`` itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import IO

import duckdb
import msgspec
import pyarrow as pa

from reconciler import __version__
from reconciler.engine.evaluation import evaluate
from reconciler.engine.rule import Rule
from reconciler.engine.workspace import Options
from reconciler.estate.packed import Batch, Packed, batch, together
from reconciler.estate.results import Evaluation, Verdict
from reconciler.snapshot import Snapshot

FOLDER = ".evaluated"
"""Beside the snapshots; it may be deleted at any time."""

KEPT = 3
"""Evaluations that are kept, the last ones used: a night's own, and those of two trials."""

_SUFFIX = ".evaluation"
_DIGEST_BYTES = 32
_LENGTH_BYTES = 8
_SOURCES = ("engine", "estate", "sdk", "snapshot")


def remember(
    snapshot: Snapshot, rules: Sequence[Rule], *, as_of: datetime, options: Options | None = None
) -> Evaluation:
    """Judge a snapshot as ``evaluate`` does, or read what it said when it was asked the same before."""
    options = options or Options()
    folder = snapshot.folder.parent / FOLDER
    path = folder / (name(snapshot, rules, as_of=as_of, options=options) + _SUFFIX)
    known = read(path)
    if known is not None:
        with contextlib.suppress(OSError):
            os.utime(path)
        return known
    evaluation = evaluate(snapshot, rules, as_of=as_of, options=options)
    # What cannot be kept is asked again: a full disk is told by what must be written.
    with contextlib.suppress(OSError):
        write(path, evaluation)
        _forget(folder)
    return evaluation


def name(snapshot: Snapshot, rules: Sequence[Rule], *, as_of: datetime, options: Options) -> str:
    """Return the SHA-256 of everything that decides what an evaluation says."""
    decides = {
        "product": [__version__, _sources(), duckdb.__version__],
        "snapshot": snapshot.manifest.digest,
        "as_of": as_of.astimezone(UTC),
        "options": [
            options.engine,
            options.time_zone,
            list(options.matchers),
            options.plus_addressing,
            {table: list(rows) for table, rows in options.declared.items()},
        ],
        "rules": [_rule(rule) for rule in rules],
    }
    return hashlib.sha256(msgspec.json.encode(decides, order="sorted")).hexdigest()


def read(path: Path) -> Evaluation | None:
    """Return the evaluation that is kept in a file; None where there is none, or the file is damaged."""
    try:
        with path.open("rb") as file:
            if not _sound(file):
                return None
            frames = _frames(file)
            evaluation = msgspec.msgpack.decode(next(frames), type=Evaluation)
            counts = msgspec.msgpack.decode(next(frames), type=list[int])
            results = [
                msgspec.structs.replace(
                    result, verdicts=together([msgspec.msgpack.decode(next(frames), type=Batch) for _ in range(count)])
                )
                for result, count in zip(evaluation.results, counts, strict=True)
            ]
    except (OSError, ValueError, StopIteration, msgspec.MsgspecError, pa.ArrowException):
        return None
    return msgspec.structs.replace(evaluation, results=tuple(results))


def write(path: Path, evaluation: Evaluation) -> None:
    """Keep an evaluation in a file, whole or not at all, that only this account can read."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    bare = [msgspec.structs.replace(result, verdicts=()) for result in evaluation.results]
    batches = [_batches(result.verdicts) for result in evaluation.results]
    digest = hashlib.sha256()
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
        try:
            for value in (
                msgspec.structs.replace(evaluation, results=tuple(bare)),
                [len(each) for each in batches],
                *(one for each in batches for one in each),
            ):
                frame = msgspec.msgpack.encode(value)
                for part in (len(frame).to_bytes(_LENGTH_BYTES, "big"), frame):
                    file.write(part)
                    digest.update(part)
            file.write(digest.digest())
            file.close()
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise


def _rule(rule: Rule) -> Mapping[str, object]:
    return {
        "info": rule.info,
        "sql": rule.sql,
        "params": {param.name: param.value for param in rule.params.values()},
        "reads": [rule.reads, rule.optional, rule.across, rule.needs, sorted(rule.types)],
    }


@cache
def _sources() -> str:
    """Return the SHA-256 of the product's own sources that an evaluation goes through."""
    digest = hashlib.sha256()
    package = Path(__file__).resolve().parents[1]
    for path in sorted(path for part in _SOURCES for path in (package / part).rglob("*.py")):
        digest.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _batches(verdicts: Sequence[Verdict]) -> Sequence[Batch]:
    if isinstance(verdicts, Packed):
        return verdicts.batches
    return [batch(verdicts)] if verdicts else []


def _sound(file: IO[bytes]) -> bool:
    """Say whether a file ends in the SHA-256 of what stands before, and go back to its start."""
    digest = hashlib.sha256()
    left = os.fstat(file.fileno()).st_size - _DIGEST_BYTES
    while left > 0 and (part := file.read(min(left, 1 << 20))):
        digest.update(part)
        left -= len(part)
    sound = left == 0 and file.read() == digest.digest()
    file.seek(0)
    return sound


def _frames(file: IO[bytes]) -> Iterator[bytes]:
    while True:
        yield file.read(int.from_bytes(file.read(_LENGTH_BYTES), "big"))


def _forget(folder: Path) -> None:
    """Delete all but the last evaluations that were used, and what a crash left."""
    found = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found[KEPT:]:
        path.unlink(missing_ok=True)
