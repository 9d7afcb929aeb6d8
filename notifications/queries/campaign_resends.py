"""One `unknown` message of a campaign once more: freed, looked at, ended. Its campaign notes that it is under way."""

from notifications.queries.claim import tell

# Only of a campaign that has completed: no shard of it runs, and nobody has called it off. `resend_at` is what
# reconciliation finds where nobody starts the workflow that sends it.
FREE = """
WITH campaign AS MATERIALIZED (
    SELECT id FROM campaigns WHERE id = %(campaign)s AND state = 'completed' FOR UPDATE
), freed AS (
    UPDATE messages m SET status = 'pending', round = m.round + 1, resend_round = m.round + 1, budget_since = NULL,
           failures = 0, try_scheduled_at = NULL, due_at = now(), updated_at = now()
    FROM campaign c
    WHERE m.origin_id = c.id AND m.seq = %(seq)s AND m.status = 'unknown' AND m.expires_at > now()
    RETURNING m.origin_id, m.round
), noted AS (
    UPDATE campaigns c SET resend_at = now() FROM freed f WHERE c.id = f.origin_id
)
SELECT round FROM freed
"""

LOOK = """
SELECT m.type, m.channel, m.status, m.round, m.resend_round, m.expires_at, c.state AS campaign_state
FROM messages m JOIN campaigns c ON c.id = m.origin_id WHERE m.origin_id = %(campaign)s AND m.seq = %(seq)s
"""

# As of a notification's messages (queries/ledger.py): past its time no try takes a row over any more.
_END = (
    """
WITH held AS (
    SELECT origin_id, seq FROM messages WHERE origin_id = %(campaign)s AND seq = %(seq)s AND {condition} FOR UPDATE
), changed AS (
    UPDATE messages m SET status = {status}, reason = {reason}, claimed_by = NULL, version = m.version + 1,
           due_at = NULL, updated_at = now()
    FROM held h WHERE m.origin_id = h.origin_id AND m.seq = h.seq
    RETURNING m.*
), told AS ("""
    + tell("changed")
    + """)
SELECT seq FROM changed
"""
)
EXPIRE = _END.format(
    condition="expires_at <= now() AND (status = 'pending'"
    " OR status = 'sending' AND claimed_at < now() - interval '45 seconds')",
    status="CASE WHEN m.status = 'sending' THEN 'unknown' ELSE 'failed' END",
    reason="CASE WHEN m.status = 'sending' THEN 'answer_lost' ELSE coalesce(m.reason, 'expired') END",
)
CANCEL = _END.format(condition="status = 'pending'", status="'cancelled'", reason="'cancelled'")

# On somebody's word; what a provider reports later still counts for more.
SETTLE = _END.format(condition="status = 'unknown'", status="%(status)s", reason="'operator'")

# What was freed a while ago and is still open; a campaign of which nothing is, is noted no longer.
NOTED = """
SELECT c.id, c.resend_at, m.seq, m.round
FROM (SELECT id, resend_at FROM campaigns WHERE resend_at < now() - %(age)s ORDER BY resend_at LIMIT %(limit)s) c
LEFT JOIN LATERAL (
    SELECT seq, round FROM messages
    WHERE origin_id = c.id AND status IN ('pending', 'sending') AND round = resend_round OFFSET 0) m ON true
ORDER BY c.resend_at, c.id, m.seq
"""
FORGET = "UPDATE campaigns SET resend_at = NULL WHERE id = %(campaign)s AND resend_at = %(noted_at)s RETURNING id"

RECIPIENT = "SELECT name, timezone, attributes FROM recipients WHERE id = %(id)s"
