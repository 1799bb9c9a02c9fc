"""The record of a nonconformity: what people enter, what is refused, and what history tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from sqlalchemy import update

from reconciler.database.nonconformities import NonconformityRow
from reconciler.errors import ConfigurationError
from reconciler.estate.results import Scope
from reconciler.nonconformity.record import State, Verification
from reconciler.nonconformity.store import NonconformityStore
from tests.findings.nights import night, record, result
from tests.nonconformity.nights import NC, ROLES, Nights, enter_all, evening, verified


def test_a_nonconformity_is_closed_once_every_gate_is_met(url: str) -> None:
    nights = verified(url)
    assert nights.held().state is State.VERIFYING
    assert nights.held().verification == Verification(
        gone_run="run-1",
        gone_at=night(1),
        watch_until=night(4),
        verified_run="run-5",
        verified_at=night(5),
    )
    closed = nights.store.close(NC, by="grace", at=evening(5), reason="The feed works")
    assert (closed.state, closed.closed and closed.closed.by) == (State.CLOSED, "grace")
    dossier = nights.store.show(NC)
    assert all(gate.met for gate in dossier.gates)
    assert dossier.owed is None
    told = [(line.who, line.what) for line in dossier.history if line.what not in {"attached", "detached", "answered"}]
    assert told == [
        ("reconciler", "opened"),
        ("ada", "contained"),
        ("ada", "corrected"),
        ("ada", "analysed"),
        ("ada", "planned"),
        ("ada", "done"),
        ("reconciler", "gone"),
        ("reconciler", "verified"),
        ("grace", "closed"),
    ]
    assert [run.run_id for run in dossier.runs] == ["run-0", "run-1", "run-5"]
    assert {one.account_id: (one.attached_run, one.detached_run) for one in dossier.findings} == {
        "a": ("run-0", "run-1"),
        "b": ("run-0", "run-1"),
    }


def test_each_gate_is_named_until_it_is_met(file: str) -> None:
    nights = Nights(file, grade="major")
    nights.live(0, {"a"})
    store, at = nights.store, evening(0)

    def refused() -> str:
        with pytest.raises(ConfigurationError, match="cannot be closed") as caught:
            store.close(NC, by="grace", at=at, reason="It is fine")
        return caught.value.message

    owed = []
    steps: dict[str, Callable[[], object]] = {
        "containment": lambda: store.contain(NC, by="ada", at=at, text="Sessions ended"),
        "correction": lambda: store.correct(NC, by="ada", at=at, text="Account disabled"),
        "the cause": lambda: store.analyse(NC, by="ada", at=at, method="Fishbone", text="No feed"),
        "corrective action, with": lambda: store.plan(
            NC, by="ada", at=at, text="A feed", owner_role="CISO", due_on=date(2026, 3, 9), known_roles=ROLES
        ),
        "action done: ciso answers for it, due on 2026-03-09": lambda: store.do(NC, by="ada", at=at),
    }
    for gate, enter in steps.items():
        assert gate in refused()
        owed.append((nights.store.show(NC).owed or pytest.fail("nothing is owed")).what)
        enter()
        assert gate not in refused()
    assert owed == ["containment", "correction", "cause", "action", "action done"]
    assert "1 finding stands" in refused()
    assert nights.held().state is State.OPEN
    nights.live(1, None)
    assert "1 finding stands" in refused()
    nights.live(2, set())
    assert nights.held().state is State.VERIFYING
    assert "must see them still gone" in refused()
    nights.live(6, None)
    assert "must see them still gone" in refused()
    nights.live(7, set())
    assert store.close(NC, by="grace", at=at, reason="It is fine").state is State.CLOSED


def test_containment_is_left_to_who_answers_for_a_minor_one(file: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    assert [gate.name for gate in nights.store.show(NC).gates if not gate.met] == [
        "correction",
        "cause",
        "action",
        "verification",
    ]


@pytest.mark.parametrize("name", ["ada", "ADA", " Ada ", "\N{FULLWIDTH LATIN SMALL LETTER A}da"])
def test_who_acted_does_not_close(file: str, name: str) -> None:
    nights = verified(file)
    with pytest.raises(ConfigurationError, match=r"somebody else to close it: .* corrected it and did its action"):
        nights.store.close(NC, by=name, at=evening(5), reason="The feed works")
    assert nights.held().state is State.VERIFYING


def test_who_acted_does_not_close_after_somebody_else_amended_it(file: str) -> None:
    nights = verified(file)
    nights.store.correct(NC, by="mary", at=evening(5), text="Accounts disabled", why="There were two")
    nights.store.do(NC, by="mary", at=evening(0), why="She did it, not ada")
    for name, did in (("ada", "corrected it and did its action"), ("mary", "corrected it and did its action")):
        with pytest.raises(ConfigurationError, match=f"{name} {did}"):
            nights.store.close(NC, by=name, at=evening(5), reason="The feed works")
    assert nights.store.close(NC, by="grace", at=evening(5), reason="The feed works").state is State.CLOSED


def test_an_effect_seen_before_the_action_was_done_is_no_verification(file: str) -> None:
    nights = verified(file)
    done = nights.store.do(NC, by="ada", at=evening(5), why="Only now is it done")
    assert done.verification == Verification(gone_run="run-1", gone_at=night(1), watch_until=night(4))
    with pytest.raises(ConfigurationError, match="must see them still gone"):
        nights.store.close(NC, by="grace", at=evening(5), reason="The feed works")
    nights.live(6, set())
    assert nights.store.close(NC, by="grace", at=evening(6), reason="The feed works").state is State.CLOSED


def test_an_action_that_is_changed_is_to_be_done_anew(file: str) -> None:
    nights = verified(file)
    changed = nights.store.plan(
        NC,
        by="mary",
        at=evening(5),
        text="HR tells IT by a feed",
        owner_role="ciso",
        due_on=date(2026, 3, 31),
        known_roles=ROLES,
        why="An e-mail is forgotten",
    )
    assert changed.state is State.OPEN
    assert changed.action is not None
    assert changed.action.done_at is None
    assert changed.action.text == "HR tells IT by a feed"
    last = nights.store.show(NC).history[-1]
    assert (last.what, last.why) == ("planned", "An e-mail is forgotten")
    assert last.before is not None
    assert (last.before["action"], last.before["action_done_by"]) == ("HR tells IT at once", "ada")


def test_an_amendment_needs_a_reason_and_is_told(file: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    nights.store.correct(NC, by="ada", at=evening(0), text="Account disabled")
    with pytest.raises(ConfigurationError, match="the reason for the change"):
        nights.store.correct(NC, by="mary", at=evening(1), text="Account deleted")
    nights.store.correct(NC, by="mary", at=evening(1), text="Account deleted", why="The directory has no disabling")
    history = nights.store.show(NC).history
    assert [(line.who, line.why) for line in history if line.who != "reconciler"] == [
        ("ada", "Account disabled"),
        ("mary", "The directory has no disabling"),
    ]
    assert history[-1].before == {
        "corrected_by": "ada",
        "corrected_at": "2026-03-01T12:15:00+00:00",
        "correction": "Account disabled",
    }
    assert history[-1].after is not None
    assert history[-1].after["correction"] == "Account deleted"


def test_a_closed_one_takes_nothing_until_it_is_reopened_and_then_owes_everything(url: str) -> None:
    nights = verified(url)
    with pytest.raises(ConfigurationError, match="cannot be reopened: it is not closed but verifying"):
        nights.store.reopen(NC, by="grace", at=evening(5), reason="A mistake")
    nights.store.close(NC, by="grace", at=evening(5), reason="The feed works")
    with pytest.raises(ConfigurationError, match="it is closed") as refused:
        nights.store.correct(NC, by="ada", at=evening(5), text="More", why="More")
    assert f"reopen {NC}" in refused.value.advice
    with pytest.raises(ConfigurationError, match="it is closed already"):
        nights.store.close(NC, by="mary", at=evening(5), reason="Again")
    nights.live(6, set())
    again = nights.store.reopen(NC, by="mary", at=evening(6), reason="The feed lost a day")
    assert (again.state, again.times_reopened, again.correction, again.verification, again.closed) == (
        State.OPEN,
        1,
        None,
        None,
        None,
    )
    assert nights.store.show(NC).history[-1].before is not None
    assert nights.store.show(NC).history[-1].why == "The feed lost a day"
    enter_all(nights, 6, who="grace")
    nights.live(7, set())
    nights.live(11, set())
    # Who had corrected it before it was opened again may close now.
    assert nights.store.close(NC, by="ada", at=evening(11), reason="The feed holds").state is State.CLOSED


def test_findings_that_come_back_open_it_again(file: str) -> None:
    nights = verified(file)
    nights.live(6, {"b"})
    held = nights.held()
    assert (held.state, held.standing, held.findings, held.verification) == (State.OPEN, 1, 2, None)
    with pytest.raises(ConfigurationError, match="1 finding stands"):
        nights.store.close(NC, by="grace", at=evening(6), reason="The feed works")


def test_a_finding_that_the_following_has_not_seen_yet_keeps_it_from_closing(url: str) -> None:
    nights = verified(url)
    nights.live(6, {"b"}, followed=False)
    with pytest.raises(ConfigurationError, match=r"F-\w+ still open, though no longer attached"):
        nights.store.close(NC, by="grace", at=evening(6), reason="The feed works")


def test_one_that_is_open_for_the_same_cause_stands_in_the_way_of_reopening(file: str) -> None:
    nights = verified(file)
    nights.store.close(NC, by="grace", at=evening(5), reason="The feed works")
    nights.live(17, {"a"})
    assert nights.store.show("NC-000002").nonconformity.recurrence_of == NC
    assert nights.store.show(NC).recurred_as == ("NC-000002",)
    with pytest.raises(ConfigurationError, match="NC-000002 is open for the same cause"):
        nights.store.reopen(NC, by="mary", at=evening(6), reason="The feed lost a day")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"wanted": "NC-000002"}, "there is no nonconformity NC-000002"),
        ({"wanted": "F-12"}, "'F-12' is no nonconformity"),
        ({"wanted": "NC-0"}, "is no nonconformity"),
        ({"text": ""}, "the corrective action is missing"),
        ({"text": " \t\n"}, "the corrective action is missing"),
        ({"text": "-"}, "the corrective action is missing"),
        ({"by": "  "}, "nobody acts without a name"),
        ({"by": "Reconciler"}, "no person may act under that name"),
        ({"owner_role": "cisco"}, "no role 'cisco' is known"),
        ({"owner_role": ""}, "no role '' is known"),
        ({"due_on": date(2026, 2, 28)}, "cannot be due on 2026-02-28: that day is past"),
        ({"why": " "}, "the reason is missing"),
    ],
)
def test_a_bad_entry_is_refused_and_changes_nothing(file: str, entry: dict[str, object], said: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    before = nights.store.show(NC)
    whole = {
        "wanted": NC,
        "by": "ada",
        "text": "A feed",
        "owner_role": "ciso",
        "due_on": date(2026, 3, 31),
        "why": None,
    } | entry
    with pytest.raises(ConfigurationError, match=said) as refused:
        nights.store.plan(whole.pop("wanted"), at=evening(0), known_roles=ROLES, **whole)  # type: ignore[arg-type]  # of any kind on purpose
    assert refused.value.advice
    assert nights.store.show(NC) == before


def test_an_unknown_role_is_answered_with_those_known(file: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    with pytest.raises(ConfigurationError) as refused:
        nights.store.plan(
            NC, by="ada", at=evening(0), text="A feed", owner_role="cisso", due_on=date(2026, 3, 31), known_roles=ROLES
        )
    assert refused.value.advice == "did you mean ciso? roles known: ciso, identity-governance-lead"


def test_an_unknown_method_is_answered_with_those_known(file: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    with pytest.raises(ConfigurationError, match="'guess' is no method of cause analysis") as refused:
        nights.store.analyse(NC, by="ada", at=evening(0), method="guess", text="No feed")
    assert "five_whys, fishbone, fault_tree, is_is_not, other" in refused.value.advice


def test_an_action_that_nobody_planned_cannot_be_done(file: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    with pytest.raises(ConfigurationError, match="its action cannot be done; missing"):
        nights.store.do(NC, by="ada", at=evening(0))


def test_an_action_may_be_due_on_the_day_on_which_it_is_planned_there(file: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    at = datetime(2026, 3, 2, 1, tzinfo=UTC).astimezone(timezone(timedelta(hours=-5)))
    planned = nights.store.plan(
        NC, by="ada", at=at, text="A feed", owner_role="ciso", due_on=date(2026, 3, 1), known_roles=ROLES
    )
    assert planned.action is not None
    assert planned.action.due_on == date(2026, 3, 1)


def test_texts_that_no_database_can_hold_are_kept_as_far_as_they_can(url: str) -> None:
    nights = Nights(url)
    nights.live(0, {"a"})
    held = nights.store.correct(NC, by="ada\x00", at=evening(0), text="Account\x00 disabled \udce9")
    assert held.correction is not None
    assert held.correction.text == "Account\N{REPLACEMENT CHARACTER} disabled ?"


def test_the_list_is_filtered(url: str) -> None:
    nights = Nights(url)
    nights.live(0, {"a"})
    listed = nights.store.listed
    for asked in (
        {},
        {"state": "open", "severity": "high", "grade": "minor", "source": "ldap"},
        {"rule": "IG-LVR-001"},
        {"rule": "leaver_can_sign_in"},
        {"owner": "Identity-Governance-Lead"},
        {"overdue": night(7) + timedelta(seconds=1)},
    ):
        assert [held.nc_id for held in listed(**asked)] == [NC], asked
    for asked in ({"state": "closed"}, {"severity": "low"}, {"grade": "major"}, {"owner": "ada"}):
        assert listed(**asked) == [], asked  # type: ignore[arg-type]  # words of several kinds
    assert listed(overdue=night(7)) == []
    nights.store.plan(
        NC, by="ada", at=evening(0), text="A feed", owner_role="ciso", due_on=date(2026, 3, 1), known_roles=ROLES
    )
    assert [held.nc_id for held in listed(overdue=night(1))] == [NC]
    nights.store.do(NC, by="ada", at=evening(0))
    assert listed(overdue=night(1)) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"state": "shut"}, "Invalid enum value 'shut'"),
        ({"grade": "huge"}, "Invalid enum value 'huge'"),
        ({"rule": "IG-XXX"}, "no recorded run has evaluated a rule 'IG-XXX'"),
        ({"source": "aws"}, "no recorded run has evaluated a rule in source 'aws'"),
    ],
)
def test_a_list_is_not_asked_for_by_words_that_mean_nothing(file: str, asked: dict[str, str], said: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    with pytest.raises(ConfigurationError, match=said) as refused:
        nights.store.listed(**asked)  # type: ignore[arg-type]  # words of several kinds
    assert refused.value.advice


def test_what_the_last_run_could_not_read_is_shown(url: str) -> None:
    nights = Nights(url)
    nights.live(0, {"a"})
    [judged] = nights.store.show(NC).judged
    assert (judged.source, judged.unread, judged.last_judged) == ("ldap", (), night(0))
    nights.live(1, None)
    [judged] = nights.store.show(NC).judged
    assert (judged.unread, judged.last_judged) == (("ldap accounts FAILED: does not answer",), night(0))


def test_a_source_that_the_last_run_left_out_was_not_judged(file: str) -> None:
    nights = Nights(file)
    nights.live(0, {"a"})
    record(nights.findings, 1, result(scopes=[Scope(source="aws")]))
    [judged] = nights.store.show(NC).judged
    assert (judged.unread, judged.last_judged) == (("the last run did not evaluate it",), night(0))


def test_the_word_of_a_run_that_could_not_judge_is_not_taken(file: str) -> None:
    nights = verified(file)
    nights.live(6, None)
    with nights.database.writing() as session:
        session.execute(update(NonconformityRow).values(verified_run=4))
    with pytest.raises(ConfigurationError, match="did not judge IG-LVR-001 in ldap"):
        nights.store.close(NC, by="grace", at=evening(5), reason="The feed works")


def test_one_that_never_had_a_finding_is_not_closed(file: str) -> None:
    nights = verified(file)
    with nights.database.writing() as session:
        held = session.get_one(NonconformityRow, 1).model_dump() | {"number": 2, "cause_key": "{}"}
        session.add(NonconformityRow(**held))
    with pytest.raises(ConfigurationError, match="none ever belonged to it"):
        nights.store.close("NC-2", by="grace", at=evening(5), reason="The feed works")


def test_a_store_that_is_empty_lists_nothing(file: str) -> None:
    assert NonconformityStore.open(file).listed() == []
