import asyncio
import time

import aiosmtplib
import pytest

from tests.devstack.sandbox.test_smtp import mail, send


async def _knob(client, path: str = "smtp", **fault: object) -> None:
    assert (await client.put(f"/api/faults/{path}", json=fault)).status_code == 200


async def _count(client) -> int:
    return (await client.get("/api/inbox/count")).json()["count"]


async def test_latency_comes_after_accepting(sandbox, client) -> None:
    await _knob(client, latency_ms=300)
    with pytest.raises(aiosmtplib.SMTPTimeoutError):
        await send(sandbox, mail(), timeout=0.15)
    assert await _count(client) == 1
    begun = time.monotonic()
    await send(sandbox, mail())
    assert time.monotonic() - begun >= 0.3


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        ({}, 451, "4.3.0"),
        ({"status": 450, "code": "4.2.1", "message": "Busy"}, 450, "4.2.1 Busy"),
        ({"status": 550}, 550, "5.1.1"),
        ({"status": 554, "code": "5.7.1"}, 554, "5.7.1"),
    ],
)
async def test_an_error_at_the_recipient(sandbox, client, error, code, words) -> None:
    await _knob(client, error=error)
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
        await send(sandbox, mail())
    assert caught.value.recipients[0].code == code
    assert caught.value.recipients[0].message.startswith(words)


async def test_an_error_after_the_final_dot(sandbox, client) -> None:
    await _knob(client, error={"status": 451, "at": "data"})
    with pytest.raises(aiosmtplib.SMTPDataError) as caught:
        await send(sandbox, mail())
    assert caught.value.code == 451
    assert await _count(client) == 0


async def test_an_error_421_ends_the_connection(sandbox, client) -> None:
    await _knob(client, error={"status": 421})
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.smtp_port)
    writer.write(b"EHLO client\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<ana@example.org>\r\n")
    assert (await reader.read()).splitlines()[-1].startswith(b"421 4.3.2")
    writer.close()


async def test_one_recipient_fails_twice_and_then_works(sandbox, client) -> None:
    await _knob(client, "smtp/ana@example.org", fail_times=2)
    await send(sandbox, mail("ben@example.org"))
    for _ in range(2):
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
            await send(sandbox, mail("Ana@Example.org"))
    await send(sandbox, mail("ana@example.org"))
    assert await _count(client) == 2


async def test_throttled(sandbox, client) -> None:
    await _knob(client, throttle={"retry_after": 5})
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
        await send(sandbox, mail())
    assert caught.value.recipients[0].message == "4.7.0 Too many messages, try again in 5 seconds"


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
async def test_a_hang_never_answers(sandbox, client, moment, kept) -> None:
    await _knob(client, hang=moment)
    with pytest.raises(aiosmtplib.SMTPTimeoutError):
        await send(sandbox, mail(), timeout=0.3)
    assert await _count(client) == kept


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
async def test_a_reset_is_a_real_one(sandbox, client, moment, kept) -> None:
    await _knob(client, reset=moment)
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.smtp_port)
    writer.write(b"EHLO client\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<ana@example.org>\r\n")
    if moment == "after":
        writer.write(b"DATA\r\nFrom: a@acme.example\r\n\r\nHello\r\n.\r\n")
    with pytest.raises(ConnectionResetError):
        await asyncio.wait_for(reader.read(), 10)
    assert await _count(client) == kept
    writer.close()


@pytest.mark.parametrize(("moment", "kept"), [("before", 0), ("after", 1)])
async def test_rubbish_is_no_smtp(sandbox, client, moment, kept) -> None:
    await _knob(client, rubbish=moment)
    with pytest.raises(aiosmtplib.SMTPException):
        await send(sandbox, mail())
    assert await _count(client) == kept


async def test_a_trickling_answer_arrives_in_the_end(sandbox, client) -> None:
    await _knob(client, trickle_ms=10)
    begun = time.monotonic()
    _, answer = await send(sandbox, mail())
    assert answer.startswith("2.0.0 OK queued")
    assert time.monotonic() - begun >= 0.2


async def test_a_server_that_is_down_says_421_to_new_and_to_open_connections(sandbox, client) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=sandbox.smtp_port, start_tls=False) as smtp:
        await client.put("/api/providers/smtp", json={"enabled": False})
        with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
            await smtp.send_message(mail())
        assert caught.value.code == 421
    with pytest.raises(aiosmtplib.SMTPConnectError):
        await send(sandbox, mail())
    await client.put("/api/providers/smtp", json={"enabled": True})
    await send(sandbox, mail())


async def test_a_mail_that_is_under_way_when_the_server_goes_down_is_not_accepted(sandbox, client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.smtp_port)
    writer.write(b"EHLO client\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<ana@example.org>\r\nDATA\r\n")
    await reader.readuntil(b"354 ")
    await client.put("/api/providers/smtp", json={"enabled": False})
    writer.write(b"From: a@acme.example\r\n\r\nHello\r\n.\r\n")
    assert b"\r\n421 4.3.2" in await reader.read()
    assert await _count(client) == 0
    writer.close()
