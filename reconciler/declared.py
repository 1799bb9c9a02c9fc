"""What the organisation declares in its configuration, as rows of the estate that rules read beside the reported."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from reconciler import controls
from reconciler.bundled import root
from reconciler.estate.tables import ApprovalScope, Conflict, Control, ControlRule, NamedRole, RoleMap
from reconciler.sdk.records import Record, SpecialAccount
from reconciler.settings import Config, Settings


def rows(settings: Settings) -> Mapping[str, Sequence[Record]]:
    """Return the declared rows by table; raises ``ConfigurationError`` for a file of controls with a fault."""
    config = settings.config
    declared = catalogue(settings).controls
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
        "controls": [
            Control(
                control_id=each.control_id,
                title=each.title,
                owner_role=each.owner_role,
                evidence_days=each.evidence_days,
                test_days=each.test_days,
            )
            for each in declared
        ],
        "control_rules": [
            ControlRule(control_id=each.control_id, rule_id=rule) for each in declared for rule in each.rules
        ],
        "named_roles": list(_named_roles(config)),
        "special_accounts": [SpecialAccount(**entry.model_dump()) for entry in config.special_accounts],
    }


def catalogue(settings: Settings, rules: Collection[str] | None = None) -> controls.Catalogue:
    """Return the bundled controls and the organisation's own; ``rules`` are the ids that own ones may name."""
    return controls.load(root("rules") / "controls.toml", settings.controls, rules)


def _named_roles(config: Config) -> Iterator[NamedRole]:
    section = config.nonconformities
    yield NamedRole(role=section.owner_role, named_by="the configuration ([nonconformities] owner_role)")
    for role in dict.fromkeys(section.escalate_to):
        yield NamedRole(role=role, named_by="the configuration ([nonconformities] escalate_to)")
    for rule_id, own in section.rules.items():
        if own.owner_role is not None:
            yield NamedRole(
                role=own.owner_role, named_by=f"the configuration ([nonconformities.rules.{rule_id}] owner_role)"
            )


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
