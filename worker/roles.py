"""What a worker process can be: each role serves its own task queues with slots of its own."""

from dataclasses import dataclass
from enum import StrEnum

from activities.temporal import ORCHESTRATOR, ORCHESTRATOR_BULK, channel_queue
from notifications.statuses import Channel, NotificationType


class Role(StrEnum):
    ORCHESTRATOR = "orchestrator"
    PUSH = "push"
    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"
    BULK = "bulk"  # promotional workflows and every bulk queue


@dataclass(frozen=True, slots=True)
class Queue:
    """`channel` None: workflows and planning; else sends on that channel."""

    name: str
    channel: Channel | None
    bulk: bool


def queues_of(role: Role) -> tuple[Queue, ...]:
    if role is Role.ORCHESTRATOR:
        return (Queue(ORCHESTRATOR, None, bulk=False),)
    if role is Role.BULK:
        sends = (Queue(channel_queue(channel, NotificationType.PROMOTIONAL), channel, bulk=True) for channel in Channel)
        return (Queue(ORCHESTRATOR_BULK, None, bulk=True), *sends)
    channel = Channel(role.value)
    return (Queue(channel_queue(channel, NotificationType.TRANSACTIONAL), channel, bulk=False),)


def parse_roles(names: list[str]) -> tuple[Role, ...]:
    """Roles by name, each once; none means all.

    Raises:
        ValueError: names the roles there are.

    """
    try:
        return tuple(dict.fromkeys(Role(name) for name in names)) or tuple(Role)
    except ValueError as error:
        raise ValueError(f"{error}; the roles are {', '.join(Role)}") from error
