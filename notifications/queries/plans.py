"""What planning reads and writes of a notification, in as few round trips as it takes: each one costs CPU twice."""

_COLUMNS = """id, type, definition, definition_version, recipient_id, guest, sendat, expires_at, due_at, received_at,
       cancelled_at"""

READ = f"""
SELECT {_COLUMNS}, EXISTS (
    SELECT FROM plans WHERE notification_id = notifications.id AND plan_version = %(version)s
) AS is_planned
FROM notifications WHERE id = %(id)s
"""

LOCK = f"SELECT {_COLUMNS} FROM notifications WHERE id = %(id)s FOR UPDATE"

# No row: another run of the same activity was faster.
STORE = """
WITH stored AS (
    INSERT INTO plans (notification_id, plan_version, plan, profile)
    VALUES (%(id)s, %(version)s, CAST(%(plan)s AS jsonb), CAST(%(profile)s AS jsonb))
    ON CONFLICT DO NOTHING RETURNING notification_id
)
UPDATE notifications SET expires_at = %(expires_at)s, due_at = %(due_at)s, wake_at = %(due_at)s,
       status = CASE WHEN cancelled_at IS NULL THEN %(status)s ELSE status END
FROM stored WHERE id = stored.notification_id RETURNING id
"""

KNOWN_MESSAGES = """
SELECT seq, channel, status, reason, attempt, address, address_ref FROM messages WHERE origin_id = %(id)s ORDER BY seq
"""

# A row per message; one without a message where none is planned yet.
STATE = """
SELECT n.type, n.definition, n.definition_version, n.due_at, n.received_at, n.expires_at,
       n.cancelled_at IS NOT NULL AS is_cancelled,
       (SELECT max(plan_version) FROM plans WHERE notification_id = n.id) AS plan_version,
       m.seq, m.step, m.channel, m.status, m.round, m.stuck_reason, m.provider
FROM notifications n LEFT JOIN messages m ON m.origin_id = n.id
WHERE n.id = %(id)s ORDER BY m.seq
"""

# By device, so that a plan made twice numbers them alike.
PROFILE = """
SELECT r.name, r.email, r.phone, r.locale, r.timezone, r.attributes, d.id AS device_id, d.token, d.platform
FROM recipients r LEFT JOIN devices d ON d.recipient_id = r.id AND d.disabled_at IS NULL
WHERE r.id = %(id)s ORDER BY d.id
"""

# The choices of a recipient and the suppressions of addresses: of each row, one half is null.
CONSENT = """
SELECT category, channel, opted_in, NULL::bytea AS address_ref, NULL AS scope
FROM preferences WHERE recipient_id = %(recipient_id)s
UNION ALL
SELECT NULL, channel, NULL, address_ref, scope FROM suppressions WHERE address_ref = ANY (CAST(%(refs)s AS bytea[]))
"""
