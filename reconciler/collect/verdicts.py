"""What makes a table less than COMPLETE, beyond the errors: counts, canaries, duplicates, unread parents.

Each of these adds a gap; a gap makes a part PARTIAL, and only COMPLETE parts are sealed.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from reconciler.collect.outcome import Part, TableOutcome
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Gap, Status
from reconciler.snapshot.columns import key_columns
from reconciler.snapshot.writer import SnapshotWriter

_NAMED = 3
_VERIFIED = 1_000


def judge_count(part: Part, table: str, may_be_empty: Collection[str] = ()) -> None:
    """Doubt a part that is empty on nobody's word, or that has other rows than its provider counts.

    Where the connector itself has said what it doubts of an empty part, and the remedy, nothing is added; nor where
    the configuration names the table, or this part of it, in ``may_be_empty``.
    """
    if part.total is not None and part.total != part.rows:
        reason = f"the provider counts {part.total} rows and {part.rows} came: the chain ended early or the data moved"
        part.add_gap(Gap(table, "", f"{reason}. Pull again; if it stays, report it as a defect of the connector."))
    elif (
        part.rows == 0
        and part.total is None
        and not part.canaries
        and not _doubted(part, table)
        and not {table, f"{table}/{part.partition.name}"} & set(may_be_empty)
    ):
        part.add_gap(
            Gap(
                table,
                "",
                "zero rows, and neither a canary nor the provider's own count vouches for it. Check that these "
                "credentials may read here, and name in `canaries` an object that must come back; or, where there may "
                "rightly be none, add it to `may_be_empty` of the source, as TABLE or TABLE/PART.",
            )
        )


def _doubted(part: Part, table: str) -> bool:
    return any(gap.table == table and not gap.subject for gap in part.gaps)


def judge_duplicates(outcome: TableOutcome, writer: SnapshotWriter) -> None:
    """Doubt a table in which a key came twice: a page was repeated, and another may have been skipped for it.

    Compares 64-bit hashes first and the keys themselves only where hashes meet, so that ten million rows cost
    80 MB. Frees the hashes.
    """
    parts = [part for part in outcome.parts if part.file is not None]
    hashes = np.concatenate([np.zeros(0, np.int64), *(np.frombuffer(part.keys, np.int64) for part in parts)])
    for part in outcome.parts:
        part.keys = array("q")
    hashes.sort()
    repeated = hashes[1:][hashes[1:] == hashes[:-1]]
    if not len(repeated):
        return
    suspects = set(np.unique(repeated)[:_VERIFIED].tolist())
    names = key_columns(tables()[outcome.table])
    found: Counter[tuple[object, ...]] = Counter()
    for part in parts:
        if part.file is not None:
            for columns in writer.read(part.file, names):
                found.update(key for key in zip(*columns, strict=True) if hash(key) in suspects)
    twice = [key for key, count in found.items() if count > 1]
    if twice:
        shown = "; ".join(" ".join(map(str, key)) for key in twice[:_NAMED])
        outcome.add_gap(
            f"{len(repeated)} rows have a key ({', '.join(names)}) that came before, such as {shown}: a page was "
            "repeated, and others may have been skipped. Pull again; if it stays, correct the source or the connector."
        )


def judge_canaries(outcomes: Sequence[TableOutcome], wanted: Sequence[str]) -> None:
    """Doubt every table of a source where a configured canary came back in none of them.

    A canary may have been in what was not read to its end, so where there is such a part nobody is blamed, and
    it keeps the gap that says why. What was read whole is then in doubt still, for want of the proof, except
    where all of a partition was read and another canary came back in it.
    """
    parts = [(outcome, part) for outcome in outcomes for part in outcome.parts]
    seen = {canary for _, part in parts for canary in part.canaries}
    broken = {part.partition.name for _, part in parts if not part.closed}
    proven = {part.partition.name for _, part in parts if part.canaries} - broken if broken else set()
    unread = ", ".join(sorted({outcome.table for outcome, part in parts if not part.closed}))
    for canary in wanted:
        if canary in seen:
            continue
        reason = (
            f"the canary has not come back; it may be in what could not be read ({unread}). Mend that first: until "
            "then nothing proves that these credentials see all they should."
            if broken
            else "the canary did not come back, so these credentials do not see all they should. Check their rights, "
            "that the object still exists, and that `tables` holds the table that it is in."
        )
        for outcome, part in parts:
            if part.closed and part.partition.name not in proven:
                part.add_gap(Gap(outcome.table, canary, reason))


def judge_fan_out(outcomes: Mapping[str, TableOutcome]) -> None:
    """Doubt a table that was read object by object over an earlier table which itself was not read whole."""
    for outcome in outcomes.values():
        for parent in sorted(outcome.parents):
            above = outcomes.get(parent)
            if above is not None and above.status is not Status.COMPLETE:
                outcome.add_gap(
                    f"it is read over {parent}, which is {above.status}: of what is missing there nothing came"
                )
