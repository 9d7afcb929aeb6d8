"""receipts are found by their id alone."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("receipts_message", table_name="receipts")


def downgrade() -> None:
    op.create_index("receipts_message", "receipts", ["provider", "provider_message_id"], unique=False)
