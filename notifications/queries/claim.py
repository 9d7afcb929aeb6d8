"""The claim: one statement that locks rows, judges each, and says which may be sent, and by which provider."""

OUTBOX = """
INSERT INTO outbox (origin_id, origin_kind, seq, version, channel, provider, status, stuck, reason, attempt)
SELECT origin_id, origin_kind, seq, version, channel, provider, status,
       stuck_reason IS NOT NULL, coalesce(stuck_reason, reason), attempt
"""

# Of a message `o`: due, and nothing tried it or found that its provider takes none now (that is then its reason).
UNTRIED = """(o.status = 'pending' AND o.attempt = 0 AND o.due_at IS NOT NULL AND o.reason IS NULL
                 OR o.status = 'sending' AND o.attempt = 1)"""

_HOLDS = "'provider_paused', 'breaker_open'"

# A row in `sending` belongs to the highest try; a pending one to a try of its own round that is not older than the
# last. A takeover finds a call whose answer is lost: it sends again only where duplicates are allowed, the budget
# lasts and nothing else has ended the message meanwhile.
# Where no provider takes messages now, the row is held: it goes back with a time to look again. Each look takes the
# next twentieth of a second, so that thousands that wait ask 20 times a second, all together. A pause that covers
# every provider moves the budget along; of a pause that nobody looked at, both ends are known, too.
# An open breaker lets one probe through once its time is over, the next when that one answered or is lost. Its row is
# locked only then: claims do not wait for each other while all is well.
CLAIM = f"""
WITH tries AS (
    SELECT * FROM unnest(CAST(:origin_ids AS uuid[]), CAST(:seqs AS bigint[]), CAST(:rounds AS int[]),
                         CAST(:scheduled AS timestamptz[]), CAST(:providers AS text[]), CAST(:sticks AS bool[]))
        AS t (origin_id, seq, try_round, scheduled_at, providers, stick)
), held AS (
    SELECT m.*, t.try_round, t.scheduled_at, t.providers, t.stick,
           EXISTS (SELECT FROM notifications n WHERE n.id = m.origin_id AND n.cancelled_at IS NOT NULL) AS withdrawn,
           EXISTS (SELECT FROM suppressions s WHERE s.address_ref = m.address_ref AND s.channel = m.channel
                   AND (s.scope = 'all' OR s.scope = m.category AND m.consent <> 'required')) AS is_suppressed,
           CASE m.consent
               WHEN 'required' THEN false
               WHEN 'tidings' THEN NOT EXISTS (
                   SELECT FROM preferences p WHERE p.recipient_id = m.recipient_id AND p.category = m.category
                   AND p.channel = m.channel AND p.opted_in)
               ELSE EXISTS (
                   SELECT FROM preferences p WHERE p.recipient_id = m.recipient_id AND p.category = m.category
                   AND p.channel = m.channel AND NOT p.opted_in)
           END AS is_opted_out
    FROM messages m JOIN tries t USING (origin_id, seq)
    ORDER BY m.origin_id, m.seq
    FOR UPDATE OF m
), probes AS (
    SELECT p.provider, p.channel FROM provider_states p
    WHERE p.open_until <= now() AND (p.probe_at IS NULL OR p.probe_at < now() - interval '35 seconds')
      AND (p.provider, p.channel) IN (
          SELECT name, h.channel FROM held h CROSS JOIN unnest(string_to_array(h.providers, ',')) AS name)
    FOR UPDATE SKIP LOCKED
), routed AS (
    SELECT h.*, r.chosen, r.all_paused, r.waits_for, greatest(r.paused_for, interval '0') AS paused_for,
           EXISTS (SELECT FROM probes b WHERE b.provider = r.chosen AND b.channel = h.channel) AS is_probe,
           EXISTS (SELECT FROM provider_states f WHERE f.provider = r.chosen AND f.channel = h.channel
                   AND f.failures > 0) AS is_troubled
    FROM held h CROSS JOIN LATERAL (
        SELECT (array_agg(c.name ORDER BY c.place) FILTER (WHERE c.takes_messages))[1] AS chosen,
               (array_agg(c.name ORDER BY c.paused, c.place))[1] AS waits_for,
               bool_and(c.paused) AS all_paused,
               CASE WHEN bool_and(c.paused_at IS NOT NULL)
                   THEN min(coalesce(c.resumed_at, now())) - greatest(max(c.paused_at), h.updated_at) END AS paused_for
        FROM (SELECT o.name, o.place, p.paused_at, p.resumed_at, s.paused,
                     NOT s.paused AND (p.open_until IS NULL OR b.provider IS NOT NULL) AS takes_messages
              FROM unnest(string_to_array(h.providers, ',')) WITH ORDINALITY AS o (name, place)
              LEFT JOIN provider_states p ON p.provider = o.name AND p.channel = h.channel
              LEFT JOIN probes b ON b.provider = o.name AND b.channel = h.channel
              CROSS JOIN LATERAL (SELECT p.paused_at IS NOT NULL AND p.resumed_at IS NULL AS paused) s) c
    ) r
), seen AS (
    SELECT *, CASE
        WHEN status NOT IN ('pending', 'sending') THEN 'final'
        WHEN try_round < round THEN 'outdated'
        WHEN status = 'sending' AND scheduled_at = try_scheduled_at AND claimed_by = :process THEN 'claimed'
        WHEN status = 'sending' AND scheduled_at <= try_scheduled_at THEN 'superseded'
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
), judged AS (
    SELECT *, CASE WHEN found = 'claimed' AND is_probe
                        AND row_number() OVER (PARTITION BY found, chosen, channel ORDER BY origin_id, seq) > 1
                   THEN 'breaker_open' ELSE found END AS verdict
    FROM seen
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
), timed AS (
    SELECT j.*, least(greatest(l.last - now() - interval '50 milliseconds' * (row_number() OVER (
                          PARTITION BY j.waits_for, j.channel, j.verdict IN ({_HOLDS}) ORDER BY j.seq) - 1),
                      interval '5 seconds') * (0.9 + 0.2 * random()), interval '5 minutes',
                      greatest((j.expires_at - now()) / 2, interval '5 seconds'),
                      CASE WHEN verdict = 'breaker_open' THEN greatest(interval '1 second',
                          coalesce(j.budget_since + j.paused_for - now(), interval '0') + j.retry_for
                          + interval '100 milliseconds') END) AS hold,
           j.status = 'sending' AND j.scheduled_at <> j.try_scheduled_at AS is_takeover
    FROM judged j LEFT JOIN looks l ON l.provider = j.waits_for AND l.channel = j.channel
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
        claimed_by = CASE WHEN verdict = 'claimed' THEN :process END,
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
    RETURNING m.*, j.verdict
), told AS ({OUTBOX} FROM changed WHERE verdict NOT IN ('claimed', 'not_due', {_HOLDS})
), tried AS (
    UPDATE notifications n SET tried_at = now()
    WHERE n.id IN (
        SELECT u.id FROM notifications u
        WHERE u.id IN (SELECT origin_id FROM changed WHERE verdict IN ({_HOLDS})) AND u.tried_at IS NULL
          AND NOT EXISTS (
            SELECT FROM messages o WHERE o.origin_id = u.id
            AND NOT EXISTS (SELECT FROM changed c WHERE c.origin_id = o.origin_id AND c.seq = o.seq
                            AND c.verdict <> 'claimed')
            AND {UNTRIED})
        ORDER BY u.id FOR UPDATE)
)
SELECT j.origin_id, j.seq, j.verdict, coalesce(c.status, j.status) AS status, coalesce(c.reason, j.reason) AS reason,
       CASE WHEN c.origin_id IS NULL THEN j.stuck_reason ELSE c.stuck_reason END AS stuck_reason,
       j.round, coalesce(c.attempt, j.attempt) AS attempt, coalesce(c.failures, j.failures) AS failures,
       coalesce(c.due_at, j.due_at) AS due_at, j.plan_version, j.type, j.category, j.channel, j.definition,
       j.definition_version, j.recipient_id, j.address, j.device_id, j.locale, j.duplicates, j.expires_at,
       j.scheduled_at, coalesce(c.provider, j.provider) AS provider, j.waits_for,
       j.is_troubled, extract(epoch FROM j.hold)::float8 AS hold_seconds
FROM timed j LEFT JOIN changed c USING (origin_id, seq)
ORDER BY j.origin_id, j.seq
"""
