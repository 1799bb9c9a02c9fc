"""Correlation measured on a generated estate whose truth is known."""

from __future__ import annotations

from pathlib import Path

from tests.bench.bench_correlation import CLASSES, generate, measure, seal


def test_no_automatic_link_is_wrong_and_what_is_not_linked_is_shown_to_a_person(tmp_path: Path) -> None:
    estate = generate(3_000, seed=11)
    found = measure(estate, seal(estate, tmp_path))
    assert found.wrong == []
    for kind in ("plain", "mistyped name", "guest", "administrator", "recycled address"):
        assert found.right[kind] == found.owned[kind] > 0, kind
    for kind in ("duplicate person", "rehired, new record"):
        assert (found.right[kind], found.named[kind]) == (0, found.owned[kind]), "two records: a case for a person"
    for kind in ("mistyped address", "mistyped number"):
        assert found.right[kind] + found.named[kind] > 0.9 * found.owned[kind], kind
    assert found.right["renamed"] * 2 >= found.owned["renamed"] - 1, "the number outlives the name"
    assert found.right["rehired"] * 2 == found.owned["rehired"], "all but the account that was deleted in between"
    assert set(found.owned) == set(CLASSES)
