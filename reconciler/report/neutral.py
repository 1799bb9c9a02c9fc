"""Keep a spreadsheet from running what a directory holds."""

from __future__ import annotations

import re
import unicodedata

_STARTERS = frozenset("=+-@")
_QUOTES = frozenset("\"'`")
_PASSED_OVER = frozenset({"Cc", "Cf", "Mn", "Pi", "Pf", "Zs", "Zl", "Zp"})
_CELLS = re.compile(r"[;\t\r\n]+")


def neutral(text: str) -> str:
    """Return the text with an apostrophe before whatever a spreadsheet might take for a formula.

    That is a part whose first character, after spaces, quotes and invisible characters, is ``= + - @`` or a
    full-width, small or raised form of one, and a text that begins with a tab or a line break. Parts begin at
    the start and after ``;``, tab and line breaks, where a spreadsheet set to another separator cuts a cell.
    """
    if text[:1].isalnum() and not _CELLS.search(text):
        return text  # nearly every cell
    if text[:1] in {"\t", "\r", "\n"}:
        text = f"'{text}"
    starts = [0, *(match.end() for match in _CELLS.finditer(text))]
    pieces = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return "".join(f"'{piece}" if _is_formula(piece) else piece for piece in pieces)


def _is_formula(piece: str) -> bool:
    for character in piece:
        plain = unicodedata.normalize("NFKC", character)[:1]
        if plain in _STARTERS:
            return True
        if plain not in _QUOTES and unicodedata.category(character) not in _PASSED_OVER:
            return False
    return False
