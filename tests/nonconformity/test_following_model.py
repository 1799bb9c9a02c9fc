"""Whatever nights come: partial pulls move nothing and see nothing gone; whole ones agree with a plain model."""

from __future__ import annotations

import shutil
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.findings.identity import finding_id
from tests.findings.nights import night
from tests.nonconformity.worlds import LEAVER, Said, World

SOURCES = ("aws", "ldap")
ACCOUNTS = ("a", "b", "c")
WATCH = 2


@st.composite
def said(draw: st.DrawFn) -> Said:
    return {source: draw(st.none() | st.sets(st.sampled_from(ACCOUNTS))) for source in draw(st.permutations(SOURCES))}


class Model:
    """What must stand, by source: the findings, since when they are gone, and whether that was verified."""

    def __init__(self) -> None:
        self.standing: dict[str, set[str]] = {source: set() for source in SOURCES}
        self.ever: set[str] = set()
        self.gone: dict[str, int] = {}
        self.verified: set[str] = set()

    def live(self, number: int, told: Said) -> None:
        for source, accounts in told.items():
            if accounts is None:
                continue
            self.standing[source] = {finding(source, account) for account in accounts}
            if self.standing[source]:
                self.ever.add(source)
                self.gone.pop(source, None)
                self.verified.discard(source)
            elif source in self.ever and source not in self.gone:
                self.gone[source] = number
            elif source in self.ever and number >= self.gone[source] + WATCH:
                self.verified.add(source)


def finding(source: str, account: str) -> str:
    return finding_id(LEAVER, {"source": source, "account_id": account})


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, to be copied: to make them takes longer than a night."""
    path = tmp_path_factory.mktemp("empty") / "reconciler.db"
    World(f"sqlite:///{path}")
    return path


@settings(max_examples=20)
@given(st.lists(said(), min_size=2, max_size=7), st.sets(st.integers(0, 5)))
def test_a_run_moves_only_what_it_judged(empty: Path, nights: list[Said], died: set[int]) -> None:
    with TemporaryDirectory() as folder:
        path = Path(shutil.copy(empty, folder))
        world, model = World(f"sqlite:///{path}", watch_days=WATCH), Model()
        for number, told in enumerate(nights):
            before = by_source(world)
            # A night that died before it was followed: what it judged is judged again by the last.
            follows = number not in died or number == len(nights) - 1
            world.live(number, told, follows=follows)
            if not died:
                model.live(number, told)
                assert by_source(world) == {source: found for source, found in model.standing.items() if found}
                check_seen(world, model)
            for source, accounts in told.items():
                if accounts is None or not follows:
                    assert by_source(world).get(source) == before.get(source)
        assert len(world.store.listed()) <= len(SOURCES)
        for one in world.store.listed():
            history = world.show(one.nc_id).history
            assert all(line.who == "reconciler" and line.why and line.run_id for line in history)
            assert [line.at for line in history] == sorted(line.at for line in history)
            assert one.standing == len(by_source(world).get(one.source or "", ()))


def by_source(world: World) -> dict[str, set[str]]:
    source_of = {int(one.nc_id[3:]): one.source or "" for one in world.store.listed()}
    found: defaultdict[str, set[str]] = defaultdict(set)
    for number, finding_id_ in world.standing():
        found[source_of[number]].add(finding_id_)
    return dict(found)


def check_seen(world: World, model: Model) -> None:
    for one in world.store.listed():
        seen = one.verification
        assert one.source is not None
        since = model.gone.get(one.source)
        assert (seen.gone_at if seen else None) == (None if since is None else night(since))
        assert (seen is not None and seen.verified_at is not None) == (one.source in model.verified)
        if seen is not None:
            assert seen.watch_until == seen.gone_at + timedelta(days=WATCH)
