"""`python -m tidings api | bridge | worker`: the processes of Tidings, each in the foreground until SIGTERM."""

from collections.abc import Coroutine
from typing import Annotated, Any

import typer

ROLES = ("orchestrator", "push", "email", "sms", "whatsapp", "bulk")


def _run(process: Coroutine[Any, Any, None]) -> None:
    """Run it; what a person has to mend is said in one line, anything else keeps its traceback."""
    import uvloop
    from sqlalchemy.exc import OperationalError

    from notifications.migrations import StaleSchemaError
    from notifications.settings import SettingsError

    try:
        uvloop.run(process)
    except (SettingsError, StaleSchemaError) as error:
        reason = str(error)
    except OperationalError as error:
        reason = f"PostgreSQL does not answer: {str(error.orig).splitlines()[0]}; see `python -m tidings doctor`"
    else:
        return
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
) -> None:
    """Run workflows and send messages for the given roles."""
    chosen = [role.strip() for role in roles.split(",") if role.strip()]
    unknown = [role for role in chosen if role not in ROLES]
    if unknown or not chosen:
        raise typer.BadParameter(f"no role {', '.join(unknown) or 'is given'}; there is {', '.join(ROLES)}")
    from worker import main as run_worker

    _run(run_worker(chosen))
