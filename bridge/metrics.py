"""What the bridge counts. Labels are topics, partitions, types and reasons: nothing a sender writes."""

from prometheus_client import Counter, Gauge, Histogram

LAG = Gauge("tidings_bridge_lag", "Records after the last one committed", ["topic", "partition"])
IN_FLIGHT = Gauge("tidings_bridge_in_flight", "Records read whose work has not ended", ["group"])
PAUSED = Gauge("tidings_bridge_paused_partitions", "Partitions that are not read for now", ["group", "reason"])
TROUBLE = Gauge("tidings_bridge_trouble", "1 while something the bridge depends on fails", ["part"])
RECORDS = Counter("tidings_bridge_records_total", "Records read", ["topic"])
REJECTED = Counter("tidings_bridge_rejected_total", "Records rejected, redeliveries included", ["reason"])
UNTRIED = Gauge(
    "tidings_bridge_untried",
    "Due notifications without a first try, urgent ones with a plan at a tenth; counted up to the bound",
    ["type"],
)
STARTS = Counter("tidings_bridge_starts_total", "Workflow starts", ["type", "result"])
CANCEL_SIGNALS = Counter("tidings_bridge_cancel_signals_total", "Workflows told to look at a cancel")
INTAKE_SECONDS = Histogram(
    "tidings_bridge_intake_seconds",
    "One batch from its arrival to its last acknowledged start",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
)
STORE_SECONDS = Histogram("tidings_bridge_store_seconds", "The transaction of one batch")
REBALANCES = Counter("tidings_bridge_rebalances_total", "Changes of assignment", ["group", "kind"])
OUTCOMES = Counter("tidings_bridge_outcomes_total", "Outcomes published", ["status"])
OUTCOME_AGE = Gauge("tidings_bridge_outcome_age_seconds", "Age of the oldest outcome that is not published")
CAMPAIGNS = Gauge(
    "tidings_campaigns",
    "Campaigns that have not ended; reason is why one paused, and empty where somebody paused it",
    ["state", "channel", "reason"],
)
OUTCOME_SECONDS = Histogram(
    "tidings_bridge_outcome_delay_seconds",
    "From the outbox to the broker",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
