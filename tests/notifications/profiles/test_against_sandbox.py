"""The sandbox's reference service and our reader speak the same format."""

from collections.abc import AsyncIterator

import httpx
import pytest

from devstack.sandbox.server import Sandbox, SandboxOptions
from notifications.profiles.http import HttpProfileSource
from notifications.profiles.profile import Device, Profile, ProfileUnavailableError
from notifications.statuses import Channel

DOCUMENT = {
    "recipient_id": "cus_42",
    "name": "Ana Souza",
    "email": "ana@example.org",
    "phone": "+4915112345678",
    "locale": "de-AT",
    "timezone": "Europe/Vienna",
    "attributes": {"plan": "pro"},
    "devices": [{"id": "d1", "token": "fcm-token", "platform": "android"}],
    "preferences": [{"category": "offers", "channel": "email", "opted_in": True}],
}


@pytest.fixture
async def sandbox() -> AsyncIterator[httpx.AsyncClient]:
    sandbox = Sandbox(SandboxOptions(http_port=0, smtp_port=0))
    await sandbox.start()
    async with httpx.AsyncClient(base_url=sandbox.http_url) as client:
        yield client
    await sandbox.stop()


async def test_what_the_reference_service_keeps_is_what_we_read(sandbox: httpx.AsyncClient):
    source = HttpProfileSource(f"{sandbox.base_url}/profiles", cache_seconds=0)
    assert await source.get("cus_42") is None
    (await sandbox.put("/profiles/cus_42", json=DOCUMENT)).raise_for_status()
    assert await source.get("cus_42") == Profile(
        recipient_id="cus_42",
        name="Ana Souza",
        email="ana@example.org",
        phone="+4915112345678",
        locale="de-AT",
        timezone="Europe/Vienna",
        attributes={"plan": "pro"},
        devices=(Device("d1", "fcm-token", "android"),),
        preferences={("offers", Channel.EMAIL): True},
    )
    await source.close()


@pytest.mark.parametrize(
    "fault", [{"error": {"status": 500}}, {"reset": "before"}, {"hang": "before"}, {"rubbish": "after"}]
)
async def test_while_the_service_is_broken_the_last_answer_serves(sandbox: httpx.AsyncClient, fault: dict):
    source = HttpProfileSource(f"{sandbox.base_url}/profiles", timeout_seconds=0.5, cache_seconds=0)
    (await sandbox.put("/profiles/cus_42", json=DOCUMENT)).raise_for_status()
    known = await source.get("cus_42")
    (await sandbox.put("/api/faults/profiles", json=fault)).raise_for_status()
    assert await source.get("cus_42") == known
    with pytest.raises(ProfileUnavailableError):
        await source.get("cus_43")
    (await sandbox.delete("/api/faults")).raise_for_status()
    assert await source.get("cus_43") is None
    await source.close()
