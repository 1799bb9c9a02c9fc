"""Whatever breaks, at whichever page: every row, or a gap that says so; never fewer rows called complete."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from connectors.okta.source import OktaSource
from reconciler.sdk.connector import Partition, Status
from reconciler.sdk.errors import Misbehaved
from reconciler.snapshot.store import Snapshot
from tests.connectors.okta.conftest import pulled, read
from tests.simulators.http_injection import FaultKind
from tests.simulators.okta.server import TOKEN, OktaSimulator
from tests.simulators.okta.small import small_org

Rows = dict[tuple[str, str], set[tuple[Any, ...]]]

PLACES = {
    "users": ("accounts", r"^/api/v1/users\?.*sortOrder=asc"),
    "newest user": ("accounts", r"^/api/v1/users\?.*sortOrder=desc"),
    "factors": ("accounts", r"/factors$"),
    "groups": ("entitlements", r"^/api/v1/groups\?.*sortOrder=asc"),
    "rules": ("entitlements", r"^/api/v1/groups/rules"),
    "apps": ("entitlements", r"^/api/v1/apps\?"),
    "custom roles": ("entitlements", r"^/api/v1/iam/roles"),
    "members": ("grants", r"^/api/v1/groups/[^/]+/users"),
    "app users": ("grants", r"^/api/v1/apps/[^/]+/users"),
    "administrators": ("grants", r"^/api/v1/iam/assignees"),
    "roles": ("grants", r"^/api/v1/users/[^/]+/roles"),
    "secrets": ("credentials", r"/secrets$"),
    "refresh tokens": ("credentials", r"^/api/v1/apps/[^/]+/tokens"),
    "api tokens": ("credentials", r"^/api/v1/api-tokens"),
    "log": ("events", r"^/api/v1/logs\?.*ASCENDING"),
}
PASSING = {
    FaultKind.UNAUTHORIZED,
    FaultKind.FORBIDDEN,
    FaultKind.THROTTLED,
    FaultKind.THROTTLED_SILENT,
    FaultKind.SERVER_ERROR,
    FaultKind.BAD_GATEWAY_HTML,
    FaultKind.UNAVAILABLE,
    FaultKind.GATEWAY_TIMEOUT,
    FaultKind.EMPTY_BODY,
    FaultKind.HTML_OK,
    FaultKind.MALFORMED_JSON,
    FaultKind.WRONG_TYPE,
    FaultKind.CUT_BY_LENGTH,
    FaultKind.CUT_CHUNKED,
    FaultKind.RESET_BEFORE,
    FaultKind.RESET_WITHIN,
    FaultKind.EMPTY_PAGE,
    FaultKind.EMPTY_END,
    FaultKind.NEXT_MISSING,
    FaultKind.NEXT_REPEATED,
    FaultKind.NEXT_FOREIGN,
    FaultKind.DUPLICATED_PAGE,
    FaultKind.REORDERED_PAGE,
    FaultKind.OVERLAPPING_PAGE,
}
CANARY = "ann@example.test"
SMALL = {"page_size": 3, "event_page_size": 2, "parallel_calls": 2, "concurrency": 2}


def rows_of(snapshot: Snapshot) -> Rows:
    """Return the sealed rows of each part."""
    found: Rows = {}
    for entry in snapshot.manifest.coverage:
        rows = found.setdefault((entry.table, entry.partition), set())
        for file in entry.files:
            rows |= {tuple(row.values()) for row in pq.read_table(snapshot.folder / file.path).to_pylist()}
    return found


@pytest.fixture(scope="module")
def paged() -> Iterator[OktaSimulator]:
    """Serve the small org in pages of three."""
    with OktaSimulator(small_org(), page_size=3) as simulator:
        yield simulator


@pytest.fixture(scope="module")
def whole(paged: OktaSimulator, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """Return all rows of the org, read without a fault."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OKTA_TEST_TOKEN", TOKEN)
        snapshot = asyncio.run(pulled(paged, tmp_path_factory.mktemp("whole"), canaries=[CANARY], **SMALL))
    assert {entry.status for entry in snapshot.manifest.coverage} == {Status.COMPLETE}
    return rows_of(snapshot)


@pytest.mark.parametrize("kind", sorted(PASSING))
async def test_a_fault_anywhere_is_never_fewer_rows_called_complete(
    kind: FaultKind, paged: OktaSimulator, whole: Rows, tmp_path: Path
) -> None:
    # One fault in each list at once, at another page of each: what it may not do is the same everywhere.
    throttled = {FaultKind.THROTTLED, FaultKind.THROTTLED_SILENT}  # each is really waited for
    for turn in range(1 if kind in throttled else 2):
        paged.faults.clear()
        for number, (_, path) in enumerate(PLACES.values()):
            paged.faults.add(kind, path=path, at=1 + (number + 2 * turn) % 4)
        snapshot = await pulled(paged, tmp_path / str(turn), canaries=[CANARY], **SMALL)
        found = rows_of(snapshot)
        unknown = {name.partition(".")[0] for source in snapshot.manifest.sources for name in source.unknown}
        for entry in snapshot.manifest.coverage:
            place = (entry.table, entry.partition)
            if entry.status is not Status.COMPLETE:
                assert entry.gaps, place
            elif entry.table not in unknown:
                assert found[place] == whole[place], place
            else:  # a column was withdrawn, in words: the rows are all there
                assert len(found[place]) == len(whole[place]), place


