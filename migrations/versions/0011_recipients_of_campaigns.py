"""recipients of campaigns."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("campaigns", sa.Column("recipients", sa.BigInteger(), server_default="0", nullable=False))
    op.execute(
        "UPDATE campaigns c SET recipients = (SELECT count(DISTINCT recipient_id) FROM messages WHERE origin_id = c.id)"
    )


def downgrade() -> None:
    op.drop_column("campaigns", "recipients")
