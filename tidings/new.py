"""`python -m tidings new EVENT`: a definition to begin with."""

import json
from pathlib import Path
from typing import Annotated

import typer

from notifications.catalogue.new import write_definition
from notifications.catalogue.problems import CatalogueError
from notifications.statuses import Channel, NotificationType


def new(
    event: Annotated[str, typer.Argument(help="The event type, such as order.refunded.")],
    notification_type: Annotated[
        NotificationType, typer.Option("--type", help="Decides urgency, consent and quiet hours.")
    ] = NotificationType.TRANSACTIONAL,
    channels: Annotated[
        list[Channel] | None, typer.Option("--channel", help="Repeat it for more than one; default: email.")
    ] = None,
    folder: Annotated[Path, typer.Option("--folder", help="The catalogue.")] = Path("catalogue"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the names of the files as JSON.")] = False,
) -> None:
    """Write a complete, valid definition for a new event; then edit it, apply it and send its example."""
    try:
        files = write_definition(folder, event, notification_type, channels or [Channel.EMAIL])
    except CatalogueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    except OSError as error:
        typer.echo(f"{error.filename}: cannot be written: {error.strerror}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        typer.echo(json.dumps({"files": [file.as_posix() for file in files]}))
        return
    for file in files:
        typer.echo(f"wrote {file.as_posix()}")
    typer.echo(
        f"Edit them, then: python -m tidings apply {folder.as_posix()} && python -m tidings send --example {event}"
    )
