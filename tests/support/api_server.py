"""The application behind a real socket, which a test may take away and bring back."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress

import uvicorn
from starlette.types import ASGIApp
from typing_extensions import override


class _Server(uvicorn.Server):
    @override
    def install_signal_handlers(self) -> None:
        """The signals are pytest's."""


class ApiServer:
    def __init__(self, make_app: Callable[[], ASGIApp]) -> None:
        self._make_app = make_app
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._stop: Callable[[], Awaitable[None]] | None = None

    async def start(self) -> None:
        config = uvicorn.Config(self._make_app(), port=self.port, log_config=None, access_log=False, lifespan="off")
        server = _Server(config)
        serving = asyncio.create_task(server._serve(None))
        while not server.started:
            await asyncio.sleep(0.01)

        async def stop() -> None:
            server.should_exit = server.force_exit = True
            with suppress(asyncio.CancelledError):
                await serving

        self._stop = stop

    async def stop(self) -> None:
        """At once: requests that are under way are broken off."""
        if self._stop is not None:
            await self._stop()
            self._stop = None
