"""Ranges of a campaign's messages: each has a row with an epoch, which every try raises and every claim requires."""

from notifications.queries.claim import tell

BEGIN = """
UPDATE campaign_ranges SET epoch = epoch + 1
WHERE campaign_id = %(campaign)s AND round = %(round)s AND first_seq = %(first)s AND finished_at IS NULL
RETURNING epoch, last_seq
"""

# A message that was freed to be sent once more on its own is nobody else's (queries/campaign_resends.py).
_OURS = "m.resend_round IS DISTINCT FROM m.round"

# The next rows of the range after a moving cursor. The range's row is locked in share mode, so that a try that raises
# the epoch waits for claims under the old one, and those after it find nothing. A row in `sending` under a lower epoch
# is left alone while somebody may still write down what came of its call. After that its answer is lost: it is sent
# again only where duplicates are allowed.
CLAIM = f"""
WITH campaign AS MATERIALIZED (
    SELECT id FROM campaigns WHERE id = %(campaign)s AND state = 'running'
), range AS MATERIALIZED (
    SELECT r.last_seq FROM campaign_ranges r, campaign
    WHERE r.campaign_id = %(campaign)s AND r.round = %(round)s AND r.first_seq = %(first)s AND r.epoch = %(epoch)s
    FOR SHARE OF r
), held AS (
    SELECT m.*
    FROM range CROSS JOIN LATERAL (
        SELECT seq, status, attempt, expires_at, recipient_id, duplicates,
               EXISTS (SELECT FROM suppressions s WHERE s.address_ref = m.address_ref AND s.channel = m.channel
                       AND (s.scope = 'all' OR s.scope = m.category AND m.consent <> 'required') OFFSET 0)
                   AS is_suppressed,
               CASE m.consent
                   WHEN 'required' THEN false
                   WHEN 'tidings' THEN NOT EXISTS (
                       SELECT FROM preferences p WHERE p.recipient_id = m.recipient_id AND p.category = m.category
                       AND p.channel = m.channel AND p.opted_in OFFSET 0)
                   ELSE EXISTS (
                       SELECT FROM preferences p WHERE p.recipient_id = m.recipient_id AND p.category = m.category
                       AND p.channel = m.channel AND NOT p.opted_in OFFSET 0)
               END AS is_opted_out
        FROM messages m
        WHERE m.origin_id = %(campaign)s AND m.seq > %(after)s AND m.seq <= range.last_seq AND {_OURS}
          AND (m.status = 'pending' AND m.due_at <= now()
               OR m.status = 'sending' AND m.range_epoch < %(epoch)s AND m.claimed_at <= now() - %(answer_window)s)
        ORDER BY m.seq LIMIT %(limit)s FOR UPDATE OF m
    ) m
), judged AS (
    SELECT seq, CASE
        WHEN status = 'sending' AND (duplicates = 'at_most_once' OR expires_at <= now() OR is_suppressed
                                     OR is_opted_out) THEN 'unknown'
        WHEN expires_at <= now() THEN CASE WHEN attempt > 0 THEN 'failed' ELSE 'skipped' END
        WHEN is_suppressed OR is_opted_out THEN 'skipped'
        ELSE 'sending'
    END AS verdict, CASE
        WHEN status = 'sending' THEN 'answer_lost'
        WHEN expires_at <= now() THEN 'expired'
        WHEN is_suppressed THEN 'suppressed'
        WHEN is_opted_out THEN 'opted_out'
    END AS reason, status = 'sending' AS is_takeover
    FROM held
), changed AS (
    UPDATE messages m SET
        status = j.verdict,
        reason = coalesce(j.reason, m.reason),
        attempt = m.attempt + CASE WHEN j.verdict = 'sending' THEN 1 ELSE 0 END,
        failures = m.failures + CASE WHEN j.verdict = 'sending' AND j.is_takeover THEN 1 ELSE 0 END,
        budget_since = CASE WHEN j.is_takeover THEN coalesce(m.budget_since, now()) ELSE m.budget_since END,
        range_epoch = %(epoch)s,
        provider = CASE WHEN j.verdict = 'sending' THEN %(provider)s ELSE m.provider END,
        claimed_by = CASE WHEN j.verdict = 'sending' THEN %(process)s END,
        claimed_at = CASE WHEN j.verdict = 'sending' THEN now() ELSE m.claimed_at END,
        version = m.version + CASE WHEN j.verdict = 'sending' THEN 0 ELSE 1 END,
        updated_at = now()
    FROM judged j WHERE m.origin_id = %(campaign)s AND m.seq = j.seq
    RETURNING m.*
), told AS ({tell("changed WHERE status <> 'sending'")}
)
SELECT c.seq, c.status, c.attempt, c.failures, c.address, c.device_id, c.locale, c.expires_at, c.due_at,
       c.recipient_id, r.name, r.timezone, r.attributes
FROM changed c LEFT JOIN LATERAL (
    SELECT name, timezone, attributes FROM recipients WHERE id = c.recipient_id AND c.status = 'sending' OFFSET 0
) r
    ON true
ORDER BY c.seq
"""

