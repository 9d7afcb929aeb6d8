"""An address that a provider called dead is not used again."""

from datetime import UTC, datetime

import pytest

from notifications.consent import load_consent
from notifications.database import Sessions
from notifications.dead_addresses import DeadAddresses
from notifications.ledger import Ledger, Try
from notifications.queries.recipients import list_devices
from notifications.statuses import Channel
from tests.support.planning import HASH_KEY, definition_of, insert_notification, plans_for, profile_of, refer


@pytest.mark.parametrize("channel", [Channel.PUSH, Channel.EMAIL])
async def test_a_dead_address_is_planned_no_more(sessions: Sessions, channel: Channel):
    recipient_id = f"cus-dead-{channel}"
    profile = profile_of(recipient_id, tokens=[f"dead-{channel}", f"alive-{channel}"])
    origin = await insert_notification(sessions, definition_of(channel), profile=profile)
    await plans_for(sessions).make(origin, 1)
    tries = [Try(origin, seq, 1, datetime.now(UTC), "vendor") for seq in (1, 2)]
    claims = await Ledger(sessions, process="worker").claim(tries)
    dead = next(claim for claim in claims if claim.address in {f"dead-{channel}", profile.email})
    for _ in range(2):
        await DeadAddresses(sessions, hash_key=HASH_KEY).condemn(dead, provider="vendor")
    assert dead.address is not None
    ref = refer(channel, dead.address)
    async with sessions() as session:
        assert (await load_consent(session, None, [ref])).suppressions == {(ref, channel, "all")}
        devices = await list_devices(session, recipient_id)
    enabled = {device.token for device in devices if device.disabled_at is None}
    assert (f"dead-{channel}" in enabled) == (channel is not Channel.PUSH)
    assert f"alive-{channel}" in enabled
