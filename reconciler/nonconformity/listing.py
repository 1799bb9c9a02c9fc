"""Which nonconformities to list, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import msgspec
from sqlalchemy import exists
from sqlmodel import Session, col, select

from reconciler.database.findings import EvaluationRow, FindingRow
from reconciler.database.nonconformities import AttachedRow, NonconformityRow
from reconciler.errors import ConfigurationError
from reconciler.estate.results import SEVERITIES, Severity
from reconciler.nonconformity import rows
from reconciler.nonconformity.gates import same
from reconciler.nonconformity.record import Grade, Nonconformity, State


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which ones to list; None asks nothing.

    ``owner`` is who answers, a role or a person_id, or the role that it went up to; ``rule`` a rule's id or name.
    """

    state: State | None = None
    severity: Severity | None = None
    grade: Grade | None = None
    owner: str | None = None
    rule: str | None = None
    source: str | None = None


def filters(asked: Mapping[str, object]) -> Filters:
    """Return the filters asked for; raise ``ConfigurationError`` for a word that means none.

    An unknown state or severity would list nothing, which would be taken for "nothing is wrong".
    """
    try:
        return msgspec.convert(asked, Filters)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"nonconformities cannot be listed by that: {error}",
            advice=f"state: {', '.join(State)}; severity: {', '.join(SEVERITIES)}; grade: minor, major",
        ) from error


def listed(session: Session, wanted: Filters) -> list[Nonconformity]:
    """Return those asked for: open ones first, worst first, soonest due first."""
    _refuse_unknown(session, wanted)
    query = select(NonconformityRow)
    for column, value in (
        (NonconformityRow.severity, wanted.severity),
        (NonconformityRow.grade, wanted.grade),
    ):
        if value is not None:
            query = query.where(col(column) == str(value))
    if wanted.rule is not None:
        named = select(FindingRow.rule_id).where(FindingRow.rule == wanted.rule)
        query = query.where((col(NonconformityRow.rule_id) == wanted.rule) | col(NonconformityRow.rule_id).in_(named))
    if wanted.source is not None:
        of_it = exists().where(
            col(AttachedRow.nonconformity) == col(NonconformityRow.number),
            col(AttachedRow.finding_id) == col(FindingRow.finding_id),
            col(FindingRow.source) == wanted.source,
        )
        query = query.where((col(NonconformityRow.source) == wanted.source) | of_it)
    found = rows.values(session, session.exec(query).all())
    if wanted.state is not None:
        found = [held for held in found if held.state is wanted.state]
    if wanted.owner is not None:
        found = [held for held in found if _answers(held, wanted.owner)]
    return sorted(found, key=_most_pressing)


def _answers(held: Nonconformity, owner: str) -> bool:
    return any(same(each, owner) for each in (held.owner_role, held.owner, held.escalated_to) if each is not None)


def _most_pressing(held: Nonconformity) -> tuple[bool, int, datetime, str]:
    return held.state is State.CLOSED, SEVERITIES.index(held.severity), held.due_at, held.nc_id


def _refuse_unknown(session: Session, wanted: Filters) -> None:
    """Refuse a rule or source that no run ever had: an empty list would be taken for "nothing is wrong"."""
    if wanted.rule is not None:
        known = set(session.exec(select(EvaluationRow.rule_id).distinct()))
        if wanted.rule not in known | set(session.exec(select(FindingRow.rule).distinct())):
            raise ConfigurationError(
                f"no recorded run has evaluated a rule {wanted.rule!r}",
                advice="rules evaluated so far: " + (", ".join(sorted(known)) or "none"),
            )
    if wanted.source is not None:
        sources = {name for name in session.exec(select(EvaluationRow.source).distinct()) if name is not None}
        if wanted.source not in sources:
            raise ConfigurationError(
                f"no recorded run has evaluated a rule in source {wanted.source!r}",
                advice="sources evaluated so far: " + (", ".join(sorted(sources)) or "none"),
            )
