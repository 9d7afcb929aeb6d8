"""What the sender relies on, asked of every provider alike."""

import asyncio
import io
import logging
import time
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from uuid import uuid4

import pytest

from notifications.providers.base import (
    EmailContent,
    ErrorScope,
    PermanentDeliveryError,
    SmsContent,
    TransientDeliveryError,
    UnknownOutcome,
)
from tests.contracts.support.http_server import Misbehaviour, Reply
from tests.contracts.support.smtp_server import Fault
from tests.contracts.support.vendors import BENCHES, BODY, HTTP_VENDORS, KEY, NAME, ORIGIN, outgoing, running

REFUSALS = [
    pytest.param(name, refusal, id=f"{name}-{number}-{refusal.code}")
    for name, bench in BENCHES.items()
    for number, refusal in enumerate(bench().refusals)
]
SMTP_SERVERS = ("smtp", "smtp-pipelining")
SMTP_HANGS = (
    ({"CONNECT": [Fault.HANG]}, TransientDeliveryError),
    ({"EHLO": [Fault.TRICKLE]}, TransientDeliveryError),
    ({"MAIL": [Fault.HANG]}, TransientDeliveryError),
    ({"RCPT": [Fault.TRICKLE]}, TransientDeliveryError),
    ({"DATA": [Fault.HANG]}, TransientDeliveryError),
    ({"END": [Fault.TRICKLE]}, UnknownOutcome),
)
LOST = [(name, answer) for name, bench in BENCHES.items() for answer in bench.lost]


def ids(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value)[:60]


async def test_an_accepted_message_has_a_receipt(bench, send):
    receipt = await send(bench.provider, outgoing(bench))
    assert receipt.provider_message_id
    assert receipt.provider_message_id.isascii()


async def test_the_key_and_the_correlation_are_in_their_slots(bench, send):
    await send(bench.provider, outgoing(bench))
    await send(bench.provider, outgoing(bench, attempt=3))
    assert bench.slots() == [(str(KEY), f"{ORIGIN}.1.2"), (str(KEY), f"{ORIGIN}.1.3")]


@pytest.mark.parametrize(("name", "refusal"), REFUSALS)
async def test_a_refusal_is_what_the_vendors_table_says(name, refusal, failure, send):
    async with running(name) as bench:
        bench.play(refusal.answer)
        error = await failure(bench.provider, outgoing(bench))
        assert error.code == refusal.code
        if refusal.scope is None:
            assert isinstance(error, TransientDeliveryError)
            assert error.retry_after == refusal.retry_after
        else:
            assert isinstance(error, PermanentDeliveryError)
            assert (error.scope, error.disable_address) == (refusal.scope, refusal.disable)
        assert await send(bench.provider, outgoing(bench))


