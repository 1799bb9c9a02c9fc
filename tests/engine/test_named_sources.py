"""Rules on governance records that name systems, also those of which nothing else was read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from reconciler.engine import evaluate, load
from reconciler.estate.results import Scope
from reconciler.sdk.records import Review
from tests.engine.conftest import NIGHT, Read, Seal

RULES = Path(__file__).parents[2] / "rules" / "recertification"


def overdue(review_id: str, source: str) -> Review:
    return Review(
        review_id=review_id,
        source=source,
        account_id="u1",
        entitlement_id="g1",
        decision="undecided",
        due_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def judged(seal: Seal, tmp_path: Path, name: str) -> list[Scope]:
    folder = tmp_path / "rules" / "recertification"
    folder.mkdir(parents=True)
    for suffix in (".sql", ".toml"):
        (folder / f"{name}{suffix}").write_bytes((RULES / f"{name}{suffix}").read_bytes())
    snapshot = seal([Read("qms", "reviews", [overdue("R-1", "ldap"), overdue("R-2", "sap"), overdue("R-3", "sap")])])
    (result,) = evaluate(snapshot, load([folder.parent], locked=False), as_of=NIGHT).results
    return list(result.scopes)


def test_a_record_is_judged_for_the_system_that_it_names_where_nothing_of_that_system_is_needed(
    seal: Seal, tmp_path: Path
) -> None:
    found = {scope.source: (scope.population, scope.violations) for scope in judged(seal, tmp_path, "review_overdue")}
    assert found == {"ldap": (1, 1), "sap": (2, 2), None: (0, 0)}


def test_a_record_is_not_judged_where_the_system_that_it_names_was_not_read(seal: Seal, tmp_path: Path) -> None:
    scopes = judged(seal, tmp_path, "revoked_in_review_still_held")
    assert all(scope.blocked for scope in scopes)
    assert "sap does not report grants" in next(scope for scope in scopes if scope.source == "sap").blocked
