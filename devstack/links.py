"""What to open, once everything runs."""

from collections.abc import Sequence

from rich.table import Table

from devstack.state import Endpoints
from devstack.steps import Timing


def links_table(endpoints: Endpoints) -> Table:
    table = Table(title="Tidings is running", title_justify="left", show_header=False, box=None, pad_edge=False)
    rows = (
        ("Inbox", endpoints.sandbox, "phones, mailboxes"),
        ("Temporal UI", endpoints.temporal_ui, "every notification"),
        ("Campaigns", f"{endpoints.api}/campaigns", "watch, pause, stop"),
        ("API", f"{endpoints.api}/docs", "token: .tidings/env"),
        ("Kafka", endpoints.kafka, "produce events here"),
        ("PostgreSQL", endpoints.postgres, "the ledger"),
        ("Metrics", f"{endpoints.api}/metrics", "more in .tidings/"),
        ("Temporal", endpoints.temporal, ""),
        ("SMTP", endpoints.smtp, "the sandbox's mail"),
    )
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="cyan", no_wrap=True)
    table.add_column(style="dim", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    return table


def timings_table(timings: Sequence[Timing]) -> Table:
    """Where the start-up time went, in the order of the ends."""
    table = Table(title="Start-up", title_justify="left", box=None, pad_edge=False)
    for column in ("step", "began after", "took", "done after"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for timing in sorted(timings, key=lambda one: one.began + one.took):
        numbers = (timing.began, timing.took, timing.began + timing.took)
        table.add_row(timing.name, *(f"{number:.2f} s" for number in numbers))
    return table
