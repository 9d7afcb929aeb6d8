"""The claim: one statement that locks rows, judges each, and says which may be sent, and by which provider."""


def tell(rows: str) -> str:
    """Insert the outcomes of rows (of a CTE, or of `messages`) into the outbox; of a campaign only where asked for."""
    return f"""
    INSERT INTO outbox (origin_id, origin_kind, seq, version, channel, provider, status, stuck, reason, attempt)
    SELECT origin_id, origin_kind, seq, version, channel, provider, status,
           stuck_reason IS NOT NULL, coalesce(stuck_reason, reason), attempt
    FROM (SELECT * FROM {rows}) o
    WHERE origin_kind = 'notification'
       OR EXISTS (SELECT FROM campaigns c WHERE c.id = o.origin_id AND c.outcomes = 'all' OFFSET 0)"""


# Of a message `o`: due, and nothing tried it or found that its provider takes none now (that is then its reason).
UNTRIED = """(o.status = 'pending' AND o.attempt = 0 AND o.due_at IS NOT NULL AND o.reason IS NULL
                 OR o.status = 'sending' AND o.attempt = 1)"""

# Rows are found by key, whatever Postgres believes of its tables: `OFFSET 0` keeps it from making a join of such a
# question and reading a whole table for it (docs/adr/0020). The rows of `t` are in key order, and are locked in it.
ROW_OF_TRY = """CROSS JOIN LATERAL (
        SELECT * FROM messages WHERE origin_id = t.origin_id AND seq = t.seq OFFSET 0) m
    LEFT JOIN LATERAL (
        SELECT id, cancelled_at, tried_at FROM notifications WHERE id = t.origin_id OFFSET 0) n ON true"""
# Of the notification; a campaign has nothing to mark.
TRIED_AT = "CASE WHEN n.id IS NULL THEN now() ELSE n.tried_at END AS tried_at"
# Marks the notifications of which no message waits for its first try any more.
TRIED = f"""
    UPDATE notifications n SET tried_at = now()
    FROM (SELECT u.id FROM (SELECT DISTINCT origin_id FROM {{rows}}) h
          CROSS JOIN LATERAL (SELECT id FROM notifications WHERE id = h.origin_id OFFSET 0) u
          WHERE NOT EXISTS (
              SELECT FROM messages o WHERE o.origin_id = u.id AND (o.origin_id, o.seq) NOT IN ({{dealt_with}})
              AND {UNTRIED} OFFSET 0)
          ORDER BY u.id FOR UPDATE OF u) untried
    WHERE n.id = untried.id"""

_HOLDS = "'provider_paused', 'breaker_open'"
_HELD = TRIED.format(
    rows=f"held JOIN changed USING (origin_id, seq) WHERE tried_at IS NULL AND verdict IN ({_HOLDS})",
    dealt_with="SELECT origin_id, seq FROM changed WHERE verdict <> 'claimed'",
)

# The fields of `Claim`, in their order.
_FIELDS = """{j}.verdict, {m}.status, {m}.type, {m}.channel, {m}.duplicates, {j}.hold, {m}.origin_id, {m}.seq,
       {m}.reason, {m}.stuck_reason, {m}.round, {m}.attempt, {m}.failures, {m}.due_at, {m}.plan_version, {m}.category,
       {m}.definition, {m}.definition_version, {m}.recipient_id, {m}.address, {m}.device_id, {m}.locale, {m}.expires_at,
       {m}.provider, {j}.scheduled_at, {j}.is_troubled, {j}.waits_for, {m}.origin_kind"""

