"""An evaluation that is kept is read again only where nothing differs that decides what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.engine import Options, Rule, evaluate, load, memo, remember
from reconciler.engine.evaluation import _Digest
from reconciler.estate import packed
from reconciler.estate.packed import Packed, batch, canonical, lines, together
from reconciler.estate.results import Evaluation, Outcome, Verdict
from reconciler.estate.tables import RoleMap
from reconciler.sdk.records import Account, Person
from reconciler.snapshot import Snapshot
from tests.engine.conftest import NIGHT, Read, Seal
from tests.engine.rulebook import write_rule

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def accounts(many: int) -> list[Read]:
    rows = [Account(source="ldap", account_id=f"a{n:03}", can_sign_in=True, created_at=LONG_AGO) for n in range(many)]
    return [Read("ldap", "accounts", rows), Read("hr", "people", [Person(person_id="p1")])]


@pytest.fixture
def rules(tmp_path: Path) -> list[Rule]:
    write_rule(tmp_path / "rules")
    return load([tmp_path / "rules"], locked=False)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name each snapshot that is evaluated rather than read back."""
    asked: list[str] = []

    def counting(snapshot: Snapshot, *args: object, **named: object) -> Evaluation:
        asked.append(snapshot.snapshot_id)
        return evaluate(snapshot, *args, **named)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(memo, "evaluate", counting)
    return asked


def kept(snapshot: Snapshot) -> list[Path]:
    return sorted((snapshot.folder.parent / memo.FOLDER).iterdir())


def test_the_second_evaluation_is_read_and_says_the_same(seal: Seal, rules: list[Rule], counted: list[str]) -> None:
    snapshot = seal(accounts(3))
    first = remember(snapshot, rules, as_of=NIGHT)
    again = remember(Snapshot(snapshot.folder), rules, as_of=NIGHT, options=Options(threads=1, memory_limit_mb=512))
    assert again == first == evaluate(snapshot, rules, as_of=NIGHT)
    assert [verdict.subject["account_id"] for verdict in again.results[0].verdicts] == ["a000", "a001", "a002"]
    assert len(counted) == 1
    (path,) = kept(snapshot)
    assert path.stat().st_mode & 0o077 == 0, "what it holds is as personal as the snapshot"
    assert path.parent.stat().st_mode & 0o077 == 0


def test_many_verdicts_come_back_packed(seal: Seal, rules: list[Rule], counted: list[str]) -> None:
    snapshot = seal(accounts(packed.BATCH + 2_500))
    first = remember(snapshot, rules, as_of=NIGHT)
    again = remember(snapshot, rules, as_of=NIGHT)
    assert isinstance(first.results[0].verdicts, Packed)
    assert isinstance(again.results[0].verdicts, Packed)
    assert again == first
    assert len(counted) == 1


def _grace(rules: list[Rule]) -> list[Rule]:
    return [rule.configured({"age": "P2D"}) for rule in rules]


def _text(rules: list[Rule]) -> list[Rule]:
    return [replace(rule, sql=rule.sql + " and a.account_id <> 'x'") for rule in rules]


@pytest.mark.parametrize("change", [_grace, _text])
def test_a_changed_rule_is_evaluated(
    seal: Seal, rules: list[Rule], counted: list[str], change: Callable[[list[Rule]], list[Rule]]
) -> None:
    snapshot = seal(accounts(1))
    remember(snapshot, rules, as_of=NIGHT)
    remember(snapshot, change(rules), as_of=NIGHT)
    assert len(counted) == 2


@pytest.mark.parametrize(
    "options",
    [
        Options(time_zone="Asia/Tokyo"),
        Options(matchers=("email",)),
        Options(plus_addressing=True),
        Options(declared={"role_maps": [RoleMap(number=1, department="sales", source=None, entitlement="crm")]}),
    ],
)
def test_what_the_configuration_decides_is_evaluated(
    seal: Seal, rules: list[Rule], counted: list[str], options: Options
) -> None:
    snapshot = seal(accounts(1))
    remember(snapshot, rules, as_of=NIGHT)
    remember(snapshot, rules, as_of=NIGHT, options=options)
    assert len(counted) == 2


