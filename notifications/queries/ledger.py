"""The ledger's SQL. Each statement takes a list of rows, and locks them in key order.

Every statement that changes a status inserts the outcome into the outbox itself, so that neither is ever without the
other. A row is read under its lock in the CTE that decides: a value from the statement's snapshot could be stale.
"""

from notifications.queries.claim import ROW_OF_TRY, TRIED, TRIED_AT, tell
from notifications.statuses import RANKS, MessageStatus

_RANK = "CASE {0} " + " ".join(f"WHEN '{status}' THEN {rank}" for status, rank in RANKS.items()) + " END"

# Acceptance applies whenever it raises the status; every other outcome only to the attempt that is current. Transient
# errors and lost answers use up the round's budget; spent, or with a wait beyond 15 min or expiry, the message is
# stuck, or failed where a fallback has another channel left. What was cancelled during its call waits for nobody.
RECORD = f"""
WITH held AS (
    SELECT m.origin_id, m.seq, m.round, m.status AS was, m.reason AS reason_was, m.stuck_reason AS stuck_was,
           m.failures AS failures_were, m.attempt AS attempt_was, m.budget_since AS budget_was, m.retry_for,
           m.expires_at, m.duplicates, t.attempt = m.attempt AND m.status = 'sending' AS is_current,
           n.cancelled_at IS NOT NULL AS withdrawn, {TRIED_AT},
           t.attempt, t.provider, t.outcome, t.code, t.detail, t.provider_message_id, t.started_at, t.finished_at,
           t.delay, t.stick, t.failover
    FROM (SELECT * FROM json_to_recordset(CAST(%(results)s AS json)) AS j (
              origin_id uuid, seq bigint, attempt int, provider text, outcome text, code text, detail text,
              provider_message_id text, started_at timestamptz, finished_at timestamptz, delay float8, stick bool,
              failover bool)
          ORDER BY origin_id, seq) t
    {ROW_OF_TRY}
    FOR UPDATE OF m
), kept AS (
    INSERT INTO attempts (origin_id, seq, attempt, round, provider, outcome, code, detail, provider_message_id,
                          started_at, finished_at)
    SELECT origin_id, seq, attempt, round, provider, outcome, code, detail, provider_message_id, started_at, finished_at
    FROM held
    ON CONFLICT DO NOTHING
), judged AS (
    SELECT origin_id, seq, round, was, reason_was, stuck_was, failures_were, attempt_was, provider, provider_message_id,
           delay, coalesce(code, outcome) AS code, CASE
        WHEN outcome = 'accepted' THEN CASE WHEN {_RANK.format("was")} < {RANKS[MessageStatus.SENT]} THEN 'sent' END
        WHEN NOT is_current THEN NULL
        WHEN outcome = 'unknown' AND (duplicates = 'at_most_once' OR withdrawn) THEN 'unknown'
        WHEN outcome IN ('rejected_recipient', 'rejected_message') THEN 'failed'
        WHEN withdrawn THEN 'cancelled'
        WHEN (outcome IN ('transient', 'unknown') OR outcome = 'rejected_config' AND failover)
             AND now() + delay * interval '1 second' <= coalesce(budget_was, now()) + retry_for
             AND delay <= 900 AND now() + delay * interval '1 second' < expires_at THEN 'pending'
        WHEN stick THEN 'stuck'
        ELSE 'failed'
    END AS verdict
    FROM held
), changed AS (
    UPDATE messages m SET
        status = CASE verdict WHEN 'stuck' THEN 'pending' ELSE verdict END,
        stuck_reason = CASE WHEN verdict = 'stuck' THEN j.code END,
        reason = CASE verdict WHEN 'sent' THEN NULL WHEN 'cancelled' THEN verdict ELSE j.code END,
        failures = m.failures + CASE WHEN verdict IN ('pending', 'stuck') THEN 1 ELSE 0 END,
        budget_since = CASE WHEN verdict IN ('pending', 'stuck') THEN coalesce(m.budget_since, now())
                            ELSE m.budget_since END,
        due_at = CASE WHEN verdict = 'pending' THEN now() + j.delay * interval '1 second' END,
        claimed_by = NULL,
        provider = j.provider,
        provider_message_id = coalesce(j.provider_message_id, m.provider_message_id),
        version = m.version + CASE WHEN verdict = 'pending' THEN 0 ELSE 1 END,
        updated_at = now()
    FROM judged j
    WHERE m.origin_id = j.origin_id AND m.seq = j.seq
      -- listed, and not `IS NOT NULL`, so that Postgres expects few and finds them by key
      AND verdict IN ('sent', 'pending', 'stuck', 'failed', 'unknown', 'cancelled')
    RETURNING m.origin_id, m.seq, m.origin_kind, m.status, m.reason, m.stuck_reason, m.round, j.attempt_was, m.attempt,
              m.failures, m.version, m.channel, m.provider, j.verdict
), told AS ({tell("changed WHERE verdict <> 'pending'")}
), tried AS ({TRIED.format(rows="held WHERE tried_at IS NULL", dealt_with="SELECT origin_id, seq FROM held")}
)
SELECT origin_id, seq, status, reason, stuck_reason, round, attempt_was AS attempt, failures
FROM changed
UNION ALL
SELECT origin_id, seq, was, reason_was, stuck_was, round, attempt_was, failures_were
FROM judged WHERE verdict IS NULL
ORDER BY origin_id, seq
"""

