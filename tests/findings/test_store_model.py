"""The store against a model of a few lines: random nights, told in words, on both databases."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.estate.results import Outcome, Scope, State
from reconciler.findings.store import FindingStore
from tests.findings.nights import blocked, night, record, result, verdict
from tests.servers.postgres import Server

SOURCES = ("ldap", "aws")
ACCOUNTS = ("a", "b")
SAYS = st.sampled_from([Outcome.PASS, Outcome.VIOLATION, Outcome.NOT_EVALUABLE])
ANY = st.fixed_dictionaries(dict.fromkeys(ACCOUNTS, SAYS))
NIGHT = st.fixed_dictionaries(dict.fromkeys(SOURCES, st.sampled_from(["blocked", "absent"]) | ANY))


@dataclass
class Remembered:
    first: int
    since: int
    held: Outcome
    seen: int
    is_open: bool = True
    verified: bool = True
    reopened: int = 0
    changes: list[str] = field(default_factory=lambda: ["opened"])
    last: Outcome = Outcome.PASS


class Model:
    def __init__(self) -> None:
        self.findings: dict[tuple[str, str], Remembered] = {}

    def live(self, number: int, told: dict[str, object]) -> None:
        for source in SOURCES:
            said = told[source]
            for account in ACCOUNTS:
                known = self.findings.get((source, account))
                if isinstance(said, dict):
                    self._hear(number, source, account, said[account])
                elif known is not None:
                    known.verified = False

    def _hear(self, number: int, source: str, account: str, said: Outcome) -> None:
        known = self.findings.get((source, account))
        if known is None:
            if said is not Outcome.PASS:
                self.findings[source, account] = Remembered(number, number, said, number, last=said)
            return
        doubtful = known.is_open and known.held is Outcome.VIOLATION and said is Outcome.NOT_EVALUABLE
        known.verified = not doubtful
        if said is Outcome.PASS:
            if known.is_open:
                known.is_open = False
                known.changes.append("resolved")
            return
        if not known.is_open:
            known.is_open, known.since, known.reopened = True, number, known.reopened + 1
            known.held = said
            known.changes.append("reopened")
        elif said is not known.last:
            known.changes.append("changed")
        if not doubtful:
            known.held, known.seen = said, number
        known.last = said

    def states(self) -> dict[tuple[str, str], tuple[object, ...]]:
        return {
            key: (
                self._state(known),
                known.held,
                known.verified,
                night(known.first),
                night(known.seen),
                known.reopened,
                known.changes,
            )
            for key, known in self.findings.items()
        }

    def _state(self, known: Remembered) -> State:
        if not known.is_open:
            return State.RESOLVED
        if known.seen != known.since:
            return State.PERSISTING
        return State.REOPENED if known.reopened else State.NEW


def stored(store: FindingStore) -> dict[tuple[str, str], tuple[object, ...]]:
    return {
        (str(f.source), str(f.subject["account_id"])): (
            f.state,
            f.verdict,
            f.verified,
            f.first_seen,
            f.last_seen,
            f.times_reopened,
            [change.change for change in store.show(f.finding_id)[1]],
        )
        for f in store.findings()
    }


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=st.lists(NIGHT, min_size=1, max_size=6))
def test_the_store_agrees_with_the_model(
    kind: str, nights: list[dict[str, object]], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    if kind == "sqlite":
        folder: Path = tmp_path_factory.mktemp("model")
        store = FindingStore.open(f"sqlite:///{folder}/reconciler.db")
    else:
        server: Server = request.getfixturevalue("postgres_server")
        store = FindingStore.open(server.url(server.new_database()))
    model = Model()
    for number, told in enumerate(nights):
        scopes, verdicts = [], []
        for source, said in told.items():
            if said == "blocked":
                scopes.append(blocked(source))
            if isinstance(said, dict):
                scopes.append(Scope(source=source))
                verdicts += [verdict(name, outcome, source=source) for name, outcome in said.items()]
        run = record(store, number, result(*verdicts, scopes=scopes))
        model.live(number, told)
        assert stored(store) == model.states()
        listed = store.findings(open_only=True)
        verified = [f.state for f in listed if f.verified]
        assert (run.new, run.persisting, run.reopened) == tuple(
            verified.count(state) for state in (State.NEW, State.PERSISTING, State.REOPENED)
        )
        assert run.unverified == len(listed) - len(verified)
        assert run.resolved == sum(f.resolved_at == run.as_of for f in store.findings(state=State.RESOLVED))
