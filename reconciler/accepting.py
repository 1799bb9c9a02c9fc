"""The story of an accepted risk: asked for from a finding, approved by somebody else, written to the QMS.

From the next pull on the snapshot remembers it, and the engine honours it like any exception of the register.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from reconciler import engine
from reconciler.errors import ReconcilerError
from reconciler.filing.systems import open_systems
from reconciler.nonconformity import risks
from reconciler.sdk.tickets import ExceptionRegister
from reconciler.settings import Settings

POLICY = ("IG-EXC-004", "max_length")
"""The rule and parameter that say how long an exception may last."""
LONGEST = timedelta(days=366)


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What came of writing one risk to one register; ``problem`` empty: it stands there."""

    risk_id: str
    register: str
    problem: str = ""


def longest(rules: Sequence[engine.Rule]) -> timedelta:
    """Return how long an exception may last, as the rule on it has it."""
    rule_id, name = POLICY
    for rule in rules:
        told = rule.params[name].value if rule.info.rule_id == rule_id and name in rule.params else None
        if isinstance(told, timedelta):
            return told
    return LONGEST


def write(settings: Settings, register: risks.Register) -> list[Written]:
    """Write what was decided, and stands in no register yet, to those systems that hold exceptions.

    Nothing is sent while filing is not enabled. A system that cannot be written to keeps none from the others; what
    could not be written is tried again the next time.
    """
    pending = risks.unwritten(register.listed())
    if not pending or not settings.config.filing.enabled:
        return []
    return asyncio.run(_write(settings, register, pending))


async def _write(settings: Settings, register: risks.Register, pending: Sequence[risks.Risk]) -> list[Written]:
    said: list[Written] = []
    places: dict[str, list[str]] = {risk.risk_id: [] for risk in pending}
    for name, system in open_systems(settings).items():
        try:
            if not isinstance(system, ExceptionRegister) or not system.holds_exceptions:
                continue
            for risk in pending:
                try:
                    where = await system.put(risk.risk_id, msgspec.structs.asdict(risks.record(risk)))
                except ReconcilerError as error:
                    said.append(Written(risk_id=risk.risk_id, register=name, problem=error.message))
                else:
                    places[risk.risk_id].append(f"{name}: {where}")
                    said.append(Written(risk_id=risk.risk_id, register=name))
        finally:
            await system.close()
    failed = {each.risk_id for each in said if each.problem}
    for risk in pending:
        if places[risk.risk_id] and risk.risk_id not in failed:
            register.written(risk, "; ".join(places[risk.risk_id]))
    return said


def end_of(settings: Settings, day: date) -> datetime:
    """Return the instant at which a day, inclusive, ends in the estate's zone."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(settings.config.estate.time_zone))
