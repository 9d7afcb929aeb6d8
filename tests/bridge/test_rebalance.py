"""Bridges come and go while records arrive: each event is one notification with one workflow, and none is left."""

import asyncio
from typing import Any

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import REGISTRY

from notifications.ids import event_uuid
from tests.bridge.running import TRANSACTIONAL, Bench, eventually
from tests.support.events import event


def _starts() -> float:
    results = ("ok", "already_ended")
    return sum(
        REGISTRY.get_sample_value("tidings_bridge_starts_total", {"type": "transactional", "result": result}) or 0
        for result in results
    )


async def test_two_bridges_share_the_work_and_hand_it_over(bench: Bench) -> None:
    sent = [event() for _ in range(200)]
    revoked = {"group": "tidings-urgent", "kind": "revoked"}
    before = REGISTRY.get_sample_value("tidings_bridge_rebalances_total", revoked) or 0

    async def all_sent(part: list[dict[str, object]]) -> None:
        await asyncio.gather(*(bench.send(one, key=str(one["id"])) for one in part))

    async with bench.bridge():
        await all_sent(sent[:60])
        for one in sent[:60]:
            await eventually(lambda one=one: bench.started(one), within=60)
        async with bench.bridge():
            await all_sent(sent[60:130])

            async def handed_over() -> bool:
                return (REGISTRY.get_sample_value("tidings_bridge_rebalances_total", revoked) or 0) > before

            await eventually(handed_over, what="a rebalance")
            await all_sent(sent[130:])
        for one in sent:
            await eventually(lambda one=one: bench.started(one), within=60)
    assert await bench.lag() == 0
    for one in sent[::20]:
        assert len(await eventually(lambda one=one: bench.runs(event_uuid(one["source"], one["id"])))) == 1


@pytest.mark.real_kafka
async def test_a_redelivery_of_everything_starts_nothing(bench: Bench) -> None:
    sent = [event() for _ in range(10)]
    async with bench.bridge():
        for one in sent:
            await bench.send(one)
        for one in sent:
            await eventually(lambda one=one: bench.started(one))
    assert await bench.lag() == 0
    admin = AdminClient({"bootstrap.servers": bench.bootstrap})
    places = [TopicPartition(TRANSACTIONAL, number, 0) for number in range(4)]
    answers = admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions("tidings-urgent", places)])
    for answer in answers.values():
        await asyncio.to_thread(answer.result, 20)
    assert await bench.lag() >= 10
    before = _starts()
    async with bench.bridge():
        await bench.caught_up()
    assert _starts() == before


@pytest.mark.real_kafka
@pytest.mark.parametrize("protocol", ["classic", "consumer"])
async def test_a_static_member_comes_back(bench: Bench, protocol: str) -> None:
    static = {"group.instance.id": "bridge-1", "group.protocol": protocol}
    try:
        for _ in range(2):
            sent = event()
            await bench.send(sent)
            async with bench.bridge(kafka=static) as running:
                await eventually(lambda sent=sent, running=running: _has_ended_or_started(bench, running, sent))
    except KafkaException as error:
        if "API version not supported" in str(error):
            pytest.skip("this broker's group.version is 0: it has no KIP-848")
        raise
    assert await bench.started(sent)
    assert await bench.lag() == 0


async def _has_ended_or_started(bench: Bench, running: "asyncio.Task[None]", sent: dict[str, Any]) -> bool:
    return running.done() or await bench.started(sent) is not None
