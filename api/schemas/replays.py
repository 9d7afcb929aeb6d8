"""Replaying and giving up rejected events, as JSON."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.texts import Text
from notifications.tables import RejectedEvent


class ReplayRequest(BaseModel):
    """Nothing: as it came, for example after its definition was published."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"patch": {"type": "payment.succeeded"}}]}
    )

    event: dict[str, Any] | None = Field(None, description="The whole event instead: a CloudEvent, structured.")
    patch: dict[str, Any] | None = Field(
        None, description="What to change in it: a JSON Merge Patch (RFC 7396) of the structured event; null removes."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.event is not None and self.patch is not None:
            raise ValueError("event and patch exclude each other: send one of them")
        return self


class ReplayAnswer(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": 17, "replayed_as": "pay_8812-succeeded", "replayed_at": "2026-11-22T10:20:00Z", "produced": True}
            ]
        }
    )

    id: int
    replayed_as: str = Field(description="The id of the event that took its place.")
    replayed_at: datetime
    produced: bool = Field(description="False: an earlier request had produced it already.")

    @classmethod
    def of(cls, row: RejectedEvent, *, produced: bool) -> "ReplayAnswer":
        shown = row.model_dump(include={"id", "replayed_as", "replayed_at"})
        return cls.model_validate(shown | {"produced": produced})


class GiveUpRequest(BaseModel):
    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"by": "ana"}]})

    by: Text = Field(description="Who decides it; kept with the record.")
