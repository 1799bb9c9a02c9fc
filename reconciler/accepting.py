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
from reconciler.errors import ConfigurationError
from reconciler.filing.night import close
from reconciler.filing.systems import open_systems
from reconciler.log import explained
from reconciler.nonconformity import risks
from reconciler.sdk.errors import Throttled, Unreachable
from reconciler.sdk.tickets import ExceptionRegister
from reconciler.settings import Settings

POLICY = ("IG-EXC-004", "max_length")
"""The rule and parameter that say how long an exception may last."""
LONGEST = timedelta(days=366)
_SECONDS = 120.0
"""What writing one risk to one register may take."""


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What came of writing one risk to one register; ``problem`` empty: it stands there."""

    risk_id: str
    register: str
    where: str = ""
    """The id of the record there."""
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
    systems = open_systems(settings)
    held = {
        name: system
        for name, system in systems.items()
        if isinstance(system, ExceptionRegister) and system.holds_exceptions
    }
    try:
        answers = await asyncio.gather(*(_put(name, system, pending) for name, system in held.items()))
    finally:
        await close(systems)
    for risk in pending:
        of_risk = [each for part in answers for each in part if each.risk_id == risk.risk_id]
        if of_risk and not any(each.problem for each in of_risk):
            register.written(risk, "; ".join(f"{each.register}: {each.where}" for each in of_risk))
    return [each for part in answers for each in part]


async def _put(name: str, system: ExceptionRegister, pending: Sequence[risks.Risk]) -> list[Written]:
    """Write every risk to one register; once it gave no answer, the rest is left for the next time."""
    results: list[Written] = []
    silent = ""
    for risk in pending:
        where, problem = "", silent
        if not silent:
            try:
                async with asyncio.timeout(_SECONDS):
                    where = await system.put(risk.risk_id, msgspec.structs.asdict(risks.record(risk)))
            except Exception as error:  # noqa: BLE001 - one register that fails keeps nothing from another
                problem = explained(error)
                silent = problem if isinstance(error, Unreachable | Throttled | TimeoutError | OSError) else ""
        results.append(Written(risk_id=risk.risk_id, register=name, where=where, problem=problem))
    return results


def end_of(settings: Settings, day: date) -> datetime:
    """Return the last second of a day in the estate's zone: at midnight what ends with it is over."""
    if day == date.max:
        raise ConfigurationError(f"no calendar has a day after {day}", advice="give an earlier --until")
    ends = datetime.combine(day + timedelta(days=1), time(), ZoneInfo(settings.config.estate.time_zone))
    return ends - timedelta(seconds=1)
