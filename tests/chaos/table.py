"""The tables: a row per fault and seed for the terminal, a row per fault for docs/guarantees.md."""

from collections.abc import Sequence

from rich.table import Table

from tests.chaos.row import Row

_NUMBERS = ("events", "messages", "received", "lost", "forbidden", "duplicates", "unknown", "in_flight", "unsent")
_SUMMED = ("events", "messages", "lost", "forbidden", "duplicates", "unknown", "in_flight")
_TITLES = {"events": "events, campaigns", "forbidden": "silently twice", "in_flight": "in flight", "unsent": "given up"}


def table(rows: Sequence[Row]) -> Table:
    drawn = Table(title="lost and silently twice are never allowed; duplicates and unknown at most what was in flight")
    drawn.add_column("fault")
    drawn.add_column("seed", justify="right")
    for name in _NUMBERS:
        drawn.add_column(_TITLES.get(name, name), justify="right")
    drawn.add_column("recovery s", justify="right")
    drawn.add_column("")
    for row in rows:
        drawn.add_row(*cells(row), "[red]✗[/red]" if row.wrong else "[green]✓[/green]")
    return drawn


def markdown(rows: Sequence[Row]) -> str:
    """Sums over the seeds, and the slowest recovery."""
    counted = "campaigns" if all(row.fault.startswith("campaign-") for row in rows) else "events"
    titles = "messages | lost | silently twice | duplicates | unknown | in flight | recovery, s"
    lines = [
        f"| fault | runs | {counted} | {titles} |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for fault in dict.fromkeys(row.fault for row in rows):
        runs = [row for row in rows if row.fault == fault]
        sums = [str(sum(getattr(row.account, name) for row in runs)) for name in _SUMMED]
        slowest = max(runs, key=lambda row: float("inf") if row.recovered is None else row.recovered)
        lines.append(f"| {' | '.join([fault, str(len(runs)), *sums, cells(slowest)[-1]])} |")
    return "\n".join(lines) + "\n"


def cells(row: Row) -> list[str]:
    recovered = "never" if row.recovered is None else f"{row.recovered:.1f}"
    return [
        row.fault,
        str(row.seed),
        *(str(getattr(row.account, name)) for name in _NUMBERS),
        recovered if row.bound is None else f"{recovered} of {row.bound:g}",
    ]
