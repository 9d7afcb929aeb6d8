"""What one e-mail costs, from its content to the server's 250: `python -m benchmarks.email [--json FILE]`.

Four ways take turns in one run against one server in a process of its own, each over the same number of connections:

* raw: prepared bytes over bare sockets, MAIL, RCPT and DATA in one write (RFC 2920), the text in another: the limit;
* tidings: our provider, which builds each mail and sends it;
* aiosmtplib: our mails over aiosmtplib alone, one command after the other;
* stdlib: `EmailMessage` and aiosmtplib's `send_message`, as its documentation has it.

Only ratios of their medians are worth stating. Takes about half a minute.
"""

import argparse
import asyncio
import json
import platform
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import uvloop
from aiosmtplib import SMTP

from benchmarks._sink import running_sink
from benchmarks._smtp import RawSender, Sink
from notifications.providers.base import EmailContent, OutgoingMessage
from notifications.providers.email.addresses import mailbox
from notifications.providers.email.mime import build_mail
from notifications.providers.email.smtp import SmtpProvider
from notifications.settings import SmtpSettings
from notifications.statuses import Channel

CONNECTIONS = 20
ROUNDS = 5
MAILS = {"raw": 2500, "tidings": 1500, "aiosmtplib": 1000, "stdlib": 100}  # of a round: below a second each
SENDER, RECIPIENT = "Acme <billing@acme.example>", "ana@example.org"
OURS = mailbox(SENDER)
LINES = [("Espresso machine", "249.00"), ("Coffee beans 1 kg", "18.50"), ("Shipping", "4.90")]
TEXT = "\n".join(
    ["Hello Ana,", "", "we have received your payment of 272.40 EUR. Thank you!", ""]
    + [f"{name}: {price} EUR" for name, price in LINES]
)
HTML = (
    "<!doctype html><html><body style='font-family: sans-serif'><h1>Payment received</h1><p>Hello Ana,</p>"
    "<p>we have received your payment of <b>272.40 EUR</b>. Thank you!</p><table>"
    + "".join(f"<tr><td style='padding: 4px 12px'>{name}</td><td>{price} EUR</td></tr>" for name, price in LINES)
    + "</table><p><a href='https://acme.example/orders/10042'>See your order</a></p></body></html>"
)

Run = Callable[[Iterator[int]], Awaitable[None]]  # sends one mail for each element


MESSAGE = OutgoingMessage(
    origin_id=uuid4(),
    seq=1,
    attempt=1,
    channel=Channel.EMAIL,
    address=RECIPIENT,
    content=EmailContent("Payment received", HTML, TEXT),
    recipient_name="Ana Díaz",
)


def built() -> bytes:
    """A mail as the provider builds it, its dots stuffed."""
    mail = build_mail(MESSAGE, idempotency_key=uuid4(), default_from=OURS, default_reply_to=None)
    return mail.data.replace(b"\r\n.", b"\r\n..")


async def raw(port: int) -> Run:
    envelope = b"MAIL FROM:<billing@acme.example>\r\nRCPT TO:<ana@example.org>\r\nDATA\r\n"
    text = built() + b".\r\n"
    loop = asyncio.get_running_loop()
    senders = [
        (await loop.create_connection(lambda: RawSender(envelope, text), "127.0.0.1", port))[1]
        for _ in range(CONNECTIONS)
    ]
    await asyncio.gather(*(sender.ready for sender in senders))

    async def run(mails: Iterator[int]) -> None:
        await asyncio.gather(*(sender.run(mails) for sender in senders))

    return run


async def tidings(port: int) -> Run:
    provider = SmtpProvider(
        SmtpSettings(host="127.0.0.1", port=port, tls="none", from_address=SENDER, max_connections=CONNECTIONS)
    )

    async def send() -> None:
        await provider.send(MESSAGE, idempotency_key=uuid4(), deadline=time.monotonic() + 20)

    return in_turn([send] * CONNECTIONS)


async def aiosmtplib(port: int) -> Run:
    def sending(client: SMTP) -> Callable[[], Awaitable[object]]:
        return lambda: client.sendmail("billing@acme.example", [RECIPIENT], built())

    return in_turn([sending(client) for client in await connected(port)])


async def stdlib(port: int) -> Run:
    def sending(client: SMTP) -> Callable[[], Awaitable[object]]:
        return lambda: client.send_message(email_message())

    return in_turn([sending(client) for client in await connected(port)])


def email_message() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, f"Ana Díaz <{RECIPIENT}>", "Payment received"
    message["Date"], message["Message-ID"] = format_datetime(datetime.now(UTC)), make_msgid(domain="acme.example")
    message.set_content(TEXT)
    message.add_alternative(HTML, subtype="html")
    return message


async def connected(port: int) -> list[SMTP]:
    clients = [
        SMTP(hostname="127.0.0.1", port=port, use_tls=False, start_tls=False, local_hostname="bench")
        for _ in range(CONNECTIONS)
    ]
    for client in clients:
        await client.connect()
    return clients


def in_turn(senders: list[Callable[[], Awaitable[object]]]) -> Run:
    async def run(mails: Iterator[int]) -> None:
        async def work(send: Callable[[], Awaitable[object]]) -> None:
            for _ in mails:
                await send()

        await asyncio.gather(*(work(send) for send in senders))

    return run


async def measure(run: Run, mails: int) -> tuple[float, float]:
    """Mails per second, and seconds of this process's CPU per 1,000."""
    wall, cpu = time.perf_counter(), time.process_time()
    await run(iter(range(mails)))
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return mails / wall, cpu / mails * 1000


def build_seconds(build: Callable[[], object], count: int) -> float:
    begun = time.process_time()
    for _ in range(count):
        build()
    return (time.process_time() - begun) / count * 1000


async def compare(port: int, rounds: int) -> dict[str, dict[str, float]]:
    ways = {way.__name__: await way(port) for way in (raw, tidings, aiosmtplib, stdlib)}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, run in ways.items():
            result = await measure(run, MAILS[name])
            if number:  # the first one warms up
                found[name].append(result)
        print(f"round {number} of {rounds}", file=sys.stderr)
    limit = statistics.median(rate for rate, _ in found["raw"])
    return {
        name: {
            "mails_per_second": round(statistics.median(rate for rate, _ in results)),
            "ratio_to_raw": round(statistics.median(rate for rate, _ in results) / limit, 2),
            "cpu_seconds_per_1000": round(statistics.median(cpu for _, cpu in results), 3),
        }
        for name, results in found.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", type=Path, nargs="?", metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    with running_sink(Sink) as port:
        ways = uvloop.run(compare(port, arguments.rounds))
    builds = [(build_seconds(built, 500), build_seconds(lambda: email_message().as_bytes(), 50)) for _ in range(3)]
    report = {
        "connections": CONNECTIONS,
        "rounds": arguments.rounds,
        "bytes_of_a_mail": len(built()),
        "python": platform.python_version(),
        "aiosmtplib": version("aiosmtplib"),
        "ways": ways,
        "build_cpu_seconds_per_1000": {
            "tidings": round(statistics.median(ours for ours, _ in builds), 3),
            "stdlib": round(statistics.median(theirs for _, theirs in builds), 3),
        },
    }
    print(json.dumps(report, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
