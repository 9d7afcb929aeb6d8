"""The table that `make chaos` prints."""

from collections.abc import Sequence

from rich.table import Table

from tests.chaos.run import Row

_NUMBERS = ("events", "messages", "received", "lost", "forbidden", "duplicates", "unknown", "in_flight", "unsent")
_TITLES = {"forbidden": "silently twice", "in_flight": "in flight", "unsent": "given up"}


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


def cells(row: Row) -> list[str]:
    recovered = "never" if row.recovered is None else f"{row.recovered:.1f}"
    return [
        row.fault,
        str(row.seed),
        *(str(getattr(row.account, name)) for name in _NUMBERS),
        recovered if row.bound is None else f"{recovered} of {row.bound:g}",
    ]
