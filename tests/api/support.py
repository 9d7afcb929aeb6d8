"""Requests to an application in this process, and rows to ask about."""

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NoReturn

from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from api.app import create_app
from api.context import ApiContext
from notifications.catalogue.definition import Definition
from notifications.database import Sessions, transaction
from notifications.ids import event_uuid
from notifications.settings import Settings
from notifications.tables import Attempt, Message, Notification, RejectedEvent

TOKEN = "test-token-0123456789"
HASH_KEY = "test-hash-key-0123456789"
SOURCE = "https://acme.example/payments"


def app_of(settings: Settings) -> FastAPI:
    """One for all: its routes take a quarter of a second to put together."""
    return _app_of(settings.api_token, settings.public_url)


@cache
def _app_of(token: SecretStr | None, public_url: str) -> FastAPI:
    def open_context(_settings: Settings) -> NoReturn:
        raise AssertionError("the context comes with each request")

    return create_app(Settings(api_token=token, public_url=public_url), open_context)


def app_with(context: ApiContext) -> ASGIApp:
    """Puts the context into each request, as a server does with what the lifespan gave it."""
    app = app_of(context.settings)

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"context": context}}, receive, send)

    return with_state


@asynccontextmanager
async def client_of(context: ApiContext, *, token: str | None = TOKEN) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app_with(context), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with AsyncClient(transport=transport, base_url="http://localhost:8000", headers=headers) as client:
        yield client


def definitions() -> Mapping[str, Definition]:
    return {
        "payment.succeeded": _definition("payment.succeeded", "transactional", "payments", "required"),
        "cart.abandoned": _definition("cart.abandoned", "promotional", "offers", "opted_out"),
    }


def _definition(event: str, kind: str, category: str, default: str) -> Definition:
    return Definition.model_validate(
        {
            "event": event,
            "type": kind,
            "category": {"name": category, "title": category.title(), "default": default},
            "default_locale": "en",
            "routing": {"mode": "all", "channels": ["push", "email"]},
            "delivery": {"duplicates": "at_least_once", "retry_for": "30m", "expire_after": "72h"},
            "data": {
                "type": "object",
                "required": ["payment_id"],
                "additionalProperties": False,
                "properties": {"payment_id": {"type": "string"}, "amount": {"type": "string"}},
            },
            "templates": {"email": {"en": {"subject": "Paid", "text": "Paid"}}},
            "version": 1,
        }
    )


def unique(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def event(**changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": unique("pay"),
        "source": SOURCE,
        "type": "payment.succeeded",
        "recipient": "cus_42",
        "data": {"payment_id": "pay_8812"},
    } | changes


def notification_row(event_id: str, **changes: Any) -> Notification:
    values: dict[str, Any] = {
        "id": event_uuid(SOURCE, event_id),
        "source": SOURCE,
        "event_id": event_id,
        "event_type": "payment.succeeded",
        "type": "transactional",
        "definition": "payment.succeeded",
        "definition_version": 1,
        "category": "payments",
        "recipient_id": "cus_42",
        "recipient_ref": "00ff",
        "payload_hash": b"\0" * 32,
        "event": {},
        "topic": "transactional.notifications",
        "received_at": datetime.now(UTC),
        "started_at": datetime.now(UTC),
    }
    return Notification(**values | changes)


def message_row(notification: Notification, seq: int, **changes: Any) -> Message:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "origin_id": notification.id,
        "seq": seq,
        "type": notification.type,
        "category": notification.category,
        "channel": "email",
        "definition": notification.definition,
        "definition_version": 1,
        "recipient_id": notification.recipient_id,
        "address": "jane@example.org",
        "locale": "en",
        "duplicates": "at_least_once",
        "retry_for": timedelta(minutes=30),
        "expires_at": now + timedelta(hours=72),
        "due_at": now,
        "created_at": now,
        "updated_at": now,
    }
    return Message(**values | changes)


def attempt_row(message: Message, attempt: int, **changes: Any) -> Attempt:
    now = datetime.now(UTC)
    values: dict[str, Any] = {
        "origin_id": message.origin_id,
        "seq": message.seq,
        "attempt": attempt,
        "round": 1,
        "provider": "smtp",
        "outcome": "accepted",
        "started_at": now,
        "finished_at": now,
    }
    return Attempt(**values | changes)


_offsets = iter(range(1_000_000))


def rejected_row(event_id: str, **changes: Any) -> RejectedEvent:
    values: dict[str, Any] = {
        "topic": unique("topic"),
        "partition": 1_000,  # no broker of the tests gives as many, so no event that a bridge rejects has its place
        "offset": next(_offsets),
        "headers": [],
        "source": SOURCE,
        "event_id": event_id,
        "reason": "unknown_type",
        "detail": "mend it",
    }
    return RejectedEvent(**values | changes)


async def save(sessions: Sessions, *rows: Any) -> None:
    async with transaction(sessions) as session:
        session.add_all(rows)
