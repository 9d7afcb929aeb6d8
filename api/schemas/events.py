"""Events: what is taken, what is answered, and the one look-up that explains what became of one."""

import base64
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.campaigns import CampaignView
from api.schemas.notifications import NotificationDetail
from notifications.explanations import LAUNCHED, NOT_SEEN, REJECTED
from notifications.queries.views import RejectedState
from notifications.tables import RejectedEvent

EVENT_EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "pay_8812-succeeded",
    "source": "https://acme.example/payments",
    "type": "payment.succeeded",
    "time": "2026-11-22T10:15:00Z",
    "datacontenttype": "application/json",
    "recipient": "cus_42",
    "data": {
        "payment_id": "pay_8812",
        "amount": "49.90",
        "currency": "EUR",
        "receipt_url": "https://acme.example/r/8812",
    },
}
GUEST_EXAMPLE: dict[str, Any] = {
    "specversion": "1.0",
    "id": "pay_8813-succeeded",
    "source": "https://acme.example/payments",
    "type": "payment.succeeded",
    "data": {
        "recipient": {"email": "ana@example.org", "name": "Ana", "locale": "de", "timezone": "Europe/Berlin"},
        "payment_id": "pay_8813",
        "amount": "12.00",
        "currency": "EUR",
    },
}
_ID = "a56453a4-7db3-5408-8b23-96f8b4313634"
_REJECTED: dict[str, Any] = {
    "id": 17,
    "reason": "unknown_type",
    "detail": "no definition takes the type 'payment.suceeded'; did you mean 'payment.succeeded'?",
    "source": "https://acme.example/payments",
    "event_id": "pay_8812-succeeded",
    "event_type": "payment.suceeded",
    "topic": "transactional.notifications",
    "partition": 0,
    "offset": 4711,
    "rejected_at": "2026-11-22T10:15:00Z",
    "state": "open",
    "replayed_at": None,
    "replayed_as": None,
    "given_up_at": None,
    "given_up_by": None,
}


class CloudEvent(BaseModel):
    """CloudEvents 1.0, structured JSON. Further attributes with lower-case names are kept."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [EVENT_EXAMPLE]})

    specversion: str = Field(examples=["1.0"])
    id: str | None = Field(None, max_length=255, description="Unique within `source`; else `Idempotency-Key`.")
    source: str = Field(max_length=255, description="Who sends it; stays the same for one producer.")
    type: str = Field(max_length=255, description="The `event` (or an alias) of a definition.")
    time: datetime | None = Field(None, description="Required with a `cancelkey`.")
    recipient: str | None = Field(None, max_length=255, description="The profile's external id.")
    sendat: datetime | None = Field(None, description="Not before; with offset.")
    expirytime: datetime | None = Field(None, description="Not after; overrides the definition.")
    cancelkey: str | None = Field(None, max_length=255, description="A handle of your own to cancel it by.")
    data: dict[str, Any] | None = Field(None, description="As the definition's JSON Schema says.")


class EventLinks(BaseModel):
    """Where to follow it: the notification and its workflow, or the campaign."""

    notification: str | None = None
    campaign: str | None = None
    explain: str = Field(description="GET /v1/events for this event.")
    workflow: str | None = None


class EventAccepted(BaseModel):
    """The broker has it: it will be carried out, or rejected with a reason that `explain` gives."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "pay_8812-succeeded",
                    "source": "https://acme.example/payments",
                    "notification_id": _ID,
                    "campaign_id": None,
                    "topic": "transactional.notifications",
                    "partition": 3,
                    "offset": 4711,
                    "links": {
                        "notification": f"http://localhost:8000/v1/notifications/{_ID}",
                        "campaign": None,
                        "explain": "http://localhost:8000/v1/events?source=https%3A%2F%2Facme.example%2Fpayments"
                        "&id=pay_8812-succeeded",
                        "workflow": f"http://localhost:8233/namespaces/default/workflows/notification-{_ID}",
                    },
                }
            ]
        }
    )

    id: str
    source: str
    notification_id: UUID | None = Field(description="UUIDv5 of source and id; a repeat has the same.")
    campaign_id: UUID | None = Field(None, description="Of a command on a campaign; a launch's is a UUIDv5 as well.")
    topic: str
    partition: int
    offset: int
    links: EventLinks


