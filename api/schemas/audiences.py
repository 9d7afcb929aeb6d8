"""Audiences, as JSON."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.texts import Text
from notifications.tables import SavedAudience

_FILTER: dict[str, Any] = {
    "all": [
        {"field": "attributes.plan", "op": "eq", "value": "pro"},
        {"field": "attributes.last_order", "op": "gte", "value": {"now": "-P30D"}},
    ]
}


class AudienceKind(StrEnum):
    FILTER = "filter"
    LIST = "list"


class AudienceWrite(BaseModel):
    """A filter to save."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"name": "Active pros", "filter": _FILTER}]}
    )

    name: Text = Field(description="For people to find it by.")
    filter: dict[str, Any] = Field(description="Conditions over profiles.")


class AudienceView(BaseModel):
    """A saved audience. It never changes; a filter is asked anew each time it is used."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0b0a1d9c-6a2e-4a3f-8a52-0d3f1f2a7c11",
                    "name": "Active pros",
                    "kind": "filter",
                    "filter": _FILTER,
                    "size": None,
                    "created_at": "2026-11-22T10:15:00Z",
                }
            ]
        }
    )

    id: UUID
    name: str
    kind: AudienceKind
    filter: dict[str, Any] | None
    size: int | None = Field(description="Ids of a list, each counted once.")
    created_at: datetime

    @classmethod
    def of(cls, row: SavedAudience) -> "AudienceView":
        kind = AudienceKind.LIST if row.filter is None else AudienceKind.FILTER
        return cls.model_validate(row.model_dump() | {"kind": kind})


class AudienceQuery(BaseModel):
    """An audience as a campaign names one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"audience": {"filter": _FILTER}}]})

    audience: dict[str, Any] = Field(description="Exactly one of `all`, `filter`, `list` and `recipients`.")


class AudienceCount(BaseModel):
    """How many recipients an audience names now. Whom of them a campaign would reach is what its dry run says."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"recipients": 18234, "unknown": 12}]})

    recipients: int = Field(description="Each counted once.")
    unknown: int = Field(description="Those of a list that have no profile.")
