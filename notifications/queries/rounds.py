"""The next round of a campaign: what failed waits again, block by block of its numbers."""

HAS_FAILED = """
SELECT EXISTS (SELECT FROM messages WHERE origin_id = %(id)s AND status = 'failed' OFFSET 0) AS found
"""

# A round of the campaign is a round of its messages: their attempts tell which it was.
REOPEN = """
WITH last AS (
    SELECT max(last_seq) AS seq FROM campaign_ranges WHERE campaign_id = %(id)s AND round = 1
), held AS (
    SELECT seq FROM messages
    WHERE origin_id = %(id)s AND seq > %(after)s AND seq <= %(upto)s AND status = 'failed'
    ORDER BY seq FOR UPDATE
), changed AS (
    UPDATE messages m SET status = 'pending', reason = NULL, round = %(round)s, resend_round = NULL, failures = 0,
           budget_since = NULL, range_epoch = 0, due_at = %(starts_at)s, expires_at = %(expires_at)s, updated_at = now()
    FROM held h WHERE m.origin_id = %(id)s AND m.seq = h.seq
    RETURNING m.seq
), ranges AS (
    INSERT INTO campaign_ranges (campaign_id, round, first_seq, last_seq, epoch)
    SELECT DISTINCT r.campaign_id, CAST(%(round)s AS int), r.first_seq, r.last_seq, 0
    FROM changed c JOIN campaign_ranges r
        ON r.campaign_id = %(id)s AND r.round = 1 AND c.seq BETWEEN r.first_seq AND r.last_seq
    ON CONFLICT DO NOTHING
)
SELECT (SELECT count(*) FROM changed) AS rows, coalesce((SELECT seq FROM last), 0) <= %(upto)s AS is_last
"""
