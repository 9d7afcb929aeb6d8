import asyncio
from email.message import EmailMessage
from typing import Any

import aiosmtplib
import pytest

from devstack.sandbox.server import Sandbox
from devstack.sandbox.smtp import MAX_BYTES, PASSWORD, USERNAME

KEY = "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac"
CORRELATION = "a56453a4-7db3-5408-8b23-96f8b4313634.1.2"


def mail(to: str = "ana@example.org", **changes: Any) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Acme <hello@acme.example>"
    message["To"] = to
    message["Subject"] = changes.get("subject", "Ihre Zahlung über 49,90 €")
    message["Message-ID"] = f"<{KEY}@acme.example>"
    message["X-Tidings-Correlation"] = CORRELATION
    message.set_content("Hallo Ana, danke!")
    message.add_alternative("<p>Hallo <b>Ana</b>, danke!</p>", subtype="html")
    return message


async def send(sandbox: Sandbox, message: EmailMessage | bytes, **options: Any) -> tuple[dict, str]:
    given = {"hostname": "127.0.0.1", "port": sandbox.smtp_port, "timeout": 10, "start_tls": False, **options}
    return await aiosmtplib.send(message, **given)


async def _refusal(sandbox: Sandbox, to: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as caught:
        await send(sandbox, mail(to), **options)
    (refused,) = caught.value.recipients
    return refused.code, refused.message


async def test_an_accepted_mail_is_in_the_inbox_as_a_person_reads_it(sandbox, client) -> None:
    message = mail("Ana Souza <ana@example.org>")
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="receipt.pdf")
    _, answer = await send(sandbox, message)
    assert answer.startswith("2.0.0 OK queued as ")
    (entry,) = (await client.get("/api/inbox")).json()["items"]
    assert (entry["provider"], entry["channel"], entry["to"]) == ("smtp", "email", "ana@example.org")
    assert (entry["key"], entry["correlation"]) == (KEY, CORRELATION)
    content = entry["content"]
    assert content["subject"] == "Ihre Zahlung über 49,90 €"
    assert content["text"].strip() == "Hallo Ana, danke!"
    assert "<b>Ana</b>" in content["html"]
    assert content["to"] == "Ana Souza <ana@example.org>"
    assert content["attachments"] == [{"filename": "receipt.pdf", "content_type": "application/pdf", "size": 4}]


async def test_every_recipient_of_a_mail_gets_it_and_none_is_a_duplicate(sandbox, client) -> None:
    await send(sandbox, mail(), recipients=["ana@example.org", "ben@example.org"])
    items = (await client.get("/api/inbox")).json()["items"]
    assert {entry["to"] for entry in items} == {"ana@example.org", "ben@example.org"}
    assert {entry["accepted_with_key"] for entry in items} == {1}


async def test_it_announces_what_it_can(sandbox) -> None:
    async with aiosmtplib.SMTP(hostname="127.0.0.1", port=sandbox.smtp_port, start_tls=False) as smtp:
        await smtp.ehlo()
        extensions = {"pipelining", "smtputf8", "8bitmime", "enhancedstatuscodes"}
        assert all(smtp.supports_extension(name) for name in extensions)
        assert smtp.esmtp_extensions["size"] == str(MAX_BYTES)


async def test_commands_sent_at_once_are_answered_in_order(sandbox) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.smtp_port)
    writer.write(
        b"EHLO client\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<bounce@example.org>\r\n"
        b"RCPT TO:<ana@example.org>\r\nDATA\r\nFrom: a@acme.example\r\n\r\nHello\r\n.\r\nQUIT\r\n"
    )
    codes = [line[:3] for line in (await reader.read()).split(b"\r\n") if line[3:4] == b" "]
    assert codes == [b"220", b"250", b"250", b"550", b"250", b"354", b"250", b"221"]
    writer.close()


