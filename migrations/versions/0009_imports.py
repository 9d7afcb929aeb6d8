"""imports of recipients."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "imports",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("delimiter", sa.String(), nullable=True),
        sa.Column("columns", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), nullable=False),
        sa.Column("next_line", sa.Integer(), nullable=False),
        sa.Column("done_to", sa.Integer(), nullable=False),
        *(
            sa.Column(name, sa.Integer(), nullable=False)
            for name in ("rows", "created", "updated", "unchanged", "superseded", "refused")
        ),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("devices", "choices", "older_choices")),
        sa.Column("refused_by", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("imports_created", "imports", ["created_at", "id"], unique=False)
    op.create_index("imports_key", "imports", ["key", "created_at"], unique=False)
    op.create_index(
        "imports_unfinished", "imports", ["key"], unique=True, postgresql_where=sa.text("finished_at IS NULL")
    )
    op.create_table(
        "import_rows",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("recipient_id", sa.String(collation="C"), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "line"),
    )
    op.create_index("import_rows_recipient", "import_rows", ["import_id", "recipient_id", "line"], unique=False)
    op.create_table(
        "import_refusals",
        sa.Column("import_id", sa.Uuid(), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("column", sa.String(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("import_id", "line"),
    )


def downgrade() -> None:
    op.drop_table("import_refusals")
    op.drop_index("import_rows_recipient", table_name="import_rows")
    op.drop_table("import_rows")
    op.drop_index("imports_unfinished", table_name="imports")
    op.drop_index("imports_key", table_name="imports")
    op.drop_index("imports_created", table_name="imports")
    op.drop_table("imports")
