"""round of a resend."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("messages", sa.Column("resend_round", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("messages", "resend_round")
