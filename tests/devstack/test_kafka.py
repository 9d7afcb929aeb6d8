import os
import uuid
from pathlib import Path

from confluent_kafka import Consumer, Producer

from devstack.kafka import start_kafka
from devstack.processes import Spawner

UNREACHABLE = """<settings><mirrors><mirror><mirrorOf>*</mirrorOf>
<url>http://127.0.0.1:9/maven</url></mirror></mirrors></settings>"""


async def test_without_a_repository_the_builtin_cluster_serves_and_says_why(tmp_path: Path) -> None:
    (tmp_path / ".m2").mkdir()
    (tmp_path / ".m2" / "settings.xml").write_text(UNREACHABLE)
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path), "M2_REPO": str(tmp_path / "repo")}
    spawner = Spawner(lambda _name, _line: None)
    server = await start_kafka(tmp_path / "kafka", 0, spawner, topics=("a", "b"), environ=environ)
    try:
        assert server.fallback == "no Maven repository gave Apache Kafka's jars"
        client = {"bootstrap.servers": server.bootstrap}
        value = uuid.uuid4().bytes
        producer = Producer(client)
        assert len(producer.list_topics(timeout=20).topics["a"].partitions) == 4
        producer.produce("a", value)
        assert producer.flush(20) == 0
        consumer = Consumer({**client, "group.id": "g", "auto.offset.reset": "earliest"})
        consumer.subscribe(["a"])
        record = consumer.poll(20)
        assert record is not None
        assert record.value() == value
        consumer.close()
    finally:
        await spawner.stop_all()
