"""A ledger with many rows in it: a campaign, single notifications, what people chose and what is suppressed."""

from uuid import UUID, uuid4

from notifications.database import Sessions, execute, transaction

_BLOCK = 50_000  # rows of one transaction

_CAMPAIGN = """
INSERT INTO messages (origin_id, seq, origin_kind, plan_version, step, type, category, channel, definition,
                      definition_version, recipient_id, address, address_ref, locale, consent, duplicates, retry_for,
                      expires_at, status, round, attempt, failures, version, due_at)
SELECT :id, n, 'campaign', 1, 0, 'promotional', 'offers', 'email', 'cart.abandoned', 1, 'cus_' || n,
       'person' || n || '@example.org', sha256(CAST(n AS text)::bytea), 'en', 'tidings', 'at_most_once',
       interval '30 minutes', now() + interval '1 day', 'pending', 1, 0, 0, 0, now()
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
"""
_NOTIFICATIONS = """
INSERT INTO notifications (id, source, event_id, event_type, type, definition, definition_version, category,
                           recipient_id, recipient_ref, payload_hash, event, topic, status, due_at)
SELECT gen_random_uuid(), 'https://acme.example', 'single-' || n, 'payment.succeeded', 'transactional',
       'payment.succeeded', 1, 'payments', 'cus_' || n, 'ref', '', '{}', 'transactional.notifications', 'running', now()
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
RETURNING id
"""
_SINGLES = """
INSERT INTO messages (origin_id, seq, origin_kind, plan_version, step, type, category, channel, definition,
                      definition_version, recipient_id, address, address_ref, locale, consent, duplicates, retry_for,
                      expires_at, status, round, attempt, failures, version, due_at)
SELECT id, 1, 'notification', 1, 0, type, category, 'email', definition, 1, recipient_id, 'ana@example.org',
       sha256(CAST(id AS text)::bytea), 'en', 'default', 'at_least_once', interval '30 minutes',
       now() + interval '1 day', 'pending', 1, 0, 0, 0, now()
FROM notifications WHERE id = ANY (CAST(:ids AS uuid[]))
"""
_OPT_INS = """
INSERT INTO preferences (recipient_id, category, channel, opted_in, source, time)
SELECT 'cus_' || n, 'offers', 'email', true, 'import', now()
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
ON CONFLICT DO NOTHING
"""
_SUPPRESSIONS = """
INSERT INTO suppressions (address_ref, channel, scope, reason, source)
SELECT sha256(CAST(-n AS text)::bytea), 'email', 'all', 'hard_bounce', 'smtp'
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
ON CONFLICT DO NOTHING
"""


async def fill_campaign(sessions: Sessions, rows: int) -> UUID:
    """Messages 1 to `rows` of a campaign whose recipients opted in; a tenth as many other addresses are suppressed."""
    campaign = uuid4()
    for first in range(1, rows + 1, _BLOCK):
        last = min(first + _BLOCK - 1, rows)
        async with transaction(sessions) as session:
            await execute(session, _CAMPAIGN, {"id": campaign, "first": first, "last": last})
            await execute(session, _OPT_INS, {"first": first, "last": last})
            await execute(session, _SUPPRESSIONS, {"first": first // 10 + 1, "last": last // 10})
    return campaign


async def fill_singles(sessions: Sessions, count: int) -> list[UUID]:
    """Notifications with one pending message each, `seq` 1."""
    async with transaction(sessions) as session:
        ids = list((await execute(session, _NOTIFICATIONS, {"first": 1, "last": count})).scalars())
        await execute(session, _SINGLES, {"ids": ids})
    return ids