@pytest.mark.parametrize(
    ("to", "code", "enhanced"),
    [
        ("bounce@example.org", 550, "5.1.1"),
        ("Bounce+eva@example.org", 550, "5.1.1"),
        ("nodomain@example.org", 550, "5.1.2"),
        ("full@example.org", 452, "4.2.2"),
        ("blocked@example.org", 550, "5.7.1"),
    ],
)
async def test_test_addresses_are_refused(sandbox, client, to, code, enhanced) -> None:
    refused = await _refusal(sandbox, to)
    assert refused[0] == code
    assert refused[1].startswith(enhanced)
    assert (await client.get("/api/inbox/count")).json()["count"] == 0


async def test_a_greylisted_address_is_taken_the_second_time(sandbox) -> None:
    assert await _refusal(sandbox, "greylist@example.org") == (450, "4.7.1 Greylisted, try again in 300 seconds")
    await send(sandbox, mail("greylist@example.org"))


async def test_a_blocked_sender_is_refused(sandbox) -> None:
    with pytest.raises(aiosmtplib.SMTPSenderRefused) as caught:
        await send(sandbox, mail(), sender="blocked@acme.example")
    assert caught.value.code == 550


async def test_a_non_ascii_address_needs_smtputf8(sandbox, client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.smtp_port)
    writer.write("EHLO client\r\nMAIL FROM:<a@acme.example>\r\nRCPT TO:<jürgen@example.org>\r\nQUIT\r\n".encode())
    assert b"553 5.6.7" in await reader.read()
    writer.close()
    await send(sandbox, mail(), recipients=["jürgen@example.org"], mail_options=["SMTPUTF8"])
    (entry,) = (await client.get("/api/inbox")).json()["items"]
    assert entry["to"] == "jürgen@example.org"


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b"Subject: no sender\r\n\r\nHello\r\n", 550, "'From' header is missing"),
        (b"From: a@acme.example\r\n\r\n" + b"x" * 999 + b"\r\n", 500, "Line too long"),
        (b"From: a@acme.example\r\n\r\n" + (b"x" * 900 + b"\r\n") * 12_000, 552, "5.3.4"),
    ],
    ids=["no From", "long line", "too big"],
)
async def test_what_a_mail_server_refuses_is_refused(sandbox, client, raw, code, words) -> None:
    with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
        await send(sandbox, raw, sender="a@acme.example", recipients=["ana@example.org"])
    assert caught.value.code == code
    assert words in caught.value.message
    assert (await client.get("/api/inbox/count")).json()["count"] == 0


async def test_who_wants_to_may_log_in(sandbox) -> None:
    await send(sandbox, mail(), username=USERNAME, password=PASSWORD)
    with pytest.raises(aiosmtplib.SMTPAuthenticationError) as caught:
        await send(sandbox, mail(), username=USERNAME, password="wrong")
    assert caught.value.code == 535


async def test_a_mail_that_is_hard_to_read_is_shown_as_well_as_it_can_be(sandbox, client) -> None:
    raw = b"From: a@acme.example\r\nContent-Type: text/plain; charset=klingon\r\n\r\nna\xc3\xafve\r\n"
    await send(sandbox, raw, sender="a@acme.example", recipients=["ana@example.org"])
    (entry,) = (await client.get("/api/inbox")).json()["items"]
    assert entry["content"]["text"].strip() == "naïve"
    assert entry["key"] is None
    assert (await client.get("/")).status_code == 200


@pytest.mark.parametrize(
    "header",
    [b'To: "', b"To: <@", b"Message-ID: <a@", b"Subject: =?utf-8?b?/w==?= \xff\xfe", b"Reply-To: (\x00"],
)
async def test_broken_headers_break_neither_inbox_nor_page(sandbox, client, header) -> None:
    raw = b"From: a@acme.example\r\n" + header + b"\r\n\r\nHello\r\n"
    await send(sandbox, raw, sender="a@acme.example", recipients=["ana@example.org"])
    (entry,) = (await client.get("/api/inbox")).json()["items"]
    assert entry["content"]["text"].strip() == "Hello"
    assert (await client.get("/")).status_code == 200