@pytest.mark.parametrize("name", HTTP_VENDORS)
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("7", timedelta(seconds=7)),
        (format_datetime(datetime(2026, 11, 22, 10, 0, 30, tzinfo=UTC), usegmt=True), timedelta(seconds=30)),
        ("Sun, 22 Nov 2026 09:00:00 GMT", timedelta()),
        ("soon", None),
        ("-5", None),
        ("٣", None),
    ],
)
async def test_retry_after_is_understood_in_both_spellings(name, value, expected, failure):
    headers = {"Retry-After": value, "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}
    async with running(name) as bench:
        bench.play(Reply(429, {}, headers))
        error = await failure(bench.provider, outgoing(bench))
    assert isinstance(error, TransientDeliveryError)
    assert error.retry_after == expected


@pytest.mark.parametrize("name", HTTP_VENDORS)
async def test_a_date_without_the_vendors_clock_is_read_by_ours(name, failure):
    async with running(name) as bench:
        until = datetime.now(UTC) + timedelta(minutes=10)
        bench.play(Reply(429, {}, {"Retry-After": format_datetime(until, usegmt=True)}))
        error = await failure(bench.provider, outgoing(bench))
    assert timedelta(minutes=9) < error.retry_after < timedelta(minutes=11)


@pytest.mark.parametrize(("name", "answer"), LOST, ids=ids)
async def test_a_lost_answer_is_an_unknown_outcome(name, answer, failure, send):
    async with running(name) as bench:
        bench.play(answer)
        assert isinstance(await failure(bench.provider, outgoing(bench)), UnknownOutcome)
        assert await send(bench.provider, outgoing(bench))


@pytest.mark.parametrize("name", HTTP_VENDORS)
@pytest.mark.parametrize(
    "answer", [Reply(200, {}), Reply(200, []), Reply(200, body=b"<html>"), Reply(200, body=b"[" * 20_000)]
)
async def test_an_acceptance_without_an_id_is_an_unknown_outcome(name, answer, failure):
    async with running(name) as bench:
        bench.play(answer)
        assert isinstance(await failure(bench.provider, outgoing(bench)), UnknownOutcome)


async def test_a_hanging_vendor_is_left_at_the_deadline(bench, failure):
    bench.play(bench.hang)
    begun = time.monotonic()
    error = await failure(bench.provider, outgoing(bench), seconds=0.3)
    assert isinstance(error, UnknownOutcome)
    assert 0.25 < time.monotonic() - begun < 3
    assert "timeout" in error.code


@pytest.mark.parametrize(
    ("name", "answer", "kind"),
    [
        *((name, Misbehaviour.TRICKLE, UnknownOutcome) for name in HTTP_VENDORS),
        *((name, answer, kind) for name in SMTP_SERVERS for answer, kind in SMTP_HANGS),
    ],
    ids=ids,
)
async def test_the_deadline_holds_whatever_the_vendor_does(name, answer, kind, failure):
    async with running(name) as bench:
        bench.play(answer)
        begun = time.monotonic()
        assert isinstance(await failure(bench.provider, outgoing(bench), seconds=0.3), kind)
        assert time.monotonic() - begun < 3


async def test_a_deadline_that_has_passed_is_no_call(bench, failure):
    assert isinstance(await failure(bench.provider, outgoing(bench), seconds=-1), TransientDeliveryError)
    assert bench.slots() == []


async def test_where_nobody_listens_nothing_was_sent(bench, failure):
    provider = bench.without_server()
    error = await failure(provider, outgoing(bench))
    assert isinstance(error, TransientDeliveryError)
    assert error.code.endswith("_connect")
    await provider.close()


async def test_a_message_that_is_too_large_is_refused_before_it_is_written(bench, failure):
    error = await failure(bench.provider, outgoing(bench, content=bench.oversized))
    assert isinstance(error, PermanentDeliveryError)
    assert error.scope is ErrorScope.MESSAGE
    assert bench.slots() == []


async def test_content_of_another_channel_is_refused(bench, failure):
    other = EmailContent("s", None, "t") if bench.channel != "email" else SmsContent("t", 1, "GSM-7")
    error = await failure(bench.provider, outgoing(bench, content=other))
    assert isinstance(error, PermanentDeliveryError)
    assert error.scope is ErrorScope.MESSAGE


async def test_many_at_once_are_kept_apart(bench, send):
    origins = [uuid4() for _ in range(40)]
    await asyncio.gather(*(send(bench.provider, outgoing(bench, origin_id=origin)) for origin in origins))
    assert sorted(correlation for _, correlation in bench.slots()) == sorted(f"{origin}.1.2" for origin in origins)


async def test_connections_are_used_again(bench, send):
    for _ in range(5):
        await send(bench.provider, outgoing(bench))
    assert bench.server.connections <= 2  # FCM fetched its token over one of its own, or the same


async def test_check_asks_the_account_and_sends_nothing(bench):
    await bench.provider.check()
    assert bench.slots() == []


async def test_a_cancelled_send_leaves_the_provider_usable(bench, send):
    bench.play(bench.hang)
    task = asyncio.create_task(send(bench.provider, outgoing(bench)))
    async with asyncio.timeout(5):
        while not bench.slots():
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await send(bench.provider, outgoing(bench))


async def test_no_error_and_no_log_holds_personal_data_or_secrets(bench, failure, send, caplog):
    caplog.set_level(logging.DEBUG)
    output = io.StringIO()
    errors = []
    with redirect_stdout(output), redirect_stderr(output):
        await send(bench.provider, outgoing(bench))
        for answer in [refusal.answer for refusal in bench.refusals] + list(bench.lost):
            await bench.provider.close()  # so that a refusal to connect is met too
            bench.play(answer)
            error = await failure(bench.provider, outgoing(bench))
            errors.append(f"{error!r} {error} {error.code} {error.detail} {vars(error)}")
    written = output.getvalue() + caplog.text + "\n".join(errors)
    for canary in (bench.address, NAME, BODY, "access-canary", "auth-canary", "Payment received"):
        assert canary not in written