async def test_a_users_list_that_always_ends_early_is_partial(paged: OktaSimulator, tmp_path: Path) -> None:
    paged.faults.clear()
    paged.faults.add(FaultKind.NEXT_MISSING, path=r"^/api/v1/users\?.*sortOrder=asc", times=None)
    snapshot = await pulled(paged, tmp_path, tables=["accounts"], **SMALL)
    users = next(entry for entry in snapshot.manifest.coverage if entry.partition == "users")
    assert users.status is Status.PARTIAL
    assert "ended before its newest object" in users.gaps[0].reason
    assert not users.files


async def test_members_that_always_end_early_are_partial(paged: OktaSimulator, tmp_path: Path) -> None:
    paged.faults.clear()
    paged.faults.add(FaultKind.NEXT_MISSING, path=r"^/api/v1/groups/[^/]+/users", times=None)
    snapshot = await pulled(paged, tmp_path, tables=["grants"], **SMALL)
    members = next(entry for entry in snapshot.manifest.coverage if entry.partition == "group members")
    assert members.status is Status.PARTIAL
    assert any("Okta counts" in gap.reason and gap.subject == "00g1simeveryone00000" for gap in members.gaps)


async def test_a_log_that_always_ends_early_is_partial(paged: OktaSimulator, tmp_path: Path) -> None:
    paged.faults.clear()
    paged.faults.add(FaultKind.NEXT_MISSING, path=r"^/api/v1/logs\?.*ASCENDING", times=None)
    snapshot = await pulled(paged, tmp_path, tables=["events"], **SMALL)
    (log,) = snapshot.manifest.coverage
    assert log.status is Status.PARTIAL
    assert "the log ended before its newest event" in log.gaps[0].reason


async def test_the_token_never_goes_to_another_host(paged: OktaSimulator, opened: Callable[..., OktaSource]) -> None:
    paged.faults.clear()
    paged.faults.add(FaultKind.NEXT_FOREIGN, path=r"^/api/v1/apps\?", times=None)
    source = opened(paged, **SMALL)
    with pytest.raises(Misbehaved, match="another origin"):
        await source.page("entitlements", Partition("apps"), None)


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.DRIP])
async def test_a_server_that_hangs_or_drips_is_given_up_in_time(
    kind: FaultKind, paged: OktaSimulator, tmp_path: Path
) -> None:
    paged.faults.clear()
    paged.faults.add(kind, path=r"^/api/v1/api-tokens", times=None)
    snapshot = await pulled(
        paged, tmp_path, tables=["credentials"], request_timeout_seconds=0.2, factors=False, retry_seconds=0, **SMALL
    )
    assert snapshot.status("okta", "credentials") is not Status.COMPLETE


@pytest.mark.parametrize("field", ["status", "profile", "created", "profile.login"])
@pytest.mark.parametrize("kind", [FaultKind.FIELD_MISTYPED, FaultKind.FIELD_MISSING, FaultKind.UNKNOWN_VALUE])
async def test_an_object_of_an_unknown_form_keeps_its_row_and_is_named(
    kind: FaultKind, field: str, paged: OktaSimulator, opened: Callable[..., OktaSource]
) -> None:
    paged.faults.clear()
    paged.faults.add(kind, path=r"^/api/v1/users\?.*sortOrder=asc", field=field)
    found = await read(opened(paged, factors=False, **SMALL), "accounts", "users")
    assert len(found.rows) == 16
    if kind is FaultKind.FIELD_MISTYPED:
        assert found.gaps
    if kind is FaultKind.UNKNOWN_VALUE and field == "status":
        strange = [row for row in found.rows if row.status is None]
        assert strange
        assert {(row.raw_status, row.can_sign_in) for row in strange} == {("SOMETHING_NEW", None)}
        assert not found.gaps


async def test_objects_without_an_id_are_gaps_not_rows(paged: OktaSimulator, opened: Callable[..., OktaSource]) -> None:
    paged.faults.clear()
    paged.faults.add(FaultKind.FIELD_MISSING, path=r"^/api/v1/apps\?", field="id", times=None)
    found = await read(opened(paged), "entitlements", "apps")
    assert not found.rows
    assert "cannot be kept" in found.gaps[0].reason