# A row in `sending` belongs to the highest try; a pending one to a try of its own round that is not older than the
# last. A takeover waits until the call that may be under way must have ended. Then it finds a call whose answer is
# lost: it sends again only where duplicates are allowed, the budget lasts and nothing else has ended the message.
# Where no provider takes messages now, the row is held: it goes back with a time to look again. Each look takes the
# next twentieth of a second, so that thousands that wait ask 20 times a second, all together. A pause that covers
# every provider moves the budget along; of a pause that nobody looked at, both ends are known, too.
# An open breaker lets one probe through once its time is over, the next when that one answered or is lost. Its row is
# locked only then: claims do not wait for each other while all is well.
# What concerns held rows and probes stands in CTEs of its own, which are empty while all is well, and only `held` is
# as wide as the table: half of what a claim costs is copying rows from one CTE to the next.
CLAIM = f"""
WITH held AS (
    SELECT m.*, t.round AS try_round, t.scheduled_at, t.provider || t.others AS providers, t.stick,
           n.cancelled_at IS NOT NULL AS withdrawn, {TRIED_AT},
           EXISTS (SELECT FROM suppressions s WHERE s.address_ref = m.address_ref AND s.channel = m.channel
                   AND (s.scope = 'all' OR s.scope = m.category AND m.consent <> 'required') OFFSET 0) AS is_suppressed,
           CASE m.consent
               WHEN 'required' THEN false
               WHEN 'tidings' THEN NOT EXISTS (
                   SELECT FROM preferences p WHERE p.recipient_id = m.recipient_id AND p.category = m.category
                   AND p.channel = m.channel AND p.opted_in OFFSET 0)
               ELSE EXISTS (
                   SELECT FROM preferences p WHERE p.recipient_id = m.recipient_id AND p.category = m.category
                   AND p.channel = m.channel AND NOT p.opted_in OFFSET 0)
           END AS is_opted_out
    FROM (SELECT * FROM json_to_recordset(CAST(%(tries)s AS json)) AS j (
              origin_id uuid, seq bigint, round int, scheduled_at timestamptz, provider text, others text[], stick bool)
          ORDER BY origin_id, seq) t
    {ROW_OF_TRY}
    FOR UPDATE OF m
), asked AS (
    SELECT DISTINCT providers, channel FROM held
), probes AS (
    SELECT p.provider, p.channel FROM provider_states p
    WHERE p.open_until <= now() AND (p.probe_at IS NULL OR p.probe_at < now() - interval '35 seconds')
      AND EXISTS (SELECT FROM asked a WHERE p.provider = ANY (a.providers) AND p.channel = a.channel)
    FOR UPDATE SKIP LOCKED
), routes AS MATERIALIZED (
    SELECT a.*, r.*,
           EXISTS (SELECT FROM probes b WHERE b.provider = r.chosen AND b.channel = a.channel) AS is_probe,
           EXISTS (SELECT FROM provider_states f WHERE f.provider = r.chosen AND f.channel = a.channel
                   AND f.failures > 0) AS is_troubled
    FROM asked a CROSS JOIN LATERAL (
        SELECT (array_agg(c.name ORDER BY c.place) FILTER (WHERE c.takes_messages))[1] AS chosen,
               (array_agg(c.name ORDER BY c.paused, c.place))[1] AS waits_for,
               bool_and(c.paused) AS all_paused,
               CASE WHEN bool_and(c.paused_at IS NOT NULL) THEN max(c.paused_at) END AS pause_began,
               min(coalesce(c.resumed_at, now())) AS pause_ended
        FROM (SELECT o.name, o.place, p.paused_at, p.resumed_at, s.paused,
                     NOT s.paused AND (p.open_until IS NULL OR b.provider IS NOT NULL) AS takes_messages
              FROM unnest(a.providers) WITH ORDINALITY AS o (name, place)
              LEFT JOIN provider_states p ON p.provider = o.name AND p.channel = a.channel
              LEFT JOIN probes b ON b.provider = o.name AND b.channel = a.channel
              CROSS JOIN LATERAL (SELECT p.paused_at IS NOT NULL AND p.resumed_at IS NULL AS paused) s) c
    ) r
), routed AS (
    SELECT h.*, r.chosen, r.waits_for, r.all_paused, r.is_probe, r.is_troubled,
           CASE WHEN r.pause_began IS NULL THEN interval '0'
                ELSE greatest(r.pause_ended - greatest(r.pause_began, h.updated_at), interval '0') END AS paused_for
    FROM held h JOIN routes r USING (providers, channel)
), seen AS (
    SELECT origin_id, seq, channel, scheduled_at, expires_at, budget_since, retry_for, paused_for, chosen, waits_for,
           is_probe, is_troubled, status, status = 'sending' AND scheduled_at <> try_scheduled_at AS is_takeover, CASE
        WHEN status NOT IN ('pending', 'sending') THEN 'final'
        WHEN try_round < round THEN 'outdated'
        WHEN status = 'sending' AND scheduled_at = try_scheduled_at AND claimed_by = %(process)s THEN 'claimed'
        WHEN status = 'sending' AND scheduled_at <= try_scheduled_at THEN 'superseded'
        WHEN status = 'sending' AND claimed_at > now() - %(call_window)s THEN 'superseded'
        WHEN status = 'pending' AND scheduled_at < try_scheduled_at THEN 'superseded'
        WHEN stuck_reason IS NOT NULL THEN 'stuck'
        WHEN status = 'sending' AND (duplicates = 'at_most_once' OR withdrawn OR expires_at <= now()
                                     OR is_suppressed OR is_opted_out) THEN 'lost'
        WHEN status = 'sending' AND now() > budget_since + paused_for + retry_for THEN
            CASE WHEN stick THEN 'exhausted' ELSE 'failed' END
        WHEN withdrawn THEN 'cancelled'
        WHEN expires_at <= now() THEN CASE WHEN attempt > 0 THEN 'failed' ELSE 'expired' END
        WHEN is_suppressed THEN 'suppressed'
        WHEN is_opted_out THEN 'opted_out'
        WHEN not_before > now() THEN 'not_due'
        WHEN all_paused THEN 'provider_paused'
        WHEN chosen IS NULL AND now() > budget_since + paused_for + retry_for THEN
            CASE WHEN stick THEN 'exhausted' ELSE 'failed' END
        WHEN chosen IS NULL THEN 'breaker_open'
        ELSE 'claimed'
    END AS found
    FROM routed
), probing AS (
    SELECT DISTINCT ON (chosen, channel) origin_id, seq FROM seen WHERE found = 'claimed' AND is_probe
    ORDER BY chosen, channel, origin_id, seq
), judged AS (
    SELECT s.*, CASE WHEN found = 'claimed' AND is_probe AND (origin_id, seq) NOT IN (SELECT * FROM probing)
                     THEN 'breaker_open' ELSE found END AS verdict
    FROM seen s
), looks AS (
    UPDATE provider_states p SET
        next_look_at = CASE WHEN w.waiting = 0 THEN p.next_look_at ELSE least(
            greatest(p.next_look_at, now()) + w.waiting * interval '50 milliseconds', now() + interval '5 minutes') END,
        probe_at = CASE WHEN w.waiting < w.concerned THEN now() ELSE p.probe_at END
    FROM (SELECT name, channel, count(*) AS concerned, count(*) FILTER (WHERE verdict IN ({_HOLDS})) AS waiting
          FROM (SELECT CASE WHEN verdict = 'claimed' THEN chosen ELSE waits_for END AS name, channel, verdict
                FROM judged WHERE verdict IN ({_HOLDS}) OR verdict = 'claimed' AND is_probe) concerned
          GROUP BY name, channel) w
    WHERE p.provider = w.name AND p.channel = w.channel
    RETURNING p.provider, p.channel, p.next_look_at AS last
), waiting AS (
    SELECT j.origin_id, j.seq,
           least(greatest(l.last - now() - interval '50 milliseconds' * (row_number() OVER (
                              PARTITION BY j.waits_for, j.channel ORDER BY j.seq) - 1),
                          interval '5 seconds') * (0.9 + 0.2 * random()), interval '5 minutes',
                 greatest((j.expires_at - now()) / 2, interval '5 seconds'),
                 CASE WHEN verdict = 'breaker_open' THEN greatest(interval '1 second',
                     coalesce(j.budget_since + j.paused_for - now(), interval '0') + j.retry_for
                     + interval '100 milliseconds') END) AS hold
    FROM judged j LEFT JOIN looks l ON l.provider = j.waits_for AND l.channel = j.channel
    WHERE verdict IN ({_HOLDS})
), timed AS (
    SELECT j.origin_id, j.seq, j.status, j.verdict, j.is_takeover, j.scheduled_at, j.paused_for, j.chosen, j.waits_for,
           j.is_troubled, w.hold
    FROM judged j LEFT JOIN waiting w USING (origin_id, seq)
), changed AS (
    UPDATE messages m SET
        status = CASE verdict
            WHEN 'claimed' THEN 'sending' WHEN 'lost' THEN 'unknown' WHEN 'exhausted' THEN 'pending'
            WHEN 'not_due' THEN 'pending' WHEN 'provider_paused' THEN 'pending' WHEN 'breaker_open' THEN 'pending'
            WHEN 'failed' THEN 'failed' WHEN 'cancelled' THEN 'cancelled'
            ELSE 'skipped' END,
        reason = CASE verdict
            WHEN 'claimed' THEN m.reason WHEN 'not_due' THEN m.reason
            WHEN 'failed' THEN coalesce(m.reason, 'answer_lost')
            WHEN 'lost' THEN 'answer_lost'
            WHEN 'exhausted' THEN CASE j.status WHEN 'sending' THEN 'answer_lost' ELSE 'breaker_open' END
            ELSE verdict END,
        stuck_reason = CASE WHEN verdict = 'exhausted'
            THEN CASE j.status WHEN 'sending' THEN 'answer_lost' ELSE 'breaker_open' END END,
        attempt = m.attempt + CASE WHEN verdict = 'claimed'
            AND (j.status = 'pending' OR is_takeover) THEN 1 ELSE 0 END,
        failures = m.failures + CASE WHEN verdict IN ('claimed', {_HOLDS}) AND is_takeover THEN 1 ELSE 0 END,
        budget_since = CASE WHEN verdict = 'breaker_open' OR verdict IN ('claimed', {_HOLDS}) AND is_takeover
            THEN coalesce(m.budget_since + paused_for, now()) ELSE m.budget_since + paused_for END,
        try_scheduled_at = CASE WHEN verdict IN ('claimed', {_HOLDS}) THEN j.scheduled_at ELSE m.try_scheduled_at END,
        claimed_by = CASE WHEN verdict = 'claimed' THEN %(process)s END,
        claimed_at = CASE WHEN verdict = 'claimed' THEN now() ELSE m.claimed_at END,
        due_at = CASE verdict WHEN 'not_due' THEN m.not_before WHEN 'claimed' THEN coalesce(m.due_at, now())
            WHEN 'provider_paused' THEN now() + j.hold WHEN 'breaker_open' THEN now() + j.hold END,
        provider = CASE WHEN verdict = 'claimed' AND (j.status = 'pending' OR is_takeover)
            THEN j.chosen ELSE m.provider END,
        version = m.version + CASE WHEN verdict IN ('claimed', 'not_due', {_HOLDS}) THEN 0 ELSE 1 END,
        updated_at = now()
    FROM timed j
    WHERE m.origin_id = j.origin_id AND m.seq = j.seq
      AND verdict NOT IN ('final', 'outdated', 'superseded', 'stuck')
    RETURNING m.version, {_FIELDS.format(m="m", j="j")}
), told AS ({tell(f"changed WHERE verdict NOT IN ('claimed', 'not_due', {_HOLDS})")}
), tried AS ({_HELD}
)
SELECT {_FIELDS.format(m="c", j="c")}
FROM changed c
UNION ALL
SELECT {_FIELDS.format(m="h", j="j")}
FROM timed j JOIN held h USING (origin_id, seq)
WHERE j.verdict IN ('final', 'outdated', 'superseded', 'stuck')
ORDER BY origin_id, seq
"""
