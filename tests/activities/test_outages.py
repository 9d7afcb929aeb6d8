"""Postgres goes away at every step of a try: nothing is sent twice, nothing is taken for a lost answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import async_sessionmaker
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.exceptions import ApplicationErrorCategory
from typing_extensions import override

from notifications.contents import Contents, Rendered
from notifications.database import Sessions, execute, transaction
from notifications.ledger import Claim, Ledger
from notifications.providers.base import OutgoingMessage, Receipt
from notifications.providers.memory import MemoryProvider
from notifications.rendering.render import Renderer
from notifications.statuses import Channel, MessageStatus
from tests.activities.desk import SECOND, T0, Desk, new_name, planned
from tests.support.integration import LINKS, House
from tests.support.programs import eventually


def outage() -> OperationalError:
    return OperationalError("SELECT", {}, Exception("the server went away"))


class FlakySessions:
    """A session factory whose next `failures` sessions, or connections of its engine, cannot be had."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self.failures = 0

    def __call__(self) -> Any:
        self._fail()
        return self._sessions()

    @property
    def kw(self) -> dict[str, Any]:
        self._fail()
        return self._sessions.kw

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise outage()


class Outage(MemoryProvider):
    """Postgres goes away while the message is accepted."""

    def __init__(self, sessions: FlakySessions, failures: int) -> None:
        super().__init__(Channel.EMAIL, name=new_name())
        self._sessions = sessions
        self._failures = failures

    @override
    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        self._sessions.failures = self._failures
        return await super().send(message, idempotency_key=idempotency_key, deadline=deadline)


async def test_the_answer_is_written_down_once_postgres_is_back(house: House):
    sessions = FlakySessions(house.sessions)
    provider = Outage(sessions, failures=3)
    ledger = Ledger(sessions, process="worker-a")  # type: ignore[arg-type]
    desk = Desk(house, await planned(house), ledger=ledger, providers={Channel.EMAIL: (provider,)})
    assert (await desk.send()).status is MessageStatus.SENT
    assert [(row.attempt, row.outcome) for row in await desk.attempts()] == [(1, "accepted")]
    assert provider.calls == 1


class Terminator(MemoryProvider):
    """Ends every connection to the database while the message is accepted."""

    def __init__(self, house: House) -> None:
        super().__init__(Channel.EMAIL, name=new_name())
        self._engine = house.engine

    @override
    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        async with self._engine.connect() as connection:
            await connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        return await super().send(message, idempotency_key=idempotency_key, deadline=deadline)


async def test_terminated_connections_cost_nothing(house: House):
    provider = Terminator(house)
    desk = Desk(house, await planned(house), providers={Channel.EMAIL: (provider,)})
    assert (await desk.send()).status is MessageStatus.SENT
    assert len(provider.sent) == 1


class ForgetfulSession(AsyncSession):
    """Commits, and loses the answers of the first transactions: as many as `info["lost"]` says."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[None]:  # type: ignore[override]
        async with super().begin():
            yield
        if self.info["lost"]:
            self.info["lost"].pop()
            raise outage()


@pytest.mark.parametrize("duplicates", ["at_least_once", "at_most_once"])
async def test_a_claim_whose_answer_was_lost_goes_on_in_the_same_try(house: House, duplicates: str):
    sessions = async_sessionmaker(house.engine, class_=ForgetfulSession, expire_on_commit=False, info={"lost": [1]})
    desk = Desk(house, await planned(house), ledger=Ledger(sessions, process="worker-a"))
    await _set_duplicates(house, desk.notification, duplicates)
    assert (await desk.send()).status is MessageStatus.SENT
    message = await desk.message()
    assert (message.attempt, message.failures) == (1, 0)


async def test_a_claim_that_stays_unanswered_is_tried_again_within_seconds(house: House):
    sessions = FlakySessions(house.sessions)
    sessions.failures = 1000
    desk = Desk(house, await planned(house), ledger=Ledger(sessions, process="worker-a"))  # type: ignore[arg-type]
    error = await desk.fail()
    assert (error.type, error.category) == ("DatabaseUnavailable", ApplicationErrorCategory.BENIGN)
    assert error.next_retry_delay is not None
    assert error.next_retry_delay <= timedelta(seconds=5)
    assert error.__cause__ is None
    assert (await desk.message()).attempt == 0


class LostContents(Contents):
    """Postgres goes away between the claim and the call, and is not back at once."""

    def __init__(self, house: House, sessions: FlakySessions) -> None:
        super().__init__(house.sessions, catalogue=house.catalogue, renderer=Renderer(), links=LINKS)
        self._flaky = sessions
        self.is_lost = True

    @override
    async def render(self, claim: Claim) -> Rendered:
        if self.is_lost:
            self.is_lost = False
            self._flaky.failures = 2
            raise outage()
        return await super().render(claim)


async def test_a_claim_whose_call_cannot_begin_is_given_back_and_no_lost_answer(house: House):
    sessions = FlakySessions(house.sessions)
    ledger = Ledger(sessions, process="worker-a")  # type: ignore[arg-type]
    desk = Desk(house, await planned(house), ledger=ledger, contents=LostContents(house, sessions))
    await _set_duplicates(house, desk.notification, "at_most_once")
    assert (await desk.fail()).type == "DatabaseUnavailable"
    message = await desk.message()
    assert (message.status, message.attempt, message.failures) == ("pending", 0, 0)
    assert (await desk.send(at=T0 + SECOND)).status is MessageStatus.SENT
    assert desk.provider.calls == 1


async def test_a_claim_that_grew_too_old_is_given_back(house: House):
    desk = Desk(house, await planned(house), claim_to_call_seconds=0.0)
    error = await desk.fail()
    assert (error.type, error.next_retry_delay) == ("ClaimTooOld", SECOND)
    message = await desk.message()
    assert (message.status, message.attempt, message.budget_since) == ("pending", 0, None)
    assert desk.provider.calls == 0


async def test_a_cancelled_activity_lets_its_call_end_and_writes_the_answer_down(house: House):
    """As at the end of a worker's grace."""
    desk = Desk(house, await planned(house))
    desk.provider.gate.clear()
    sending = asyncio.create_task(desk.send())
    await eventually(lambda: desk.provider.calls == 1)
    desk.environment.cancel()
    await asyncio.sleep(0)
    desk.provider.gate.set()
    assert (await sending).status is MessageStatus.SENT
    assert (await desk.message()).status == "sent"


async def _set_duplicates(house: House, notification: UUID, duplicates: str) -> None:
    async with transaction(house.sessions) as session:
        await execute(
            session,
            "UPDATE messages SET duplicates = :duplicates WHERE origin_id = :id",
            {"duplicates": duplicates, "id": notification},
        )
