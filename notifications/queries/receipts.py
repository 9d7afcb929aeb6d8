"""Receipts: kept once each, matched to an attempt, and applied to the ledger by rank."""

from notifications.queries.claim import tell
from notifications.statuses import RANKS

_RANK = "CASE {0} " + " ".join(f"WHEN '{status}' THEN {rank}" for status, rank in RANKS.items()) + " END"

# A receipt is applied where it raises the status; a negative one only to the attempt that is current. Of several about
# one message the highest is applied. A bounce says more than a failure of the same rank, whichever came first.
# One that was matched before is left out; one without a message waits. Rows are found by key (docs/adr/0020).
TAKE = f"""
WITH given AS (
    SELECT * FROM unnest(CAST(:providers AS text[]), CAST(:receipt_ids AS text[]),
                         CAST(:provider_message_ids AS text[]), CAST(:origin_ids AS uuid[]), CAST(:seqs AS bigint[]),
                         CAST(:attempts AS int[]), CAST(:statuses AS text[]), CAST(:reasons AS text[]),
                         CAST(:details AS text[]), CAST(:occurred AS timestamptz[]))
        AS g (provider, receipt_id, provider_message_id, origin_id, seq, attempt, status, reason, details, occurred_at)
), fresh AS (
    SELECT g.* FROM given g WHERE NOT EXISTS (
        SELECT FROM receipts r WHERE r.provider = g.provider AND r.receipt_id = g.receipt_id
        AND r.matched_at IS NOT NULL OFFSET 0)
), held AS (
    SELECT m.origin_id, m.seq, m.status AS was, m.attempt AS current_attempt, m.channel, m.category,
           m.address_ref
    FROM (SELECT DISTINCT origin_id, seq FROM fresh ORDER BY origin_id, seq) f
    CROSS JOIN LATERAL (SELECT * FROM messages WHERE origin_id = f.origin_id AND seq = f.seq OFFSET 0) m
    FOR UPDATE OF m
), kept AS (
    INSERT INTO receipts (provider, receipt_id, provider_message_id, origin_id, seq, attempt, status, reason, details,
                          occurred_at, matched_at)
    SELECT f.provider, f.receipt_id, f.provider_message_id, f.origin_id, f.seq, f.attempt, f.status, f.reason,
           CAST(f.details AS jsonb), f.occurred_at, CASE WHEN h.origin_id IS NOT NULL THEN now() END
    FROM fresh f LEFT JOIN held h USING (origin_id, seq)
    ORDER BY f.provider, f.receipt_id
    ON CONFLICT (provider, receipt_id) DO UPDATE SET
        origin_id = coalesce(excluded.origin_id, receipts.origin_id), seq = coalesce(excluded.seq, receipts.seq),
        attempt = coalesce(excluded.attempt, receipts.attempt),
        matched_at = coalesce(receipts.matched_at, excluded.matched_at)
), best AS (
    SELECT DISTINCT ON (origin_id, seq) f.*
    FROM fresh f JOIN held h USING (origin_id, seq)
    WHERE (f.status NOT IN ('failed', 'bounced') OR f.attempt = h.current_attempt)
      AND ({_RANK.format("f.status")} > {_RANK.format("h.was")} OR f.status = 'bounced' AND h.was = 'failed')
    ORDER BY origin_id, seq, {_RANK.format("f.status")} DESC, f.status, f.receipt_id
), changed AS (
    UPDATE messages m SET status = b.status, reason = b.reason, stuck_reason = NULL, due_at = NULL, claimed_by = NULL,
        provider = b.provider, provider_message_id = coalesce(b.provider_message_id, m.provider_message_id),
        version = m.version + 1, updated_at = now()
    FROM best b WHERE m.origin_id = b.origin_id AND m.seq = b.seq
    RETURNING m.*
), told AS ({tell("changed")})
SELECT g.provider, g.receipt_id, g.origin_id, g.seq, h.was, h.channel, h.category, h.address_ref,
       EXISTS (SELECT FROM notifications n WHERE n.id = h.origin_id AND n.finished_at IS NULL OFFSET 0) AS is_running,
       CASE WHEN f.receipt_id IS NULL THEN 'doubled' WHEN h.origin_id IS NULL THEN 'waiting'
            WHEN b.receipt_id IS NULL THEN 'unchanged' ELSE 'applied' END AS fate
FROM given g LEFT JOIN fresh f ON f.provider = g.provider AND f.receipt_id = g.receipt_id
LEFT JOIN held h ON h.origin_id = f.origin_id AND h.seq = f.seq
LEFT JOIN best b ON b.provider = f.provider AND b.receipt_id = f.receipt_id
"""

# Of a recipient, about no message of ours; it is never looked for again, and never forgotten: see `Replies.take`.
KEEP_REPLY = """
INSERT INTO receipts (provider, receipt_id, status, details, occurred_at, matched_at)
VALUES (:provider, :receipt_id, :status, CAST(:details AS jsonb), :occurred_at, now())
ON CONFLICT DO NOTHING RETURNING receipt_id
"""

FIND_ATTEMPTS = """
SELECT g.provider, g.provider_message_id, a.origin_id, a.seq, a.attempt
FROM unnest(CAST(:providers AS text[]), CAST(:provider_message_ids AS text[])) AS g (provider, provider_message_id)
CROSS JOIN LATERAL (SELECT * FROM attempts WHERE provider = g.provider
                    AND provider_message_id = g.provider_message_id OFFSET 0) a
"""

# Between a receipt and our own record lie seconds; what nobody sent from here is never matched.
WAITING = """
SELECT r.provider, r.receipt_id, r.provider_message_id, r.status, r.reason, r.details, r.occurred_at,
       a.origin_id, a.seq, a.attempt
FROM receipts r CROSS JOIN LATERAL (
    SELECT * FROM attempts WHERE provider = r.provider AND provider_message_id = r.provider_message_id OFFSET 0) a
WHERE r.matched_at IS NULL AND r.received_at > now() - interval '15 minutes'
ORDER BY r.received_at
LIMIT :limit
FOR UPDATE OF r SKIP LOCKED
"""
