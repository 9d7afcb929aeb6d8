"""A marketer at the API, with recipients who agreed, and vendors in the sandbox that can be asked what they saw."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from activities.temporal import campaign_workflow_id
from notifications.ids import message_id
from notifications.profiles.profile import Device
from notifications.statuses import Channel
from tests.support.events import unique
from tests.support.integration import until
from tests.support.reporting import Reporting

SOON = 8.0  # seconds
TEXTS: Mapping[Channel, Mapping[str, Any]] = {
    Channel.EMAIL: {
        "subject": "{{ data.discount }} off",
        "text": "{{ data.discount }} off for {{ recipient.id | default('you', true) }}. Stop: {{ links.unsubscribe }}",
    },
    Channel.PUSH: {"title": "{{ data.discount }} off", "body": "For {{ recipient.id | default('you', true) }}"},
    Channel.SMS: {"body": "{{ data.discount }} off for {{ recipient.id | default('you', true) }}"},
    Channel.WHATSAPP: {
        "vendor_templates": {"meta": {"name": "spring_sale", "language": "en_US"}},
        "parameters": ["{{ data.discount }}"],
    },
}


class Marketer:
    def __init__(self, reporting: Reporting) -> None:
        self.reporting = reporting
        self.house = reporting.house

    async def recipients(self, number: int, channel: Channel, *, devices: int = 1) -> list[str]:
        """Who opted in to offers on the channel; each has an address or number of its own."""

        places = asyncio.Semaphore(5)  # fewer than there are connections

        async def make(place: int) -> str:
            name = unique("cus")
            tokens = tuple(Device(f"{name}-{each}", f"token-{name}-{each}", "android") for each in range(devices))
            async with places:
                recipient = await self.house.recipient(phone=f"+4915112{place:06d}", devices=tokens)
                await self.house.opt_in(recipient, "offers", channel)
            return recipient

        return await asyncio.gather(*(make(place) for place in range(number)))

    async def launch(self, channel: Channel, recipients: Sequence[str], **changes: Any) -> str:
        content = {
            "default_locale": "en",
            "data": {"type": "object", "required": ["discount"], "properties": {"discount": {"type": "string"}}},
            "templates": {channel: {"en": TEXTS[channel]}},
        }
        body = {
            "name": "Spring sale",
            "category": "offers",
            "channel": channel,
            "content": content,
            "audience": {"recipients": list(recipients)},
            "data": {"discount": "20 %"},
        }
        answer = await self.reporting.api.post("/v1/campaigns", json=body | changes)
        assert answer.status_code == 201, answer.text
        campaign = str(answer.json()["campaign"]["id"])
        await self.command(campaign, "launch")
        return campaign

    async def command(self, campaign: str, command: str, **wanted: Any) -> dict[str, Any]:
        """Its answer, which comes soon: within two seconds where nothing else keeps the machine busy."""
        method = "PUT" if command == "rate" else "POST"
        begun = time.monotonic()
        answer = await self.reporting.api.request(method, f"/v1/campaigns/{campaign}/{command}", json=wanted or None)
        assert answer.is_success, answer.text
        assert time.monotonic() - begun < SOON
        return dict(answer.json())

    async def look(self, campaign: str) -> dict[str, Any]:
        return dict((await self.reporting.api.get(f"/v1/campaigns/{campaign}")).json())

    async def account(self, campaign: str) -> dict[str, int]:
        account = (await self.look(campaign))["account"]
        assert account["targeted"] == sum(account["by_status"].values())
        return dict(account["by_status"])

    async def until_account(self, campaign: str, expected: dict[str, int]) -> None:
        """What is shown may be a second old."""

        async def is_so() -> bool:
            return await self.account(campaign) == expected

        await until(is_so)

    async def until_state(self, campaign: str, state: str, *, seconds: float = 45) -> None:
        async def is_there() -> bool:
            return bool((await self.look(campaign))["campaign"]["state"] == state)

        await until(is_there, seconds=seconds)

    async def result(self, campaign: str) -> str:
        """What its workflow ends with."""
        handle = self.house.client.get_workflow_handle(campaign_workflow_id(campaign, 1))
        async with asyncio.timeout(60):
            return str(await handle.result())

    async def calls(self, provider: str) -> int:
        """Requests that the vendor has seen since its fault was set."""
        faults = (await self.reporting.sandbox.get("/api/faults")).json()["items"]
        return sum(int(each["seen"]) for each in faults if each["provider"] == provider)

    async def accepted(self, **where: Any) -> int:
        """Messages in the sandbox's inbox."""
        return int((await self.reporting.sandbox.get("/api/inbox/count", params=where)).json()["count"])

    async def items(self, campaign: str, **where: Any) -> list[dict[str, Any]]:
        """Its messages in the sandbox's inbox."""
        items = (await self.reporting.sandbox.get("/api/inbox", params={"limit": 1000} | where)).json()["items"]
        account = (await self.look(campaign))["account"]
        keys = {str(message_id(UUID(campaign), seq)) for seq in range(1, account["targeted"] + 1)}
        return [item for item in items if item["key"] in keys]
