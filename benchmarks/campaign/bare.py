"""The measure, a loop over aiohttp that renders and posts: `python -m benchmarks.campaign.bare CALLS_AT_ONCE`.

The text, the document and the key of each mail are made by the same code as Tidings' own. Nothing is written down,
nobody's consent is asked for, and what a crash interrupts is lost or sent twice. It takes its work from standard input,
a line of JSON for each stretch that also names the HTTP client, and answers `done`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
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
from notifications.providers.http import USER_AGENT, HttpClient, encode_json
from notifications.rendering.render import Renderer
from notifications.settings import Settings, load_settings
from notifications.statuses import Channel
from notifications.unsubscribe import UnsubscribeLinks

HEADERS = {"Authorization": "Bearer SG.bare", "Content-Type": "application/json"}
Post = Callable[[bytes], Awaitable[int]]


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
    def __init__(self, content: CampaignContent, url: str, sender: Mailbox) -> None:
        self._content = content
        self._url = f"{url}/sendgrid/v3/mail/send"
        self._sender = sender
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        self._own = HttpClient("bare", timeout_seconds=60)
        self.posts: dict[str, Post] = {"aiohttp": self._by_aiohttp, "own": self._by_our_own}

    async def _by_aiohttp(self, body: bytes) -> int:
        async with self._session.post(self._url, data=body, headers=HEADERS | {"User-Agent": USER_AGENT}) as answer:
            await answer.read()
            return answer.status

    async def _by_our_own(self, body: bytes) -> int:
        deadline = time.monotonic() + 60
        return (await self._own.request("POST", self._url, deadline=deadline, headers=HEADERS, body=body)).status

    async def send(self, numbers: Iterator[int], origin: UUID, post: Post) -> None:
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
            assert await post(encode_json(document)) == 202

    async def close(self) -> None:
        await self._session.close()
        await self._own.close()


async def main(calls_at_once: int) -> None:
    settings = load_settings()
    content = await load_content(settings)
    sender = own_mailbox(settings.smtp.from_address, "TIDINGS_SMTP__FROM_ADDRESS")
    loop = Loop(content, settings.dev_sandbox_url or "", sender)
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        work = json.loads(line)
        numbers, origin, post = (
            iter(range(work["first"], work["last"] + 1)),
            UUID(work["origin"]),
            loop.posts[work["by"]],
        )
        await asyncio.gather(*(loop.send(numbers, origin, post) for _ in range(calls_at_once)))
        print("done", flush=True)
    await loop.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
