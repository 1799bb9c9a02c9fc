"""The record against a model of a few lines: whatever people, nights and time do, no gate is passed."""

from __future__ import annotations

import itertools
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import IntegrityError

from reconciler.errors import ConfigurationError
from reconciler.nonconformity import rows
from reconciler.nonconformity.record import Nonconformity, State, Transition
from reconciler.nonconformity.store import NonconformityStore
from tests.findings.nights import night
from tests.nonconformity.nights import NC, ROLES, WATCH, Nights, evening
from tests.servers.postgres import Server

PEOPLE = st.sampled_from(["ada", "grace"])
CLOSERS = st.sampled_from(["mary", "mary", "grace", "Ada"])
"""Mary never acts, so that she may close."""
REASONS = st.sampled_from([None, "It was not right"])
ENTRIES = ("contain", "correct", "analyse", "plan")
TELL = "INSERT INTO nonconformity_transitions (nonconformity, at, who, what, why) VALUES (1, :at, :who, 'closed', :why)"
CLOSE = "UPDATE nonconformities SET state = 'closed', closed_by = :who, closed_at = :at, closed_reason = :why"


@dataclass
class Model:
    """What must be true of the nonconformity, said without its tables."""

    standing: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)
    acted: set[str] = field(default_factory=set)
    done: datetime | None = None
    gone: datetime | None = None
    seen: datetime | None = None
    closed: bool = False
    opened: int = 1
    left: bool = False
    aside: bool = False

    def live(self, as_of: datetime, accounts: set[str] | None, *, left: bool = False) -> None:
        self.left = left
        if not left:
            self.aside = False
            if accounts is not None:
                self.judge(as_of, accounts)

    def judge(self, as_of: datetime, accounts: set[str]) -> None:
        self.standing = accounts
        if self.closed:
            if accounts:
                self.reopen()
        elif accounts:
            self.gone = self.seen = None
        elif self.gone is None:
            self.gone = as_of
        elif as_of >= self.gone + timedelta(days=WATCH) and (
            self.seen is None or (self.done is not None and self.seen < self.done <= as_of)
        ):
            self.seen = as_of

    def enter(self, entry: str, who: str) -> None:
        self.entered.add(entry)
        if entry == "correct":
            self.acted.add(who)
        if entry == "plan":
            self.done = None

    def do(self, at: datetime, who: str) -> None:
        self.done = at
        self.acted.add(who)

    def may_close(self, who: str, *, major: bool) -> bool:
        owed = {"correct", "analyse", "plan"} | ({"contain"} if major else set())
        watched = self.gone is not None and self.seen is not None and self.seen >= self.gone + timedelta(days=WATCH)
        effect = self.done is not None and self.seen is not None and self.seen >= self.done
        return (
            not self.closed
            and not self.aside
            and owed <= self.entered
            and watched
            and effect
            and who.lower() not in self.acted
        )

    def reopen(self) -> None:
        self.entered, self.acted, self.closed = set(), set(), False
        self.done = self.gone = self.seen = None
        self.opened += 1


