"""Shapes of what is seen of a running campaign: its progress, and its messages one by one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.campaigns import CampaignAnswer
from notifications.campaigns.accounts import Pace
from notifications.ids import message_id
from notifications.masking import mask
from notifications.statuses import Channel, MessageStatus


class PaceView(BaseModel):
    """Messages that providers accepted per second, up to `at` since the one before."""

    at: datetime = Field(examples=["2027-03-01T08:00:12Z"])
    per_second: float = Field(examples=[198.4])


class ProgressView(CampaignAnswer):
    """The `data` of an event: the campaign, its account, and how fast it went in the last two minutes or so."""

    paces: list[PaceView]

    @classmethod
    def of(cls, answer: CampaignAnswer, paces: Sequence[Pace]) -> "ProgressView":
        shown = [PaceView(at=each.at, per_second=round(each.per_second, 1)) for each in paces]
        return cls(campaign=answer.campaign, account=answer.account, paces=shown)


class SettleRequest(BaseModel):
    """What somebody found out."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"status": "failed"}]})

    status: Literal["sent", "failed"]


class CampaignMessageAnswer(BaseModel):
    """The message after the command."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"campaign_id": "6e6091e0-f2c5-5220-b8d0-aaadc3943c2a", "seq": 17, "status": "pending", "round": 2}
            ]
        }
    )

    campaign_id: UUID
    seq: int
    status: MessageStatus
    round: int = Field(description="Of the message; raised by each retry.")


class CampaignMessageView(BaseModel):
    """One message of a campaign."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "seq": 42,
                    "id": "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac",
                    "recipient_id": "cus_42",
                    "device_id": None,
                    "channel": "email",
                    "address": "a***@example.org",
                    "locale": "en",
                    "status": "sent",
                    "reason": None,
                    "round": 1,
                    "attempt": 1,
                    "provider": "smtp",
                    "provider_message_id": "<d9b9d648@example.org>",
                    "updated_at": "2027-03-01T08:00:12Z",
                }
            ]
        }
    )

    seq: int = Field(description="Its number within the campaign; gaps are allowed.")
    id: UUID = Field(description="UUIDv5(campaign id, seq): the idempotency key given to the provider.")
    recipient_id: str | None
    device_id: str | None
    channel: Channel
    address: str | None = Field(description="Masked.")
    locale: str
    status: MessageStatus = Field(description="While the campaign is cancelled, what waits is `cancelled`.")
    reason: str | None
    round: int
    attempt: int
    provider: str | None
    provider_message_id: str | None
    updated_at: datetime

    @classmethod
    def of(cls, campaign_id: UUID, row: Any) -> "CampaignMessageView":
        shown = row._asdict()
        shown["id"] = message_id(campaign_id, row.seq)
        shown["address"] = mask(Channel(row.channel), row.address) if row.address else None
        return cls(**shown)