# A cancel that committed while `record` ran is not in its snapshot; under this lock it is seen, or it comes later and
# finds the stuck row.
SEE_CANCELS = """
SELECT id, cancelled_at FROM notifications WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR SHARE
"""

# Claimed, call not begun: the number goes back, so that a missing number always means a lost answer. Only the try that
# claimed gives back: the number alone may meanwhile be that of a later claim, whose call has begun. A breaker's probe
# is given back with it, so that the next message is one.
RELEASE = """
WITH held AS (
    SELECT m.origin_id, m.seq, m.provider, m.channel, m.claimed_at
    FROM messages m JOIN unnest(CAST(:origin_ids AS uuid[]), CAST(:seqs AS bigint[]), CAST(:attempts AS int[]),
                                CAST(:scheduled AS timestamptz[]))
        AS r (origin_id, seq, attempt, scheduled_at) USING (origin_id, seq)
    WHERE m.attempt = r.attempt AND m.status = 'sending' AND m.claimed_by = :process
      AND m.try_scheduled_at = r.scheduled_at
    ORDER BY m.origin_id, m.seq FOR UPDATE OF m
), probes AS (
    UPDATE provider_states p SET probe_at = NULL
    FROM held h WHERE p.provider = h.provider AND p.channel = h.channel AND p.probe_at = h.claimed_at
)
UPDATE messages m SET status = 'pending', attempt = m.attempt - 1, claimed_by = NULL, updated_at = now()
FROM held h WHERE m.origin_id = h.origin_id AND m.seq = h.seq
"""

WITHDRAW = """
UPDATE notifications SET cancelled_at = coalesce(cancelled_at, now())
WHERE id IN (SELECT id FROM notifications WHERE id = ANY (CAST(:ids AS uuid[])) AND finished_at IS NULL
             ORDER BY id FOR UPDATE)
"""

_END = (
    """
WITH held AS (
    SELECT origin_id, seq FROM messages
    WHERE origin_id = ANY (CAST(:ids AS uuid[])) AND {condition}
    ORDER BY origin_id, seq FOR UPDATE
), changed AS (
    UPDATE messages m SET status = {status}, reason = {reason}, stuck_reason = NULL, claimed_by = NULL,
           version = m.version + 1, due_at = NULL, updated_at = now()
    FROM held h WHERE m.origin_id = h.origin_id AND m.seq = h.seq
    RETURNING m.*
), told AS ("""
    + tell("changed")
    + """)
SELECT origin_id, seq FROM changed
"""
)

CANCEL = _END.format(condition="status = 'pending'", status="'cancelled'", reason="'cancelled'")

