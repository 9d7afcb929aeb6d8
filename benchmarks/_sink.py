"""A bare server in a process of its own: what a client is measured against."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import Queue, get_context

import uvloop


@contextmanager
def running_sink(protocol: type[asyncio.Protocol]) -> Iterator[int]:
    """Its port; each connection gets a `protocol` of its own."""
    context = get_context("spawn")
    ports: Queue[int] = context.Queue()
    server = context.Process(target=_serve, args=(protocol, ports), daemon=True)
    server.start()
    try:
        yield ports.get(timeout=30)
    finally:
        server.terminate()
        server.join()


def _serve(protocol: type[asyncio.Protocol], ports: "Queue[int]") -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, backlog=1024)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(main())
