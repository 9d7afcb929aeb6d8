"""`python -m tidings api | bridge | worker`: the processes of Tidings, each in the foreground until SIGTERM."""

import os
from collections.abc import Coroutine
from typing import Annotated, Any

import typer

ROLES = ("orchestrator", "push", "email", "sms", "whatsapp", "bulk")


def _trouble(process: Coroutine[Any, Any, None]) -> str | None:
    """Run it to its end; what a person has to mend is given back, anything else keeps its traceback."""
    import uvloop
    from sqlalchemy.exc import OperationalError

    from notifications.schema_check import StaleSchemaError
    from notifications.settings import SettingsError

    try:
        uvloop.run(process)
    except (SettingsError, StaleSchemaError) as error:
        return str(error)
    except OperationalError as error:
        return f"PostgreSQL does not answer: {str(error.orig).splitlines()[0]}; see `python -m tidings doctor`"
    return None


def _run(process: Coroutine[Any, Any, None]) -> None:
    reason = _trouble(process)
    if reason is not None:
        typer.echo(f"cannot run: {reason}", err=True)
        raise typer.Exit(1)


def api() -> None:
    """Serve the API at TIDINGS_API_HOST:TIDINGS_API_PORT."""
    from api.main import main

    _run(main())


def bridge() -> None:
    """Take events from Kafka into Tidings, and publish outcomes."""
    from bridge.main import main

    _run(main())


def worker(
    roles: Annotated[str, typer.Option("--roles", help=f"Comma-separated: {', '.join(ROLES)}.")] = ",".join(ROLES),
    processes: Annotated[
        int, typer.Option("--processes", min=1, max=64, help="How many, from one parent whose memory they share.")
    ] = 1,
) -> None:
    """Run workflows and send messages for the given roles."""
    chosen = [role.strip() for role in roles.split(",") if role.strip()]
    unknown = [role for role in chosen if role not in ROLES]
    if unknown or not chosen:
        raise typer.BadParameter(f"no role {', '.join(unknown) or 'is given'}; there is {', '.join(ROLES)}")
    from worker import main as run_worker
    from worker.priority import give_way

    if chosen == ["bulk"]:
        give_way()
    if processes == 1:
        return _run(run_worker(chosen))
    from worker.family import Place, run_family

    def work(place: Place) -> int:
        reason = _trouble(run_worker(chosen, place))
        if reason is not None:
            typer.echo(f"cannot run: {reason}", err=True)
            return os.EX_CONFIG
        return 0

    raise typer.Exit(run_family(processes, work))
