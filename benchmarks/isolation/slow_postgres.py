"""A way to Postgres whose answers can be held back: what the applications see of a slow database."""

import asyncio
import contextlib

_CHUNK = 65_536
_QUEUED = 64  # chunks under way in one direction; then the sender waits, as on a real line


class SlowLine:
    """Listens on loopback and passes everything on; each answer comes `delay` seconds later, in order.

    Changing `delay` counts for connections that are open already.
    """

    def __init__(self, host: str, port: int) -> None:
        self.delay = 0.0
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, host: str) -> int:
        """Listen; answers the port."""
        self._server = await asyncio.start_server(self._serve, host, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection(*self._target)
            directions = [
                asyncio.create_task(_pass_on(reader, back)),
                asyncio.create_task(self._pass_on_later(there, writer)),
            ]
            try:
                await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for direction in directions:
                    direction.cancel()
                await asyncio.gather(*directions, return_exceptions=True)
                back.close()
                writer.close()

    async def _pass_on_later(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_QUEUED)

        async def write() -> None:
            while True:
                due, data = await chunks.get()
                if due > loop.time():
                    await asyncio.sleep(due - loop.time())
                if not data:
                    return
                writer.write(data)
                await writer.drain()

        writing = asyncio.create_task(write())
        try:
            data = b" "
            while data:
                data = await reader.read(_CHUNK)
                await chunks.put((loop.time() + self.delay, data))
            await writing
        finally:
            writing.cancel()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
