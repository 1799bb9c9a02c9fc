"""Instants name their zone, or are refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler import clock


def test_now_is_aware_and_the_monotonic_clock_does_not_go_back() -> None:
    assert clock.now().tzinfo is UTC
    first = clock.monotonic()
    assert clock.monotonic() >= first


@pytest.mark.parametrize("text", ["2026-03-29T01:30:00Z", "2026-03-29T03:30:00+02:00", " 2026-03-29T01:30:00+00:00 "])
def test_instants_are_read_as_utc(text: str) -> None:
    assert clock.parse_instant(text) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-03-29T01:30:00", "2026-03-29"])
def test_an_instant_without_a_zone_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(ValueError, match="no time zone; write for example"):
        clock.parse_instant(text)


def test_text_that_is_no_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        clock.parse_instant("yesterday")
