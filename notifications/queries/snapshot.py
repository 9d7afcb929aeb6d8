"""The snapshot's SQL: a block of an audience into the ledger, and the ranges in which it is sent."""

from notifications.queries.claim import tell
from notifications.queries.targets import Source, targets
from notifications.statuses import Channel

# Blocks are planned for their own values, and go along the keys whatever the statistics say (docs/adr/0020): a bitmap
# would be made of all that is left of the audience.
PLAN_EACH_BLOCK = """
SELECT set_config('plan_cache_mode', 'force_custom_plan', true), set_config('enable_bitmapscan', 'off', true)
"""

LOCK = "SELECT * FROM campaigns WHERE id = :id FOR UPDATE"

# What the template and the category say, and the last number that is taken. A statement of its own, after the lock: one
# that waits for a lock goes on with what it read of other tables before.
FACTS = """
SELECT (SELECT content ->> 'default_locale' FROM catalogue_versions
        WHERE kind = 'template' AND name = :definition AND version = :definition_version) AS default_locale,
       (SELECT content ->> 'default' FROM categories WHERE name = :category) AS consent_default,
       coalesce((SELECT seq FROM messages WHERE origin_id = :id ORDER BY seq DESC LIMIT 1), 0) AS last_seq
"""


def bound(source: Source) -> str:
    """The last id of the next :limit ones, and how many they are."""
    if source.ids is None:
        raise ValueError("an audience of few is one block")
    table, where = source.ids
    return f"""
SELECT coalesce(max(id), :after) AS upto, count(*) AS ids FROM (
    SELECT {source.id} AS id FROM {table} WHERE {where} AND {source.id} > CAST(:after AS text)
    ORDER BY {source.id} LIMIT :limit
) block
"""


# Numbers go on where the block before ended. What is skipped is born ended.
_INSERT = """
INSERT INTO messages (
    origin_id, seq, origin_kind, plan_version, step, type, category, channel, definition, definition_version,
    recipient_id, address, address_ref, device_id, locale, consent, duplicates, retry_for, expires_at,
    status, reason, round, attempt, failures, version, due_at)
SELECT CAST(:id AS uuid), CAST(:last_seq AS bigint) + row_number() OVER (ORDER BY t.recipient_id, t.device_id),
       'campaign', 1, 0, :type, :category, :channel, :definition, :definition_version,
       t.recipient_id, t.address, t.address_ref, t.device_id, coalesce(t.locale, :default_locale), t.consent,
       :duplicates, CAST(:retry_for AS interval), CAST(:expires_at AS timestamptz),
       CASE WHEN t.skip IS NULL THEN 'pending' ELSE 'skipped' END, t.skip, 1, 0, 0,
       CASE WHEN t.skip IS NULL THEN 0 ELSE 1 END,
       CASE WHEN t.skip IS NULL THEN CAST(:starts_at AS timestamptz) END
FROM ({targets}) t
"""


def insert(source: Source, channel: Channel) -> str:
    return _INSERT.replace("{targets}", targets(source, channel, by_key=True))


TELL_SKIPPED = tell("messages WHERE origin_id = :id AND seq > :last_seq AND status = 'skipped' ORDER BY seq")

# A block has whole recipients: none of them is in another one.
PEOPLE = "SELECT count(DISTINCT recipient_id) FROM messages WHERE origin_id = :id AND seq > :last_seq"

ADVANCE = """
UPDATE campaigns SET prepared_to = :upto, recipients = recipients + :people, updated_at = now() WHERE id = :id
"""

FINISH = """
WITH prepared AS (
    UPDATE campaigns SET prepared_at = now(), recipients = recipients + :people, updated_at = now() WHERE id = :id
    RETURNING id, round
)
INSERT INTO campaign_ranges (campaign_id, round, first_seq, last_seq, epoch)
SELECT p.id, p.round, first, least(first + :size - 1, CAST(:last_seq AS bigint)), 0
FROM prepared p CROSS JOIN generate_series(CAST(1 AS bigint), CAST(:last_seq AS bigint), :size) first
"""

# Somebody else who analyses it at the moment does as well.
ANALYZE = "ANALYZE (SKIP_LOCKED) messages"

# An address that was changed meanwhile was hashed by who changed it.
_KEEP_REFS = """
UPDATE {table} t SET {ref} = decode(f.ref, 'hex')
FROM (SELECT * FROM json_to_recordset(CAST(:found AS json)) AS j (recipient_id text, device_id text, address text,
      ref text) ORDER BY recipient_id, device_id) f
WHERE {key} AND t.{address} = f.address
"""
KEEP_REFS = {
    Channel.EMAIL: _KEEP_REFS.format(table="recipients", ref="email_ref", address="email", key="t.id = f.recipient_id"),
    Channel.SMS: _KEEP_REFS.format(table="recipients", ref="phone_ref", address="phone", key="t.id = f.recipient_id"),
    Channel.PUSH: _KEEP_REFS.format(
        table="devices", ref="token_ref", address="token", key="t.recipient_id = f.recipient_id AND t.id = f.device_id"
    ),
}
KEEP_REFS[Channel.WHATSAPP] = KEEP_REFS[Channel.SMS]
