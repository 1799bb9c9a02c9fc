"""What a close must rest on besides: runs and histories that nobody alters; accepted risks; and what is set aside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from reconciler.database.migrations.versions.v0004_nonconformities import (
    _BEGINNING,
    _CHANGING,
    _CLOSING,
    _ELSEWHERE,
    _OF_IT,
    _TELLING,
    _TOLD,
    _keep_for_ever,
    _never_delete,
    _refuse,
)

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def _are(where: str) -> str:
    """Return the condition that there are such rows."""
    return f"EXISTS (SELECT 1 FROM {where})"  # noqa: S608 - all that is put in stands in these migrations


_SAME = "e.rule_id = f.rule_id AND COALESCE(e.source, '') = COALESCE(f.source, '')"
_GONE_JUDGED = _are(f"evaluations e WHERE e.run = NEW.gone_run AND e.evaluated AND {_SAME}")
_LATER = _are("runs r WHERE r.number > e.run")
_LOOKED = _are(f"evaluations e WHERE {_SAME} AND NOT {_LATER}")
_ENTRIES = {
    "contained": ("contained_by", "contained_at"),
    "corrected": ("corrected_by", "corrected_at"),
    "analysed": ("cause_by", "cause_at"),
    "planned": ("action_by", "action_at"),
    "done": ("action_done_by", "action_done_at"),
}
"""What history calls an entry -> who made it, and when."""

_BEGINNING_CLOSER = {"a nonconformity does not begin set aside": "NEW.set_aside_by IS NOT NULL"}
_SET_ASIDE = {
    "who set a nonconformity aside, when and why stand together, and never while it is closed": (
        "(NEW.set_aside_by IS NULL) <> (NEW.set_aside_at IS NULL)"
        " OR (NEW.set_aside_by IS NULL) <> (NEW.set_aside_reason IS NULL)"
        " OR (NEW.set_aside_by IS NOT NULL AND (NEW.state = 'closed'"
        " OR lower(trim(NEW.set_aside_by)) IN ('', 'reconciler') OR trim(NEW.set_aside_reason) = ''))"
    ),
    "the history does not tell that it was set aside: who, when and why": (
        "NEW.set_aside_by IS NOT NULL AND (COALESCE(OLD.set_aside_by, '') <> NEW.set_aside_by"
        " OR OLD.set_aside_at <> NEW.set_aside_at OR OLD.set_aside_reason <> NEW.set_aside_reason)"
        " AND NOT "
        + _are(
            f"{_TOLD} AND t.what = 'set aside' AND t.who = NEW.set_aside_by"
            " AND t.at = NEW.set_aside_at AND t.why = NEW.set_aside_reason"
        )
    ),
    "the last run looked for all of it: it is not set aside": (
        f"NEW.set_aside_by IS NOT NULL AND OLD.set_aside_by IS NULL AND NOT {_are(f'{_OF_IT} AND NOT {_LOOKED}')}"
    ),
    "a finding of it stands where the last run looked: it is not set aside": (
        "NEW.set_aside_by IS NOT NULL AND OLD.set_aside_by IS NULL"
        f" AND {_are(f'{_OF_IT} AND a.detached_run IS NULL AND {_LOOKED}')}"
    ),
}
_CHANGING_CLOSER = {
    "a closed nonconformity changes only by being reopened, and then all of it is owed anew": (
        _CHANGING["a closed nonconformity changes only by being reopened, and then all of it is owed anew"]
        + " OR (OLD.state = 'closed' AND NEW.containment IS NOT NULL)"
    ),
}
_CLOSING_CLOSER = {
    "a finding of the nonconformity stands": (  # under an exception, or held for acceptance, it is there as well
        _are(f"{_OF_IT} AND (a.detached_run IS NULL OR (f.is_open AND NOT {_ELSEWHERE}))")
    ),
    "the run that verified is the one that saw the findings gone": "NEW.verified_run <= NEW.gone_run",
    "the run that is said to have seen the findings gone could not judge every one of them": (
        _are(f"{_OF_IT} AND NOT {_ELSEWHERE} AND NOT {_GONE_JUDGED}")
    ),
    "a finding came or went after the run that is said to have seen all of them gone": (
        _are(f"{_OF_IT} AND (a.attached_run >= NEW.gone_run OR a.detached_run > NEW.gone_run)")
    ),
    "the history does not tell of every entry as it stands: who and when": " OR ".join(
        f"(NEW.{by} IS NOT NULL AND NOT "
        + _are(f"{_TOLD} AND t.what = '{what}' AND t.who = NEW.{by} AND t.at = NEW.{at}")
        + ")"
        for what, (by, at) in _ENTRIES.items()
    ),
}
_TELLING_CLOSER = {
    "only what is closed is reopened": (
        "NEW.what = 'reopened' AND NOT "
        + _are("nonconformities n WHERE n.number = NEW.nonconformity AND n.state = 'closed'")
    ),
}

_JUDGING = {
    "this is evaluated already": _are("evaluations e WHERE e.run = NEW.run AND e.position = NEW.position"),
}
_RECORDED = {
    "what a run saw, and when, never changes": " OR ".join(
        f"NEW.{name} <> OLD.{name}"
        for name in ("number", "run_id", "estate", "snapshot", "as_of", "recorded_at", "digest", "rules", "coverage")
    ),
}
_HISTORIES = ("evaluations", "finding_changes", "link_decisions", "accepted_drops", "accepted_findings")
"""What is only ever added to."""

_ASKED = (
    *("finding_id", "rule_id", "source", "account_id", "person_id", "entitlement_id"),
    *("reason", "compensating_control", "review_owner", "requested_by"),
)
_ASKING = {
    "this risk is asked for already": _are("risk_acceptances r WHERE r.number = NEW.number"),
    "an accepted risk begins with what somebody asks for": (
        "NEW.state <> 'requested' OR NEW.approved_by IS NOT NULL OR NEW.ended_by IS NOT NULL"
        " OR lower(trim(NEW.requested_by)) IN ('', 'reconciler')"
    ),
    "an accepted risk says why, what is done instead, who reviews it, and what it is limited to": (
        "trim(NEW.reason) = '' OR trim(NEW.compensating_control) = '' OR trim(NEW.review_owner) = ''"
        " OR COALESCE(NEW.account_id, NEW.person_id, NEW.entitlement_id, '') = ''"
    ),
}
_DECIDING = {
    "what was asked for never changes": " OR ".join(
        [
            *(f"COALESCE(NEW.{name}, '') <> COALESCE(OLD.{name}, '')" for name in _ASKED),
            "NEW.number <> OLD.number OR NEW.requested_at <> OLD.requested_at OR NEW.expires_at <> OLD.expires_at",
        ]
    ),
    "what was decided never changes": (
        "OLD.approved_by IS NOT NULL AND (COALESCE(NEW.approved_by, '') <> OLD.approved_by"
        " OR NEW.approved_at IS NULL OR NEW.approved_at <> OLD.approved_at"
        " OR COALESCE(NEW.decision_reason, '') <> COALESCE(OLD.decision_reason, ''))"
    ),
    "a request is approved, rejected or withdrawn, and what is approved ends": (
        "NEW.state <> OLD.state"
        " AND NOT (OLD.state = 'requested' AND NEW.state IN ('approved', 'rejected', 'withdrawn'))"
        " AND NOT (OLD.state = 'approved' AND NEW.state = 'ended')"
    ),
    "a person decides, and not the one whom the finding is about": (
        "NEW.approved_by IS NOT NULL AND OLD.approved_by IS NULL"
        " AND (lower(trim(NEW.approved_by)) IN ('', 'reconciler') OR "
        + _are(
            "findings f WHERE f.finding_id = NEW.finding_id AND lower(trim(f.person_id)) = lower(trim(NEW.approved_by))"
        )
        + ")"
    ),
    "a risk is approved for a reason, and before it would end": (
        "NEW.state = 'approved' AND OLD.state = 'requested'"
        " AND (trim(COALESCE(NEW.decision_reason, '')) = '' OR NEW.approved_at >= NEW.expires_at)"
    ),
}


def upgrade() -> None:
    """Add who set a nonconformity aside, and let the triggers refuse more; what was closed before stands as it was."""
    op.add_column("nonconformities", sa.Column("set_aside_by", sa.String(), nullable=True))
    op.add_column("nonconformities", sa.Column("set_aside_at", _INSTANT, nullable=True))
    op.add_column("nonconformities", sa.Column("set_aside_reason", sa.Text(), nullable=True))
    closes = "NEW.state = 'closed' AND OLD.state <> 'closed'"
    closing = {
        said: f"{closes} AND ({condition})" for said, condition in (_CLOSING | _CLOSING_CLOSER | _seen()).items()
    }
    _anew("nonconformities", "INSERT", _BEGINNING | _BEGINNING_CLOSER)
    _anew("nonconformities", "UPDATE", _CHANGING | _CHANGING_CLOSER | _weighed() | _SET_ASIDE | closing)
    _anew("nonconformity_transitions", "INSERT", _TELLING | _TELLING_CLOSER)
    _refuse("risk_acceptances", "INSERT", _ASKING)
    _refuse("risk_acceptances", "UPDATE", _DECIDING)
    _refuse("evaluations", "INSERT", _JUDGING)
    _refuse("runs", "UPDATE", _RECORDED)
    for table in _HISTORIES:
        _keep_for_ever(table)
    for table in ("risk_acceptances", "runs", "findings"):
        _never_delete(table)


def _after(column: str) -> str:
    """Return what a line of history says that a column became."""
    if op.get_bind().dialect.name == "sqlite":
        return f"json_extract(t.after, '$.{column}')"
    return f"CAST(t.after AS json) ->> '{column}'"


def _weighed() -> dict[str, str]:
    """What history must tell before a grade changes: a major one made minor would close without containment."""
    told = _are(f"{_TOLD} AND t.who = 'reconciler' AND t.what = 'weighed' AND {_after('grade')} = NEW.grade")
    return {"only the machine changes a grade, and the history tells of it": f"NEW.grade <> OLD.grade AND NOT {told}"}


def _seen() -> dict[str, str]:
    """What history must tell of the machine: when the findings were seen gone, until when to watch, and still gone."""
    if op.get_bind().dialect.name == "sqlite":
        watched = f"datetime({_after('watch_until')}) = datetime(NEW.watch_until)"
    else:
        watched = f"CAST({_after('watch_until')} AS timestamptz) = NEW.watch_until"
    gone = f"{_TOLD} AND t.who = 'reconciler' AND t.what = 'gone' AND t.run = NEW.gone_run AND {watched}"
    still = f"{_TOLD} AND t.who = 'reconciler' AND t.what = 'verified' AND t.run = NEW.verified_run"
    return {
        "the history does not tell that the machine saw this: gone, watched until then, and still gone": (
            f"NOT {_are(gone)} OR NOT {_are(still)}"
        ),
    }


def _anew(table: str, act: str, refusals: dict[str, str]) -> None:
    """Replace what a table refuses."""
    name = f"{table}_{act.lower()}"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(f"DROP TRIGGER {name}")
    else:
        op.execute(f"DROP TRIGGER {name} ON {table}")
        op.execute(f"DROP FUNCTION {name}()")
    _refuse(table, act, refusals)
