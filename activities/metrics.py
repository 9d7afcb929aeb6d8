"""What the workers count."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

SENDS = Counter("tidings_sends_total", "Provider calls by how they ended", ["origin", "channel", "provider", "outcome"])
SEND_SECONDS = Histogram(
    "tidings_send_duration_seconds", "Duration of a provider call", ["channel", "provider"], buckets=_SECONDS
)
ACCEPTED_SECONDS = Histogram(
    "tidings_event_to_accepted_seconds",
    "From the event's arrival (or its due time) to the provider's acceptance",
    ["type"],
    buckets=(*_SECONDS, 60, 300, 1800, 7200),
)
STUCK = Counter("tidings_stuck_total", "Messages that began to wait for an operator", ["channel", "provider", "reason"])
BREAKER = Counter(
    "tidings_breaker_changes_total", "Circuit breakers that opened (again) or closed", ["channel", "provider", "change"]
)
REPAIRS = Counter("tidings_reconciliation_repairs_total", "What reconciliation mended", ["kind"])
UNMENDED = Counter(
    "tidings_reconciliation_unmended_total", "What reconciliation found, at each look, and cannot mend", ["kind"]
)
REMOVED = Counter("tidings_retention_removed_total", "Rows removed because their time had come", ["kind"])
IMPORT_ROWS = Counter("tidings_import_rows_total", "Rows of imports by what became of them", ["outcome"])
FAILOVERS = Counter(
    "tidings_failovers_total", "Messages that another provider was tried for at once", ["channel", "provider"]
)
CLAIMS = Counter("tidings_claims_total", "Claims by what they found", ["channel", "verdict"])
BATCHES = Gauge("tidings_campaign_batches", "Ranges of campaigns that this process sends at this moment", ["channel"])
PREPARED = Counter(
    "tidings_campaign_prepared_total", "Messages of campaigns written down, and reopened by a next round"
)
UNKNOWN = Counter("tidings_campaign_unknown_total", "Messages of campaigns that ended as unknown")
RATE_WAITS = Counter(
    "tidings_campaign_rate_wait_seconds_total",
    "Time for which a rate let nothing of a campaign go, all lanes added up",
    ["channel", "provider"],
)
