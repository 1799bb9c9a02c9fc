"""``make demo``: a made-up company on loopback, one nightly run of the real product, and its report.

Each call is the next night of the same story: what was found last night persists, some of it is mended, something
new goes wrong. ``--blind`` hides a part of the directory from the reader, ``--reset`` starts anew.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.demo.story import NIGHTS, next_night, tell


def main() -> int:
    """Run one night and print what came of it; 0 when the night itself went as it should."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo", description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("demo"), help="where everything is kept (default: demo)")
    parser.add_argument("--reset", action="store_true", help=f"start the story anew; it has {NIGHTS} nights")
    parser.add_argument(
        "--blind",
        action="store_true",
        help="tonight the directory hides a part of itself: nothing there may be resolved",
    )
    given = parser.parse_args()
    try:
        return tell(next_night(given.folder, reset=given.reset, blind=given.blind), sys.stdout)
    except OSError as problem:
        sys.stderr.write(f"error: {problem}\n  Name a folder that may be written: --folder FOLDER\n")
        return 2


if __name__ == "__main__":
    sys.exit(main())
