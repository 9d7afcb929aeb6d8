"""The activity that sends a range of a campaign: begin → (tokens → claim → render → send → record) … → finish."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import structlog
from temporalio import activity

from activities import metrics
from activities.infrastructure import infrastructure
from activities.lanes import Lanes, Tools
from notifications.campaigns.contents import CampaignContents
from notifications.campaigns.lifecycle import UnknownCategoryError
from notifications.campaigns.ranges import Hold
from notifications.campaigns.watch import Watches
from notifications.providers.base import Provider
from notifications.statuses import CampaignState, Channel

HEARTBEAT_SECONDS = 2.0
CATEGORY_GONE = "category_gone"  # why such a campaign pauses
LONGEST = timedelta(minutes=10)  # then the range goes on in another activity, so that no history hides a slow one

log = structlog.get_logger()


class BatchEnd(StrEnum):
    """Why an activity gave its range back."""

    DONE = "done"  # nothing of it waits any more
    MORE = "more"  # its time was over, its worker stops, or another try has the range
    WAITS = "waits"  # what is left may be sent after `wait`
    HELD = "held"  # the campaign is paused or over
    TROUBLE = "trouble"  # the provider failed for everybody: `reason`, not before `wait`


@dataclass(frozen=True)
class BatchRequest:
    campaign_id: UUID
    round: int
    first_seq: int


@dataclass(frozen=True)
class BatchResult:
    """`needs_operator`: no wait will help, for example a rejected credential."""

    end: BatchEnd
    sent: int = 0
    wait: timedelta = timedelta()
    reason: str | None = None
    needs_operator: bool = False


class BatchActivities:
    def __init__(
        self,
        *,
        contents: CampaignContents,
        providers: Mapping[Channel, Sequence[Provider]],
        watches: Watches,
        tools: Tools,
    ) -> None:
        self._ranges = tools.ranges
        self._contents = contents
        self._providers = providers
        self._watches = watches
        self._tools = tools

    @activity.defn
    async def send_batch(self, request: BatchRequest) -> BatchResult:
        """Send what is due of a range. Safe to run twice, and at once: only the last one to begin may claim.

        Raises:
            ApplicationError: Postgres does not answer; tried again within seconds.

        """
        async with infrastructure(), _heartbeats():
            hold = await self._ranges.begin(request.campaign_id, request.round, request.first_seq)
            if hold is None:
                return BatchResult(BatchEnd.DONE)
            try:
                content = await self._contents.load(request.campaign_id)
            except UnknownCategoryError as error:
                log.warning("campaign.category_gone", campaign_id=str(request.campaign_id), detail=str(error))
                return BatchResult(BatchEnd.TROUBLE, reason=CATEGORY_GONE, needs_operator=True)
            providers = self._providers[content.channel]
            async with self._watches.watching(request.campaign_id) as watch:
                lanes = Lanes(hold, content, providers, watch, self._tools, until=_deadline())
                with metrics.BATCHES.labels(content.channel).track_inprogress():
                    await _see_through(lanes)
            return await self._conclude(hold, lanes)

    async def _conclude(self, hold: Hold, lanes: Lanes) -> BatchResult:
        if lanes.trouble is not None:
            found = lanes.trouble
            return BatchResult(BatchEnd.TROUBLE, lanes.sent, found.wait, found.code, found.needs_operator)
        left = await self._ranges.left(hold)
        if not left.is_ours:
            return BatchResult(BatchEnd.MORE, lanes.sent)
        if left.state != CampaignState.RUNNING:
            return BatchResult(BatchEnd.HELD, lanes.sent)
        if left.next_due is None:
            ended = await self._ranges.finish(hold)
            return BatchResult(BatchEnd.DONE if ended else BatchEnd.MORE, lanes.sent)
        wait = left.next_due - datetime.now(UTC)
        if wait <= timedelta() or lanes.is_cut_short:
            return BatchResult(BatchEnd.MORE, lanes.sent)
        return BatchResult(BatchEnd.WAITS, lanes.sent, wait)


async def _see_through(lanes: Lanes) -> None:
    """Whatever calls the activity off, begun calls end and what came of them is written down."""
    running = asyncio.ensure_future(lanes.run())
    stopping = asyncio.ensure_future(activity.wait_for_worker_shutdown())
    stopping.add_done_callback(lambda _: lanes.stop())
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        lanes.stop()
        await running
        raise
    finally:
        stopping.cancel()


@asynccontextmanager
async def _heartbeats() -> AsyncIterator[None]:
    """Tell Temporal that this worker lives, so that another takes the range over within seconds if it does not."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)  # first: most batches end before, and each call is a write
            activity.heartbeat()

    beating = asyncio.ensure_future(beat())
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating


def _deadline() -> datetime:
    return activity.info().started_time + LONGEST
