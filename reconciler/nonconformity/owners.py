"""Who answers: a governance role, its present holder, and the role that a vacant one goes up to.

What is not known changes nothing: an owner stays who it was while holders of roles could not be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from reconciler.snapshot.people import Holders


class Answer(msgspec.Struct, frozen=True):
    """Who answers now, by person_id; the role that it went up to; and why either is otherwise than it was."""

    owner: str | None
    escalated_to: str | None
    why: str = ""
    vacant: bool = False
    """Whether it went up because nobody holds the role below."""


def above(role: str, escalate_to: Sequence[str], holders: Holders) -> str | None:
    """Return the next role up that is not known to be vacant; None where there is none.

    A role that is one of ``escalate_to`` goes up to those after it, any other to the first.
    """
    plain = [_plain(each) for each in escalate_to]
    first = plain.index(_plain(role)) + 1 if _plain(role) in plain else 0
    return next((each for each in escalate_to[first:] if not holders.vacant(each)), None)


def answer(
    owner_role: str,
    *,
    holders: Holders,
    escalate_to: Sequence[str],
    owner: str | None = None,
    escalated_to: str | None = None,
    for_vacancy: bool = False,
) -> Answer:
    """Return who answers for what belongs to ``owner_role``.

    Its holder does; where it is vacant, the holder of the role that it went up to, and where it went up to none or to
    one that is vacant too, it goes up further. ``owner`` and ``escalated_to`` are how it stood, ``for_vacancy`` says
    that it went up because the role was vacant: then it comes down again when somebody holds it.
    """
    if holders.unknown:
        return Answer(owner, escalated_to)
    holder = holders.holder(owner_role)
    if holder is not None:
        if for_vacancy and escalated_to is not None:
            return Answer(holder, None, f"role {owner_role} is held again")
        return Answer(holder, escalated_to, f"{holder} holds role {owner_role}" if holder != owner else "")
    if escalated_to is not None and not holders.vacant(escalated_to):
        holder = holders.holder(escalated_to)
        why = f"role {owner_role} is vacant; {holder} holds role {escalated_to}, which it went up to"
        return Answer(holder, escalated_to, why if holder != owner else "")
    up = above(escalated_to or owner_role, escalate_to, holders)
    vacant = f"role {owner_role} is vacant" + (f", and so is {escalated_to}" if escalated_to else "")
    if up is None:
        return Answer(None, escalated_to, f"{vacant}, and no role above it is held")
    return Answer(holders.holder(up), up, f"{vacant}: it goes up to {up}", vacant=True)


def _plain(role: str) -> str:
    return role.strip().lower()
