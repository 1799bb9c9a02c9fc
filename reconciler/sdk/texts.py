"""Titles and texts of tickets, no longer than their system holds them: what was left out is said."""

from __future__ import annotations

from collections.abc import Callable

_TAIL = 200


def one_line(text: str, longest: int) -> str:
    """Return a title on one line of at most ``longest`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def fitting(text: str, longest: int, size: Callable[[str], int] = len) -> str:
    """Return a text whose ``size`` is ``longest`` at most; of a longer one the middle is left out.

    Its end stays, since a comment ends with its mark. ``longest`` is 100 or more, and ``size`` no more than six for a
    character, beside a frame that is small against ``longest``.
    """
    made, kept, tail = text, len(text), min(_TAIL, longest // 10)
    while (found := size(made)) > longest:
        kept = max(tail, kept * longest // found - 64)
        made = f"{text[: kept - tail]}\n\n(cut: {len(text) - kept} characters)\n\n{text[-tail:]}"
    return made
