"""Shapes of the provider accounts."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from api.texts import Text
from notifications.provider_accounts import Account, AccountState
from notifications.statuses import Channel

_ACCOUNT: dict[str, JsonValue] = {
    "name": "smtp",
    "channel": "email",
    "place": 1,
    "state": "paused",
    "paused_at": "2026-11-22T10:15:00Z",
    "paused_by": "api",
    "pause_reason": "mail server is moved",
    "opened_at": None,
    "failures": 0,
    "failure": None,
}


class PauseRequest(BaseModel):
    """What to pause, and why; the reason is for other operators."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "mail server is moved"}]})

    channel: Channel | None = Field(None, description="Only on this channel; without it, on all.")
    reason: Text | None = None


class ResumeRequest(BaseModel):
    """What to resume."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"channel": "email"}]})

    channel: Channel | None = Field(None, description="Only on this channel; without it, on all.")


class ProviderView(BaseModel):
    """One provider on one channel."""

    model_config = ConfigDict(json_schema_extra={"examples": [_ACCOUNT]})

    name: str
    channel: Channel
    place: int | None = Field(description="Rank of preference on its channel; null: not in the API's settings.")
    state: AccountState
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None
    opened_at: datetime | None = Field(description="When the circuit breaker opened.")
    failures: int = Field(description="Outages in a row.")
    failure: str | None = Field(description="The code of the last one.")

    @classmethod
    def of(cls, account: Account) -> "ProviderView":
        return cls(
            name=account.provider,
            channel=account.channel,
            place=account.place,
            state=account.state,
            paused_at=account.paused_at,
            paused_by=account.paused_by,
            pause_reason=account.pause_reason,
            opened_at=account.opened_at,
            failures=account.failures,
            failure=account.failure,
        )


class ProviderList(BaseModel):
    """Provider accounts by channel, in the order of preference."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ACCOUNT]}]})

    items: list[ProviderView]
