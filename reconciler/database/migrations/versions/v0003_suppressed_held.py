"""Findings that an exception suppresses, findings held for acceptance, and who accepted them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")


def upgrade() -> None:
    """Add what exceptions and the mass result stop keep; everything recorded before stands as it was."""
    for count in ("suppressed", "held"):
        op.add_column("runs", sa.Column(count, sa.Integer(), nullable=False, server_default="0"))
    for told in ("exceptions", "exceptions_unread"):
        op.add_column("runs", sa.Column(told, sa.Text(), nullable=False, server_default="[]"))
    op.add_column("evaluations", sa.Column("excepted", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("evaluations", sa.Column("unmatched", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("findings", sa.Column("exception", sa.String(), nullable=True))
    op.add_column("findings", sa.Column("excepted_until", _INSTANT, nullable=True))
    op.add_column("findings", sa.Column("waiting", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.create_table(
        "accepted_findings",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("findings", sa.BigInteger(), nullable=False),
        sa.Column("accepted_by", sa.String(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_accepted_findings"),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name="fk_accepted_findings_run"),
    )
