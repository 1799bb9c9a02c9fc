"""Every fault at several places of several chains: complete with every row, or partial or failed with the gap named."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.sdk.connector import Status
from reconciler.sdk.secrets import redact
from tests.connectors.entra.conftest import EVERYTHING, Opener, Sealed, pull_whole, sealed, settings
from tests.connectors.entra.test_pull import lively
from tests.simulators.graph.server import SECRET, GraphSimulator
from tests.simulators.http_injection import FaultKind

SLOW = {FaultKind.HANG, FaultKind.DRIP}
SMALL = {"page_size": 3}
HASTY = SMALL | {"read_timeout_seconds": 0.4, "request_timeout_seconds": 1.0}
"""Where an answer never ends; else a busy machine has time."""
PLACES = [
    ("accounts", r"/users\?.*expand=manager", 1),
    ("accounts", r"/users\?.*expand=manager", 2),
    ("accounts", r"/users\?.*expand=manager", 4),
    ("accounts", r"deletedItems/microsoft.graph.user\?", 1),
    ("accounts", r"/servicePrincipals\?", 2),
    ("accounts", r"count", 1),
    ("entitlements", r"/groups\?", 2),
    ("entitlements", r"oauth2PermissionGrants", 1),
    ("grants", r"roleAssignments\?.*principal", 1),
    ("grants", r"roleAssignmentScheduleInstances", 2),
    ("grants", r"roleEligibilityScheduleInstances", 1),
    ("grants", r"batch", 3),
    ("grants", r"oauth2PermissionGrants", 1),
    ("credentials", r"/applications\?", 1),
    ("credentials", r"batch", 1),
    ("events", r"directoryAudits\?.*top=999", 1),
    ("events", r"signIns\?.*top=999", 1),
]
ITEMS = [
    ("grants", r"/members"),
    ("entitlements", r"/owners"),
    ("credentials", r"/authentication/methods"),
    ("grants", r"appRoleAssignedTo"),
    ("grants", r"memberOf"),
]
KINDS = list(FaultKind)
Parts = dict[tuple[str, str], Sealed]


@pytest.fixture(scope="module")
def busy() -> Iterator[GraphSimulator]:
    with GraphSimulator(lively(), roles=EVERYTHING, retry_after=0) as server:
        yield server


@pytest.fixture(scope="module")
def clean() -> dict[str, Parts]:
    """What a pull without faults gives, read once."""
    return {}


async def _whole(busy: GraphSimulator, opened: Opener, folder: Path, clean: dict[str, Parts]) -> Parts:
    if "whole" not in clean:
        busy.faults.clear()
        clean["whole"] = sealed(await pull_whole(opened(busy, **SMALL), settings(busy, **SMALL), folder))
        assert {one.status for one in clean["whole"].values()} == {Status.COMPLETE}
    return clean["whole"]


def _of(whole: Parts, table: str) -> Parts:
    return {part: one for part, one in whole.items() if part[0] == table}


def _judge(found: Parts, whole: Parts) -> None:
    """Hold each part to the promise: whole and all there, or in doubt and said why."""
    assert set(found) >= set(whole) or any(one.status is Status.FAILED for one in found.values())
    for part, one in found.items():
        if one.status is Status.COMPLETE:
            assert one.keys == whole[part].keys, part
        else:
            assert one.gaps, part
            assert all(gap for gap in one.gaps), part


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in SLOW], ids=str)
async def test_a_fault_never_makes_fewer_rows_complete(
    kind: FaultKind, busy: GraphSimulator, opened: Opener, tmp_path: Path, clean: dict[str, Parts]
) -> None:
    whole = await _whole(busy, opened, tmp_path / "whole", clean)
    # Each kind strikes at some of the places, each place is struck by some of the kinds.
    for number in range(3):
        table, path, at = PLACES[(KINDS.index(kind) + 5 * number) % len(PLACES)]
        busy.faults.clear()
        busy.faults.add(kind, path=path, at=at)
        limits = SMALL | {"tables": [table]}
        snapshot = await pull_whole(opened(busy, **limits), settings(busy, **limits), tmp_path / str(number))
        _judge(sealed(snapshot), _of(whole, table))
        for file in snapshot.folder.rglob("*"):
            assert not file.is_file() or SECRET.encode() not in file.read_bytes()


@pytest.mark.parametrize("kind", sorted(SLOW), ids=str)
async def test_a_server_that_never_ends_is_given_up(
    kind: FaultKind, busy: GraphSimulator, opened: Opener, tmp_path: Path, clean: dict[str, Parts]
) -> None:
    whole = await _whole(busy, opened, tmp_path / "whole", clean)
    limits = HASTY | {"tables": ["accounts"]}
    busy.faults.clear()
    busy.faults.add(kind, path=r"/users\?.*expand=manager", at=2)
    found = sealed(await pull_whole(opened(busy, **limits), settings(busy, **limits), tmp_path / "slow"))
    _judge(found, _of(whole, "accounts"))
    assert busy.faults.fired


@pytest.mark.parametrize(
    "kind", [FaultKind.THROTTLED, FaultKind.UNAVAILABLE, FaultKind.RESET_WITHIN, FaultKind.SERVER_ERROR], ids=str
)
async def test_what_passes_is_waited_for(
    kind: FaultKind, busy: GraphSimulator, opened: Opener, tmp_path: Path, clean: dict[str, Parts]
) -> None:
    whole = await _whole(busy, opened, tmp_path / "whole", clean)
    busy.faults.clear()
    for at in (3, 9, 30):
        busy.faults.add(kind, at=at)
    found = sealed(await pull_whole(opened(busy, **SMALL), settings(busy, **SMALL), tmp_path / "again"))
    assert len(busy.faults.fired) == 3
    assert found == whole


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FaultKind.NEXT_MISSING, "the chain of pages ended early"),
        (FaultKind.EMPTY_END, "the chain of pages ended early"),
        (FaultKind.NEXT_FOREIGN, "leads to"),
        (FaultKind.NEXT_REPEATED, "leads back"),
        (FaultKind.DUPLICATED_PAGE, "came before"),
        (FaultKind.FORBIDDEN, "User.Read.All"),
        (FaultKind.EMPTY_BODY, "empty body"),
        (FaultKind.HTML_OK, "text/html"),
        (FaultKind.MALFORMED_JSON, "malformed"),
    ],
    ids=str,
)
async def test_what_does_not_pass_is_named(
    kind: FaultKind, words: str, busy: GraphSimulator, opened: Opener, tmp_path: Path
) -> None:
    busy.faults.clear()
    times = 1 if kind is FaultKind.DUPLICATED_PAGE else None
    busy.faults.add(kind, path=r"/users\?.*expand=manager", at=2, times=times)
    few = SMALL | {"tables": ["accounts"]}
    found = sealed(await pull_whole(opened(busy, **few), settings(busy, **few), tmp_path))
    users = found["accounts", "users"]
    assert users.status is not Status.COMPLETE
    assert words in " ".join(users.gaps)
    if times is None:  # a key that came twice puts the whole table in doubt
        assert found["accounts", "service principals"].status is Status.COMPLETE


@pytest.mark.parametrize("kind", list(FaultKind), ids=str)
async def test_a_fault_in_one_item_of_a_batch_costs_no_other(
    kind: FaultKind, busy: GraphSimulator, opened: Opener, tmp_path: Path, clean: dict[str, Parts]
) -> None:
    whole = await _whole(busy, opened, tmp_path / "whole", clean)
    limits: dict[str, Any] = dict(HASTY if kind in SLOW else SMALL)
    table, path = ITEMS[KINDS.index(kind) % len(ITEMS)]
    limits |= {"tables": [table]}
    busy.faults.clear()
    busy.item_faults.clear()
    busy.item_faults.add(kind, path=path, at=2)
    found = sealed(await pull_whole(opened(busy, **limits), settings(busy, **limits), tmp_path / "found"))
    busy.item_faults.clear()
    _judge(found, _of(whole, table))


async def test_only_the_throttled_items_of_a_batch_are_asked_again(
    busy: GraphSimulator, opened: Opener, tmp_path: Path
) -> None:
    busy.faults.clear()
    busy.item_faults.clear()
    busy.item_faults.add(FaultKind.THROTTLED, path=r"/authentication/methods", at=3)
    before = len(busy.requests)
    given = {"tables": ["credentials"]}
    found = sealed(await pull_whole(opened(busy, **given), settings(busy, **given), tmp_path))
    busy.item_faults.clear()
    assert found["credentials", "authentication methods"].status is Status.COMPLETE
    sizes = [
        request.body.count(b"/authentication/methods")
        for request in busy.requests[before:]
        if b"/authentication/methods" in request.body
    ]
    assert sizes == [11, 1]


async def test_an_expired_page_link_reads_the_part_from_its_start(
    busy: GraphSimulator, opened: Opener, tmp_path: Path
) -> None:
    busy.faults.clear()
    busy.service.lister.expired_pages = True
    few = SMALL | {"tables": ["accounts"], "retry_seconds": 0.5}
    found = sealed(await pull_whole(opened(busy, **few), settings(busy, **few), tmp_path))
    busy.service.lister.expired_pages = False
    users = found["accounts", "users"]
    assert users.status is Status.FAILED
    assert "ExpiredPageToken" in " ".join(users.gaps)


async def test_a_token_that_is_revoked_half_way_is_replaced_once(
    busy: GraphSimulator, opened: Opener, tmp_path: Path, clean: dict[str, Parts]
) -> None:
    whole = await _whole(busy, opened, tmp_path / "whole", clean)
    busy.faults.clear()
    source = opened(busy, **SMALL)
    await source.check()
    busy.tokens.revoke_all()
    found = sealed(await pull_whole(source, settings(busy, **SMALL), tmp_path / "again"))
    assert found == whole


def test_the_planted_secret_is_one_that_would_be_seen() -> None:
    assert redact(SECRET) == SECRET or "[redacted]" in redact(SECRET)