# Claimed, call not begun, or refused for a fault of the provider that is not this recipient's.
RELEASE = """
WITH held AS (
    SELECT m.seq FROM messages m
    JOIN unnest(CAST(%(seqs)s AS bigint[]), CAST(%(attempts)s AS int[])) AS r (seq, attempt) USING (seq)
    WHERE m.origin_id = %(campaign)s AND m.attempt = r.attempt AND m.status = 'sending' AND m.range_epoch = %(epoch)s
    ORDER BY m.seq FOR UPDATE OF m
)
UPDATE messages m SET status = 'pending', attempt = m.attempt - 1, claimed_by = NULL, updated_at = now()
FROM held h WHERE m.origin_id = %(campaign)s AND m.seq = h.seq
RETURNING m.seq
"""

# What is left after the last claim: None as the next time means that nothing waits, calls of earlier tries included.
LEFT = f"""
SELECT c.state, r.epoch = %(epoch)s AS is_ours, m.next_due
FROM campaigns c
JOIN campaign_ranges r ON r.campaign_id = c.id AND r.round = %(round)s AND r.first_seq = %(first)s
CROSS JOIN LATERAL (
    SELECT min(CASE status WHEN 'pending' THEN due_at ELSE claimed_at + %(answer_window)s END) AS next_due
    FROM messages m
    WHERE origin_id = %(campaign)s AND seq BETWEEN r.first_seq AND r.last_seq AND {_OURS}
      AND (status = 'pending' OR status = 'sending' AND range_epoch < %(epoch)s)) m
WHERE c.id = %(campaign)s
"""

FINISH = f"""
UPDATE campaign_ranges r SET finished_at = now()
WHERE campaign_id = %(campaign)s AND round = %(round)s AND first_seq = %(first)s AND epoch = %(epoch)s
  AND NOT EXISTS (SELECT FROM messages m WHERE m.origin_id = r.campaign_id
                  AND m.seq BETWEEN r.first_seq AND r.last_seq AND m.status IN ('pending', 'sending') AND {_OURS})
RETURNING first_seq
"""

# Numbers begin at 1 in each wave, so that shards and ranges of a wave stand at fixed places.
SHARDS = """
SELECT DISTINCT (first_seq - 1) / %(size)s * %(size)s + 1 AS shard FROM campaign_ranges
WHERE campaign_id = %(campaign)s AND round = %(round)s AND first_seq > %(after)s AND finished_at IS NULL
ORDER BY shard LIMIT %(limit)s
"""

OPEN_RANGES = """
SELECT first_seq FROM campaign_ranges
WHERE campaign_id = %(campaign)s AND round = %(round)s AND first_seq BETWEEN %(first)s AND %(last)s
  AND finished_at IS NULL
ORDER BY first_seq
"""
