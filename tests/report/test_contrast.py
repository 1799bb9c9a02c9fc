"""Text stands out from its ground as WCAG AA asks (4.5 to 1), in the light scheme and in the dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import reconciler.report

STYLE = (Path(reconciler.report.__file__).parent / "templates" / "report.css").read_text()
BLOCKS = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
SEVERITIES = ("critical", "high", "medium", "low")
PAIRS = [
    *(("ink", ground) for ground in ("bg", "card", "sunk", "alarm-bg", "plain-bg")),
    *(("soft", ground) for ground in ("bg", "card", "sunk", "alarm-bg")),
    *((name, f"{name}-bg") for name in (*SEVERITIES, "accent", "back", "ok")),
    *((name, "card") for name in (*SEVERITIES, "accent", "back", "ok", "alarm-ink")),
    *(("alarm-ink", ground) for ground in ("alarm-bg", "high-bg")),
]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS)
def test_text_can_be_read(scheme: str, text: str, ground: str) -> None:
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", BLOCKS[0 if scheme == "light" else 1]))
    low, high = sorted((luminance(colours[text]), luminance(colours[ground])))
    assert (high + 0.05) / (low + 0.05) >= 4.5