class Life(RuleBasedStateMachine):
    """Nights, entries and closes in any order."""

    def __init__(self, new: Callable[[], str], reached: Counter[str]) -> None:
        super().__init__()
        self.reached = reached
        self.url = new()
        self.nights = Nights(self.url, reopen_days=3650)
        self.model = Model()
        self.day = 0
        self.minutes = itertools.count()
        self.told: tuple[Transition, ...] = ()
        self.began = False

    def held(self) -> Nonconformity:
        """Return the nonconformity; reopened within ten years there is only one."""
        [held] = self.nights.store.listed()
        return held

    def at(self) -> datetime:
        """Return an instant after every other one, before the next night."""
        return evening(self.day) + timedelta(seconds=next(self.minutes))

    @initialize(far=st.sampled_from([True, False]), closer=CLOSERS)
    def begin(self, far: bool, closer: str) -> None:
        self.nights.live(0, {"a"})
        self.model.standing = {"a"}
        self.began = True
        if far:
            self.let_it_work("ada", WATCH, closer)

    @rule(days=st.integers(1, 5), accounts=st.sampled_from([None, set(), set(), set(), {"a"}, {"a", "b"}]))
    def live(self, days: int, accounts: set[str] | None) -> None:
        self.day += days
        self.nights.live(self.day, accounts)
        self.model.live(night(self.day), accounts)

    @rule(who=PEOPLE, days=st.integers(1, 5))
    def leave(self, who: str, days: int) -> None:
        """Live a night without the directory in the configuration, and set aside what is not closed."""
        self.day += days
        self.nights.live(self.day, None, left=True)
        self.model.live(night(self.day), None, left=True)
        self.set_aside(who)

    @rule(who=PEOPLE)
    def set_aside(self, who: str) -> None:
        try:
            self.nights.store.set_aside(NC, by=who, at=self.at(), reason="The directory is gone")
        except ConfigurationError:
            assert self.model.closed or self.model.aside or not self.model.left
        else:
            assert self.model.left
            assert not self.model.closed
            assert not self.model.aside
            self.model.aside = True
            self.reached["set aside"] += 1

    @rule(who=PEOPLE)
    def take_up(self, who: str) -> None:
        try:
            self.nights.store.take_up(NC, by=who, at=self.at(), reason="It is not gone")
        except ConfigurationError:
            assert not self.model.aside
        else:
            assert self.model.aside
            self.model.aside = False

    @rule(entry=st.sampled_from(ENTRIES), who=PEOPLE, why=REASONS)
    def enter(self, entry: str, who: str, why: str | None) -> None:
        at = self.at()
        more: dict[str, object] = {}
        if entry == "analyse":
            more = {"method": "five_whys"}
        if entry == "plan":
            more = {"owner_role": "ciso", "due_on": date(2030, 1, 1), "known_roles": ROLES}
        try:
            getattr(self.nights.store, entry)(NC, by=who, at=at, text=f"{entry} by {who}", why=why, **more)
        except ConfigurationError:
            assert self.model.closed or (why is None and entry in self.model.entered)
        else:
            assert not self.model.closed
            assert why is not None or entry not in self.model.entered
            self.model.enter(entry, who)

    @rule(who=PEOPLE, why=REASONS)
    def do(self, who: str, why: str | None) -> None:
        at = self.at()
        try:
            self.nights.store.do(NC, by=who, at=at, why=why)
        except ConfigurationError:
            assert self.model.closed or "plan" not in self.model.entered or (why is None and self.model.done)
        else:
            assert not self.model.closed
            assert "plan" in self.model.entered
            if self.model.seen is not None and self.model.seen < at:
                self.model.seen = None
            self.model.do(at, who)

    @rule(who=PEOPLE)
    def finish(self, who: str) -> None:
        """Enter everything that is owed, as one person would on a good day; random words seldom get there."""
        for entry in ENTRIES:
            self.enter(entry, who, "It was not right")
        self.do(who, "It is done")

    @rule(who=PEOPLE, days=st.integers(1, 5), closer=CLOSERS)
    def let_it_work(self, who: str, days: int, closer: str) -> None:
        """Enter all of it, live two nights without findings, and close it where that may be."""
        self.finish(who)
        self.live(1, set())
        self.live(days, set())
        self.close(closer)

    @rule(who=CLOSERS)
    def close(self, who: str) -> None:
        """Close it, by plain SQL first: the database alone comes to the same answer. That is rolled back."""
        allowed = self.model.may_close(who, major=self.held().grade == "major")
        assert self._closes_by_hand(who) == allowed
        try:
            self.nights.store.close(NC, by=who, at=self.at(), reason="It works")
        except ConfigurationError:
            assert not allowed
        else:
            assert allowed
            self.model.closed = True
            self.reached["closed"] += 1

    def _closes_by_hand(self, who: str) -> bool:
        said = {"who": who, "at": self.at().isoformat(timespec="microseconds"), "why": "By hand"}
        with create_engine(self.url, poolclass=NullPool).connect() as connection:
            try:
                connection.execute(text(TELL), said)
                connection.execute(text(CLOSE), said)
            except IntegrityError:
                return False
            finally:
                connection.rollback()
        return True

    @rule(who=PEOPLE)
    def reopen(self, who: str) -> None:
        try:
            self.nights.store.reopen(NC, by=who, at=self.at(), reason="It does not work")
        except ConfigurationError:
            assert not self.model.closed
        else:
            assert self.model.closed
            self.model.reopen()

    @invariant()
    def it_stands_as_the_model_says(self) -> None:
        if not self.began:
            return
        with self.nights.database.reading() as session:
            history = tuple(rows.transitions(session, 1))
        held = self.held()
        assert (held.state is State.CLOSED) == self.model.closed
        assert (held.state is State.SET_ASIDE) == self.model.aside
        assert held.times_reopened == self.model.opened - 1
        assert held.standing == len(self.model.standing)
        assert (held.verification is None) == (self.model.gone is None)
        if held.state is State.VERIFYING:
            assert {"correct", "analyse", "plan"} <= self.model.entered
            assert self.model.done is not None
            assert self.model.gone is not None
        assert history[: len(self.told)] == self.told, "history only grows"
        assert all(line.who and line.what and line.why and line.at.tzinfo for line in history)
        assert sum(line.what == "closed" for line in history) == self.model.opened - (not self.model.closed)
        self.told = history


def test_no_path_closes_one_past_a_gate(tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    NonconformityStore.open(f"sqlite:///{empty}")
    numbers = itertools.count()

    def new() -> str:
        path = tmp_path / f"{next(numbers)}.db"
        shutil.copy(empty, path)
        return f"sqlite:///{path}"

    reached = _run(new, examples=12)
    assert reached["closed"], f"it proves little: {reached}"
    assert reached["set aside"], f"it proves little: {reached}"


def test_no_path_closes_one_past_a_gate_on_postgresql(postgres_server: Server) -> None:
    _run(lambda: postgres_server.url(postgres_server.new_database()), examples=3)


def _run(new: Callable[[], str], *, examples: int) -> Counter[str]:
    reached: Counter[str] = Counter()

    class OfThis(Life):
        def __init__(self) -> None:
            super().__init__(new, reached)

    run_state_machine_as_test(OfThis, settings=settings(max_examples=examples, stateful_step_count=15))
    return reached
