"""The ledger of tickets, what is to be done to them, each attempt, remarks, and deliveries of webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    _tickets()
    _ticket_operations()
    _ticket_attempts()
    _ticket_comments()
    _deliveries()


def _tickets() -> None:
    """Create the ledger."""
    op.create_table(
        "tickets",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("remote_id", sa.String(), nullable=True),
        sa.Column("remote_number", sa.String(), nullable=True),
        sa.Column("remote_url", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=True),
        sa.Column("raw_status", sa.String(), nullable=True),
        sa.Column("closed_seen_at", _INSTANT, nullable=True),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column("resolution", sa.Text(), nullable=True),
        sa.Column("remote_updated_at", _INSTANT, nullable=True),
        sa.Column("read_at", _INSTANT, nullable=True),
        sa.Column("note", sa.Text(), nullable=True),
        sa.CheckConstraint("key <> ''", name="key_is_said"),
        sa.PrimaryKeyConstraint("system", "key", name="pk_tickets"),
    )
    op.create_index("ix_tickets_about", "tickets", ["about"])


def _ticket_operations() -> None:
    """Create what is to be done."""
    op.create_table(
        "ticket_operations",
        sa.Column("number", _BIG, nullable=False),
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("asked_at", _INSTANT, nullable=False),
        sa.Column("next_at", _INSTANT, nullable=False),
        sa.Column("claimed_by", sa.String(), nullable=True),
        sa.Column("claimed_until", _INSTANT, nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("done_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_ticket_operations"),
    )
    op.create_index("ix_ticket_operations_state_next_at", "ticket_operations", ["state", "next_at"])
    op.create_index("ix_ticket_operations_system_key_mark", "ticket_operations", ["system", "key", "mark"], unique=True)


def _ticket_attempts() -> None:
    """Create the attempts."""
    op.create_table(
        "ticket_attempts",
        sa.Column("number", _BIG, nullable=False),
        sa.Column("operation", _BIG, nullable=False),
        sa.Column("began_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["operation"], ["ticket_operations.number"], name="fk_ticket_attempts_operation"),
        sa.PrimaryKeyConstraint("number", name="pk_ticket_attempts"),
    )
    op.create_index("ix_ticket_attempts_operation", "ticket_attempts", ["operation"])


def _ticket_comments() -> None:
    """Create what others said."""
    op.create_table(
        "ticket_comments",
        sa.Column("system", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("comment_id", sa.String(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("at", _INSTANT, nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("read_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("system", "key", "comment_id", name="pk_ticket_comments"),
    )


def _deliveries() -> None:
    """Create what reached us."""
    op.create_table(
        "deliveries",
        sa.Column("endpoint", sa.String(), nullable=False),
        sa.Column("delivery_id", sa.String(), nullable=False),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("headers", sa.Text(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", _INSTANT, nullable=False),
        sa.Column("conflicts", sa.Integer(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("done_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("endpoint", "delivery_id", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_state_next_at", "deliveries", ["state", "next_at"])
