"""`python -m tidings`: one module per command, imported only when its command is the one that was asked for."""

import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import typer

from tidings.environment import use_running_stack

# command → (module, function, one line of help)
COMMANDS = {
    "dev": ("tidings.dev", "dev", "Start the whole stack on this machine."),
    "demo": ("tidings.demo", "demo", "Start the stack and watch events become messages."),
    "api": ("tidings.processes", "api", "Run the API."),
    "bridge": ("tidings.processes", "bridge", "Run the bridge between Kafka and Temporal."),
    "worker": ("tidings.processes", "worker", "Run a worker with one or more roles."),
    "migrate": ("tidings.migrate", "migrate", "Bring the database schema to the newest revision."),
    "apply": ("tidings.apply", "apply", "Publish a catalogue folder."),
    "new": ("tidings.new", "new", "Write a new definition to begin with."),
    "send": ("tidings.send", "send", "Send an event to Kafka."),
    "test-send": ("tidings.test_send", "test_send", "Send one message of a definition to an address."),
    "explain": ("tidings.explain", "explain", "Say what became of an event."),
    "providers": ("tidings.providers", "providers", "Show, pause and resume provider accounts."),
    "import": ("tidings.import_", "import_recipients", "Import recipients from a CSV or NDJSON file."),
    "campaign": ("tidings.campaign", "campaign", "Write, launch, watch and steer campaigns."),
    "stuck": ("tidings.stuck", "stuck", "List, retry or skip stuck messages, many at once."),
    "replay": ("tidings.replay", "replay", "List, replay or give up rejected events."),
    "reconcile": ("tidings.reconcile", "reconcile", "Create the schedule of reconciliation."),
    "doctor": ("tidings.doctor", "doctor", "Check everything that Tidings depends on."),
}
# These make or take their surroundings themselves.
_OWN_SURROUNDINGS = {"dev", "demo"}


def _nothing() -> None:
    """Stand in for a command that was not asked for."""


def _function(name: str) -> Callable[..., Any]:
    module, function, _ = COMMANDS[name]
    found: Callable[..., Any] = getattr(import_module(module), function)
    return found


def command_line(arguments: Sequence[str]) -> typer.Typer:
    """The command line with the one command that `arguments` name; the others are there by name only."""
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    app = typer.Typer(
        name="tidings",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback()(_describe)
    for name, (_, _, summary) in COMMANDS.items():
        app.command(name, short_help=summary)(_function(name) if name == wanted else _nothing)
    return app


def _describe() -> None:
    """Business events in, push, e-mail, SMS and WhatsApp out."""


def main() -> None:
    arguments = sys.argv[1:]
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    if command is not None and command not in _OWN_SURROUNDINGS:
        use_running_stack(quiet="--json" in arguments)
    command_line(arguments)(prog_name="python -m tidings")


if __name__ == "__main__":
    main()
