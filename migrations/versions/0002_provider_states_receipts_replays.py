"""provider states, receipts, replays."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_states",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resumed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.String(), nullable=True),
        sa.Column("pause_reason", sa.String(), nullable=True),
        sa.Column("next_look_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("probe_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("provider", "channel"),
    )
    op.create_table(
        "receipts",
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("receipt_id", sa.String(), nullable=False),
        sa.Column("provider_message_id", sa.String(), nullable=True),
        sa.Column("origin_id", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("details", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("matched_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider", "receipt_id"),
    )
    op.create_index("receipts_message", "receipts", ["provider", "provider_message_id"], unique=False)
    op.create_index(
        "receipts_unmatched", "receipts", ["received_at"], unique=False, postgresql_where=sa.text("matched_at IS NULL")
    )
    op.create_index(
        "notifications_waking",
        "notifications",
        ["wake_at"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.add_column("rejected_events", sa.Column("replayed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rejected_events", sa.Column("replayed_as", sa.String(), nullable=True))
    op.add_column("rejected_events", sa.Column("replayed_source", sa.String(), nullable=True))
    op.add_column("rejected_events", sa.Column("given_up_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("rejected_events", sa.Column("given_up_by", sa.String(), nullable=True))


def downgrade() -> None:
    op.drop_index("notifications_waking", table_name="notifications", postgresql_where=sa.text("finished_at IS NULL"))
    op.drop_column("rejected_events", "given_up_by")
    op.drop_column("rejected_events", "given_up_at")
    op.drop_column("rejected_events", "replayed_source")
    op.drop_column("rejected_events", "replayed_as")
    op.drop_column("rejected_events", "replayed_at")
    op.drop_index("receipts_unmatched", table_name="receipts", postgresql_where=sa.text("matched_at IS NULL"))
    op.drop_index("receipts_message", table_name="receipts")
    op.drop_table("receipts")
    op.drop_table("provider_states")
