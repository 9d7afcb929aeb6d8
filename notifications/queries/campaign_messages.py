"""A campaign's messages in the order of their numbers, a block at a time: no statement is open between two blocks."""

# While a campaign is cancelled, what waits is cancelled, as in its account.
BLOCK = """
SELECT each.* FROM campaigns c CROSS JOIN LATERAL (
    SELECT m.seq, m.recipient_id, m.device_id, m.channel, m.address, m.locale,
           CASE WHEN m.status = 'pending' AND c.cancelled_at IS NOT NULL THEN 'cancelled' ELSE m.status END AS status,
           CASE WHEN m.status = 'pending' AND c.cancelled_at IS NOT NULL THEN NULL ELSE m.reason END AS reason,
           m.round, m.attempt, m.provider, m.provider_message_id, m.updated_at
    FROM messages m
    WHERE m.origin_id = c.id AND m.seq > %(after)s
      AND (%(recipient)s::text IS NULL OR m.recipient_id = %(recipient)s)
      AND (%(status)s::text IS NULL OR %(status)s =
           CASE WHEN m.status = 'pending' AND c.cancelled_at IS NOT NULL THEN 'cancelled' ELSE m.status END)
      AND (%(reason)s::text IS NULL OR
           (m.reason = %(reason)s AND NOT (m.status = 'pending' AND c.cancelled_at IS NOT NULL)))
    ORDER BY m.seq LIMIT %(limit)s) each
WHERE c.id = %(campaign)s
ORDER BY each.seq
"""
