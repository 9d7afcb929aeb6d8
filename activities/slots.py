"""Calls that a process may have under way for campaigns on one channel, shared by all of their batches."""

import asyncio


class Slots:
    """`count` calls at most, in the order in which they are asked for."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._turn = asyncio.Lock()
        self._given_back = asyncio.Event()

    async def take(self, wanted: int) -> int:
        """Wait until one is free; as many as are, up to `wanted`."""
        async with self._turn:
            while self._free == 0:
                self._given_back.clear()
                await self._given_back.wait()
            taken = min(wanted, self._free)
            self._free -= taken
            return taken

    def give_back(self, count: int) -> None:
        self._free += count
        self._given_back.set()
