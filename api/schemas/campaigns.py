"""Shapes of campaigns: as asked for, as they stand, and their accounts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from notifications.campaigns.accounts import Account
from notifications.campaigns.body import MAX_RATE, RateBody
from notifications.campaigns.targets import DryRun, Reach
from notifications.durations import format_duration
from notifications.statuses import CampaignState, Channel, DuplicatePolicy, MessageStatus, NotificationType, SkipReason
from notifications.tables import Campaign, CampaignCommand

_ID = "0c7f5f0e-6f0e-4b5a-9a58-3a1f6b3a7a11"
_ACCOUNT: dict[str, JsonValue] = {
    "at": "2027-03-01T08:00:12Z",
    "targeted": 5000,
    "recipients": 5000,
    "by_status": {"pending": 2980, "sending": 50, "sent": 1850, "skipped": 120},
    "skipped": {"opted_out": 100, "no_address": 20},
    "in_flight": 50,
}
_REACH: dict[str, JsonValue] = {"targeted": 18234, "to_send": 16240, "skipped": {"opted_out": 1920, "no_address": 74}}
_SAMPLE: dict[str, JsonValue] = {
    "recipient_id": "cus_42",
    "device_id": None,
    "address": "a***@example.org",
    "locale": "en",
}
_CAMPAIGN: dict[str, JsonValue] = {
    "id": _ID,
    "name": "Spring sale",
    "state": "running",
    "round": 1,
    "type": "promotional",
    "category": "offers",
    "channel": "email",
    "template": "spring-sale",
    "template_version": 3,
    "data": {"discount": "20 %"},
    "audience": {"all": True},
    "rate": {"per_second": 200},
    "expire_after": "24h",
    "duplicates": "at_most_once",
    "outcomes": "campaign",
    "starts_at": "2027-03-01T08:00:00Z",
    "started_at": "2027-03-01T08:00:00Z",
    "finished_at": None,
    "pause_reason": None,
    "created_by": "ana",
    "created_at": "2027-02-20T12:00:00Z",
}
_COMMAND: dict[str, JsonValue] = {
    "command": "pause",
    "by": "ana",
    "at": "2027-03-01T08:00:10Z",
    "from_state": "running",
    "to_state": "paused",
    "details": {},
}


class LaunchRequest(BaseModel):
    """When it starts; without a time, or with one in the past, now."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"at": "2027-03-01T09:00:00+01:00"}]})

    at: AwareDatetime | None = None


class CampaignRescheduleRequest(BaseModel):
    """Another time for one that is not prepared yet."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"at": "2027-03-01T10:00:00+01:00"}]})

    at: AwareDatetime


class RateRequest(BaseModel):
    """How fast it goes out at most; null: as fast as its providers allow."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"per_second": 200}]})

    per_second: float | None = Field(gt=0, le=MAX_RATE)


class CampaignAccount(BaseModel):
    """Each message once, under its status at this instant; `targeted` is their sum."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACCOUNT]})

    at: datetime
    targeted: int
    recipients: int = Field(description="People; with push somebody with two devices is two messages.")
    by_status: dict[MessageStatus, int]
    skipped: dict[str, int] = Field(description="Those that were skipped, by reason.")
    in_flight: int = Field(description="Calls that have begun and not ended: the messages that are `sending`.")

    @classmethod
    def of(cls, account: Account) -> "CampaignAccount":
        return cls(
            at=account.at,
            targeted=account.targeted,
            recipients=account.recipients,
            by_status=dict(account.by_status),
            skipped=dict(account.skipped),
            in_flight=account.in_flight,
        )


class ReachView(BaseModel):
    """How many messages: `to_send`, and those that are skipped by reason; `targeted` is their sum."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REACH]})

    targeted: int
    to_send: int
    skipped: dict[SkipReason, int]

    @classmethod
    def of(cls, reach: Reach) -> "ReachView":
        return cls(targeted=reach.targeted, to_send=reach.to_send, skipped=dict(reach.skipped))


class SampleView(BaseModel):
    """Somebody who would get it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SAMPLE]})

    recipient_id: str
    device_id: str | None
    address: str = Field(description="Masked.")
    locale: str | None


class DryRunAnswer(BaseModel):
    """Whom it would reach if it were sent now."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "recipients": 18234,
                    "channel": "email",
                    "reach": _REACH,
                    "other_channels": {"sms": _REACH},
                    "sample": [_SAMPLE],
                    "seconds": 81.2,
                }
            ]
        }
    )

    recipients: int = Field(description="People; with push somebody with two devices gets two messages.")
    channel: Channel
    reach: ReachView
    other_channels: dict[Channel, ReachView] = Field(description="What the other channels would reach, if asked for.")
    sample: list[SampleView]
    seconds: float | None = Field(description="How long it takes at the campaign's rate; null without a rate.")

    @classmethod
    def of(cls, found: DryRun) -> "DryRunAnswer":
        return cls(
            recipients=found.recipients,
            channel=found.channel,
            reach=ReachView.of(found.reach),
            other_channels={channel: ReachView.of(reach) for channel, reach in found.other_channels.items()},
            sample=[SampleView.model_validate(each, from_attributes=True) for each in found.sample],
            seconds=found.seconds,
        )


class CampaignView(BaseModel):
    """A campaign as it stands."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CAMPAIGN]})

    id: UUID = Field(examples=[_ID])
    name: str
    state: CampaignState
    round: int
    type: NotificationType
    category: str
    channel: Channel
    template: str | None
    template_version: int | None = Field(description="Pinned by launch.")
    data: dict[str, Any]
    audience: dict[str, Any]
    rate: RateBody | None
    expire_after: str = Field(examples=["24h"])
    duplicates: DuplicatePolicy
    outcomes: str
    starts_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None
    pause_reason: str | None = Field(description="Why Tidings paused it by itself, or why it failed.")
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, row: Campaign) -> "CampaignView":
        return cls(
            **{name: getattr(row, name) for name in cls.model_fields if name not in {"rate", "expire_after"}},
            rate=RateBody(per_second=row.per_second) if row.per_second is not None else None,
            expire_after=format_duration(row.expire_after),
        )


class CampaignAnswer(BaseModel):
    """What a command left: the campaign, and its account once it was launched."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"campaign": _CAMPAIGN, "account": _ACCOUNT}]})

    campaign: CampaignView
    account: CampaignAccount | None = None


class CommandView(BaseModel):
    """One command of the audit log."""

    model_config = ConfigDict(json_schema_extra={"examples": [_COMMAND]})

    command: str = Field(examples=["pause"])
    by: str
    at: datetime
    from_state: CampaignState
    to_state: CampaignState
    details: dict[str, Any]

    @classmethod
    def of(cls, row: CampaignCommand) -> "CommandView":
        return cls.model_validate(row, from_attributes=True)


class CommandLog(BaseModel):
    """Who asked for what, oldest first."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_COMMAND]}]})

    items: list[CommandView]
