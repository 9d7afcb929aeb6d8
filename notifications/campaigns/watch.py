"""A campaign's controls as a worker sees them, never older than it takes to stop within two seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import structlog

from notifications.database import Sessions, execute_alone
from notifications.queries.watch import CONTROL
from notifications.statuses import CampaignState

REFRESH_SECONDS = 0.5
STALE_SECONDS = 1.5  # without a newer word from Postgres no call begins

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Controls:
    """`per_second` None: no rate of the campaign's own. Providers are named by what keeps them from sending."""

    state: str
    per_second: float | None
    paused: frozenset[str]
    open: frozenset[str]
    troubled: frozenset[str]


class Watch:
    """What a campaign's row and its providers' states said last."""

    def __init__(self, controls: Controls, read_at: float) -> None:
        self.controls = controls
        self._read_at = read_at

    def update(self, controls: Controls, read_at: float) -> None:
        self.controls, self._read_at = controls, read_at

    @property
    def is_stale(self) -> bool:
        return time.monotonic() - self._read_at > STALE_SECONDS

    def may_begin(self, provider: str) -> bool:
        """Whether a call may begin now."""
        return (
            self.controls.state == CampaignState.RUNNING and provider not in self.controls.paused and not self.is_stale
        )

    def choose(self, providers: Sequence[str]) -> str | None:
        """The first that takes messages; None: all are paused or out."""
        shut = self.controls.paused | self.controls.open
        return next((name for name in providers if name not in shut), None)


class Watches:
    """One question per campaign and half second, however many batches of a process ask."""

    def __init__(self, sessions: Sessions, *, refresh_seconds: float = REFRESH_SECONDS) -> None:
        self._sessions = sessions
        self._refresh_seconds = refresh_seconds
        self._watches: dict[UUID, tuple[Watch, int, asyncio.Task[None]]] = {}

    @asynccontextmanager
    async def watching(self, campaign_id: UUID) -> AsyncIterator[Watch]:
        watch = await self._join(campaign_id)
        try:
            yield watch
        finally:
            await self._leave(campaign_id)

    async def _join(self, campaign_id: UUID) -> Watch:
        if campaign_id in self._watches:
            watch, users, task = self._watches[campaign_id]
            self._watches[campaign_id] = (watch, users + 1, task)
            return watch
        begun = time.monotonic()
        watch = Watch(await self._read(campaign_id), begun)
        if campaign_id in self._watches:  # another batch was quicker
            return await self._join(campaign_id)
        self._watches[campaign_id] = (watch, 1, asyncio.create_task(self._refresh(campaign_id, watch)))
        return watch

    async def _leave(self, campaign_id: UUID) -> None:
        watch, users, task = self._watches[campaign_id]
        if users > 1:
            self._watches[campaign_id] = (watch, users - 1, task)
            return
        del self._watches[campaign_id]
        task.cancel()

    async def _refresh(self, campaign_id: UUID, watch: Watch) -> None:
        while True:
            await asyncio.sleep(self._refresh_seconds)
            asked = time.monotonic()
            try:
                watch.update(await self._read(campaign_id), asked)
            except Exception as error:  # noqa: BLE001 - whatever it is: what it said last grows stale, and nothing is sent
                log.warning("campaign.controls_not_read", campaign_id=str(campaign_id), error=type(error).__name__)

    async def _read(self, campaign_id: UUID) -> Controls:
        rows = await execute_alone(self._sessions, CONTROL, {"campaign": campaign_id})
        if not rows:  # removed: nothing more is sent
            return Controls(CampaignState.CANCELLED, None, frozenset(), frozenset(), frozenset())
        state, per_second, paused, open_, troubled = rows[0]
        return Controls(state, per_second, *(frozenset(names or ()) for names in (paused, open_, troubled)))
