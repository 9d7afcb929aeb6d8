"""attempts by the provider's message id."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "attempts_provider_message",
        "attempts",
        ["provider_message_id"],
        unique=False,
        postgresql_where=sa.text("provider_message_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index(
        "attempts_provider_message", table_name="attempts", postgresql_where=sa.text("provider_message_id IS NOT NULL")
    )
