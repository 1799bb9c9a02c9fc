"""The store against a model of a few lines: random nights, told in words, on both databases."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.estate.results import ExceptionState, Outcome, RuleResult, Run, Scope, State, Verdict
from reconciler.findings.store import FindingStore
from tests.findings.nights import blocked, evaluation, night, result, verdict
from tests.servers.postgres import Server

SOURCES = ("ldap", "aws")
ACCOUNTS = ("a", "b")
EXCEPTED = "excepted"
LIMIT = 1
SAYS = st.sampled_from([Outcome.PASS, Outcome.VIOLATION, Outcome.NOT_EVALUABLE, EXCEPTED])
ANY = st.fixed_dictionaries(dict.fromkeys(ACCOUNTS, SAYS))
NIGHT = st.fixed_dictionaries(dict.fromkeys(SOURCES, st.sampled_from(["blocked", "absent"]) | ANY))
READ, UNREAD, OVER = "read", "unread", "over"
NIGHTS = st.lists(st.tuples(NIGHT, st.sampled_from([READ, READ, UNREAD, OVER])), min_size=1, max_size=6)
"""What each night says of each source, and what of the exception: in force, not read, or over."""


@dataclass
class Remembered:
    first: int
    since: int
    held: Outcome
    seen: int
    changes: list[str]
    last: str
    is_open: bool = True
    verified: bool = True
    doubtful: bool = False
    reopened: int = 0
    excepted: bool = False
    waiting: bool = False


class Model:
    def __init__(self) -> None:
        self.findings: dict[tuple[str, str], Remembered] = {}
        self.judged = False

    def live(self, number: int, told: dict[str, object], exception: str) -> None:
        read = exception != UNREAD
        judged = self.judged
        for source in SOURCES:
            said = told[source]
            if isinstance(said, dict):
                ended = {name: Outcome.VIOLATION if what == EXCEPTED else what for name, what in said.items()}
                self._hear_all(number, source, ended if exception == OVER else said, read=read, limited=judged)
                self.judged = True
                continue
            there = [known for account in ACCOUNTS if (known := self.findings.get((source, account)))]
            lapsed = [known for known in there if known.excepted and said == "blocked" and exception == OVER]
            many = len(lapsed) + sum(known.waiting for known in there) > LIMIT
            for known in there:
                known.verified = False
            for known in lapsed:
                known.excepted, known.since, known.waiting = False, number, many
                known.reopened += 1
                known.changes.append("held" if many else "reopened")

    def _hear_all(self, number: int, source: str, said: dict[str, str], *, read: bool, limited: bool) -> None:
        waited = [k for account in ACCOUNTS if (k := self.findings.get((source, account))) and k.waiting]
        fresh = [account for account in ACCOUNTS if self._hear(number, (source, account), said[account], read=read)]
        if limited and fresh and len(fresh) + sum(known.waiting for known in waited) > LIMIT:
            for account in fresh:
                known = self.findings[source, account]
                known.waiting, known.changes[-1] = True, "held"

    def _hear(self, number: int, key: tuple[str, str], said: str, *, read: bool) -> bool:
        """Take in one verdict; return whether it begins a violation that counts as open."""
        if said == EXCEPTED and not read:
            said = Outcome.VIOLATION
        excepted = said == EXCEPTED
        outcome = Outcome.VIOLATION if excepted else Outcome(said)
        known = self.findings.get(key)
        if known is None:
            if outcome is not Outcome.PASS:
                change = "suppressed" if excepted else "opened"
                self.findings[key] = Remembered(number, number, outcome, number, [change], said, excepted=excepted)
            return said == Outcome.VIOLATION
        if outcome is Outcome.PASS:
            if known.is_open:
                known.is_open = known.excepted = known.waiting = False
                known.changes.append("resolved")
            known.verified, known.doubtful = True, False
            return False
        if not known.is_open:
            known.is_open, known.since, known.excepted = True, number, excepted
            known.reopened += not excepted
            known.changes.append("suppressed" if excepted else "reopened")
            return self._see(known, number, said, outcome) and said == Outcome.VIOLATION
        return self._hear_again(known, number, said, outcome, read=read)

    def _hear_again(self, known: Remembered, number: int, said: str, outcome: Outcome, *, read: bool) -> bool:
        """Take in what is said of a finding that is open."""
        excepted = said == EXCEPTED
        if known.excepted and not excepted:
            return self._uncover(known, number, said, outcome, read=read)
        if known.held is Outcome.VIOLATION and outcome is Outcome.NOT_EVALUABLE:
            return self._doubt(known, said)
        new = said == Outcome.VIOLATION and known.held is not outcome
        if excepted and not known.excepted:
            known.excepted, known.waiting = True, False
            known.changes.append("suppressed")
        elif said != known.last:
            known.changes.append("changed")
        return self._see(known, number, said, outcome) and new

    def _uncover(self, known: Remembered, number: int, said: str, outcome: Outcome, *, read: bool) -> bool:
        if not read:
            return self._doubt(known, said)
        known.excepted, known.since = False, number
        known.reopened += 1
        known.changes.append("reopened")
        if outcome is Outcome.VIOLATION:
            return self._see(known, number, said, outcome)
        known.verified, known.doubtful, known.last = False, True, said
        return True

    def _doubt(self, known: Remembered, said: str) -> bool:
        if said != known.last or not known.doubtful:
            known.changes.append("changed")
        known.verified, known.doubtful, known.last = False, True, said
        return False

    def _see(self, known: Remembered, number: int, said: str, outcome: Outcome) -> bool:
        known.held, known.seen, known.last = outcome, number, said
        known.verified, known.doubtful = True, False
        return True

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
        if known.waiting:
            return State.HELD
        if known.excepted:
            return State.SUPPRESSED
        if known.seen > known.since:
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


def spoken(account: str, said: str, source: str, *, covered: bool) -> Verdict:
    if said != EXCEPTED:
        return verdict(account, Outcome(said), source=source)
    found = verdict(account, source=source)
    return msgspec.structs.replace(found, exception="X1", excepted_until=night(99)) if covered else found


def live(store: FindingStore, number: int, found: RuleResult, exception: str) -> Run:
    state = ExceptionState(exception_id="X1", expires_at=night(99), no_effect="revoked" if exception == OVER else "")
    judged = msgspec.structs.replace(
        evaluation(found, number=number),
        exceptions=() if exception == UNREAD else (state,),
        exceptions_unread=("qms: exceptions is FAILED",) if exception == UNREAD else (),
    )
    recorded_at = night(number)
    return store.record(
        judged,
        run_id=f"run-{number}",
        estate="acme",
        coverage=(),
        recorded_at=recorded_at,
        limit=lambda _rule, _scope: LIMIT,
    )


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(nights=NIGHTS)
def test_the_store_agrees_with_the_model(
    kind: str,
    nights: list[tuple[dict[str, object], str]],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> None:
    if kind == "sqlite":
        folder: Path = tmp_path_factory.mktemp("model")
        store = FindingStore.open(f"sqlite:///{folder}/reconciler.db")
    else:
        server: Server = request.getfixturevalue("postgres_server")
        store = FindingStore.open(server.url(server.new_database()))
    model = Model()
    for number, (told, exception) in enumerate(nights):
        scopes, verdicts = [], []
        for source, said in told.items():
            if said == "blocked":
                scopes.append(blocked(source))
            if isinstance(said, dict):
                scopes.append(Scope(source=source))
                verdicts += [spoken(name, what, source, covered=exception == READ) for name, what in said.items()]
        run = live(store, number, result(*verdicts, scopes=scopes), exception)
        model.live(number, told, exception)
        assert stored(store) == model.states()
        listed = store.findings(open_only=True)
        verified = [f.state for f in listed if f.verified]
        assert (run.new, run.persisting, run.reopened) == tuple(
            verified.count(state) for state in (State.NEW, State.PERSISTING, State.REOPENED)
        )
        assert run.suppressed == len(store.findings(state=State.SUPPRESSED))
        assert run.held == len(store.findings(state=State.HELD))
        assert run.unverified == len(listed) - len(verified)
        assert run.resolved == sum(f.resolved_at == run.as_of for f in store.findings(state=State.RESOLVED))
