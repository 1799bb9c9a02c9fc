"""Plain words for figures: the headline, counts, percentages, lists."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from reconciler.estate.results import SEVERITIES
from reconciler.report.seen import CoverageView


def count(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun: ``1 finding``, ``1,204 findings``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def joined(parts: Sequence[str]) -> str:
    """Write a list as prose: ``a, b and c``."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def percent(share: float | None) -> str:
    """Write a share of 1 with one decimal, rounded down so that 100 % means every single one; None: a dash."""
    return "–" if share is None else f"{math.floor(share * 1000 + 1e-9) / 10:.1f} %"


def sentences(counts: Mapping[str, int], seen: CoverageView) -> tuple[str, ...]:
    """Say in a few sentences how the estate stands, the weightiest first, never more than was seen."""
    return tuple(
        part
        for part in (
            _held(counts),
            _standing(counts, seen),
            _movement(counts),
            *_unseen(counts, seen),
            _suppressed(counts),
        )
        if part
    )


def _standing(counts: Mapping[str, int], seen: CoverageView) -> str:
    known = counts["unverified"]
    if counts["verified"]:
        worst = [f"{counts[severity]:,} {severity}" for severity in SEVERITIES if counts[severity]]
        verb = "stands" if counts["verified"] == 1 else "stand"
        stand = f"{count(counts['verified'], 'violation')} {verb}: {joined(worst)}"
        return f"{stand}; {known:,} more {_last_known(known)}." if known else f"{stand}."
    if known:
        where = "" if seen.complete else ", in the part that could be seen"
        return f"No violations were found{where}; {known:,} {_last_known(known)}."
    return "No violations stand." if seen.complete else "No violations are known, in the part that could be seen."


def _held(counts: Mapping[str, int]) -> str:
    number = counts["held"]
    verb = "waits" if number == 1 else "wait"
    return f"{count(number, 'new violation')} {verb} for acceptance: more at once than the limit." if number else ""


def _suppressed(counts: Mapping[str, int]) -> str:
    number = counts["suppressed"]
    return f"{count(number, 'violation')} {'is' if number == 1 else 'are'} suppressed by exceptions." if number else ""


def _last_known(number: int) -> str:
    return f"{'is' if number == 1 else 'are'} last known, not verified by this run"


def _movement(counts: Mapping[str, int]) -> str:
    moves = [
        f"{counts[key]:,} {words[counts[key] != 1]}"
        for key, words in {
            "new": ("is new", "are new"),
            "reopened": ("has come back", "have come back"),
            "resolved": ("was resolved by this run", "were resolved by this run"),
        }.items()
        if counts[key]
    ]
    return f"{joined(moves)}." if moves else ""


def _unseen(counts: Mapping[str, int], seen: CoverageView) -> list[str]:
    said = []
    earlier = counts["not_evaluable_unverified"]
    if counts["not_evaluable"]:
        more = f"; {earlier:,} more {_last_known(earlier)}" if earlier else ""
        said.append(f"{count(counts['not_evaluable'], 'subject')} could not be judged for want of data{more}.")
    elif earlier:
        said.append(f"{count(earlier, 'subject')} without a verdict {_last_known(earlier)}.")
    if not seen.reads:
        said.append("Nothing was read in this run, so nothing can be concluded from it.")
    if not seen.rules:
        said.append("No rule was evaluated, so nothing was judged.")
    if seen.missing:
        said.append(f"{len(seen.missing):,} of {count(len(seen.reads), 'table')} could not be read whole.")
    if seen.blocked:
        rules = len({blocked.rule.rule_id for blocked in seen.blocked})
        said.append(f"{count(rules, 'rule')} could not judge everywhere.")
    return said
