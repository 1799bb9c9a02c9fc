"""What is said of a file of 0 bytes, whatever its format."""

from __future__ import annotations

EMPTY = "the file is empty: it has not even a header; the export may have failed"
EMPTY_REMEDY = "Export the file again; a file that is meant to have no rows still names its columns."
