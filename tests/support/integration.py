"""Tidings on real servers with providers in memory: real rows, real workflows, the repository's catalogue."""

import asyncio
import contextlib
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlmodel import col, select
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from typing_extensions import override

from activities.temporal import SEARCH_ATTRIBUTES, notification_workflow_id
from bridge.starts import Starter
from notifications.campaigns.events import CampaignEvents
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, create_engine, create_sessions, transaction
from notifications.events import parse
from notifications.events.intent import Interpreter
from notifications.events.topics import CAMPAIGNS
from notifications.ledger import Ledger
from notifications.plans import Plans
from notifications.profiles.profile import Device, Profile, ProfileSource
from notifications.profiles.source import build_profile_source
from notifications.providers.base import OutgoingMessage, Receipt
from notifications.providers.memory import MemoryProvider, SentMessage
from notifications.queries.intake import Arrival, IntakeStore
from notifications.queries.recipients import set_preference, upsert_recipient
from notifications.settings import Settings
from notifications.statuses import Channel
from notifications.tables import Attempt, Message, Notification
from notifications.unsubscribe import UnsubscribeLinks
from tests.support.events import event, record, unique
from worker.composition import Collaborators, assemble, build_workers
from worker.roles import Role

CATALOGUE_FOLDER = Path(__file__).parents[2] / "catalogue"
HASH_KEY = "a key for tests only, at least 32 long"
LINKS = UnsubscribeLinks({0: HASH_KEY.encode()}, public_url="https://tidings.example")


class Hold:
    """One call that is kept waiting: `begun` once the provider has it, until `release`."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.release = asyncio.Event()


class HeldProvider(MemoryProvider):
    """Keeps single calls waiting, so that a test can act in the middle of one."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self._holds: deque[Hold] = deque()

    def hold_next(self) -> Hold:
        hold = Hold()
        self._holds.append(hold)
        return hold

    @override
    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        if self._holds:
            hold = self._holds.popleft()
            hold.begun.set()
            await hold.release.wait()
        return await super().send(message, idempotency_key=idempotency_key, deadline=deadline)


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 30) -> None:
    """Wait for a condition on real servers."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


class House:
    def __init__(self, client: Client, engine: AsyncEngine, settings: Settings) -> None:
        self.client = client
        self.engine = engine
        self.settings = settings
        self.sessions: Sessions = create_sessions(engine)
        self.providers = {channel: HeldProvider(channel) for channel in Channel}
        self.catalogue = CatalogueStore(self.sessions)
        self.ledger = Ledger(self.sessions, process="a test")
        self.plans = Plans(
            self.sessions,
            profiles=build_profile_source(settings, self.sessions),
            catalogue=self.catalogue,
            settings=settings,
            hash_key=HASH_KEY.encode(),
        )
        self._store = IntakeStore(
            self.sessions,
            ledger=self.ledger,
            campaigns=CampaignEvents(self.catalogue.current, settings),
            hash_key=HASH_KEY.encode(),
        )
        self._starter = Starter(client, public_url="http://127.0.0.1:8000")

    def collaborators(
        self, *, profiles: ProfileSource | None = None, engine: AsyncEngine | None = None
    ) -> Collaborators:
        """The activities of one worker process."""
        return assemble(
            self.settings,
            self.client,
            engine or self.engine,
            profiles=profiles or build_profile_source(self.settings, self.sessions),
            providers={channel: (provider,) for channel, provider in self.providers.items()},
        )

    def workers(self, *roles: Role, runner: WorkflowRunner | None = None) -> list[Worker]:
        """Workers in the full sandbox, as a process of these roles builds them."""
        return build_workers(
            roles or tuple(Role),
            self.settings,
            self.client,
            self.collaborators(),
            workflow_runner=runner or SandboxedWorkflowRunner(),
        )

    async def recipient(self, **fields: Any) -> str:
        """A new recipient with an e-mail address, a phone and one device."""
        recipient_id = unique("cus")
        values: dict[str, Any] = {
            "email": f"{recipient_id}@example.org",
            "phone": "+4915112345678",
            "devices": (Device(f"phone-{recipient_id}", f"token-{recipient_id}", "android"),),
            "locale": "en",
        }
        async with transaction(self.sessions) as session:
            profile = Profile(recipient_id=recipient_id, **(values | fields))
            await upsert_recipient(session, profile, hash_key=HASH_KEY.encode())
        return recipient_id

    async def opt_in(self, recipient_id: str, category: str, channel: Channel) -> None:
        async with transaction(self.sessions) as session:
            await set_preference(session, recipient_id, category, channel, opted_in=True, source="api")

    async def intake(self, **attributes: Any) -> UUID:
        """Store an event as the bridge does; returns the notification's id."""
        arrived = record(event(**attributes))
        intent = Interpreter().interpret(parse(arrived), await self.catalogue.current(), topic=None)
        stored = await self._store.store([Arrival(arrived, intent)])
        (self._pending,) = stored.starts
        return self._pending.id

    async def command_campaigns(self, *events: dict[str, Any], tell: bool = True) -> None:
        """Store launches and cancels and tell Temporal, as the bridge does."""
        arrived = [record(each, topic=CAMPAIGNS, offset=place) for place, each in enumerate(events)]
        catalogue = await self.catalogue.current()
        intents = [Interpreter().interpret(parse(each), catalogue, topic=CAMPAIGNS) for each in arrived]
        stored = await self._store.store([Arrival(*each) for each in zip(arrived, intents, strict=True)])
        for touched in stored.campaigns if tell else ():
            await self._starter.tell_campaign(touched)

    async def mark_started(self, notification_id: UUID) -> None:
        """As the bridge does once Temporal has acknowledged the start."""
        await self._store.mark_started([notification_id])

    async def send(self, **attributes: Any) -> UUID:
        """Store an event and start its workflow as the bridge does."""
        notification_id = await self.intake(**attributes)
        await self._starter.start(self._pending)
        return notification_id

    def handle(self, notification_id: UUID) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(notification_workflow_id(notification_id))

    async def result(self, notification_id: UUID) -> Any:
        async with asyncio.timeout(45):
            return await self.handle(notification_id).result()

    async def notification(self, notification_id: UUID) -> Notification:
        async with self.sessions() as session:
            return await session.get_one(Notification, notification_id)

    async def messages(self, notification_id: UUID) -> Sequence[Message]:
        async with self.sessions() as session:
            statement = select(Message).where(Message.origin_id == notification_id).order_by(col(Message.seq))
            return (await session.exec(statement)).all()

    async def statuses(self, notification_id: UUID) -> dict[str, str]:
        """By channel; of a rerouted delivery the last."""
        return {message.channel: message.status for message in await self.messages(notification_id)}

    async def attempts(self, notification_id: UUID) -> list[tuple[int, int, str]]:
        """(seq, attempt, outcome) of every recorded call."""
        async with self.sessions() as session:
            statement = select(Attempt).where(Attempt.origin_id == notification_id)
            rows = (await session.exec(statement.order_by(col(Attempt.seq), col(Attempt.attempt)))).all()
        return [(row.seq, row.attempt, row.outcome) for row in rows]

    def accepted(self, channel: Channel, notification_id: UUID) -> list[SentMessage]:
        return [sent for sent in self.providers[channel].sent if sent.message.origin_id == notification_id]

    async def until_stuck(self, notification_id: UUID) -> None:
        async def is_stuck() -> bool:
            return (await self.notification(notification_id)).status == "stuck"

        await until(is_stuck)

    async def cancel(self, notification_id: UUID) -> None:
        """As the API does: the ledger first, then the workflow."""
        async with transaction(self.sessions) as session:
            await self.ledger.cancel(session, [notification_id])
        await self.handle(notification_id).signal("cancel")


