"""Collaborators without servers: they keep what they were asked, and answer as they were told."""

import asyncio
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from typing_extensions import override

from api.collaborators import CatalogueSource, CommandOutcome, MessageCommand, Published, Publisher, Workflows
from bridge.topics import all_topics
from notifications.catalogue.definition import Category, Definition, StandaloneTemplate
from notifications.statuses import NotificationType


@dataclass(frozen=True, slots=True)
class MemoryCatalogue(CatalogueSource, Published):
    """Definitions by event type."""

    definitions: Mapping[str, Definition]
    templates: Mapping[str, StandaloneTemplate] = field(default_factory=dict)

    @override
    async def current(self) -> Published:
        return self

    @property
    @override
    def categories(self) -> Mapping[str, Category]:
        return {definition.category.name: definition.category for definition in self.definitions.values()}

    @override
    def find(self, event_type: str) -> Definition | None:
        return self.definitions.get(event_type)

    @override
    def nearest(self, event_type: str) -> str | None:
        return next(iter(difflib.get_close_matches(event_type, self.definitions, n=1)), None)


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    topic: str
    key: str | bytes | None
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


@dataclass(slots=True)
class MemoryPublisher(Publisher):
    """`failure` is raised instead of taking the record; `topics` are those that exist."""

    records: list[PublishedRecord] = field(default_factory=list)
    failure: Exception | None = None
    topics: set[str] = field(default_factory=lambda: set(all_topics()))

    @override
    async def produce(
        self, topic: str, key: str | bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> tuple[int, int]:
        if self.failure is not None:
            raise self.failure
        self.records.append(PublishedRecord(topic, key, value, tuple(headers)))
        return 0, len(self.records) - 1

    @override
    async def check(self, *, within: float = 5.0) -> set[str]:
        if self.failure is not None:
            raise self.failure
        return self.topics


@dataclass(slots=True)
class MemoryWorkflows(Workflows):
    """`failure` is raised by everything; `outcome` answers the commands. While `is_silent` no campaign is woken."""

    signals: list[tuple[UUID, str]] = field(default_factory=list)
    commands: list[tuple[UUID, MessageCommand]] = field(default_factory=list)
    resends: list[tuple[UUID, int, int]] = field(default_factory=list)
    imports: list[UUID] = field(default_factory=list)
    campaigns: list[tuple[UUID, int]] = field(default_factory=list)
    woken_campaigns: list[tuple[UUID, int]] = field(default_factory=list)
    failure: Exception | None = None
    is_silent: bool = False
    outcome: CommandOutcome = field(default_factory=lambda: CommandOutcome(seq=1, status="pending", round=2))

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure

    @override
    async def wake(self, notification_id: UUID, signal: str) -> None:
        self._fail()
        self.signals.append((notification_id, signal))

    @override
    async def command(self, notification_id: UUID, command: MessageCommand) -> CommandOutcome:
        self._fail()
        self.commands.append((notification_id, command))
        return self.outcome

    @override
    async def resend(
        self, notification_id: UUID, notification_type: NotificationType, *, seq: int, round_number: int
    ) -> None:
        self._fail()
        self.resends.append((notification_id, seq, round_number))

    @override
    async def resend_of_campaign(self, campaign_id: UUID, *, seq: int, round_number: int) -> None:
        self._fail()
        self.resends.append((campaign_id, seq, round_number))

    @override
    async def start_import(self, import_id: UUID) -> None:
        self._fail()
        self.imports.append(import_id)

    @override
    async def start_campaign(self, campaign_id: UUID, round_number: int, name: str) -> None:
        self._fail()
        self.campaigns.append((campaign_id, round_number))

    @override
    async def wake_campaign(self, campaign_id: UUID, round_number: int) -> None:
        self._fail()
        if self.is_silent:
            await asyncio.Event().wait()
        self.woken_campaigns.append((campaign_id, round_number))

    @override
    async def check(self) -> str:
        self._fail()
        return "in memory"
