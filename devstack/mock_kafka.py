"""librdkafka's built-in cluster in a process of its own: the fall-back where Apache Kafka's jars cannot be had.

Run as `python -m devstack.mock_kafka TOPIC:PARTITIONS ...`; prints `BOOTSTRAP=` and the address, which it chooses
itself, and serves until SIGTERM. It keeps 5 MiB per partition and has no admin API, no transactions and no static
membership.
"""

import ctypes
import signal
import sys
import threading
from pathlib import Path
from typing import Any

import confluent_kafka

_ERROR_BYTES = 512
_PRODUCER = 0


def _library() -> ctypes.CDLL:
    """The librdkafka that the wheel brings: `confluent_kafka.libs` on Linux, `confluent_kafka/.dylibs` on macOS."""
    package = Path(confluent_kafka.__file__).parent
    for folder, pattern in (
        (package.parent / "confluent_kafka.libs", "librdkafka-*"),
        (package / ".dylibs", "*rdkafka*"),
    ):
        for file in sorted(folder.glob(pattern)):
            return ctypes.CDLL(str(file))
    message = "librdkafka is not where its wheel puts it"
    raise FileNotFoundError(message)


class MockCluster:
    """One broker with the given topics (name → partitions); lives as long as this object."""

    def __init__(self, topics: dict[str, int]) -> None:
        self._library = _library()
        pointer = ctypes.c_void_p
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        self._client = self._function("rd_kafka_new", pointer, ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_size_t)(
            _PRODUCER, self._function("rd_kafka_conf_new", pointer)(), error, _ERROR_BYTES
        )
        if not self._client:
            raise RuntimeError(error.value.decode())
        self._cluster = self._function("rd_kafka_mock_cluster_new", pointer, pointer, ctypes.c_int)(self._client, 1)
        # Real brokers of the dev stack do not wait either; the default is 3 s for each first member of a group.
        self._function("rd_kafka_mock_group_initial_rebalance_delay_ms", None, pointer, ctypes.c_int32)(
            self._cluster, 0
        )
        create = self._function(
            "rd_kafka_mock_topic_create", ctypes.c_int, pointer, ctypes.c_char_p, ctypes.c_int, ctypes.c_int
        )
        for topic, partitions in topics.items():
            if create(self._cluster, topic.encode(), partitions, 1):
                raise RuntimeError(f"the topic {topic} cannot be created")
        self.bootstrap: str = self._function("rd_kafka_mock_cluster_bootstraps", ctypes.c_char_p, pointer)(
            self._cluster
        ).decode()

    def _function(self, name: str, result: Any, *arguments: Any) -> Any:
        function = getattr(self._library, name)
        function.restype, function.argtypes = result, list(arguments)
        return function


def main() -> None:
    topics = {name: int(partitions) for name, partitions in (part.rsplit(":", 1) for part in sys.argv[1:])}
    cluster = MockCluster(topics)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(f"BOOTSTRAP={cluster.bootstrap}", flush=True)  # noqa: T201 - the address is what its starter waits for
    stop.wait()


if __name__ == "__main__":
    main()
