"""Imports of recipients, as JSON."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from notifications.imports.blocks import done
from notifications.statuses import ImportFormat, ImportState
from notifications.tables import Import

_IMPORT: dict[str, Any] = {
    "id": "3f1c2a52-7a4e-4a55-9a0e-0b8f6a6f3b8e",
    "name": "people.csv",
    "state": "completed",
    "format": "csv",
    "dry_run": False,
    "received_bytes": 1048576,
    "rows": 10000,
    "done": 10000,
    "created": 9000,
    "updated": 900,
    "unchanged": 80,
    "superseded": 8,
    "refused": 12,
    "refused_by": {"email": 9, "phone": 3},
    "devices": 0,
    "choices": 9900,
    "older_choices": 3,
    "created_at": "2026-11-22T10:15:00Z",
    "uploaded_at": "2026-11-22T10:15:04Z",
    "finished_at": "2026-11-22T10:15:09Z",
    "links": {"self": "http://localhost:8000/v1/imports/3f1c2a52-7a4e-4a55-9a0e-0b8f6a6f3b8e"},
}


class ImportView(BaseModel):
    """One file and how far it is; at its end `rows` is the sum of the five counts that follow `done`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_IMPORT]})

    id: UUID
    name: str | None = Field(description="Of the file.")
    state: ImportState
    format: ImportFormat
    dry_run: bool = Field(description="Everything is checked and counted, nothing is written.")
    received_bytes: int = Field(description="Where an upload that broke off goes on.")
    rows: int = Field(description="Rows that were received.")
    done: int = Field(description="Rows that are dealt with.")
    created: int
    updated: int
    unchanged: int
    superseded: int = Field(description="Rows that were left out, since a later one of the file has the same id.")
    refused: int
    refused_by: dict[str, int] = Field(description="Refused rows by the column that is wrong.")
    devices: int = Field(description="Devices that are new or changed.")
    choices: int = Field(description="Choices of consent that are new or changed.")
    older_choices: int = Field(description="Choices that were left out, since a newer one is kept.")
    created_at: datetime
    uploaded_at: datetime | None
    finished_at: datetime | None
    links: dict[str, str]

    @classmethod
    def of(cls, row: Import, public_url: str) -> "ImportView":
        here = f"{public_url}/v1/imports/{row.id}"
        shown = row.model_dump(include=set(cls.model_fields))
        return cls.model_validate(shown | {"done": done(row), "links": {"self": here, "refused": f"{here}/refused"}})
