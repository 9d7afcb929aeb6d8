"""Whether a broker answers, whether the topics exist, and how far behind we are.

It has a client of its own: on the consumer's connection each question waits behind a fetch that waits for records, and
a look at some partitions kept reading up for more than half a second.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import structlog
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # its __init__ has no __all__

from bridge.metrics import LAG
from bridge.readiness import Readiness
from bridge.watermark import Watermark

_CALL_SECONDS = 2.0
_LOOK_EVERY = 5.0  # seconds
_LOOK_EVERY_IN_TROUBLE = 1.0

_FIRST = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_END = OffsetSpec.latest()  # type: ignore[no-untyped-call]

Partition = tuple[str, int]

log = structlog.get_logger()


class BrokerWatch:
    """Keeps one entry of the readiness; the process is not ready before a broker has answered."""

    def __init__(self, config: Mapping[str, Any], *, group: str, topics: Sequence[str], readiness: Readiness) -> None:
        # What it could log, the consumer's client logs as well.
        self._config = {**config, "log_level": 0}
        self._group = group
        self._part = f"kafka {group}"
        self._topics = topics
        self._readiness = readiness
        self._ends: dict[Partition, int] = {}
        self._committed: dict[Partition, int] = {}
        readiness.expect(self._part, "no broker has answered yet")

    async def keep_looking(self, marks: Mapping[Partition, Watermark]) -> None:
        """Ask the brokers every few seconds until cancelled; `marks` are the consumer's, which change meanwhile."""
        client = AdminClient(self._config)
        while True:
            await asyncio.to_thread(self._look, client, dict(marks))
            is_well = self._part not in self._readiness.problems()
            await asyncio.sleep(_LOOK_EVERY if is_well else _LOOK_EVERY_IN_TROUBLE)

    def show_lag(self, marks: Mapping[Partition, Watermark]) -> None:
        """Only from the consumer's thread, which takes away what another member shows from then on."""
        for (topic, number), mark in marks.items():
            end = self._ends.get((topic, number))
            position = mark.position if mark.position is not None else self._committed.get((topic, number))
            if end is not None and position is not None:
                LAG.labels(topic, number).set(max(0, end - position))

    def note_error(self, error: KafkaError) -> None:
        """An error that librdkafka reports.

        Raises:
            KafkaException: this client will never work again, so the process has to be started anew.

        """
        code = error.code()
        if error.fatal() or code == KafkaError._FATAL:  # noqa: SLF001 - the package's own spelling
            raise KafkaException(error)
        if code == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001
            self._readiness.trouble(self._part, "no broker answers")
        else:
            log.warning("consumer.error", group=self._group, error=error.name())

    def _look(self, client: AdminClient, marks: Mapping[Partition, Watermark]) -> None:
        try:
            known = client.list_topics(timeout=_CALL_SECONDS).topics
            self._ends = _offsets(client, marks, _END)
            # nothing read yet, perhaps because it is paused
            unread = [partition for partition, mark in marks.items() if mark.position is None]
            self._committed = self._ask_committed(client, unread)
        except KafkaException as error:
            self._readiness.trouble(self._part, f"no broker answers ({error.args[0].name()})")
            return
        missing = [topic for topic in self._topics if topic not in known]
        if missing:
            problem = f"there is no topic {', '.join(missing)}: `python -m tidings doctor` says how to make it"
            self._readiness.trouble(self._part, problem)
        else:
            self._readiness.well(self._part)

    def _ask_committed(self, client: AdminClient, partitions: Sequence[Partition]) -> dict[Partition, int]:
        """Where reading begins: what the group has committed, else the start of the partition."""
        if not partitions:
            return {}
        wanted = ConsumerGroupTopicPartitions(self._group, [TopicPartition(*partition) for partition in partitions])
        answer = client.list_consumer_group_offsets([wanted], request_timeout=_CALL_SECONDS)[self._group].result()
        found = {(one.topic, one.partition): one.offset for one in answer.topic_partitions if one.offset >= 0}
        return _offsets(client, set(partitions) - set(found), _FIRST) | found


def _offsets(client: AdminClient, partitions: Collection[Partition], which: OffsetSpec) -> dict[Partition, int]:
    if not partitions:
        return {}
    wanted = {TopicPartition(*partition): which for partition in partitions}
    answers = client.list_offsets(wanted, request_timeout=_CALL_SECONDS)
    return {(one.topic, one.partition): answer.result().offset for one, answer in answers.items()}
