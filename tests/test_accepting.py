"""How long an accepted risk holds."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from reconciler.accepting import end_of
from reconciler.settings import load


@pytest.mark.parametrize(
    ("zone", "day", "last"),
    [
        ("UTC", date(2026, 3, 31), datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)),
        ("America/New_York", date(2026, 3, 31), datetime(2026, 4, 1, 3, 59, 59, tzinfo=UTC)),
        ("Europe/Amsterdam", date(2026, 3, 28), datetime(2026, 3, 28, 22, 59, 59, tzinfo=UTC)),
        ("Europe/Amsterdam", date(2026, 3, 29), datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC)),
        ("UTC", date(2028, 2, 29), datetime(2028, 2, 29, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_a_last_day_is_within_and_the_midnight_after_it_is_not(
    tmp_path: Path, zone: str, day: date, last: datetime
) -> None:
    path = tmp_path / "reconciler.toml"
    path.write_text(f'[estate]\nname = "acme"\ntime_zone = "{zone}"\n[sources.hr]\nconnector = "files"\npath = "hr"\n')
    (tmp_path / "hr").mkdir()
    assert end_of(load(path), day).astimezone(UTC) == last
