"""Nonconformities with their gates, their findings and history; accepted risks; and what is told to whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables; what was recorded before stands as it was."""
    _nonconformities()
    _nonconformity_findings()
    _nonconformity_transitions()
    _risk_acceptances()
    _notices()
    _keep_for_ever("nonconformity_transitions")


def _nonconformities() -> None:
    """Create what each nonconformity is, with its gates as constraints."""
    op.create_table(
        "nonconformities",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cause_key", sa.String(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("supplier_id", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("requirement", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("grade", sa.String(), nullable=False),
        sa.Column("grade_reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detected_at", _INSTANT, nullable=False),
        sa.Column("detected_run", sa.Integer(), nullable=False),
        sa.Column("owner_role", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("escalated_to", sa.String(), nullable=True),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("contained_by", sa.String(), nullable=True),
        sa.Column("contained_at", _INSTANT, nullable=True),
        sa.Column("containment", sa.Text(), nullable=True),
        sa.Column("corrected_by", sa.String(), nullable=True),
        sa.Column("corrected_at", _INSTANT, nullable=True),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("cause_by", sa.String(), nullable=True),
        sa.Column("cause_at", _INSTANT, nullable=True),
        sa.Column("cause_method", sa.String(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("action_by", sa.String(), nullable=True),
        sa.Column("action_at", _INSTANT, nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("action_owner_role", sa.String(), nullable=True),
        sa.Column("action_due_on", sa.Date(), nullable=True),
        sa.Column("action_done_by", sa.String(), nullable=True),
        sa.Column("action_done_at", _INSTANT, nullable=True),
        sa.Column("gone_run", sa.Integer(), nullable=True),
        sa.Column("gone_at", _INSTANT, nullable=True),
        sa.Column("watch_until", _INSTANT, nullable=True),
        sa.Column("verified_run", sa.Integer(), nullable=True),
        sa.Column("verified_at", _INSTANT, nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("closed_at", _INSTANT, nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.Column("times_reopened", sa.Integer(), nullable=False),
        sa.Column("recurrence_of", sa.Integer(), nullable=True),
        sa.CheckConstraint(
            "state <> 'closed' OR (correction IS NOT NULL AND cause IS NOT NULL AND action IS NOT NULL"
            " AND action_done_at IS NOT NULL AND gone_at IS NOT NULL AND verified_at IS NOT NULL"
            " AND closed_by IS NOT NULL AND closed_at IS NOT NULL AND closed_reason IS NOT NULL)",
            name="closed_past_every_gate",
        ),
        sa.CheckConstraint("state IN ('open', 'verifying', 'closed')", name="known_state"),
        sa.CheckConstraint(
            "closed_by IS NULL OR (closed_by <> corrected_by AND closed_by <> action_done_by)",
            name="closed_by_somebody_else",
        ),
        sa.ForeignKeyConstraint(["detected_run"], ["runs.number"], name="fk_nonconformities_detected_run"),
        sa.ForeignKeyConstraint(["gone_run"], ["runs.number"], name="fk_nonconformities_gone_run"),
        sa.ForeignKeyConstraint(["recurrence_of"], ["nonconformities.number"], name="fk_nonconformities_recurrence_of"),
        sa.ForeignKeyConstraint(["verified_run"], ["runs.number"], name="fk_nonconformities_verified_run"),
        sa.PrimaryKeyConstraint("number", name="pk_nonconformities"),
    )
    op.create_index("ix_nonconformities_rule_id", "nonconformities", ["rule_id"])
    op.create_index(
        "uq_nonconformities_open_cause_key",
        "nonconformities",
        ["cause_key"],
        unique=True,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )


def _nonconformity_findings() -> None:
    """Create which findings belong to which."""
    op.create_table(
        "nonconformity_findings",
        sa.Column("nonconformity", sa.Integer(), nullable=False),
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("attached_run", sa.Integer(), nullable=False),
        sa.Column("detached_run", sa.Integer(), nullable=True),
        sa.Column("detached_why", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["attached_run"], ["runs.number"], name="fk_nonconformity_findings_attached_run"),
        sa.ForeignKeyConstraint(["detached_run"], ["runs.number"], name="fk_nonconformity_findings_detached_run"),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.finding_id"], name="fk_nonconformity_findings_finding_id"),
        sa.ForeignKeyConstraint(
            ["nonconformity"], ["nonconformities.number"], name="fk_nonconformity_findings_nonconformity"
        ),
        sa.PrimaryKeyConstraint("nonconformity", "finding_id", "attached_run", name="pk_nonconformity_findings"),
    )
    op.create_index("ix_nonconformity_findings_finding_id", "nonconformity_findings", ["finding_id"])


def _nonconformity_transitions() -> None:
    """Create what happened to each."""
    op.create_table(
        "nonconformity_transitions",
        sa.Column("number", _BIG, nullable=False),
        sa.Column("nonconformity", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["nonconformity"], ["nonconformities.number"], name="fk_nonconformity_transitions_nonconformity"
        ),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name="fk_nonconformity_transitions_run"),
        sa.PrimaryKeyConstraint("number", name="pk_nonconformity_transitions"),
    )
    op.create_index("ix_nonconformity_transitions_nonconformity", "nonconformity_transitions", ["nonconformity"])


def _risk_acceptances() -> None:
    """Create the risks that people ask to accept."""
    op.create_table(
        "risk_acceptances",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("account_id", sa.String(), nullable=True),
        sa.Column("person_id", sa.String(), nullable=True),
        sa.Column("entitlement_id", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("compensating_control", sa.Text(), nullable=False),
        sa.Column("review_owner", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", _INSTANT, nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("written_to", sa.String(), nullable=True),
        sa.CheckConstraint("state <> 'approved' OR approved_by IS NOT NULL", name="approved_by_somebody"),
        sa.CheckConstraint("state IN ('requested', 'approved', 'rejected', 'withdrawn', 'ended')", name="known_state"),
        sa.CheckConstraint("approved_by IS NULL OR approved_by <> requested_by", name="four_eyes"),
        sa.CheckConstraint("expires_at > requested_at", name="ends_after_it_begins"),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.finding_id"], name="fk_risk_acceptances_finding_id"),
        sa.PrimaryKeyConstraint("number", name="pk_risk_acceptances"),
    )
    op.create_index("ix_risk_acceptances_finding_id", "risk_acceptances", ["finding_id"])


def _notices() -> None:
    """Create what is told to whom."""
    op.create_table(
        "notices",
        sa.Column("number", _BIG, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_notices"),
    )
    op.create_index(
        "ix_notices_kind_about_stage_recipient", "notices", ["kind", "about", "stage", "recipient"], unique=True
    )


def _keep_for_ever(table: str) -> None:
    """Refuse to alter or delete a line of history, whoever asks."""
    said = f"{table} is a history: its rows are added and never altered"
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{said}'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_kept() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{said}' USING ERRCODE = 'check_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_kept()"
    )
