"""Events: send one over HTTP, and ask what became of one."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from api.context import Context, Session
from api.event_intake import accept_event, explain_event
from api.problems import BAD_REQUEST, EVENT_REJECTED, ID_REUSED, INVALID, TOO_LARGE, UNAVAILABLE, problem_responses
from api.schemas.events import EVENT_EXAMPLE, GUEST_EXAMPLE, CloudEvent, EventAccepted, EventAnswer
from api.texts import Text

router = APIRouter(prefix="/events", tags=["events"])

_BODY = {
    "required": True,
    "content": {
        media_type: {
            "schema": CloudEvent.model_json_schema(),
            "examples": {
                "recipient": {"summary": "For a recipient with a profile", "value": EVENT_EXAMPLE},
                "guest": {"summary": "For a guest", "value": GUEST_EXAMPLE},
            },
        }
        for media_type in ("application/cloudevents+json", "application/json")
    },
}


@router.post(
    "",
    status_code=202,
    summary="Send an event",
    description="The body is a CloudEvent in structured mode. It is checked against the catalogue at once, then "
    "produced to the topic of its definition's type (`campaigns` for commands on campaigns); the answer comes after "
    "the broker has it. Repeating a request with the same `source` and `id` notifies nobody twice.",
    responses=problem_responses(BAD_REQUEST, EVENT_REJECTED, ID_REUSED, TOO_LARGE, UNAVAILABLE),
    openapi_extra={"requestBody": _BODY},
)
async def post_event(
    context: Context,
    request: Request,
    response: Response,
    idempotency_key: Annotated[
        Text | None, Header(description="Used as the event's `id` where it has none.", examples=["order-77"])
    ] = None,
) -> EventAccepted:
    accepted = await accept_event(context, await request.body(), idempotency_key)
    campaign = accepted.campaign_id
    response.headers["Location"] = (
        f"/v1/campaigns/{campaign}" if campaign is not None else f"/v1/notifications/{accepted.notification_id}"
    )
    return accepted


@router.get(
    "",
    summary="What became of an event",
    description="`accepted`, with its notification and why each channel was or was not used, or with the campaign that "
    "it launched; `rejected`, with what to mend; or `not_seen`.",
    responses=problem_responses(INVALID),
)
async def get_event(
    context: Context,
    session: Session,
    source: Annotated[Text, Query(examples=["https://acme.example/payments"])],
    id: Annotated[Text, Query(examples=["pay_8812-succeeded"])],  # noqa: A002 - the attribute's name
) -> EventAnswer:
    return await explain_event(session, source, id, context.links)
