"""Nothing personal is in Temporal: canaries are planted wherever a person's data comes in."""

import base64
import re
from datetime import UTC, datetime, timedelta

from notifications.profiles.profile import Device
from notifications.providers.base import ErrorScope, PermanentDeliveryError
from notifications.statuses import Channel
from tests.support.integration import House, until

CANARY = "canary7f3a"


async def test_histories_attributes_and_summaries_hold_ids_and_counts_only(house: House):
    for provider in house.providers.values():
        provider.script([PermanentDeliveryError("no_account", scope=ErrorScope.CONFIG)])
    recipient = await house.recipient(
        name=f"Ana {CANARY}",
        email=f"{CANARY}@example.org",
        attributes={"plan": CANARY},
        timezone="Europe/Berlin",
        devices=(Device(f"device-{CANARY}", f"token-{CANARY}", "ios"),),
    )
    notification = await house.send(
        id=f"{CANARY}-event",
        source=f"https://{CANARY}.example",
        type="security.new_login",
        recipient=recipient,
        cancelkey=f"{CANARY}-key",
        expirytime=(datetime.now(UTC) + timedelta(hours=1)).isoformat(),
        data={
            "device": CANARY,
            "location": CANARY,
            "signed_in_at": "2026-11-22T09:00:00Z",
            "review_url": f"https://acme.example/{CANARY}",
        },
    )

    async def are_all_stuck() -> bool:
        messages = await house.messages(notification)
        return len(messages) == len(Channel) and all(message.stuck_reason for message in messages)

    await until(are_all_stuck)
    await house.until_stuck(notification)
    handle = house.handle(notification)
    metadata = str(await handle.query("__temporal_workflow_metadata"))
    assert "A delivery is stuck" in metadata
    await handle.signal("retry")
    assert await house.result(notification) == "done"
    history = (await handle.fetch_history()).to_json()
    described = str((await handle.describe()).raw_description)
    for name, shown in {"history": history, "description": described, "details": metadata}.items():
        assert CANARY not in _readable(shown), name
        assert recipient not in _readable(shown), name
    assert CANARY in house.accepted(Channel.EMAIL, notification)[0].message.address


def _readable(text: str) -> str:
    """The text, and every payload in it decoded."""
    found = re.findall(r"[A-Za-z0-9+/]{8,}={0,2}", text)
    decoded = [
        base64.b64decode(each + "=" * (-len(each) % 4)).decode("latin-1") for each in found if len(each) % 4 != 1
    ]
    return "\n".join([text, *decoded])
