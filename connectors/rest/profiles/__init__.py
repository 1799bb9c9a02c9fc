"""Profiles: settings of known services, kept as data beside this module, one TOML file each.

Those here read; those in ``tickets`` file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


def names(kind: str = "") -> list[str]:
    """Return the names of the profiles of a kind: those that read, or ``tickets``."""
    return sorted(path.stem for path in (_FOLDER / kind).glob("*.toml"))


def merged(given: Mapping[str, Any], kind: str = "") -> dict[str, Any]:
    """Return the profile that ``given`` names with its own keys over it; an empty text takes a key away.

    Raises ``ValueError`` where there is no such profile.
    """
    name = given["profile"]
    if name not in names(kind):
        message = f"no such profile: {name!r}; there are {', '.join(names(kind))}"
        raise ValueError(message)
    profile = tomllib.loads((_FOLDER / kind / f"{name}.toml").read_text(encoding="utf-8"))
    return _over(profile, given)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for key, value in above.items():
        lower = found.get(key)
        if value == "" and key in found:
            del found[key]
        elif isinstance(lower, dict) and isinstance(value, dict) and _style(value) in {None, _style(lower)}:
            found[key] = _over(lower, value)
        else:
            found[key] = value
    return found


def _style(part: Mapping[str, Any]) -> Any:
    """Return what kind of paging or credentials a part is: another kind replaces it whole."""
    return part.get("style") or part.get("type")
