"""`python -m tidings doctor`: look at everything Tidings depends on, say what is wrong and how to mend it."""

import asyncio
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from tidings.findings import Finding


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Write the findings as JSON.")] = False,
) -> None:
    """Check every dependency; the exit status is 1 if anything is wrong."""
    from tidings.findings import examine

    findings = asyncio.run(examine())
    healthy = all(finding.ok for finding in findings)
    if as_json:
        print(json.dumps({"ok": healthy, "findings": [asdict(finding) for finding in findings]}, indent=2))
    else:
        _show(findings, healthy=healthy)
    raise typer.Exit(0 if healthy else 1)


def _show(findings: "list[Finding]", *, healthy: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        mark = ("✓ ", "green") if finding.ok else ("✗ ", "red")
        console.print(Text.assemble(mark, (f"{finding.name:<{width}}  ", "bold"), finding.detail))
        if finding.mend:
            console.print(Text.assemble(" " * (width + 4), ("→ ", "yellow"), finding.mend))
    console.print(
        "\n[green]Everything is as it should be.[/green]" if healthy else "\n[red]See the arrows above.[/red]"
    )
