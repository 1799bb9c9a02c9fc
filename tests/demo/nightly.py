"""Run the product at an hour of the story: ``python -m tests.demo.nightly INSTANT COMMAND ...``.

The systems record what they did at the story's hours, so the clock of the run must stand there, too.
"""

from __future__ import annotations

import sys
from datetime import datetime, timedelta

from reconciler import clock
from reconciler.cli.main import main


def set_clock(start: datetime) -> None:
    """Let the product's one clock go on from ``start``."""
    began = clock.monotonic()
    clock.now = lambda: start + timedelta(seconds=clock.monotonic() - began)


if __name__ == "__main__":
    set_clock(clock.parse_instant(sys.argv.pop(1)))
    main()
