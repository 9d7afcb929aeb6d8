"""Imports of recipients: how far each one is, the rows that wait to be written, and those that were refused."""

from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import BigInteger, Index
from sqlmodel import Field, SQLModel

from notifications.tables.columns import document, timestamp


class Import(SQLModel, table=True):
    """One file. Every count is changed in the transaction that moves the cursor it belongs to.

    `received_bytes` and `next_line` say where its upload goes on, `done_to` where writing goes on.
    """

    __tablename__ = "imports"
    __table_args__ = (
        Index("imports_created", "created_at", "id"),
        Index("imports_unfinished", "key", unique=True, postgresql_where=sa.text("finished_at IS NULL")),
        Index("imports_key", "key", "created_at"),
    )

    id: UUID = Field(primary_key=True)
    key: str | None = None  # the sender's Idempotency-Key: one unfinished import for each
    name: str | None = None  # of the file
    format: str  # ImportFormat
    delimiter: str | None = None
    columns: list[str] | None = document(nullable=True)  # the header, as it came
    dry_run: bool = False
    state: str = "uploading"  # ImportState
    received_bytes: int = Field(default=0, sa_type=BigInteger)  # of whole rows
    next_line: int = 1
    done_to: int = 0  # every row up to this line is written or refused

    rows: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0  # a later row of the file has the same id
    refused: int = 0
    devices: int = 0  # written
    choices: int = 0  # of consent, written
    older_choices: int = 0  # a newer choice is kept
    refused_by: dict[str, int] = document()  # rows by the column that is wrong

    created_at: datetime = timestamp(default_now=True)
    updated_at: datetime = timestamp(default_now=True)
    uploaded_at: datetime | None = timestamp()
    finished_at: datetime | None = timestamp()


class ImportRow(SQLModel, table=True):
    """A row of a file as it came, until it is written or refused; `line` is where it begins."""

    __tablename__ = "import_rows"
    # Finds a later row with the same id.
    __table_args__ = (Index("import_rows_recipient", "import_id", "recipient_id", "line"),)

    import_id: UUID = Field(primary_key=True)
    line: int = Field(primary_key=True)
    recipient_id: str = Field(sa_type=sa.String(collation="C"))
    content: str


class ImportRefusal(SQLModel, table=True):
    """A row that was not written, why, and what to do."""

    __tablename__ = "import_refusals"

    import_id: UUID = Field(primary_key=True)
    line: int = Field(primary_key=True)
    column: str  # more than one are separated by spaces
    problem: str
    content: str  # the row, or its beginning where it is too long
