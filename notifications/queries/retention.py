"""What has ended long enough ago, removed by one bounded statement at a time.

No index has a column that says when something ended. So each statement looks at the next `limit` rows of a key that
follows the time of arrival (nothing ends before it arrives), removes those whose time has come, and says where it got
to. Rows that somebody holds are left for the next look.
"""

_OLD = "now() - CAST(:period AS interval)"

# A notification goes whole or not at all: with its messages, attempts, receipts and plans, once nothing of it can
# change any more. The row of `notifications` is what makes a late duplicate start nothing, so none goes before it.
NOTIFICATIONS = f"""
WITH seen AS (
    SELECT received_at AS at, id FROM notifications
    WHERE (received_at, id) > (CAST(:at AS timestamptz), CAST(:id AS uuid)) AND received_at < {_OLD}
    ORDER BY received_at, id LIMIT :limit
), held AS (
    SELECT n.id FROM notifications n JOIN seen s ON s.id = n.id
    WHERE n.finished_at < {_OLD} AND n.resend_at IS NULL
      AND NOT EXISTS (SELECT FROM messages m WHERE m.origin_id = n.id AND (
          m.status IN ('pending', 'sending') OR m.status = 'unknown' AND m.expires_at > now()))
      AND n.id NOT IN (SELECT o.origin_id FROM outbox o WHERE o.published_at IS NULL)
    ORDER BY n.id FOR UPDATE OF n SKIP LOCKED
), attempts_gone AS (
    DELETE FROM attempts a USING held h WHERE a.origin_id = h.id
), receipts_gone AS (
    DELETE FROM receipts r USING held h WHERE r.origin_id = h.id
), messages_gone AS (
    DELETE FROM messages m USING held h WHERE m.origin_id = h.id
), gone AS (
    DELETE FROM notifications n USING held h WHERE n.id = h.id RETURNING n.id
)
SELECT s.at, CAST(s.id AS text) AS id, (SELECT count(*) FROM seen) AS seen, (SELECT count(*) FROM gone) AS removed
FROM seen s ORDER BY s.at DESC, s.id DESC LIMIT 1
"""

# Ids are in the order of arrival up to the length of a transaction, so the first page without an old row is the last.
OUTBOX = f"""
WITH seen AS (
    SELECT created_at AS at, id, published_at FROM outbox WHERE id > CAST(:id AS bigint) ORDER BY id LIMIT :limit
), held AS (
    SELECT o.id FROM outbox o JOIN seen s ON s.id = o.id WHERE o.published_at < {_OLD}
    ORDER BY o.id FOR UPDATE OF o SKIP LOCKED
), gone AS (
    DELETE FROM outbox o USING held h WHERE o.id = h.id RETURNING o.id
)
SELECT s.at, CAST(s.id AS text) AS id, (SELECT count(*) FROM seen WHERE at < {_OLD}) AS seen,
       (SELECT count(*) FROM gone) AS removed
FROM seen s ORDER BY s.id DESC LIMIT 1
"""

REJECTED_EVENTS = f"""
WITH seen AS (
    SELECT rejected_at AS at, id FROM rejected_events
    WHERE (rejected_at, id) > (CAST(:at AS timestamptz), CAST(:id AS bigint)) AND rejected_at < {_OLD}
    ORDER BY rejected_at, id LIMIT :limit
), held AS (
    SELECT e.id FROM rejected_events e JOIN seen s ON s.id = e.id
    WHERE e.replayed_at < {_OLD} OR e.given_up_at < {_OLD}
    ORDER BY e.id FOR UPDATE OF e SKIP LOCKED
), gone AS (
    DELETE FROM rejected_events e USING held h WHERE e.id = h.id RETURNING e.id
)
SELECT s.at, CAST(s.id AS text) AS id, (SELECT count(*) FROM seen) AS seen, (SELECT count(*) FROM gone) AS removed
FROM seen s ORDER BY s.at DESC, s.id DESC LIMIT 1
"""

# These two have no exceptions: what is old goes, so every look begins at the oldest.
UNMATCHED_RECEIPTS = f"""
WITH held AS (
    SELECT provider, receipt_id FROM receipts WHERE matched_at IS NULL AND received_at < {_OLD}
    ORDER BY received_at LIMIT :limit FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM receipts r USING held h WHERE r.provider = h.provider AND r.receipt_id = h.receipt_id RETURNING 1
)
SELECT now() AS at, '' AS id, count(*) AS seen, count(*) AS removed FROM gone
"""

