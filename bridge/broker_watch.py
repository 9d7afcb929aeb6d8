"""Whether a broker answers, whether the topics exist, and how far behind we are. Used by the consumer's own thread."""

from collections.abc import Mapping, Sequence

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from bridge.metrics import LAG
from bridge.readiness import Readiness
from bridge.watermark import Watermark

_CALL_SECONDS = 2.0

log = structlog.get_logger()


class BrokerWatch:
    """Keeps one entry of the readiness; the process is not ready before a broker has answered."""

    def __init__(self, *, group: str, topics: Sequence[str], readiness: Readiness) -> None:
        self._group = group
        self._part = f"kafka {group}"
        self._topics = topics
        self._readiness = readiness
        readiness.expect(self._part, "no broker has answered yet")

    @property
    def is_ready(self) -> bool:
        return self._part not in self._readiness.problems()

    def look(self, consumer: Consumer, marks: Mapping[tuple[str, int], Watermark]) -> None:
        """Ask the brokers; the first that does not answer ends the look, so that polling goes on."""
        try:
            known = consumer.list_topics(timeout=_CALL_SECONDS).topics
            for partition, mark in marks.items():
                _measure(consumer, TopicPartition(*partition), mark)
        except KafkaException as error:
            self._readiness.trouble(self._part, f"no broker answers ({error.args[0].name()})")
            return
        missing = [topic for topic in self._topics if topic not in known]
        if missing:
            problem = f"there is no topic {', '.join(missing)}: `python -m tidings doctor` says how to make it"
            self._readiness.trouble(self._part, problem)
        else:
            self._readiness.well(self._part)

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


def _measure(consumer: Consumer, partition: TopicPartition, mark: Watermark) -> None:
    start, end = consumer.get_watermark_offsets(partition, timeout=_CALL_SECONDS)
    position = mark.position
    if position is None:  # nothing read yet, perhaps because it is paused
        (committed,) = consumer.committed([partition], timeout=_CALL_SECONDS)
        position = committed.offset if committed.offset >= 0 else start
    LAG.labels(partition.topic, partition.partition).set(max(0, end - position))
