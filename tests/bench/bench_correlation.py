"""Link the accounts of a generated estate whose truth is known: precision of automatic links, and recall by class.

Run as ``python -m tests.bench.bench_correlation``. Exits 1 where one automatic link names the wrong person. Two things
nothing could tell apart are not planted: an address that passed, before the first night, to somebody who bears the very
name of its former owner, and a mistyped number of another person on an account that carries nothing else.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler import clock
from reconciler.engine.links import listed
from reconciler.engine.workspace import Options
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Account, Person, Record
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.manifest import CoverageEntry, SourceEntry
from reconciler.snapshot.memory import Memory, RememberedLink
from tests.bench.bench_pull import say

NIGHT = datetime(2026, 3, 1, tzinfo=UTC)
BEGUN = datetime(2025, 6, 1, tzinfo=UTC)
"""When everybody's time here begins; some accounts are ``OLDER``."""
OLDER = datetime(2019, 6, 1, tzinfo=UTC)
CLASSES = (
    "plain",
    "plain",
    "plain",
    "plain",
    "mistyped name",
    "mistyped number",
    "mistyped address",
    "renamed",
    "rehired",
    "rehired, new record",
    "guest",
    "duplicate person",
    "shared mailbox",
    "mailbox of one word",
    "recycled address",
    "address recycled before",
    "recycled to a namesake",
    "administrator",
)
_SOUNDS = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu", "va", "we", "zo")
_OTHER_SOUNDS = ("xx", "yq", "qy", "xy")
"""Of these the names of strangers are made, who are like nobody else."""


@dataclass
class Estate:
    """Rows, and for each account whose it is (nobody: the empty set) and which class it is of."""

    people: list[Person] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)
    remembered: list[RememberedLink] = field(default_factory=list)
    truth: dict[str, tuple[str, frozenset[str]]] = field(default_factory=dict)

    def add(self, kind: str, account: str, *owners: str, **columns: Any) -> None:
        """Add an account of the directory."""
        self.accounts.append(Account(source="dir", account_id=account, **columns))
        self.truth[account] = (kind, frozenset(owners))


def generate(size: int, seed: int = 7) -> Estate:
    """Make ``size`` people and the accounts of each, one class after the other."""
    chance = random.Random(seed)
    estate = Estate()
    for number in range(size):
        _person(estate, chance, number, CLASSES[number % len(CLASSES)])
    chance.shuffle(estate.people)
    chance.shuffle(estate.accounts)
    return estate


def _name(chance: random.Random, sounds: Sequence[str] = _SOUNDS) -> str:
    given, family = ("".join(chance.choices(sounds, k=k)).capitalize() for k in (3, 4))
    return f"{given} {family}"