CANCELLATIONS = f"""
WITH held AS (
    SELECT source, cancelkey FROM cancellations WHERE received_at < {_OLD}
    ORDER BY received_at LIMIT :limit FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM cancellations c USING held h WHERE c.source = h.source AND c.cancelkey = h.cancelkey RETURNING 1
)
SELECT now() AS at, '' AS id, count(*) AS seen, count(*) AS removed FROM gone
"""

# One import at a time, and of its rows no more than any other statement removes; the import goes with the last of them.
IMPORTS = f"""
WITH old AS (
    SELECT id FROM imports WHERE finished_at < {_OLD} OR uploaded_at IS NULL AND updated_at < {_OLD}
    ORDER BY created_at, id LIMIT 1 FOR UPDATE SKIP LOCKED
), waiting AS (
    SELECT r.import_id, r.line FROM import_rows r JOIN old o ON o.id = r.import_id ORDER BY r.line LIMIT :limit
), refused AS (
    SELECT r.import_id, r.line FROM import_refusals r JOIN old o ON o.id = r.import_id ORDER BY r.line LIMIT :limit
), waiting_gone AS (
    DELETE FROM import_rows r USING waiting w WHERE r.import_id = w.import_id AND r.line = w.line RETURNING 1
), refused_gone AS (
    DELETE FROM import_refusals r USING refused f WHERE r.import_id = f.import_id AND r.line = f.line RETURNING 1
), gone AS (
    DELETE FROM imports i USING old o WHERE i.id = o.id
      AND (SELECT count(*) FROM waiting) < :limit AND (SELECT count(*) FROM refused) < :limit RETURNING 1
)
SELECT now() AS at, '' AS id, (SELECT count(*) FROM old) * :limit AS seen,
       (SELECT count(*) FROM waiting_gone) + (SELECT count(*) FROM refused_gone) + (SELECT count(*) FROM gone)
           AS removed
"""

# One campaign at a time, and of its messages no more than any other statement removes; the campaign goes with the last
# of them, and with it the text that only it had. Its row is what makes a late duplicate of its launch start nothing.
CAMPAIGNS = f"""
WITH old AS (
    SELECT c.id FROM campaigns c
    WHERE c.finished_at < {_OLD} AND c.state IN ('completed', 'cancelled', 'failed')
      AND (c.expires_at IS NULL OR c.expires_at < now()) AND c.resend_at IS NULL
      AND c.id NOT IN (SELECT o.origin_id FROM outbox o WHERE o.published_at IS NULL)
    ORDER BY c.finished_at, c.id LIMIT 1 FOR UPDATE OF c SKIP LOCKED
), block AS (
    SELECT m.origin_id, m.seq FROM messages m JOIN old o ON m.origin_id = o.id ORDER BY m.seq LIMIT :limit
), reported AS (
    SELECT r.provider, r.receipt_id FROM receipts r JOIN old o ON r.origin_id = o.id LIMIT :limit
), attempts_gone AS (
    DELETE FROM attempts a USING block b WHERE a.origin_id = b.origin_id AND a.seq = b.seq
), receipts_gone AS (
    DELETE FROM receipts r USING reported g WHERE r.provider = g.provider AND r.receipt_id = g.receipt_id RETURNING 1
), messages_gone AS (
    DELETE FROM messages m USING block b WHERE m.origin_id = b.origin_id AND m.seq = b.seq RETURNING 1
), gone AS (
    DELETE FROM campaigns c USING old o WHERE c.id = o.id
      AND (SELECT count(*) FROM block) < :limit AND (SELECT count(*) FROM reported) < :limit RETURNING c.id
), texts_gone AS (
    DELETE FROM catalogue_versions v USING gone g WHERE v.kind = 'template' AND v.name = 'campaign-' || g.id
), rates_gone AS (
    DELETE FROM rate_limits l USING gone g WHERE l.key = 'campaign:' || g.id
)
SELECT now() AS at, '' AS id, (SELECT count(*) FROM old) * :limit AS seen,
       (SELECT count(*) FROM messages_gone) + (SELECT count(*) FROM gone) AS removed
"""
