"""`python -m tidings apply FOLDER`: check a catalogue folder and publish it."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import SQLAlchemyError

from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.publish import ApplyReport, Change, apply_folder, load_folder
from notifications.database import create_engine, create_sessions
from notifications.schema_check import StaleSchemaError, check_schema
from notifications.settings import SettingsError, load_settings


def apply(
    folder: Annotated[Path, typer.Argument(help="The catalogue folder.")] = Path("catalogue"),
    check: Annotated[bool, typer.Option("--check", help="Only check the folder; needs no database.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Check everything in the folder and, if nothing is wrong, make it the current catalogue."""
    try:
        if check:
            _show_checked(folder, len(load_folder(folder).loaded), as_json=as_json)
        else:
            _show_report(asyncio.run(_publish(folder)), as_json=as_json)
    except CatalogueError as error:
        if as_json:
            typer.echo(json.dumps({"ok": False, "problems": [asdict(problem) for problem in error.problems]}))
        count = len(error.problems)
        _fail(f"{error}\n{count} problem{'' if count == 1 else 's'}; nothing was published")
    except SettingsError as error:
        _fail(str(error))
    except (StaleSchemaError, ValueError) as error:
        _fail(str(error))
    except (SQLAlchemyError, OSError) as error:
        _fail(f"the catalogue was not published: {str(error).splitlines()[0]}")


async def _publish(folder: Path) -> ApplyReport:
    engine = create_engine(load_settings().database_url, pool_size=1)
    try:
        await check_schema(engine)
        return await apply_folder(folder, create_sessions(engine))
    finally:
        await engine.dispose()


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


def _show_checked(folder: Path, count: int, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ok": True, "checked": count}))
    else:
        typer.echo(f"{folder.as_posix()}: nothing is wrong with its {count} definitions and templates")


def _show_report(report: ApplyReport, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"ok": True, **report.as_json()}))
        return
    for change in report.changes:
        if change.action != "unchanged":
            typer.echo(_line(change))
    same = sum(change.action == "unchanged" for change in report.changes)
    typer.echo(f"revision {report.revision}, {same} unchanged" if report.changed else "nothing has changed")


def _line(change: Change) -> str:
    version = f" (version {change.version})" if change.version and change.action != "retired" else ""
    return f"{change.action:>15}  {change.kind} {change.name}{version}"