def _swapped(chance: random.Random, text: str, first: int = 1) -> str:
    at = chance.randrange(first, len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


@dataclass
class Draft:
    """One person and the first account, before they become rows."""

    number: int
    name: str
    shown: str
    address: str
    written: str | None
    code: str
    carried: str | None
    login: str
    owners: list[str]
    created: datetime = BEGUN

    @property
    def odd(self) -> bool:
        """Whether this is every other one of its class: those carry no personnel number."""
        return self.number // len(CLASSES) % 2 == 1


def _person(estate: Estate, chance: random.Random, number: int, kind: str) -> None:
    name, code = _name(chance), f"E{number:07d}"
    login = f"{name.replace(' ', '.')}{number}".lower()
    address = f"{login}@{'home' if kind == 'guest' else 'acme'}.test"
    draft = Draft(number, name, name, address, address, code, code, login, [f"P{number}"])
    if kind.startswith("mistyped"):
        _mistype(chance, draft, kind)
    elif kind in {"renamed", "guest"}:
        _rename(chance, draft, kind)
    elif kind == "rehired":
        draft.carried, draft.created = None if draft.odd else code, OLDER
    elif "mailbox" in kind or "recycled" in kind:
        _take_over(estate, chance, draft, kind)
    known: dict[str, Any] = {"emails": [draft.address], "starts_on": BEGUN.date()}
    estate.people.append(
        Person(person_id=f"P{number}", full_name=draft.name, employee_id=code, department="IT", **known)
    )
    if kind in {"duplicate person", "rehired, new record"}:
        other = code if kind == "duplicate person" else f"N{number:07d}"
        draft.owners.append(f"P{number}-2")
        draft.carried = None
        estate.people.append(Person(person_id=f"P{number}-2", full_name=draft.name, employee_id=other, **known))
    columns = {"display_name": draft.shown, "email": draft.written, "employee_id": draft.carried, "login": draft.login}
    estate.add(kind, f"A{number}", *draft.owners, **columns, status="enabled", created_at=draft.created)
    if kind == "administrator":
        estate.add(
            kind, f"A{number}-adm", f"P{number}", login=f"adm-{login}", employee_id=code, display_name=f"Admin {name}"
        )
    if kind == "rehired":
        estate.add(kind, f"A{number}-old", f"P{number}", login=f"{login}.old", email=address, status="deleted")


def _mistype(chance: random.Random, draft: Draft, kind: str) -> None:
    if kind == "mistyped number":
        draft.carried = _swapped(chance, draft.code)
        return
    draft.carried = None if draft.odd else draft.code
    if kind == "mistyped name":
        draft.shown = _swapped(chance, draft.name)
    else:
        draft.written = _swapped(chance, draft.address)


def _rename(chance: random.Random, draft: Draft, kind: str) -> None:
    if kind == "guest":
        draft.login, draft.written, draft.carried = f"{draft.login}_home.test#EXT#@acme.onmicrosoft.test", None, None
        return
    draft.name = f"{draft.name.split()[0]} {_name(chance).split()[1]}"
    draft.address = f"{draft.name.replace(' ', '.').lower()}{draft.number}@acme.test"
    draft.carried = None if draft.odd else draft.code


def _take_over(estate: Estate, chance: random.Random, draft: Draft, kind: str) -> None:
    draft.carried, draft.owners = None, []
    if kind == "shared mailbox":
        draft.shown = f"Helpdesk Xq{draft.number}"
    elif kind == "mailbox of one word":
        draft.shown, draft.login = "Qyxxy", f"qyxxy{draft.number}"
    elif kind == "recycled to a namesake":
        draft.shown, draft.created = _swapped(chance, draft.name), OLDER
    elif kind == "address recycled before":
        draft.shown = _name(chance, _OTHER_SOUNDS)
    else:
        draft.owners = [f"former-{draft.number}"]
        estate.remembered.append(
            RememberedLink("dir", f"A{draft.number}", draft.owners[0], "linked", "email", 0.9, NIGHT)
        )


def seal(estate: Estate, folder: Path, memory: Memory | None = None) -> Snapshot:
    """Seal the estate as a pull would, with a memory (None: its own)."""
    writer = SnapshotStore(folder).create(estate="bench", as_of=NIGHT, started_at=NIGHT)
    writer.remember(memory or Memory(links=estate.remembered))
    sources: list[SourceEntry] = []
    coverage: list[CoverageEntry] = []
    tables: tuple[tuple[str, str, Sequence[Record]], ...] = (
        ("dir", "accounts", estate.accounts),
        ("hr", "people", estate.people),
    )
    for source, table, rows in tables:
        part = writer.partition(source, table)
        part.write(rows)
        file = part.finish()
        reports = {table: tuple(rows[0].__struct_fields__)}
        sources.append(SourceEntry(name=source, connector="bench", version="1", endpoint="bench://", reports=reports))
        files = (file,) if file else ()
        coverage.append(
            CoverageEntry(source=source, table=table, partition="", status=Status.COMPLETE, rows=len(rows), files=files)
        )
    return Snapshot(writer.seal(sources=sources, coverage=coverage, sealed_at=NIGHT))


@dataclass
class Measured:
    """Accounts by class: how many have an owner, are linked rightly, wrongly (whose), and have the owner proposed."""

    owned: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    named: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def measure(estate: Estate, snapshot: Snapshot) -> Measured:
    """Link, and compare with the truth."""
    found = Measured()
    for link in listed(snapshot, Options()):
        kind, owners = estate.truth[link.account_id]
        found.owned[kind] += bool(owners)
        if link.person_id is None:
            found.named[kind] += bool(owners & set(link.candidates or ()))
        elif link.person_id in owners:
            found.right[kind] += 1
        else:
            found.wrong.append(f"{kind}: {link.account_id} to {link.person_id} by {link.method}")
    return found


def main(arguments: Sequence[str] = ()) -> int:
    """Print precision and recall; 1 where a link is wrong."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--people", type=int, default=100_000)
    size: int = parser.parse_args(arguments).people
    estate = generate(size)
    with tempfile.TemporaryDirectory() as folder:
        snapshot = seal(estate, Path(folder))
        started = clock.now()
        found = measure(estate, snapshot)
        seconds = (clock.now() - started).total_seconds()
    for kind in sorted(set(CLASSES)):
        owned = found.owned[kind]
        rates = (100 * count[kind] / owned for count in (found.right, found.named)) if owned else ()
        told = " % linked, a further ".join(f"{rate:5.1f}" for rate in rates)
        say(f"{kind:<24} {owned:>7,} of people: {told} % shown to a person" if told else f"{kind:<24} nobody's")
    for wrong in found.wrong[:20]:
        say(f"WRONG {wrong}")
    right = found.right.total()
    say(f"{size:,} people, {len(estate.accounts):,} accounts, {seconds:.1f} s (linking, and the reasons of proposals)")
    say(f"precision of automatic links {100 * right / max(right + len(found.wrong), 1):.3f} % of {right:,}")
    say(
        f"recall {100 * right / found.owned.total():.1f} %; with what is shown to a person "
        f"{100 * (right + found.named.total()) / found.owned.total():.1f} %"
    )
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
