"""A GCRA in rows: when the next message may go out, per campaign and per provider, by the clock of Postgres."""

# `seconds` is what one message costs of a key's time. A key that nobody used has room for a quarter of a second of its
# rate, at least one message. All keys give or none does; their rows are locked in key order. Fewer than `least` are not
# given: at a thousand a second, claims of two rows would cost more than the sends.
# A key is never further ahead than half a second more than its room, else a rate that was slow would still be felt long
# after it was raised, and single messages long after they went out: what is too much is forgotten.
TAKE = """
WITH held AS (
    SELECT r.key, w.seconds, greatest(w.seconds, 0.25) AS burst, r.arrival_at
    FROM unnest(CAST(%(keys)s AS text[]), CAST(%(seconds)s AS float8[])) AS w (key, seconds)
    JOIN rate_limits r USING (key) ORDER BY r.key FOR UPDATE OF r
), clock AS MATERIALIZED (
    SELECT coalesce(CAST(%(now)s AS timestamptz), clock_timestamp()) AS at FROM (SELECT count(*) FROM held) AS locked
), seen AS (
    SELECT key, seconds, burst, least(greatest(real_ahead, 0), burst + 0.5) AS ahead, real_ahead > burst + 0.5 AS is_far
    FROM (SELECT *, extract(epoch FROM arrival_at - at) AS real_ahead FROM held, clock) h
), room AS (
    SELECT least(%(wanted)s, floor(min((burst - ahead) / seconds) + 1e-6))::int AS free,
           least(%(wanted)s, greatest(1, floor(min(burst / seconds) / 4)))::int AS least
    FROM seen
), granted AS (
    SELECT CASE WHEN free >= least THEN free ELSE 0 END AS count, least FROM room
), taken AS (
    UPDATE rate_limits r SET arrival_at = at + (s.ahead + g.count * s.seconds) * interval '1 second'
    FROM seen s, granted g, clock WHERE r.key = s.key AND (g.count > 0 OR s.is_far)
)
SELECT g.count, greatest(max(s.ahead - s.burst + g.least * s.seconds), 0)::float8 AS wait
FROM granted g, seen s GROUP BY g.count
"""

# What was not needed, or is needed whatever the rate says: a single message never waits for a campaign.
DEBIT = """
WITH held AS (
    SELECT r.key, w.seconds, r.arrival_at
    FROM unnest(CAST(%(keys)s AS text[]), CAST(%(seconds)s AS float8[])) AS w (key, seconds)
    JOIN rate_limits r USING (key) ORDER BY r.key FOR UPDATE OF r
)
UPDATE rate_limits r SET
    arrival_at = CASE WHEN h.seconds < 0 THEN h.arrival_at ELSE greatest(h.arrival_at, clock_timestamp()) END
                 + h.seconds * interval '1 second'
FROM held h WHERE r.key = h.key RETURNING r.key
"""

ENSURE = """
INSERT INTO rate_limits (key, arrival_at)
SELECT key, now() FROM unnest(CAST(%(keys)s AS text[])) AS w (key) ORDER BY key ON CONFLICT DO NOTHING RETURNING key
"""