# Past its time no try takes a row over any more, so that one whose worker died would stay in `sending` for ever: a
# claim lives for 30 s (claim to call, call, record), and 45 s are past every doubt about clocks.
EXPIRE = _END.format(
    condition="expires_at <= now() AND (status = 'pending'"
    " OR status = 'sending' AND claimed_at < now() - interval '45 seconds')",
    status="CASE WHEN m.status = 'sending' THEN 'unknown' WHEN m.attempt > 0 THEN 'failed' ELSE 'skipped' END",
    reason="CASE WHEN m.status = 'sending' THEN 'answer_lost'"
    " WHEN m.attempt > 0 THEN coalesce(m.stuck_reason, m.reason, 'expired') ELSE 'expired' END",
)
SKIP = _END.format(
    condition="status = 'pending' AND seq = :seq AND stuck_reason IS NOT NULL", status="'skipped'", reason=":reason"
)
NOT_NEEDED = _END.format(
    condition="status = 'pending' AND step > :step AND attempt = 0", status="'skipped'", reason="'not_needed'"
)
REPLANNED = _END.format(
    condition="status = 'pending' AND seq = ANY (CAST(:seqs AS bigint[])) AND attempt = 0",
    status="'skipped'",
    reason=":reason",
)

# `round` is the caller's: run twice, the second changes nothing.
RAISE_ROUND = """
UPDATE messages SET round = round + 1, stuck_reason = NULL, budget_since = NULL, failures = 0, try_scheduled_at = NULL,
       due_at = now(), definition_version = coalesce(:definition_version, definition_version), updated_at = now()
WHERE origin_id = :origin_id AND seq = :seq AND round = :round AND status = 'pending' AND stuck_reason IS NOT NULL
"""

# `resend_at` is what reconciliation finds where nobody starts the workflow that sends it.
RESEND_UNKNOWN = """
WITH freed AS (
    UPDATE messages SET status = 'pending', round = round + 1, resend_round = round + 1, budget_since = NULL,
           failures = 0, try_scheduled_at = NULL, due_at = now(), updated_at = now()
    WHERE origin_id = :origin_id AND seq = :seq AND status = 'unknown' AND expires_at > now()
      AND NOT EXISTS (SELECT FROM notifications n WHERE n.id = :origin_id AND n.cancelled_at IS NOT NULL)
    RETURNING origin_id, round
), noted AS (
    UPDATE notifications n SET resend_at = now() FROM freed f WHERE n.id = f.origin_id
)
SELECT round FROM freed
"""

RESCHEDULE_MESSAGES = """
WITH held AS (
    SELECT origin_id, seq FROM messages
    WHERE origin_id = :id AND status = 'pending' AND attempt = 0 AND stuck_reason IS NULL
    ORDER BY origin_id, seq FOR UPDATE
)
UPDATE messages m SET not_before = :not_before, due_at = CASE WHEN due_at IS NOT NULL THEN :not_before END,
       expires_at = expires_at + CAST(:shift AS interval), updated_at = now()
FROM held h WHERE m.origin_id = h.origin_id AND m.seq = h.seq
RETURNING m.seq
"""

# A plan has a row for each channel, if only the reason why it is not used.
IS_PLANNED = "SELECT EXISTS (SELECT FROM messages WHERE origin_id = :id)"

HOLD_FOR_RESCHEDULE = """
SELECT coalesce(due_at, received_at) AS due_at, event ->> 'expirytime' AS fixed
FROM notifications WHERE id = :id AND finished_at IS NULL AND cancelled_at IS NULL FOR UPDATE
"""

RESCHEDULE_NOTIFICATION = """
UPDATE notifications SET due_at = :at, sendat = :at, wake_at = :at, expires_at = expires_at + CAST(:shift AS interval)
WHERE id = :id
"""

STATUSES = "SELECT origin_id, seq, status FROM messages WHERE origin_id = ANY (CAST(:ids AS uuid[])) ORDER BY 1, 2"
