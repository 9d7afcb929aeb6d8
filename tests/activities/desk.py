"""One message on a desk: what the tests of the sending activity start from."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import col, select
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.sending import SendingActivities, SendRequest, SendResult
from notifications.breaker import Breaker
from notifications.catalogue.store import CatalogueStore
from notifications.contents import Contents
from notifications.dead_addresses import DeadAddresses
from notifications.ledger import Ledger
from notifications.providers.memory import MemoryProvider
from notifications.rendering.render import Renderer
from notifications.statuses import Channel
from notifications.tables import Attempt, Message
from tests.support.integration import HASH_KEY, LINKS, House

SECOND = timedelta(seconds=1)
T0 = datetime(2026, 11, 22, 10, tzinfo=UTC)


def new_name(kind: str = "memory") -> str:
    """For a provider: what is known of one, its breaker above all, is shared by all desks of a database."""
    return f"{kind}-{uuid4().hex[:8]}"


class Desk:
    """One message and the activities of one worker process that sends it."""

    def __init__(self, house: House, notification: UUID, **doubles: Any) -> None:
        self.house = house
        self.notification = notification
        self.provider = MemoryProvider(Channel.EMAIL, name=new_name())
        self.start_to_close = timedelta(seconds=10)
        values: dict[str, Any] = {
            "ledger": Ledger(house.sessions, process="worker-a"),
            "contents": Contents(
                house.sessions, catalogue=CatalogueStore(house.sessions), renderer=Renderer(), links=LINKS
            ),
            "providers": dict.fromkeys(Channel, (self.provider,)),
            "breaker": Breaker(house.sessions),
            "dead_addresses": DeadAddresses(house.sessions, hash_key=HASH_KEY.encode()),
        }
        self.activities = SendingActivities(**(values | doubles))

    async def send(
        self, *, at: datetime = T0, round_number: int = 1, stick: bool = True, channel: Channel = Channel.EMAIL
    ) -> SendResult:
        seq = (await self.message(channel)).seq
        environment = self.environment = ActivityEnvironment()
        environment.info = dataclasses.replace(
            environment.info,
            current_attempt_scheduled_time=at,
            started_time=datetime.now(UTC),
            start_to_close_timeout=self.start_to_close,
            retry_policy=RetryPolicy(initial_interval=SECOND, backoff_coefficient=2.0, maximum_interval=60 * SECOND),
        )
        request = SendRequest(self.notification, seq, channel, round_number, stick)
        return await environment.run(self.activities.send, request)

    async def fail(self, **arguments: Any) -> ApplicationError:
        with pytest.raises(ApplicationError) as raised:
            await self.send(**arguments)
        return raised.value

    async def message(self, channel: Channel = Channel.EMAIL) -> Message:
        return next(row for row in await self.house.messages(self.notification) if row.channel == channel)

    async def attempts(self) -> list[Attempt]:
        async with self.house.sessions() as session:
            statement = select(Attempt).where(Attempt.origin_id == self.notification).order_by(col(Attempt.attempt))
            return list(await session.exec(statement))


async def planned(house: House, **attributes: Any) -> UUID:
    """A payment's notification, planned: message 1 push, 2 e-mail."""
    notification = await house.intake(**({"recipient": await house.recipient()} | attributes))
    await house.plans.make(notification, 1)
    return notification
