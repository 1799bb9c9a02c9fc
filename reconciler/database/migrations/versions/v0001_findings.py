"""Runs, evaluations, findings with their history, and accepted drops."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create every table of the first version."""
    _runs()
    _findings()
    op.create_table(
        "accepted_drops",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("table_name", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("rows_before", sa.BigInteger(), nullable=False),
        sa.Column("rows_accepted", sa.BigInteger(), nullable=False),
        sa.Column("accepted_by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_accepted_drops"),
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("run_id", sa.String(), nullable=False),
        sa.Column("estate", sa.String(), nullable=False),
        sa.Column("snapshot", sa.String(), nullable=False),
        sa.Column("as_of", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("coverage", sa.Text(), nullable=False),
        *(
            sa.Column(count, sa.Integer(), nullable=False)
            for count in ("opened", "persisting", "resolved", "reopened", "unverified")
        ),
        sa.PrimaryKeyConstraint("number", name="pk_runs"),
        sa.UniqueConstraint("run_id", name="uq_runs_run_id"),
    )
    op.create_index("ix_runs_snapshot", "runs", ["snapshot"])
    op.create_table(
        "evaluations",
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        *(
            sa.Column(count, sa.BigInteger(), nullable=False)
            for count in ("population", "violations", "passes", "not_applicable", "not_evaluable")
        ),
        sa.Column("evaluated", sa.Boolean(), nullable=False),
        sa.Column("blocked", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run", "position", name="pk_evaluations"),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name="fk_evaluations_run"),
    )
    op.create_index(
        "ix_evaluations_rule_id_source_evaluated_run", "evaluations", ["rule_id", "source", "evaluated", "run"]
    )


def _findings() -> None:
    op.create_table(
        "findings",
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("person_id", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("is_open", sa.Boolean(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.Column("first_seen", _INSTANT, nullable=False),
        sa.Column("opened_run", sa.Integer(), nullable=False),
        sa.Column("since_run", sa.Integer(), nullable=False),
        sa.Column("last_seen_run", sa.Integer(), nullable=True),
        sa.Column("resolved_run", sa.Integer(), nullable=True),
        sa.Column("resolved_at", _INSTANT, nullable=True),
        sa.Column("times_reopened", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("finding_id", name="pk_findings"),
        *(
            sa.ForeignKeyConstraint([column], ["runs.number"], name=f"fk_findings_{column}")
            for column in ("opened_run", "since_run", "last_seen_run", "resolved_run")
        ),
    )
    op.create_index("ix_findings_rule_id", "findings", ["rule_id"])
    op.create_index("ix_findings_person_id", "findings", ["person_id"])
    op.create_table(
        "finding_changes",
        sa.Column("number", _BIG, nullable=False),
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.Column("verdict", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_finding_changes"),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.finding_id"], name="fk_finding_changes_finding_id"),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name="fk_finding_changes_run"),
    )
    op.create_index("ix_finding_changes_finding_id", "finding_changes", ["finding_id"])
