"""what reconciliation and retention look for."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("notifications", sa.Column("resend_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "notifications_resending",
        "notifications",
        ["resend_at"],
        unique=False,
        postgresql_where=sa.text("resend_at IS NOT NULL"),
    )
    op.create_index(
        "receipts_origin", "receipts", ["origin_id"], unique=False, postgresql_where=sa.text("origin_id IS NOT NULL")
    )
    op.create_index("cancellations_received", "cancellations", ["received_at"], unique=False)


def downgrade() -> None:
    op.drop_index("cancellations_received", table_name="cancellations")
    op.drop_index("receipts_origin", table_name="receipts", postgresql_where=sa.text("origin_id IS NOT NULL"))
    op.drop_index(
        "notifications_resending", table_name="notifications", postgresql_where=sa.text("resend_at IS NOT NULL")
    )
    op.drop_column("notifications", "resend_at")