@asynccontextmanager
async def running_rooms(client: Client, database_url: str, **settings: Any) -> AsyncIterator[House]:
    """A house with the catalogue published; it speaks to Temporal only through this client."""
    chosen = Settings(
        database_url=SecretStr(database_url),
        hash_key=SecretStr(HASH_KEY),
        **{"max_retry_for": timedelta(seconds=20), "shutdown_grace_seconds": 10, **settings},
    )
    engine = create_engine(chosen.database_url)
    try:
        house = House(client, engine, chosen)
        await apply_folder(CATALOGUE_FOLDER, house.sessions)
        yield house
    finally:
        await engine.dispose()


@asynccontextmanager
async def running_house(address: str, database_url: str, **settings: Any) -> AsyncIterator[House]:
    """A house in a Temporal namespace of its own, so that it sees no other test's workflows. No worker runs yet."""
    async with running_rooms(await _own_namespace(address), database_url, **settings) as house:
        yield house


async def _own_namespace(address: str) -> Client:
    name = f"test-{uuid.uuid4().hex[:12]}"
    admin = await Client.connect(address)
    await admin.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name, workflow_execution_retention_period=Duration(seconds=int(timedelta(days=1).total_seconds()))
        )
    )
    client = await Client.connect(address, namespace=name, data_converter=pydantic_data_converter)
    kinds = {key.name: IndexedValueType.ValueType(key.indexed_value_type) for key in SEARCH_ATTRIBUTES}

    async def is_registered() -> bool:
        with contextlib.suppress(RPCError):  # not known to every part of the server yet, or added by the call before
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(namespace=name, search_attributes=kinds)
            )
        try:
            request = ListSearchAttributesRequest(namespace=name)
            known = (await client.operator_service.list_search_attributes(request)).custom_attributes
        except RPCError:
            return False
        return kinds.keys() <= set(known)

    await until(is_registered, seconds=60)
    return client
