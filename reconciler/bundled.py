"""Find the folders that ship beside the package: connectors, rules, config."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def root(kind: str) -> Path:
    """Return the folder of ``kind``: inside an installed wheel, else in the checkout beside the package."""
    installed = _PACKAGE / "_bundled" / kind
    if installed.is_dir():
        return installed
    checkout = _PACKAGE.parent
    if (checkout / "pyproject.toml").is_file() and (checkout / kind).is_dir():
        return checkout / kind
    message = f"reconciler is packaged wrongly: no {kind!r} folder in {_PACKAGE / '_bundled'} or {checkout}"
    raise RuntimeError(message)
