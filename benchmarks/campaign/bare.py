"""The measure, a loop over aiohttp that renders and posts: `python -m benchmarks.campaign.bare CALLS_AT_ONCE`.

The text, the document and the key of each mail are made by the same code as Tidings' own. Nothing is written down,
nobody's consent is asked for, and what a crash interrupts is lost or sent twice. It takes its work from standard input,
a line of JSON for each stretch, and answers `done`.
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aiohttp
import uvloop

from benchmarks.campaign.people import CATEGORY, DATA, TEMPLATE, person
from notifications.addresses import require_hash_key
from notifications.campaigns.contents import CampaignContent
from notifications.campaigns.ranges import ClaimedMessage
from notifications.catalogue.store import CatalogueStore
from notifications.database import create_engine, create_sessions
from notifications.ids import message_id
from notifications.providers.email.addresses import Mailbox
from notifications.providers.email.mime import own_mailbox
from notifications.providers.email.sendgrid import build_request
from notifications.providers.http import USER_AGENT, encode_json
from notifications.rendering.render import Renderer
from notifications.settings import Settings, load_settings
from notifications.statuses import Channel
from notifications.unsubscribe import UnsubscribeLinks

HEADERS = {"Authorization": "Bearer SG.bare", "Content-Type": "application/json", "User-Agent": USER_AGENT}


async def load_content(settings: Settings) -> CampaignContent:
    engine = create_engine(settings.database_url)
    catalogue = CatalogueStore(create_sessions(engine))
    content = CampaignContent(
        UUID(int=0),
        Channel.EMAIL,
        (await catalogue.current()).categories[CATEGORY],
        await catalogue.template_version(TEMPLATE, 1),
        DATA,
        Renderer(),
        UnsubscribeLinks.of(settings, require_hash_key(settings.hash_key)),
    )
    await engine.dispose()
    return content


class Loop:
    def __init__(self, content: CampaignContent, session: aiohttp.ClientSession, url: str, sender: Mailbox) -> None:
        self._content = content
        self._session = session
        self._url = f"{url}/sendgrid/v3/mail/send"
        self._sender = sender

    async def send(self, numbers: Iterator[int], origin: UUID) -> None:
        expires_at = datetime.now(UTC) + timedelta(days=1)
        for number in numbers:
            one = person(number)
            message = self._content.render(
                ClaimedMessage(
                    *(number, "sending", 1, 0, one.email, None, one.locale, expires_at, None),
                    *(one.id, one.name, one.timezone, one.attributes),
                )
            )
            document = build_request(
                message, idempotency_key=message_id(origin, number), default_from=self._sender, default_reply_to=None
            )
            async with self._session.post(self._url, data=encode_json(document), headers=HEADERS) as answer:
                await answer.read()
                assert answer.status == 202, answer.status


async def main(calls_at_once: int) -> None:
    settings = load_settings()
    content = await load_content(settings)
    sender = own_mailbox(settings.smtp.from_address, "TIDINGS_SMTP__FROM_ADDRESS")
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        loop = Loop(content, session, settings.dev_sandbox_url or "", sender)
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            work = json.loads(line)
            numbers = iter(range(work["first"], work["last"] + 1))
            await asyncio.gather(*(loop.send(numbers, UUID(work["origin"])) for _ in range(calls_at_once)))
            print("done", flush=True)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
