"""Definitions and notifications for tests of planning, without a catalogue folder."""

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from notifications.addresses import address_ref
from notifications.catalogue.definition import (
    DELIVERY_DEFAULTS,
    Category,
    ConsentDefault,
    Definition,
    EmailTemplate,
    PushTemplate,
    Routing,
    SmsTemplate,
    Templates,
    WhatsAppTemplate,
)
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, transaction
from notifications.plans import Plans
from notifications.profiles.own_tables import OwnTablesProfileSource
from notifications.profiles.profile import Device, Profile, ProfileSource
from notifications.queries.recipients import upsert_recipient
from notifications.rerouting import Rerouting
from notifications.settings import Settings
from notifications.statuses import Channel, NotificationType, RoutingMode
from notifications.tables import CatalogueVersion
from tests.support.ledger import notification_row

HASH_KEY = b"a key for tests of planning"
TEMPLATES = Templates(
    email={"en": EmailTemplate(subject="Paid", text="Hello {{ recipient.name }}, {{ data.amount }} paid.")},
    push={"en": PushTemplate(title="Paid", body="{{ data.amount }}")},
    sms={"en": SmsTemplate(body="{{ data.amount }} paid")},
    whatsapp={"en": WhatsAppTemplate(vendor_templates={"meta": {"name": "paid", "language": "en"}})},
)


def refer(channel: Channel, address: str) -> bytes:
    return address_ref(HASH_KEY, channel, address)


def definition_of(
    *channels: Channel,
    mode: RoutingMode = RoutingMode.ALL,
    consent: ConsentDefault = ConsentDefault.REQUIRED,
    expire_after: timedelta = timedelta(hours=72),
    **changes: Any,
) -> Definition:
    values: dict[str, Any] = {
        "event": f"tests.{uuid.uuid4()}",
        "type": NotificationType.TRANSACTIONAL,
        "category": Category(name="receipts", title="Receipts", default=consent),
        "default_locale": "en",
        "routing": Routing(mode=mode, channels=channels or (Channel.EMAIL,)),
        "delivery": DELIVERY_DEFAULTS[NotificationType.TRANSACTIONAL].model_copy(update={"expire_after": expire_after}),
        "data": {"type": "object"},
        "templates": TEMPLATES,
        "version": 1,
    }
    return Definition(**(values | changes))


def profile_of(recipient_id: str, *, tokens: Sequence[str] = (), **changes: Any) -> Profile:
    values: dict[str, Any] = {
        "name": "Ana",
        "email": f"{uuid.uuid4()}@example.org",
        "phone": "+4915112345678",
        "locale": "de",
        "devices": tuple(Device(f"device-{token}", token, "ios") for token in tokens),
    }
    return Profile(recipient_id=recipient_id, **(values | changes))


async def insert_notification(
    sessions: Sessions, definition: Definition, *, profile: Profile | None = None, **changes: Any
) -> UUID:
    """A notification that is not planned yet, its definition's version (current for nobody) and its recipient."""
    notification = notification_row(
        definition=definition.name,
        definition_version=definition.version,
        type=definition.type,
        category=definition.category.name,
        **changes,
    )
    if profile is not None:
        notification.recipient_id = profile.recipient_id
    notification_id = notification.id
    content = definition.model_dump(mode="json", exclude={"version"})
    async with transaction(sessions) as session:
        session.add(
            CatalogueVersion(
                kind="definition",
                name=definition.name,
                version=definition.version,
                content_hash=uuid.uuid4().hex,
                content=content,
            )
        )
        if profile is not None:
            await upsert_recipient(session, profile, hash_key=HASH_KEY)
        session.add(notification)
    return notification_id


def plans_for(sessions: Sessions, *, profiles: ProfileSource | None = None, **settings: Any) -> Plans:
    return Plans(
        sessions,
        profiles=profiles or OwnTablesProfileSource(sessions),
        catalogue=CatalogueStore(sessions),
        settings=Settings(**settings),
        hash_key=HASH_KEY,
    )


def rerouting_for(sessions: Sessions) -> Rerouting:
    return Rerouting(sessions, catalogue=CatalogueStore(sessions), hash_key=HASH_KEY)
