"""What Microsoft's own generated models say of each type: its property names. No class of theirs is loaded."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

USER_DEFAULTS = [
    "businessPhones",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
]
"""What GET /users gives without $select (api-reference, "List users")."""
_ONLY_SELECTED = {
    "user": None,
    "group": frozenset({"assignedLabels", "assignedLicenses", "licenseProcessingState", "hasMembersWithLicenseErrors"}),
    "servicePrincipal": frozenset({"customSecurityAttributes"}),
}
NOT_IN_LISTS = frozenset(
    [
        "aboutMe",
        "birthday",
        "hireDate",
        "interests",
        "mySite",
        "pastProjects",
        "preferredName",
        "responsibilities",
        "schools",
        "skills",
        "mailboxSettings",
    ]
)
"""Properties of a user that only a single user has: 501 in a listing."""
_CLASS = re.compile(r"^class \w+\((\w+)", re.MULTILINE)
_FIELD = re.compile(r'^            "(@?[\w.]+)": lambda n', re.MULTILINE)


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@cache
def properties(kind: str) -> frozenset[str]:
    """Return every property that the v1.0 metadata has for ``kind`` (user, group, ...), inherited ones too."""
    spec = find_spec("msgraph")
    assert spec is not None
    assert spec.submodule_search_locations
    folder = Path(spec.submodule_search_locations[0]) / "generated" / "models"
    text = (folder / f"{_snake(kind)}.py").read_text(encoding="utf-8")
    found = frozenset(_FIELD.findall(text))
    base = _CLASS.search(text)
    if base is not None and base[1] not in {"AdditionalDataHolder", "Entity"}:
        found |= properties(base[1][0].lower() + base[1][1:])
    return found | {"id"}


def default_view(kind: str, row: dict[str, object]) -> dict[str, object]:
    """Return what a request without $select is given of ``row``."""
    if kind == "user":
        return {name: row.get(name) for name in USER_DEFAULTS}
    hidden = _ONLY_SELECTED.get(kind) or frozenset()
    return {name: value for name, value in row.items() if name not in hidden and not name.startswith("@")}
