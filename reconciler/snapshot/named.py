"""Names as people write them: which person is meant, and which roles there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reconciler.errors import ConfigurationError
from reconciler.snapshot.disk import storing
from reconciler.snapshot.store import Snapshot


def person(snapshot: Snapshot | None, written: str) -> str:
    """Return the person_id of who is meant by an id, a full name or an e-mail address.

    What nobody in the snapshot is called by is returned as it is written: who acts may be in no source, as an outside
    auditor is. Raises ``ConfigurationError`` where several people are called so.
    """
    name = written.strip()
    sought = pa.scalar(name.lower(), pa.string())
    found: set[str] = set()
    for people in _tables(snapshot, "people", ("person_id", "full_name", "emails")):
        if pc.any(pc.equal(people["person_id"], pa.scalar(name, pa.string()))).as_py():
            return name
        for column in ("person_id", "full_name"):
            alike = people.filter(pc.equal(pc.utf8_lower(pc.utf8_trim_whitespace(people[column])), sought))
            found.update(map(str, alike["person_id"].to_pylist()))
        emails = people["emails"].combine_chunks()
        alike = people.take(
            pc.list_parent_indices(emails).filter(pc.equal(pc.utf8_lower(pc.list_flatten(emails)), sought))
        )
        found.update(map(str, alike["person_id"].to_pylist()))
    if len(found) > 1:
        raise ConfigurationError(
            f"{name} may be {' or '.join(sorted(found))}", advice="give the person_id of who is meant"
        )
    return found.pop() if found else written


def roles(snapshot: Snapshot | None) -> set[str]:
    """Return every role that a source reports, held today or not."""
    tables = _tables(snapshot, "role_holders", ("role",))
    return {str(role) for table in tables for role in pc.unique(table["role"]).to_pylist()}


def _tables(snapshot: Snapshot | None, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
    for path in snapshot.files(name) if snapshot else ():
        with storing(path, "read"):
            table = pq.read_table(path, columns=list(columns))
        yield table
