"""One file through the API to its end, whatever breaks off in between: before each step it is asked what is there."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import httpx

from api.schemas.imports import ImportView
from notifications.statuses import ImportFormat, ImportState
from tidings.api_client import PASSING, PassingError, ask, refusal
from tidings.surroundings import CommandError

Answer = TypeVar("Answer")

_CHUNK = 256 * 1024  # bytes
_POLL = 0.5  # seconds
_LONGEST_PAUSE = 5.0
_IDLE = 15.0  # seconds without progress before it is said, and the API told once more that the file is whole
_CONTENT_TYPES = {ImportFormat.CSV: "text/csv", ImportFormat.NDJSON: "application/x-ndjson"}
_PASSING = PASSING | {HTTPStatus.CONFLICT}  # somebody else uploads the same file


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """`again`: although this file was imported before."""

    file: Path
    format: ImportFormat
    dry_run: bool = False
    again: bool = False


@dataclass(frozen=True, slots=True)
class Finished:
    """`before`: it had finished when this command began."""

    view: ImportView
    before: bool


class Watcher:
    """Hears how far it is; this one shows nothing."""

    def sent(self, size: int) -> None:
        """So many bytes of the file are sent."""

    def written(self, view: ImportView) -> None:
        """The file is sent; the import as it is now."""

    def waiting(self, why: str) -> None:
        """Nothing moves for the moment."""


class Importer:
    """The file is known by its content: another process, or another day, goes on where this one was."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        wanted: Wanted,
        watcher: Watcher,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = http
        self._wanted = wanted
        self._watcher = watcher
        self._sleep = sleep
        self._clock = clock
        with wanted.file.open("rb") as file:
            self._size = file.seek(0, 2)
            file.seek(0)
            self._key = f"{hashlib.file_digest(file, 'sha256').hexdigest()}{'-dry-run' if wanted.dry_run else ''}"
        self._old: UUID | None = None  # finished before, and to be done again
        self._moved = (-1, clock())  # rows that were done, and since when it is so many

    async def run(self) -> Finished:
        """Until the import has finished, through outages of the API and of what is behind it.

        Raises:
            CommandError: the API refuses it; says what to do.

        """
        before = await self._patiently(self._find)
        if before is not None and before.state.is_final:
            if not self._wanted.again:
                return Finished(before, before=True)
            self._old = before.id
        while True:
            view = await self._patiently(self._step)
            if view.state.is_final:
                return Finished(view, before=False)
            await self._sleep(_POLL)

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        pause = _POLL
        while True:
            try:
                return await ask()
            except PassingError as error:
                self._watcher.waiting(f"{error}: trying again")
            await self._sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _find(self) -> ImportView | None:
        """The newest import of this file."""
        found = await self._answer("GET", "/v1/imports", params={"key": self._key, "limit": 1})
        return next((ImportView.model_validate(item) for item in found["items"]), None)

    async def _step(self) -> ImportView:
        view = await self._find()
        if view is None or view.id == self._old:
            params = {"name": self._wanted.file.name, "dry_run": self._wanted.dry_run, "again": self._old is not None}
            return await self._send("POST", "/v1/imports", 0, {"Idempotency-Key": self._key}, params)
        if view.state is ImportState.UPLOADING:
            return await self._continue(view)
        self._watcher.sent(self._size)
        self._watcher.written(view)
        if view.done != self._moved[0]:
            self._moved = (view.done, self._clock())
        elif not view.state.is_final and self._clock() - self._moved[1] > _IDLE:
            self._moved = (view.done, self._clock())
            self._watcher.waiting("no worker goes on with it: is one with the role bulk running?")
            if view.state is ImportState.WAITING:
                return await self._continue(view)
        return view

    async def _continue(self, view: ImportView) -> ImportView:
        offset = view.received_bytes
        return await self._send("PATCH", f"/v1/imports/{view.id}", offset, {"Upload-Offset": str(offset)}, {})

    async def _send(
        self, method: str, path: str, offset: int, headers: dict[str, str], params: dict[str, Any]
    ) -> ImportView:
        """The file from `offset` on."""
        headers |= {
            "Content-Type": _CONTENT_TYPES[self._wanted.format],
            "Content-Length": str(self._size - offset),  # so that what is too large is refused at once
        }
        answer = await self._answer(method, path, content=self._content(offset), headers=headers, params=params)
        return ImportView.model_validate(answer)

    async def _content(self, offset: int) -> AsyncIterator[bytes]:
        with self._wanted.file.open("rb") as file:
            file.seek(offset)
            while chunk := file.read(_CHUNK):
                yield chunk
                offset += len(chunk)
                self._watcher.sent(offset)

    async def _answer(self, method: str, path: str, **request: Any) -> Any:
        return await ask(self._http, method, path, passing=_PASSING, **request)


async def save_refused(http: httpx.AsyncClient, view: ImportView, to: Path) -> None:
    """Download the refused rows.

    Raises:
        CommandError: the API does not give them.

    """
    try:
        async with http.stream("GET", f"/v1/imports/{view.id}/refused") as response:
            if not response.is_success:
                await response.aread()
                raise refusal(response)
            with to.open("wb") as file:
                async for chunk in response.aiter_bytes():
                    file.write(chunk)
    except (httpx.TransportError, PassingError) as error:
        raise CommandError(f"the refused rows could not be read: run the same command again ({error})") from None
