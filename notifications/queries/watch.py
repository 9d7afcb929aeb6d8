"""What may be sent at this moment: a campaign's state and rate, and its providers' states, in one question."""

CONTROL = """
SELECT c.state, c.per_second,
       (SELECT array_agg(p.provider ORDER BY p.provider) FROM provider_states p
        WHERE p.channel = c.channel AND p.paused_at IS NOT NULL AND p.resumed_at IS NULL) AS paused,
       (SELECT array_agg(p.provider ORDER BY p.provider) FROM provider_states p
        WHERE p.channel = c.channel AND p.open_until > now()) AS open,
       (SELECT array_agg(p.provider ORDER BY p.provider) FROM provider_states p
        WHERE p.channel = c.channel AND p.failures > 0) AS troubled
FROM campaigns c WHERE c.id = %(campaign)s
"""
