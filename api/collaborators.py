"""What the API needs of the servers behind it, small enough that memory can stand in (api/memory.py)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from notifications.catalogue.definition import Category, StandaloneTemplate
from notifications.events.intent import DefinitionIndex
from notifications.statuses import Channel, NotificationType


class Published(DefinitionIndex, Protocol):
    """One state of the published catalogue."""

    @property
    def categories(self) -> Mapping[str, Category]: ...

    @property
    def templates(self) -> Mapping[str, StandaloneTemplate]: ...


class CatalogueSource(Protocol):
    async def current(self) -> Published: ...


class Publisher(Protocol):
    """`bridge.producer.EventProducer`, or memory."""

    async def produce(
        self, topic: str, key: str | bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]] = ()
    ) -> tuple[int, int]:
        """Wait for the delivery report; returns partition and offset.

        Raises:
            bridge.producer.ProduceError: no confirmation came; sending it again is safe, since its id stays the same.

        """
        ...

    async def check(self, *, within: float = 5.0) -> set[str]:
        """The names of the topics there are; `within` is in seconds.

        Raises:
            bridge.producer.ProduceError: no broker answers.

        """
        ...


class CommandName(StrEnum):
    RETRY = "retry"
    SKIP = "skip"
    REROUTE = "reroute"


@dataclass(frozen=True, slots=True)
class MessageCommand:
    """A command on one stuck message; `channel` is where a reroute goes."""

    name: CommandName
    seq: int
    channel: Channel | None = None


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """`seq` is the message that now carries the delivery."""

    seq: int
    status: str
    round: int


class WorkflowGoneError(Exception):
    """No workflow of the notification is running."""


class CommandRefusedError(Exception):
    """The workflow's validator refused; the text says the state."""


class NoWorkerError(Exception):
    """The workflow exists, but no worker answered in time."""


class WorkflowsUnavailableError(Exception):
    """The Temporal server does not answer."""


class Workflows(Protocol):
    """The ledger is written first: what is asked here only says "look again"."""

    async def wake(self, notification_id: UUID, signal: str) -> None:
        """Signal `cancel` or `reschedule`.

        Raises:
            WorkflowGoneError: it ended, or has not begun; then there is nobody to wake.
            WorkflowsUnavailableError: nobody was told.

        """
        ...

    async def command(self, notification_id: UUID, command: MessageCommand) -> CommandOutcome:
        """Have the workflow carry out a command.

        Raises:
            WorkflowGoneError: it ended, or has not begun.
            CommandRefusedError: the message is not stuck now.
            NoWorkerError: nobody answered in time; it may still be carried out.
            WorkflowsUnavailableError: the server does not answer.

        """
        ...

    async def resend(
        self, notification_id: UUID, notification_type: NotificationType, *, seq: int, round_number: int
    ) -> None:
        """Start sending one message once more; twice is the same as once.

        Raises:
            WorkflowsUnavailableError: it was not started.

        """
        ...

    async def resend_of_campaign(self, campaign_id: UUID, *, seq: int, round_number: int) -> None:
        """Start sending one message of a campaign once more; twice is the same as once.

        Raises:
            WorkflowsUnavailableError: it was not started.

        """
        ...

    async def start_import(self, import_id: UUID) -> None:
        """Have the rows of an uploaded import written; twice is the same as once.

        Raises:
            WorkflowsUnavailableError: it was not started.

        """
        ...

    async def start_campaign(self, campaign_id: UUID, round_number: int, name: str) -> None:
        """Start its workflow; twice is the same as once.

        Raises:
            WorkflowsUnavailableError: it was not started.

        """
        ...

    async def wake_campaign(self, campaign_id: UUID, round_number: int) -> None:
        """Say "look again"; errors as of `wake`."""
        ...

    async def check(self) -> str:
        """One line about the server; raises WorkflowsUnavailableError unless it answers."""
        ...
