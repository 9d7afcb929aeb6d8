"""Stuck messages released in bulk, through real workflows: each delivered once, however often it is asked for."""

from collections import Counter

from api.collaborators import CommandName
from api.stuck_releases import ReleaseOutcome, StuckReleases
from api.temporal_workflows import TemporalWorkflows
from notifications.providers.base import ErrorScope, PermanentDeliveryError
from notifications.queries.stuck import StuckFilter, StuckMessage, find_stuck
from notifications.statuses import Channel
from tests.support.integration import House


async def stuck_messages(house: House, count: int) -> list[StuckMessage]:
    wrong = [PermanentDeliveryError("twilio_20003", scope=ErrorScope.CONFIG) for _ in range(count)]
    house.providers[Channel.SMS].script(wrong)
    sent = [
        await house.send(recipient=await house.recipient(), type="auth.otp", data={"code": "482915"})
        for _ in range(count)
    ]
    for notification in sent:
        await house.until_stuck(notification)
    wanted = StuckFilter(definition="auth.otp", channel=Channel.SMS)
    return [one async for one in find_stuck(house.sessions, wanted) if one.notification_id in sent]


async def outcomes(house: House, messages: list[StuckMessage], name: CommandName) -> Counter[ReleaseOutcome]:
    releases = StuckReleases(TemporalWorkflows(house.client)).release(messages, name)
    return Counter([one.outcome async for one in releases])


async def test_retry_delivers_each_once(house: House) -> None:
    messages = await stuck_messages(house, 3)
    assert {one.stuck_reason for one in messages} == {"twilio_20003"}
    assert await outcomes(house, messages, CommandName.RETRY) == {ReleaseOutcome.DONE: 3}
    for one in messages:
        assert await house.result(one.notification_id) == "done"
    again = await outcomes(house, messages, CommandName.RETRY)
    assert again.total() == 3
    assert ReleaseOutcome.DONE not in again
    assert [len(house.accepted(Channel.SMS, one.notification_id)) for one in messages] == [1, 1, 1]


async def test_skip_gives_up(house: House) -> None:
    messages = await stuck_messages(house, 2)
    assert await outcomes(house, messages, CommandName.SKIP) == {ReleaseOutcome.DONE: 2}
    for one in messages:
        assert await house.result(one.notification_id) == "skipped"
        assert not house.accepted(Channel.SMS, one.notification_id)
