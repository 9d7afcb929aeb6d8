"""Two thousand damaged records: none crashes the bridge, none is lost, none blocks what comes after it."""

import asyncio
import json
import random
from typing import Any

from notifications.database import execute
from notifications.events import Record, RejectedError, parse
from tests.bridge.running import EXTRA_TOPIC, Bench, eventually
from tests.support.events import event

_COUNT = 2_000
_TOKENS = (
    *(
        b"\\u0000",
        b"\\ud800",
        b"1e400000",
        b"NaN",
        b"-Infinity",
        b"null",
        b"true",
        b"{}",
        b"[]",
        b'""',
        b"\x00",
        b"\xff",
    ),
    *(
        b"[" * 10_000,
        b"x" * 12_000,
        b"9" * 5_000,
        b'"recipient":',
        b',"sendat":"2026"',
        b"\xe2\x80\xae",
        b"\xed\xa0\x80",
    ),
)
_NAMES = (b"ce_id", b"ce_source", b"ce_type", b"ce_specversion", b"ce_recipient", b"ce_time", b"ce_sendat", b"ce_extra")


def _mutated(value: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((0, 1, 2, 2, 3, 4, 4, 5))):
        at, end = sorted(chance.choices(range(len(value) + 1), k=2))
        end = min(end, at + 20)
        what = chance.randrange(4)
        if what == 0:
            value = value[:at] + value[end:]
        elif what == 1:
            value = value[:at] + chance.choice(_TOKENS) + value[end:]
        elif what == 2:
            value = value[:at] + chance.randbytes(chance.randrange(1, 5)) + value[at:]
        else:
            value = value[:end] + value[at:]
    return value


def _record(number: int, chance: random.Random) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    whole = event(id=f"mutation-{number}", data={"payment_id": "p", "amount": "1.00", "currency": "EUR"})
    if chance.random() < 0.6:
        return _mutated(json.dumps(whole).encode(), chance), []
    headers = [(f"ce_{name}", str(value).encode()) for name, value in whole.items() if name != "data"]
    headers = [(name, _mutated(value, chance) if chance.random() < 0.3 else value) for name, value in headers]
    if chance.random() < 0.2:
        headers.append((chance.choice(_NAMES).decode(), chance.randbytes(3)))
    value = None if chance.random() < 0.05 else _mutated(json.dumps(whole["data"]).encode(), chance)
    return value, headers


async def _column(bench: Bench, statement: str) -> set[Any]:
    async with bench.sessions() as session:
        return {tuple(row) for row in await execute(session, statement, {"topic": EXTRA_TOPIC})}


def _notification_id(record: Record) -> Any:
    try:
        return parse(record).notification_id
    except RejectedError:
        return None


async def test_no_mutation_is_lost_or_stops_the_bridge(bench: Bench) -> None:
    chance = random.Random(2026_11_22)  # noqa: S311 - the same records in every run
    made = [_record(number, chance) for number in range(_COUNT)]

    async def produce(value: bytes | None, headers: list[tuple[str, bytes]]) -> Record:
        partition, offset = await bench.producer.enqueue(EXTRA_TOPIC, None, value, headers)  # type: ignore[arg-type]
        return Record(topic=EXTRA_TOPIC, partition=partition, offset=offset, value=value, headers=tuple(headers))

    async with bench.bridge() as running:
        records = await asyncio.gather(*(produce(value, headers) for value, headers in made))

        async def caught_up() -> Any:
            return running.done() or await bench.lag(topic=EXTRA_TOPIC) == 0

        await eventually(caught_up, within=120, what="a lag of 0")
        assert not running.done()
    rejected = await _column(bench, 'SELECT partition, "offset" FROM rejected_events WHERE topic = :topic')
    started = await _column(bench, "SELECT id FROM notifications WHERE topic = :topic AND started_at IS NOT NULL")
    good = [record for record in records if (record.partition, record.offset) not in rejected]
    assert [record for record in good if (_notification_id(record),) not in started] == []
    assert 50 < len(good) < _COUNT / 2, "the mutations no longer make both kinds"
