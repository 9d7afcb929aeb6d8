"""`python -m tidings import FILE`: recipients from a CSV or NDJSON file, with progress, and what became of each row."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.progress import BarColumn, DownloadColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text
from typing_extensions import override

from api.schemas.imports import ImportView
from notifications.settings import Settings, load_settings
from notifications.statuses import ImportFormat, ImportState
from tidings.answers import console
from tidings.api_client import open_api
from tidings.importing import Finished, Importer, Wanted, Watcher, save_refused
from tidings.surroundings import CommandError, failing_in_one_line
from tidings.troubled_progress import TroubledProgress

_FORMATS = {
    ".csv": ImportFormat.CSV,
    ".tsv": ImportFormat.CSV,
    ".ndjson": ImportFormat.NDJSON,
    ".jsonl": ImportFormat.NDJSON,
}
_INTERRUPTED = 130  # as a shell has it for Ctrl-C


def import_recipients(
    file: Annotated[Path, typer.Argument(help="A CSV or NDJSON file in UTF-8.", exists=True, dir_okay=False)],
    *,
    form: Annotated[ImportFormat | None, typer.Option("--format", help="If the name does not say it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check and count everything, write nothing.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Import a file once more that was imported before.")] = False,
    refused: Annotated[Path | None, typer.Option("--refused", help="Write the refused rows to this file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Import recipients through the API, and wait until every row is written or refused.

    Broken off at any point, the same command goes on where it was. Ends with status 1 where rows were refused.
    """
    with failing_in_one_line():
        wanted = Wanted(
            file=file,
            format=form or _format(file),
            dry_run=dry_run,
            again=again or dry_run,  # what a dry run finds is not for later
        )
        try:
            finished = asyncio.run(_run(load_settings(), wanted, refused, quiet=as_json))
        except KeyboardInterrupt:
            typer.echo("stopped: run the same command again, it goes on where it was", err=True)
            raise typer.Exit(_INTERRUPTED) from None
    _show(finished, wanted, refused, as_json=as_json)
    if finished.view.refused or finished.view.state is not ImportState.COMPLETED:
        raise typer.Exit(1)


async def _run(settings: Settings, wanted: Wanted, refused: Path | None, *, quiet: bool) -> Finished:
    async with open_api(settings) as http:
        with _Bars(wanted, quiet=quiet) as bars:
            finished = await Importer(http, wanted, bars).run()
        if refused is not None and finished.view.refused:
            await save_refused(http, finished.view, refused)
    return finished


def _format(file: Path) -> ImportFormat:
    found = _FORMATS.get(file.suffix.lower())
    if found is None:
        raise CommandError(f"{file.name} does not end in {', '.join(_FORMATS)}: say --format csv or --format ndjson")
    return found


class _Bars(Watcher):
    """One bar for bytes that are sent, one for rows that are written; on stderr, unless `quiet`."""

    def __init__(self, wanted: Wanted, *, quiet: bool) -> None:
        self._verb = "checking" if wanted.dry_run else "writing"
        self._sending = TroubledProgress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            quiet=quiet,
        )
        self._writing = TroubledProgress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            TextColumn("{task.completed:,}/{task.total:,} rows"),
            TimeRemainingColumn(),
            quiet=quiet,
        )
        self._task = self._sending.add_task("sending", total=wanted.file.stat().st_size)
        self._rows: TaskID | None = None

    def __enter__(self) -> Self:
        self._sending.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._sending.stop()
        self._writing.stop()

    @override
    def sent(self, size: int) -> None:
        self._sending.trouble("")
        self._sending.update(self._task, completed=size)

    @override
    def written(self, view: ImportView) -> None:
        if self._rows is None:
            self._sending.stop()
            self._writing.start()
            self._rows = self._writing.add_task(self._verb, total=view.rows)
        self._writing.trouble("")
        self._writing.update(self._rows, completed=view.done, total=view.rows)

    @override
    def waiting(self, why: str) -> None:
        (self._sending if self._rows is None else self._writing).trouble(why)


def _show(finished: Finished, wanted: Wanted, refused: Path | None, *, as_json: bool) -> None:
    view = finished.view
    if as_json:
        typer.echo(json.dumps(view.model_dump(mode="json") | {"imported_before": finished.before}, indent=2))
        return
    out = console()
    state = "checked, nothing was written" if view.dry_run and view.state is ImportState.COMPLETED else view.state.value
    out.print(Text.assemble((f"{wanted.file.name}: ", "bold"), f"{view.rows:,} rows, {state}{_duration(view)}"))
    for name in ("created", "updated", "unchanged"):
        out.print(Text(f"{getattr(view, name):>11,}  {name}"))
    notes = {
        "superseded": "left out: a later row has the same id",
        "refused": f"refused: {', '.join(f'{column} {count:,}' for column, count in _most(view))}",
        "devices": "devices new or changed",
        "choices": "choices of consent new or changed",
        "older_choices": "choices of consent left out: a newer one is kept",
    }
    for name, words in notes.items():
        if getattr(view, name):
            out.print(Text(f"{getattr(view, name):>11,}  {words}", style="red" if name == "refused" else ""))
    out.print(Text(f"import {view.id}  {view.links['self']}", style="dim"))
    if finished.before:
        out.print(Text("it was imported before; --again imports it once more"))
    if view.refused and refused is not None:
        out.print(Text(f"{refused} has the refused rows with what to mend; mended, it can be imported as it is"))
    elif view.refused:
        out.print(Text(f"for the refused rows with what to mend: {_once_more(wanted)} --refused refused.csv"))


def _most(view: ImportView) -> list[tuple[str, int]]:
    return sorted(view.refused_by.items(), key=lambda item: -item[1])


def _once_more(wanted: Wanted) -> str:
    return f"python -m tidings import {wanted.file}{' --dry-run' if wanted.dry_run else ''}"


def _duration(view: ImportView) -> str:
    if view.finished_at is None:
        return ""
    seconds = (view.finished_at - view.created_at).total_seconds()
    return f" in {seconds:.1f} s" if seconds < 100 else f" in {seconds / 60:.1f} min"  # noqa: PLR2004 - a minute or two