class RejectedView(BaseModel):
    """A record that was set aside because the event itself is wrong."""

    model_config = ConfigDict(json_schema_extra={"examples": [_REJECTED]})

    id: int
    reason: str = Field(description="A machine word: not_json, unknown_type, wrong_topic, schema, id_reused, ...")
    detail: str = Field(description="What is wrong and how to mend it.")
    source: str | None
    event_id: str | None
    event_type: str | None
    topic: str
    partition: int
    offset: int
    rejected_at: datetime
    state: RejectedState = Field(description="`open` until it is replayed or given up; only then it may be deleted.")
    replayed_at: datetime | None
    replayed_as: str | None = Field(description="The id of the event that took its place.")
    given_up_at: datetime | None
    given_up_by: str | None

    @classmethod
    def of(cls, row: RejectedEvent) -> "RejectedView":
        shown = row.model_dump(include=set(cls.model_fields))
        return cls.model_validate(shown | {"state": RejectedState.of(row)})


class EventState(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    NOT_SEEN = "not_seen"


class EventAnswer(BaseModel):
    """What became of an event."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "state": "rejected",
                    "source": "https://acme.example/payments",
                    "id": "pay_8812-succeeded",
                    "explanation": f"{REJECTED} {_REJECTED['detail']}",
                    "notification": None,
                    "campaign": None,
                    "rejections": [_REJECTED],
                }
            ]
        }
    )

    state: EventState
    source: str
    id: str
    explanation: str
    notification: NotificationDetail | None = Field(description="With why each channel was or was not used.")
    campaign: CampaignView | None = Field(None, description="That it launched.")
    rejections: list[RejectedView] = Field(
        description="Newest first. An accepted event may have some too: repeats with another content."
    )

    @classmethod
    def of(
        cls,
        source: str,
        event_id: str,
        found: NotificationDetail | CampaignView | None,
        rejected: Sequence[RejectedEvent],
    ) -> "EventAnswer":
        views = [RejectedView.of(row) for row in rejected]
        if isinstance(found, CampaignView):
            state, explanation = EventState.ACCEPTED, f"{LAUNCHED} It is {found.state}."
        elif found is not None:
            state, explanation = EventState.ACCEPTED, found.explanation
        elif views:
            state, explanation = EventState.REJECTED, f"{REJECTED} {views[0].detail}"
        else:
            state, explanation = EventState.NOT_SEEN, NOT_SEEN
        return cls(
            state=state,
            source=source,
            id=event_id,
            explanation=explanation,
            notification=found if isinstance(found, NotificationDetail) else None,
            campaign=found if isinstance(found, CampaignView) else None,
            rejections=views,
        )


class RejectedDetail(RejectedView):
    """With the record as it came."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **_REJECTED,
                    "key": None,
                    "value": '{"specversion": "1.0", "id": "pay_8812-succeeded", ...}',
                    "value_base64": "eyJzcGVjdmVyc2lvbiI6ICIxLjAiLCAuLi59",
                    "headers": [["content-type", "YXBwbGljYXRpb24vY2xvdWRldmVudHMranNvbg=="]],
                }
            ]
        }
    )

    key: str | None = Field(description="Base64.")
    value: str | None = Field(description="As text where it is UTF-8.")
    value_base64: str | None
    headers: list[list[str | None]] = Field(description="Name and base64 value, in order; names may repeat.")

    @classmethod
    def with_record(cls, row: RejectedEvent) -> "RejectedDetail":
        raw = {"key": _base64(row.key), "value": _text(row.value), "value_base64": _base64(row.value)}
        return cls.model_validate(RejectedView.of(row).model_dump() | raw | {"headers": row.headers})


def _base64(raw: bytes | None) -> str | None:
    return base64.b64encode(raw).decode() if raw is not None else None


def _text(raw: bytes | None) -> str | None:
    try:
        return raw.decode() if raw is not None else None
    except UnicodeDecodeError:
        return None
