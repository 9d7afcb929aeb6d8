"""The API as a process: `await main()` serves until SIGTERM or SIGINT."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator

import structlog
import uvicorn
from typing_extensions import override

from api.app import create_app
from api.authentication import is_loopback, usable_token
from api.composition import open_context
from notifications.settings import Settings, SettingsError, load_settings
from notifications.telemetry import configure_logging

log = structlog.get_logger()


class RefusedToStartError(SettingsError):
    """The settings would open a hole, or the address cannot be had; the text says what to do."""


def check_exposure(settings: Settings) -> None:
    """Nobody but this machine may reach an API without a token.

    Raises:
        RefusedToStartError: with the variable to set.

    """
    if usable_token(settings.api_token) is None and not is_loopback(settings.api_host):
        raise RefusedToStartError(
            f"TIDINGS_API_HOST={settings.api_host} can be reached from other machines: set TIDINGS_API_TOKEN to a "
            "secret (`openssl rand -hex 32`), or listen on 127.0.0.1"
        )


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        RefusedToStartError: the address is taken or is not one of this machine.

    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise RefusedToStartError(
            f"cannot listen on {host}:{port} ({error.strerror}): set TIDINGS_API_HOST and TIDINGS_API_PORT to an "
            "address of this machine that is free"
        ) from error


class _Server(uvicorn.Server):
    """Ends the coroutine on a signal; uvicorn's own would end the process by the signal afterwards.

    Answers that have no end of their own, end with `closing`: the server waits for those that are under way.
    """

    def __init__(self, config: uvicorn.Config, closing: asyncio.Event) -> None:
        super().__init__(config)
        self._closing = closing

    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(number)

    def _stop(self) -> None:
        self._closing.set()
        self.should_exit = True


async def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; requests in flight get `shutdown_grace_seconds`.

    Raises:
        RefusedToStartError: see `check_exposure` and `listen`.
        StaleSchemaError: the database is not migrated.
        ValueError: a setting is missing; names it.

    """
    check_exposure(settings)
    async with open_context(settings) as context:
        app = create_app(settings, lambda _: contextlib.nullcontext(context))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=int(settings.shutdown_grace_seconds),
        )
        with listen(settings.api_host, settings.api_port) as sock:
            port = sock.getsockname()[1]
            guarded = usable_token(settings.api_token) is not None
            log.info("api.listening", host=settings.api_host, port=port, guarded=guarded)
            await _Server(config, context.closing).serve(sockets=[sock])
    log.info("api.stopped")


async def main() -> None:
    settings = load_settings()
    configure_logging("api", settings.log_format)
    await serve(settings)
