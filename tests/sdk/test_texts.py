from __future__ import annotations

import html

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sdk.texts import fitting, one_line


def test_a_title_is_one_line_no_longer_than_it_may_be() -> None:
    assert one_line(" two\n lines\t ", 9) == "two lines"
    assert one_line("two lines", 8) == "two lin…"


@pytest.mark.parametrize("longest", [100, 101, 1000])
def test_a_text_that_fits_stays_as_it_is(longest: int) -> None:
    assert fitting("x" * longest, longest) == "x" * longest
    cut = fitting("x" * (longest + 1) + "\n\n[m-1]", longest)
    assert len(cut) <= longest
    assert cut.endswith("[m-1]")
    assert "\n\n(cut: " in cut


@given(st.text(alphabet='ab\n&<>"', max_size=3000), st.integers(min_value=100, max_value=500))
def test_whatever_counts_a_text_fits_and_says_what_is_missing(text: str, longest: int) -> None:
    for size in (len, lambda one: len(html.escape(one))):
        made = fitting(text, longest, size)
        assert size(made) <= longest
        assert made == text or "(cut: " in made
