"""What a bench is: a provider beside a scripted server."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

from notifications.ids import message_id
from notifications.providers.base import Content, ErrorScope, OutgoingMessage, Provider
from notifications.statuses import Channel
from tests.contracts.support.http_server import Misbehaviour, Reply, ScriptedHttp

ORIGIN = UUID("a56453a4-7db3-5408-8b23-96f8b4313634")
KEY = message_id(ORIGIN, 1)
NAME, BODY = "Canary Person", "canary-body-7731"


@dataclass(frozen=True)
class Refusal:
    """A vendor's answer, and what it must become."""

    answer: Any
    code: str
    scope: ErrorScope | None  # None: transient
    disable: bool = False
    retry_after: timedelta | None = None


class Bench(Protocol):
    """A provider and its server."""

    provider: Provider
    channel: Channel
    address: str
    refusals: Sequence[Refusal]
    lost: Sequence[Any]  # answers, or their lack, after which nobody knows
    hang: Any
    oversized: Content

    def content(self) -> Content: ...
    def play(self, *answers: Any) -> None: ...
    def slots(self) -> list[tuple[str, str]]: ...  # (idempotency key, correlation) of each message written whole
    def without_server(self) -> Provider: ...  # the provider for an address where nobody listens


def outgoing(bench: Bench, **changes: Any) -> OutgoingMessage:
    given = {
        "origin_id": ORIGIN,
        "seq": 1,
        "attempt": 2,
        "channel": bench.channel,
        "address": bench.address,
        "recipient_name": NAME,
        "content": bench.content(),
        "ttl": timedelta(minutes=5),
    }
    return OutgoingMessage(**{**given, **changes})


class HttpBench:
    """What the HTTP vendors have in common."""

    lost = (*(set(Misbehaviour) - {Misbehaviour.HANG, Misbehaviour.TRICKLE}), Reply(500, {}), Reply(503, {}))
    hang = Misbehaviour.HANG
    server: ScriptedHttp

    def play(self, *answers: Any) -> None:
        self.server.script.extend(answers)
