"""Several people at one nonconformity at once: one of them is first, and nothing of anybody's is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from reconciler.errors import ConfigurationError
from reconciler.nonconformity.record import State
from reconciler.nonconformity.store import NonconformityStore
from tests.nonconformity.nights import NC, Nights, evening, verified


def test_of_two_who_close_one_is_first(url: str) -> None:
    verified(url)

    def close(who: str) -> str:
        try:
            NonconformityStore.open(url).close(NC, by=who, at=evening(5), reason="The feed works")
        except ConfigurationError as error:
            return error.message
        return ""

    with ThreadPoolExecutor(4) as pool:
        said = sorted(pool.map(close, ["grace", "mary", "rose", "joan"]))
    assert said[0] == ""
    assert all("it is closed already" in each for each in said[1:])
    lines = NonconformityStore.open(url).show(NC).history
    assert sum(line.what == "closed" for line in lines) == 1


def test_entries_made_at_once_are_all_told(url: str) -> None:
    nights = Nights(url)
    nights.live(0, {"a"})

    def correct(number: int) -> None:
        NonconformityStore.open(url).correct(NC, by=f"p{number}", at=evening(0), text=f"Try {number}", why="Better")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(correct, range(8)))
    dossier = nights.store.show(NC)
    told = [line for line in dossier.history if line.what == "corrected"]
    assert {line.who for line in told} == {f"p{number}" for number in range(8)}
    assert dossier.nonconformity.correction is not None
    assert dossier.nonconformity.correction.by == told[-1].who
    for earlier, later in pairwise(told):
        assert later.before is not None
        assert earlier.after is not None
        assert later.before["corrected_by"] == earlier.after["corrected_by"]
    assert dossier.nonconformity.state is State.OPEN
