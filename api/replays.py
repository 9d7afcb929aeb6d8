"""Replay a rejected event, mended or as it came, or give it up. For the API and the command line alike.

The replay's id is written down first, then the record is produced, then that is written down. A request that is
repeated after any of these produces at most the same event again, which notifies nobody twice.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.collaborators import CatalogueSource, Publisher
from api.event_intake import HEADERS, route_of
from notifications.campaigns.events import check_launch
from notifications.database import Sessions, transaction
from notifications.events import MAX_RECORD_BYTES, CloudEvent, Record, RejectedError, RejectReason, mended, parse
from notifications.events.intent import CampaignLaunch, Interpreter
from notifications.queries import replays, views
from notifications.queries.intake_rows import id_reused
from notifications.queries.views import RejectedState
from notifications.tables import RejectedEvent


class UnknownRejectedError(Exception):
    """There is no such rejected event."""


class ReplayRefusedError(Exception):
    """What was decided about it before does not allow this; the text says what does."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """`produced` is False where an earlier request had produced it already."""

    row: RejectedEvent
    produced: bool


@dataclass(frozen=True, slots=True)
class _Prepared:
    event: CloudEvent
    topic: str
    key: str | None
    value: bytes


class Replayer:
    def __init__(
        self, sessions: Sessions, catalogue: CatalogueSource, interpreter: Interpreter, publisher: Publisher
    ) -> None:
        self._sessions = sessions
        self._catalogue = catalogue
        self._interpreter = interpreter
        self._publisher = publisher

    async def replay(
        self, rejected_id: int, *, event: Mapping[str, Any] | None = None, patch: Mapping[str, Any] | None = None
    ) -> Replayed:
        """Produce the event that takes its place, on the right topic.

        Raises:
            UnknownRejectedError: no such row.
            ReplayRefusedError: given up, or a replay with another id was begun.
            RejectedError: the event is still wrong; says what to mend.
            bridge.producer.ProduceError: Kafka did not confirm it; the same request again is safe.

        """
        row = await self._find(rejected_id)
        if row.replayed_at is not None:
            return Replayed(row, produced=False)
        prepared = await self._prepare(row, event, patch)
        await self._settle(rejected_id, prepared.event)
        await self._publisher.produce(prepared.topic, prepared.key, prepared.value, HEADERS)
        async with transaction(self._sessions) as session:
            await replays.mark_replayed(session, rejected_id)
        return Replayed(await self._find(rejected_id), produced=True)

    async def give_up(self, rejected_id: int, *, by: str) -> RejectedEvent:
        """Decide that it is not replayed; from then on retention may delete it. Twice is the same as once.

        Raises:
            UnknownRejectedError: no such row.
            ReplayRefusedError: it was replayed.

        """
        async with transaction(self._sessions) as session:
            row = await replays.lock_rejected(session, rejected_id)
            if row is None:
                raise _unknown(rejected_id)
            if row.replayed_at is not None:
                message = f"rejected event {rejected_id} was replayed as {row.replayed_as}: there is nothing to give up"
                raise ReplayRefusedError(message)
            await replays.mark_given_up(session, rejected_id, by)
        return await self._find(rejected_id)

    async def _find(self, rejected_id: int) -> RejectedEvent:
        async with self._sessions() as session:
            row = await views.find_rejected(session, rejected_id)
        if row is None:
            raise _unknown(rejected_id)
        return row

    async def _prepare(
        self, row: RejectedEvent, given: Mapping[str, Any] | None, patch: Mapping[str, Any] | None
    ) -> _Prepared:
        """Check it as the bridge will, so that what is replayed is not rejected again."""
        value = mended(record_of(row), event=given, patch=patch)
        event = parse(Record(value=value, headers=HEADERS))
        catalogue = await self._catalogue.current()
        intent = self._interpreter.interpret(event, catalogue, topic=None)
        topic, key = route_of(event, intent)
        size = Record(key=key.encode() if key else None, value=value, headers=HEADERS).size
        if size > MAX_RECORD_BYTES:
            detail = f"the record would have {size} bytes; at most {MAX_RECORD_BYTES} are taken"
            raise RejectedError(RejectReason.TOO_LARGE, detail)
        async with self._sessions() as session:
            known = await views.payload_hash_of(session, event.notification_id)
            if known not in {None, event.payload_hash}:
                raise id_reused()
            if isinstance(intent, CampaignLaunch):
                await check_launch(session, event, catalogue)
        return _Prepared(event, topic, key, value)

    async def _settle(self, rejected_id: int, event: CloudEvent) -> None:
        """Write the id down: whatever becomes of this request, no later one replays it under another."""
        async with transaction(self._sessions) as session:
            row = await replays.lock_rejected(session, rejected_id)
            if row is None:
                raise _unknown(rejected_id)
            if RejectedState.of(row) is RejectedState.GIVEN_UP:
                message = f"rejected event {rejected_id} was given up by {row.given_up_by}: send a new event instead"
                raise ReplayRefusedError(message)
            if row.replayed_as is not None and (row.replayed_source, row.replayed_as) != (event.source, event.id):
                message = (
                    f"a replay of rejected event {rejected_id} was begun with the id {row.replayed_as} and may have"
                    " been produced: repeat it with that source and id"
                )
                raise ReplayRefusedError(message)
            await replays.settle_replay(session, rejected_id, event.source, event.id)


def record_of(row: RejectedEvent) -> Record:
    """The record as it came."""
    return Record(
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        key=row.key,
        value=row.value,
        headers=tuple((name, base64.b64decode(value) if value is not None else None) for name, value in row.headers),
    )


def _unknown(rejected_id: int) -> UnknownRejectedError:
    return UnknownRejectedError(f"no rejected event {rejected_id}")
