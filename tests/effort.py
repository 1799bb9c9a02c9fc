"""How far the tests go: `make test` sets QUICK, and takes minutes; without it they do all they can."""

from __future__ import annotations

import os

QUICK = os.environ.get("QUICK", "") not in {"", "0"}
