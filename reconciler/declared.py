"""What the organisation declares in its configuration, as rows of the estate that rules read beside the reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from reconciler.estate.tables import ApprovalScope, Conflict, RoleMap
from reconciler.sdk.records import Record, SpecialAccount
from reconciler.settings import Config


def rows(config: Config) -> Mapping[str, Sequence[Record]]:
    """Return the declared rows by table."""
    return {
        "conflicts": list(_conflicts(config)),
        "approval_scope": [
            ApprovalScope(number=n, source=e.source, entitlement=_plain(e.entitlement), approval=e.approval)
            for n, e in enumerate(config.rules.approval_scope, start=1)
        ],
        "role_maps": [
            RoleMap(number=n, department=_plain(e.department), source=e.source, entitlement=_plain(e.entitlement))
            for n, e in enumerate(config.rules.role_maps, start=1)
        ],
        "special_accounts": [SpecialAccount(**entry.model_dump()) for entry in config.special_accounts],
    }


def _conflicts(config: Config) -> Iterator[Conflict]:
    for combination in config.rules.conflicts:
        for side, entries in (("left", combination.left), ("right", combination.right)):
            for number, entry in enumerate(entries, start=1):
                yield Conflict(
                    conflict=combination.name,
                    side=side,  # type: ignore[arg-type]  # one of the two above
                    number=number,
                    source=entry.source,
                    entitlement=_plain(entry.entitlement),
                    why=combination.why,
                )


def _plain(text: str) -> str:
    return text.strip().lower()
