"""What Kafka does to a consumer group."""

import asyncio
import signal
from random import Random

from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.chaos.world import SESSION_SECONDS, World

_GROUPS = ("tidings-urgent", "tidings-promotional")
_READ_AGAIN = 40  # records of each partition


async def rebalance(world: World, random: Random) -> None:
    """A second bridge comes, leaves politely, comes again and dies."""
    for kill in (False, True):
        async with world.second("bridge") as bridge:
            await asyncio.sleep(random.uniform(1, 3))
            if kill:
                await bridge.take_down(kill=True)


async def session_lost(world: World, random: Random) -> None:
    """Another bridge takes the partitions over, then the first wakes up and believes to have them still."""
    async with world.second("bridge"):
        world.signal("bridge", signal.SIGSTOP)
        try:
            await asyncio.sleep(SESSION_SECONDS + random.uniform(3, 6))
        finally:
            world.signal("bridge", signal.SIGCONT)
        await asyncio.sleep(random.uniform(1, 2))


async def redeliver(world: World, _random: Random) -> None:
    """The groups' offsets go back, as after a lost commit or a restored backup."""
    bridge = world.stack.applications["bridge"]
    await bridge.take_down(kill=False)
    await asyncio.to_thread(_rewind, world.stack.endpoints.kafka)
    await bridge.bring_back()


def _rewind(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for group in _GROUPS:
        wanted = [ConsumerGroupTopicPartitions(group)]
        known = admin.list_consumer_group_offsets(wanted)[group].result(timeout=10).topic_partitions
        earlier = [
            TopicPartition(each.topic, each.partition, max(0, each.offset - _READ_AGAIN))
            for each in known
            if each.offset > 0
        ]
        if earlier:
            answer = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, earlier)])
            answer[group].result(timeout=10)
