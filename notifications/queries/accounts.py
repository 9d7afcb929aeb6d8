"""What became of a campaign's messages: one count over its part of the ledger."""

# While a campaign is cancelled, what waits is cancelled: its rows are rewritten after that, in blocks.
COUNT = """
SELECT CASE WHEN m.status = 'pending' AND c.cancelled_at IS NOT NULL THEN 'cancelled' ELSE m.status END AS status,
       CASE WHEN m.status = 'skipped' THEN m.reason END AS reason,
       m.count, c.recipients
FROM campaigns c CROSS JOIN LATERAL (
    SELECT status, reason, count(*) AS count FROM (
        SELECT status, CASE WHEN status = 'skipped' THEN reason END AS reason
        FROM messages WHERE origin_id = c.id OFFSET 0) each
    GROUP BY status, reason) m
WHERE c.id = %(campaign)s
"""
