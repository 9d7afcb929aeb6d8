"""Campaigns of a few ranges in memory behind the real activities' names; the product's rules say what is allowed."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.batches import BatchEnd, BatchRequest, BatchResult
from activities.campaigns import CampaignView, Report, Shard, ShardQuery, ShardsAfter, ShardView
from notifications.campaigns.lifecycle import CommandName, WrongStateError, is_news
from notifications.campaigns.progress import CHANGES, SHARD_SIZE
from notifications.campaigns.snapshot import RANGE_SIZE
from notifications.statuses import CampaignState, Channel
from notifications.tables import Campaign

Answer = BatchResult | ApplicationError | Callable[[], Awaitable[BatchResult]]


def trouble(reason: str = "smtp_421", *, needs_operator: bool = False, sent: int = 0) -> BatchResult:
    return BatchResult(BatchEnd.TROUBLE, sent, timedelta(seconds=1), reason, needs_operator)


class FakeCampaign:
    """`answers` are what sending does, in order; then every range is sent at once."""

    def __init__(self, *, ranges: int, starts_at: datetime) -> None:
        self.id = uuid.uuid4()
        self.row = Campaign(
            id=self.id,
            name="Spring sale",
            state=CampaignState.SCHEDULED,
            channel=Channel.EMAIL,
            starts_at=starts_at,
            expire_after=timedelta(hours=24),
        )
        self.open = [first * RANGE_SIZE + 1 for first in range(ranges)]
        self.answers: list[Answer] = []
        self.prepare_answers: list[ApplicationError | asyncio.Event] = []
        self.on_report: Callable[[CommandName], object] = lambda _: None  # before it is carried out
        self.broken_shards = 0  # so many looks of shards are answered with what ends a workflow
        self.calls: list[str] = []
        self.sent: list[int] = []
        self.is_settled = False

    @property
    def state(self) -> CampaignState:
        return CampaignState(self.row.state)

    def command(self, command: CommandName, reason: str | None = None) -> bool:
        try:
            if not is_news(command, self.state):
                return False
        except WrongStateError:
            return False
        self.row.state = CHANGES[command](reason)(self.row)
        self.calls.append(f"{command} {reason}" if reason else command)
        return True

    def look(self) -> CampaignView:
        row = self.row
        return CampaignView(self.state, Channel.EMAIL, row.starts_at, row.prepared_at is not None, row.pause_reason)

    def report(self, report: Report) -> CampaignView:
        self.on_report(report.command)
        self.command(report.command, report.reason)
        return self.look()

    async def prepare(self) -> CampaignView:
        if self.prepare_answers:
            answer = self.prepare_answers.pop(0)
            if isinstance(answer, ApplicationError):
                raise answer
            await answer.wait()
        if not self.state.is_final:
            self.row.prepared_at = self.row.starts_at
        return self.look()

    def settle(self) -> None:
        assert self.state.is_final
        self.is_settled = True

    def shards(self, wanted: ShardsAfter) -> list[Shard]:
        firsts = sorted({(seq - 1) // SHARD_SIZE * SHARD_SIZE + 1 for seq in self.open if seq > wanted.after})
        return [Shard(first, first + SHARD_SIZE - 1) for first in firsts[: wanted.limit]]

    def shard(self, query: ShardQuery) -> ShardView:
        if self.broken_shards:
            self.broken_shards -= 1
            raise ApplicationError("broken", type="Broken", non_retryable=True)
        return ShardView(self.look(), [seq for seq in self.open if query.first_seq <= seq <= query.last_seq])

    async def send(self, request: BatchRequest) -> BatchResult:
        if self.state is not CampaignState.RUNNING:
            return BatchResult(BatchEnd.HELD)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, ApplicationError):
                raise answer
            return answer if isinstance(answer, BatchResult) else await answer()
        self.open.remove(request.first_seq)
        self.sent.append(request.first_seq)
        return BatchResult(BatchEnd.DONE, RANGE_SIZE)


class FakeCampaignActivities:
    """For many campaigns: each call goes to its own."""

    def __init__(self) -> None:
        self.campaigns: dict[UUID, FakeCampaign] = {}

    @property
    def steering(self) -> list[Callable[..., Any]]:
        return [
            self.look_at_campaign,
            self.report_campaign,
            self.prepare_campaign,
            self.settle_campaign,
            self.next_shards,
            self.look_at_shard,
        ]

    @activity.defn(name="look_at_campaign")
    async def look_at_campaign(self, campaign_id: UUID) -> CampaignView:
        return self.campaigns[campaign_id].look()

    @activity.defn(name="report_campaign")
    async def report_campaign(self, report: Report) -> CampaignView:
        return self.campaigns[report.campaign_id].report(report)

    @activity.defn(name="prepare_campaign")
    async def prepare_campaign(self, campaign_id: UUID) -> CampaignView:
        return await self.campaigns[campaign_id].prepare()

    @activity.defn(name="settle_campaign")
    async def settle_campaign(self, campaign_id: UUID) -> None:
        self.campaigns[campaign_id].settle()

    @activity.defn(name="next_shards")
    async def next_shards(self, wanted: ShardsAfter) -> list[Shard]:
        return self.campaigns[wanted.campaign_id].shards(wanted)

    @activity.defn(name="look_at_shard")
    async def look_at_shard(self, query: ShardQuery) -> ShardView:
        return self.campaigns[query.campaign_id].shard(query)

    @activity.defn(name="send_batch")
    async def send_batch(self, request: BatchRequest) -> BatchResult:
        return await self.campaigns[request.campaign_id].send(request)
