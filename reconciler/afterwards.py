"""What comes after a recorded run: nonconformities follow it, and tickets follow them.

The run stands by then. Whatever fails here is said, and loses nothing of the night.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from reconciler import accepting, declared, filing, notices
from reconciler.controls import Control
from reconciler.database import schema
from reconciler.estate.results import Run
from reconciler.findings import FindingStore
from reconciler.log import explained
from reconciler.nonconformity import following, lateness
from reconciler.nonconformity.following import Followed
from reconciler.nonconformity.grouping import Policy, Requirement
from reconciler.nonconformity.record import Nonconformity
from reconciler.nonconformity.risks import Register
from reconciler.nonconformity.store import NonconformityStore
from reconciler.report.treated import Treated
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot
from reconciler.snapshot.people import LEFT, Holders, affiliations, whole_people
from reconciler.snapshot.people import holders as read_holders

VACANT = "IG-GOV-002"
"""The rule that finds a governance role which nobody holds."""


class Filed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of tickets; ``troubles`` says what could not be done, empty where all of it was."""

    filed: int = 0
    found: int = 0
    """Tickets and changes that an earlier night had made already, as a look showed."""
    changed: int = 0
    troubles: tuple[str, ...] = ()


def holders(settings: Settings, snapshot: Snapshot | None, *, as_of: datetime) -> Holders:
    """Return who holds which governance role at an instant; who has left is told as the rule on vacant roles does."""
    words = settings.config.rules.params.get(VACANT, {}).get("ended_statuses", LEFT)
    return read_holders(snapshot, as_of=as_of, time_zone=settings.config.estate.time_zone, left=words)


def follow(settings: Settings, snapshot: Snapshot, run: Run) -> Followed:
    """Bring the nonconformities to what the findings are after ``run``, and let what is late go up.

    See ``nonconformity.following.follow`` and ``nonconformity.lateness.escalate``.
    """
    policy = Policy(
        section=settings.config.nonconformities,
        requirements=requirements(settings),
        rules={rule.rule_id: rule for rule in run.rules},
    )
    database, who = schema.opened(settings.database_url), holders(settings, snapshot, as_of=run.as_of)
    followed = following.follow(
        database,
        run,
        policy,
        shown_at=snapshot.as_of,
        holders=who,
        affiliations=lambda person_ids: (affiliations(snapshot, person_ids), whole_people(snapshot)),
    )
    lateness.escalate(
        database,
        run,
        days_after=settings.config.notices.escalate_days_after,
        escalate_to=settings.config.nonconformities.escalate_to,
        holders=who,
    )
    return followed


def requirements(settings: Settings) -> dict[str, Requirement]:
    """Return by rule what it shows of the controls, bundled and own."""
    catalogue = declared.catalogue(settings)
    naming: dict[str, list[Control]] = {}
    for control in catalogue.controls:
        for rule_id in control.rules:
            naming.setdefault(rule_id, []).append(control)
    return {rule_id: _requirement(controls, catalogue.frameworks) for rule_id, controls in naming.items()}


def _requirement(controls: Sequence[Control], frameworks: Mapping[str, str]) -> Requirement:
    clauses: dict[str, dict[str, None]] = {}
    for control in controls:
        for framework, those in control.clauses.items():
            clauses.setdefault(framework, {}).update(dict.fromkeys(those))
    return Requirement(
        controls={control.control_id: control.title for control in controls},
        clauses={framework: tuple(those) for framework, those in clauses.items()},
        frameworks={framework: frameworks[framework] for framework in clauses},
        owner_role=controls[0].owner_role,
    )


def file(settings: Settings) -> Filed:
    """File tickets for the nonconformities and read them back, where filing is enabled; never raises.

    What could not be done waits in the outbox, written down, for the next night or ``reconciler filing retry``.
    """
    if not settings.config.filing.enabled:
        return Filed()
    unwritten = _register(settings)
    try:
        exchanged = asyncio.run(filing.after_run(settings, schema.opened(settings.database_url)))
    except Exception as error:  # noqa: BLE001 - the night is recorded; its report must come, whatever filing met
        return Filed(troubles=(explained(error), *unwritten))
    sent = exchanged.sent
    troubles = [*exchanged.undone, *exchanged.followed.unread, *exchanged.followed.odd]
    for one in exchanged.compared:
        if one.unread is not None:
            troubles.append(f"{one.system}: not compared with the ledger: {one.unread}")
        elif not one.agrees:
            troubles.append(
                f"{one.system}: the ledger and the system do not agree; `reconciler filing reconcile` says where"
            )
    return Filed(filed=sent.filed, found=sent.found, changed=sent.changed, troubles=(*troubles, *unwritten))


def _register(settings: Settings) -> list[str]:
    """Write accepted risks to the QMS; say which could not be, whatever was met."""
    try:
        written = accepting.write(settings, Register.open(settings.database_url))
    except Exception as error:  # noqa: BLE001 - one part that fails keeps no other from its work
        return [explained(error)]
    return [f"{one.register} {one.risk_id}: {one.problem}" for one in written if one.problem]


def tell(settings: Settings, snapshot: Snapshot, run: Run) -> notices.Sent:
    """Tell owners what is due, and roles above them what is late, where notices are enabled; never raises."""
    if not settings.config.notices.enabled:
        return notices.Sent()
    try:
        found = NonconformityStore.open(settings.database_url).owing()
        who = holders(settings, snapshot, as_of=run.as_of)
        return notices.after_run(settings, snapshot, found, holders=who, at=run.recorded_at)
    except Exception as error:  # noqa: BLE001 - the night is recorded; its report must come, whatever a notice met
        return notices.Sent(errors=(explained(error),))


def treated(settings: Settings, *, to_read: bool = False) -> list[Treated]:
    """Return for a report of the last run the nonconformities that stand, and those closed since the run before it."""
    before = [run.recorded_at for run in FindingStore.open(settings.database_url, to_read=to_read).runs(limit=2)[1:]]
    store = NonconformityStore.open(settings.database_url, to_read=to_read)
    return [_treated(one) for one in store.listed() if one.closed is None or (before and one.closed.at >= before[0])]


def _treated(one: Nonconformity) -> Treated:
    return Treated(
        nc_id=one.nc_id,
        title=one.title,
        severity=one.severity,
        grade=one.grade,
        state=one.state.value,
        rule_id=one.rule_id,
        source=one.source,
        supplier_id=one.supplier_id,
        owner_role=one.owner_role,
        owner=one.owner,
        escalated_to=one.escalated_to,
        detected_at=one.detected_at,
        due_at=one.due_at,
        standing=one.standing,
        findings=one.findings,
        gone_at=one.verification.gone_at if one.verification else None,
        verified_at=one.verification.verified_at if one.verification else None,
        recurrence_of=one.recurrence_of,
        times_reopened=one.times_reopened,
    )
