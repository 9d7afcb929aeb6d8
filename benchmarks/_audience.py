"""Recipients to send a campaign to: what they chose, and the addresses that must not be used."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from notifications.catalogue.definition import DELIVERY_DEFAULTS, Category, ConsentDefault
from notifications.database import Sessions, execute, transaction
from notifications.queries.catalogue import put_category
from notifications.statuses import Channel, NotificationType
from notifications.tables import Campaign, CatalogueVersion

OFFERS = Category(name="offers", title="Offers", default=ConsentDefault.OPTED_OUT)
TEMPLATE = "spring-sale"
_BLOCK = 50_000  # rows of one transaction

_RECIPIENTS = """
INSERT INTO recipients (id, name, email, email_ref, phone, phone_ref, locale, timezone, attributes)
SELECT 'cus_' || n, 'Person ' || n, 'person' || n || '@example.org', sha256(CAST(n AS text)::bytea),
       '+49151' || lpad(CAST(n AS text), 8, '0'), sha256(CAST('p' || n AS text)::bytea),
       (ARRAY['de', 'de-AT', 'en', 'fr'])[1 + n % 4], 'Europe/Berlin',
       jsonb_build_object('plan', CASE WHEN n % 10 = 0 THEN 'free' ELSE 'pro' END, 'city', n % 20000, 'visits', n % 97,
                          'last_order', to_char(timestamptz '2026-11-22' - interval '1 hour' * (n % 5000),
                                                'YYYY-MM-DD"T"HH24":"MI":"SS"Z"'))
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
"""
_CHOICES = """
INSERT INTO preferences (recipient_id, category, channel, opted_in, source, time)
SELECT 'cus_' || n, 'offers', 'email', n % 20 > 0, 'import', now()
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
"""
_SUPPRESSIONS = """
INSERT INTO suppressions (address_ref, channel, scope, reason, source)
SELECT sha256(CAST(n AS text)::bytea), 'email', 'all', 'hard_bounce', 'smtp'
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n WHERE n % 50 = 0
"""


async def fill_recipients(sessions: Sessions, recipients: int) -> None:
    """Nine of ten have the plan `pro`; one of twenty opted out of offers by e-mail, one of fifty addresses bounced."""
    for first in range(1, recipients + 1, _BLOCK):
        last = min(first + _BLOCK - 1, recipients)
        for statement in (_RECIPIENTS, _CHOICES, _SUPPRESSIONS):
            async with transaction(sessions) as session:
                await execute(session, statement, {"first": first, "last": last})


async def publish(sessions: Sessions) -> None:
    """The category and the template of every campaign here."""
    async with transaction(sessions) as session:
        await put_category(session, OFFERS)
        content = {"default_locale": "en"}
        session.add(CatalogueVersion(kind="template", name=TEMPLATE, version=1, content_hash=TEMPLATE, content=content))


async def insert_campaign(sessions: Sessions, audience: dict[str, object]) -> UUID:
    """Launched, and ready to be prepared."""
    now, campaign_id = datetime.now(UTC), uuid4()
    delivery = DELIVERY_DEFAULTS[NotificationType.PROMOTIONAL]
    async with transaction(sessions) as session:
        session.add(
            Campaign(
                id=campaign_id,
                name="Spring sale",
                state="preparing",
                type=NotificationType.PROMOTIONAL,
                category=OFFERS.name,
                channel=Channel.EMAIL,
                template=TEMPLATE,
                template_version=1,
                data={},
                audience=audience,
                duplicates=delivery.duplicates,
                retry_for=delivery.retry_for,
                expire_after=delivery.expire_after,
                starts_at=now,
                expires_at=now + delivery.expire_after,
                created_by="benchmark",
            )
        )
    return campaign_id
