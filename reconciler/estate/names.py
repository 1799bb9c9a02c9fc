"""Compare people's names: enough to propose an owner to a person, and to doubt a link; never enough to make one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz import fuzz, process

MOST_ACCOUNTS = 10_000
"""Accounts that are looked at in one evaluation, first by source and id: a name is a hint, not worth the night."""
MOST_PEOPLE = 3_000
"""People who may share a part of a name for it to be looked up by."""
MOST_CANDIDATES = 3
"""People proposed for one account."""
LEAST_SCORE = 85.0
"""How alike two names must be, of 100, to be proposed."""
_AKIN = 75.0
"""How alike two parts of names must be for the names not to be strangers: Byron and Byorn are."""
_TRUST = 0.5
"""How far a name that is the same letter by letter is trusted."""

_PARTS = re.compile(r"[^\W_]+")
_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "þ": "th", "ð": "d"})
_PARTICLES = frozenset(
    ("al", "bin", "da", "das", "de", "del", "den", "der", "di", "do", "dos", "du", "el", "ibn", "la")
)
_PARTICLES |= {"le", "of", "st", "ten", "ter", "the", "van", "vom", "von", "zu", "zur"}
_FEWEST_PARTS = 2
_TELLING = 4
"""Letters of a word that is more than initials."""
_BEGINNING = 3
"""Letters of a name that a login may be made of: ``byrona``, ``adabyr``."""


@dataclass(frozen=True, slots=True)
class Named:
    """An account or a person by its id, with the name and department as the source gave them."""

    id: str
    name: str
    department: str | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A person who may be an account's, how alike the names are (of 100), and the reason in words."""

    person_id: str
    score: float
    reason: str

    @property
    def confidence(self) -> float:
        """How far this is trusted, 0 to 1."""
        return round(_TRUST * self.score / 100, 3)


@lru_cache(maxsize=4_096)
def parts(name: str) -> tuple[str, ...]:
    """Return the parts of a name in alphabetical order, without case, accents, punctuation and particles."""
    if not name.isascii():
        bare = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold()).translate(_LETTERS)
        name = "".join(sign for sign in bare if not unicodedata.combining(sign))
    found = sorted(_PARTS.findall(name.lower()))
    return tuple(part for part in found if part not in _PARTICLES) or tuple(found)


def strangers(one: str, other: str) -> bool:
    """Return whether two full names can hardly be of one person: no part of one is like any of the other.

    False where either is no full name (a single word says nothing) or is not in Latin letters.
    """
    left, right = parts(one), parts(other)
    if min(len(left), len(right)) < _FEWEST_PARTS or not "".join(left + right).isascii():
        return False
    return not any(_akin(a, b) for a in left for b in right)


def same(one: str, other: str) -> bool:
    """Return whether two full names are one, letter by letter; a second given name may be left out of either."""
    left, right = set(parts(one)), set(parts(other))
    return min(len(left), len(right)) >= _FEWEST_PARTS and (left <= right or right <= left)


def impersonal(shown: str, login: str, person: str) -> bool:
    """Return whether an account shows one word, and neither that nor its login has anything of a person's full name.

    ``Helpdesk`` that signs in as ``helpdesk`` is hardly Ada Byron's; ``Addie`` that signs in as ``abyron`` may be.
    False where neither has a word of four Latin letters, or where the person's is no full name.
    """
    words, right = parts(f"{shown} {login.partition('@')[0]}"), parts(person)
    if len(parts(shown)) != 1 or len(right) < _FEWEST_PARTS or not "".join(words + right).isascii():
        return False
    told = [word for word in words if word.isalpha() and len(word) >= _TELLING]
    return bool(told) and not any(
        _akin(word, part) or part[:_BEGINNING] in word for word in told for part in right if len(part) > 1
    )


def closer(name: str, person: str, others: Iterable[str | None]) -> bool:
    """Return whether some other person's name is enough like ``name``, and more like it than ``person``'s is."""
    own = fuzz.ratio(" ".join(parts(name)), " ".join(parts(person)))
    alike = (fuzz.ratio(" ".join(parts(name)), " ".join(parts(other))) for other in others if other is not None)
    return any(score >= LEAST_SCORE and score > own for score in alike)


def _akin(one: str, other: str) -> bool:
    if min(len(one), len(other)) == 1:
        return one[0] == other[0]  # an initial stands for any name that it begins
    return fuzz.ratio(one, other) >= _AKIN


def propose(accounts: Sequence[Named], people: Iterable[Named]) -> dict[tuple[str, str], list[Proposal]]:
    """Return for (source, account) the people whose names are most like, best first; nothing where none is.

    Only people who share a part of the name, or both initials, are compared, and only where not too many do.
    """
    wanted: dict[str, list[int]] = {}
    texts = [parts(account.name) for account in accounts]
    for at, text in enumerate(texts):
        for key in _keys(text):
            wanted.setdefault(key, []).append(at)
    blocks: dict[str, list[tuple[str, Named]]] = {}
    for person in people:
        text = parts(person.name)
        for key in _keys(text):
            if key in wanted:
                blocks.setdefault(key, []).append((" ".join(text), person))
    found: list[dict[str, tuple[float, Named]]] = [{} for _ in accounts]
    for key, block in blocks.items():
        if len(block) <= MOST_PEOPLE:
            for at, score, person in _alike([(at, " ".join(texts[at])) for at in wanted[key]], block):
                found[at][person.id] = (score, person)
    return {
        (account.source, account.id): _best(account, list(fits.values()))
        for account, fits in zip(accounts, found, strict=True)
        if fits
    }


def _keys(text: tuple[str, ...]) -> Iterator[str]:
    """Yield what a full name is looked up by: its parts, and the initials of the first and last of them."""
    if len(text) >= _FEWEST_PARTS:
        yield from dict.fromkeys(part for part in text if len(part) > 1)
        yield f"{text[0][0]} {text[-1][0]}"


def _alike(
    accounts: Sequence[tuple[int, str]], block: Sequence[tuple[str, Named]]
) -> Iterator[tuple[int, float, Named]]:
    choices = [text for text, _ in block]
    for start in range(0, len(accounts), 256):
        some = accounts[start : start + 256]
        scores = process.cdist([text for _, text in some], choices, scorer=fuzz.ratio, score_cutoff=LEAST_SCORE)
        for row, column in zip(*scores.nonzero(), strict=True):
            yield some[row][0], float(scores[row, column]), block[column][1]


def _best(account: Named, fits: Sequence[tuple[float, Named]]) -> list[Proposal]:
    def order(fit: tuple[float, Named]) -> tuple[float, bool, str]:
        return -round(fit[0]), not _same_department(account, fit[1]), fit[1].id

    return [
        Proposal(person.id, float(round(score)), _reason(account, person, score))
        for score, person in sorted(fits, key=order)[:MOST_CANDIDATES]
    ]


def _reason(account: Named, person: Named, score: float) -> str:
    said = f"name {score:.0f} % like {person.name} {person.id}"
    if account.department is None or person.department is None:
        return said
    return f"{said}; department {'the same' if _same_department(account, person) else 'another'}"


def _same_department(account: Named, person: Named) -> bool:
    if account.department is None or person.department is None:
        return False
    return account.department.strip().casefold() == person.department.strip().casefold()