def test_another_instant_snapshot_engine_or_version_is_evaluated(
    seal: Seal, rules: list[Rule], counted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = seal(accounts(1))
    remember(snapshot, rules, as_of=NIGHT)
    remember(snapshot, rules, as_of=NIGHT + timedelta(seconds=1))
    other = seal(accounts(1))
    remember(other, rules, as_of=NIGHT)
    assert len(counted) == 3
    there = memo.name(snapshot, rules, as_of=NIGHT, options=Options(engine="sc://localhost:1"))
    here = memo.name(snapshot, rules, as_of=NIGHT, options=Options())
    assert there != here
    monkeypatch.setattr("duckdb.__version__", "0.0.0")
    assert memo.name(snapshot, rules, as_of=NIGHT, options=Options()) != here
    monkeypatch.undo()
    monkeypatch.setattr(memo, "_sources", lambda: "other sources")
    assert memo.name(snapshot, rules, as_of=NIGHT, options=Options()) != here


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-40],
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
        lambda _data: b"",
        lambda data: data + b"more",
    ],
    ids=["cut", "altered", "empty", "longer"],
)
def test_a_damaged_file_is_no_answer(
    seal: Seal, rules: list[Rule], counted: list[str], damage: Callable[[bytes], bytes]
) -> None:
    snapshot = seal(accounts(2))
    first = remember(snapshot, rules, as_of=NIGHT)
    (path,) = kept(snapshot)
    path.write_bytes(damage(path.read_bytes()))
    assert remember(snapshot, rules, as_of=NIGHT) == first
    assert len(counted) == 2
    assert memo.read(path) == first, "it is whole again"


def test_only_the_last_ones_used_are_kept(seal: Seal, rules: list[Rule], counted: list[str]) -> None:
    snapshot = seal(accounts(1))
    moments = [NIGHT + timedelta(days=n) for n in range(memo.KEPT + 2)]
    for as_of in moments:
        remember(snapshot, rules, as_of=as_of)
    assert len(kept(snapshot)) == memo.KEPT
    remember(snapshot, rules, as_of=moments[-1])
    assert len(counted) == memo.KEPT + 2


def test_a_folder_that_cannot_be_written_costs_only_the_keeping(
    seal: Seal, rules: list[Rule], counted: list[str]
) -> None:
    snapshot = seal(accounts(1))
    (snapshot.folder.parent / memo.FOLDER).write_text("a file where the folder belongs")
    assert remember(snapshot, rules, as_of=NIGHT) == remember(snapshot, rules, as_of=NIGHT)
    assert len(counted) == 2


def test_a_write_that_fails_leaves_nothing(seal: Seal, rules: list[Rule], monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = seal(accounts(1))
    full = OSError(28, "No space left on device")

    def refuse(_path: Path, _target: Path) -> None:
        raise full

    monkeypatch.setattr(Path, "replace", refuse)
    assert remember(snapshot, rules, as_of=NIGHT).results[0].verdicts
    assert kept(snapshot) == []


def test_packed_verdicts_are_read_as_a_tuple() -> None:
    plain = tuple(
        Verdict(rule_id="R", verdict=Outcome.VIOLATION, subject={"n": str(n)}, reason="so", excepted_until=NIGHT)
        for n in range(7)
    )
    found = together([batch(plain[:3]), batch(plain[3:6]), batch(plain[6:])])
    assert isinstance(found, Packed)
    assert (len(found), [batch.count for batch in found.batches]) == (7, [3, 3, 1])
    assert tuple(found) == plain
    assert found == plain
    assert found != plain[:-1]
    assert found != [*plain]
    assert found == Packed(found.batches)
    assert hash(found) == hash(Packed(found.batches))
    assert (found[0], found[4], found[-1]) == (plain[0], plain[4], plain[-1])
    assert found[2:5] == plain[2:5]
    for outside in (7, -8):
        with pytest.raises(IndexError):
            found[outside]
    assert together([batch(plain)]) == plain
    assert together([]) == ()
    assert packed.BATCH >= 1_000


def test_a_subject_keeps_the_order_of_its_rule() -> None:
    one = Verdict(rule_id="R", verdict=Outcome.VIOLATION, subject={"source": "s", "account_id": "a"}, reason="so")
    assert [list(found.subject) for found in batch([one]).verdicts()] == [["source", "account_id"]]


def test_lines_of_another_hand_are_written_anew() -> None:
    one = Verdict(rule_id="R", verdict=Outcome.VIOLATION, subject={"n": "\x1f"}, reason="so")
    plain = lines([one])
    assert b"\\u001f" in plain
    assert canonical(plain.replace(b"\\u001f", b"\\u001F")) == plain


def test_every_character_is_digested_as_python_writes_it(seal: Seal, rules: list[Rule]) -> None:
    odd = [chr(code) for code in range(1, 0x300)] + ["\u2028", "\ud7ff", "\ue000", "\uffff", "\U0001f600", "\U0010ffff"]
    rows = [
        Account(source="ldap", account_id=f"a{n}{text}", can_sign_in=True, created_at=LONG_AGO)
        for n, text in enumerate(odd)
    ]
    snapshot = seal([Read("ldap", "accounts", rows), Read("hr", "people", [Person(person_id="p1")])])
    found = evaluate(snapshot, rules, as_of=NIGHT)
    (result,) = found.results
    assert {verdict.subject["account_id"] for verdict in result.verdicts} == {row.account_id for row in rows}
    digest = _Digest(NIGHT, ())
    digest.scopes(rules[0], result.scopes)
    digest.lines(lines(result.verdicts))
    assert digest.hexdigest() == found.digest
