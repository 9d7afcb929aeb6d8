"""A campaign that was called off: what waits is cancelled, what nobody can answer any more is unknown."""

from notifications.queries.claim import tell

# A call of a try that may be alive is left to it: `open` says how many there are in the block.
SETTLE = f"""
WITH found AS (
    SELECT seq, status, status = 'pending' OR claimed_at <= now() - %(answer_window)s AS is_over
    FROM messages
    WHERE origin_id = %(campaign)s AND seq > %(after)s AND seq <= %(upto)s AND status IN ('pending', 'sending')
    ORDER BY seq FOR UPDATE
), changed AS (
    UPDATE messages m SET
        status = CASE f.status WHEN 'pending' THEN 'cancelled' ELSE 'unknown' END,
        reason = CASE f.status WHEN 'pending' THEN 'cancelled' ELSE 'answer_lost' END,
        claimed_by = NULL, version = m.version + 1, updated_at = now()
    FROM found f WHERE m.origin_id = %(campaign)s AND m.seq = f.seq AND f.is_over
    RETURNING m.*
), told AS ({tell("changed")}
)
SELECT (SELECT count(*) FROM changed) AS settled,
       (SELECT count(*) FROM changed WHERE status = 'unknown') AS unknown,
       (SELECT count(*) FROM found WHERE NOT is_over) AS open
"""

LAST = "SELECT coalesce((SELECT seq FROM messages WHERE origin_id = %(campaign)s ORDER BY seq DESC LIMIT 1), 0) AS seq"
