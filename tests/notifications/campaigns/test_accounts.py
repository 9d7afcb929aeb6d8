"""The account adds up at every instant, whatever other connections do to the messages meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.campaigns.accounts import Account, count
from notifications.database import Sessions, execute, transaction
from notifications.statuses import MessageStatus, SkipReason
from notifications.tables import Campaign
from tests.support.campaign_messages import insert_with_messages
from tests.support.campaigns import messages_of

MESSAGES = 40
_MOVE = """
UPDATE messages SET status = :after, reason = :reason
WHERE origin_id = :campaign AND seq IN (
    SELECT seq FROM messages WHERE origin_id = :campaign AND status = :before
    ORDER BY seq LIMIT :rows FOR UPDATE SKIP LOCKED)
"""
Step = tuple[str, str, str | None, int]  # status before and after, reason, at most how many rows


def steps() -> st.SearchStrategy[Step]:
    """Any change there is, and some there should not be: the account judges none."""
    after = st.sampled_from([(status, None) for status in MessageStatus if status is not MessageStatus.SKIPPED])
    skipped = st.sampled_from([(MessageStatus.SKIPPED, reason) for reason in SkipReason])
    often = st.just(MessageStatus.PENDING) | st.sampled_from(MessageStatus)
    return st.builds(
        lambda before, end, rows: (str(before), str(end[0]), end[1], rows), often, after | skipped, st.integers(1, 9)
    )


async def carry_out(sessions: Sessions, campaign: UUID, transactions: Sequence[Sequence[Step]]) -> None:
    for moves in transactions:
        async with transaction(sessions) as session:
            for before, after, reason, rows in moves:
                values = {"before": before, "after": after, "reason": reason, "rows": rows}
                await execute(session, _MOVE, {"campaign": campaign} | values)


async def cancel(sessions: Sessions, campaign: UUID) -> None:
    async with transaction(sessions) as session:
        (await session.get_one(Campaign, campaign)).cancelled_at = datetime.now(UTC)


def check(account: Account) -> None:
    assert account.targeted == MESSAGES == sum(account.by_status.values())
    assert sum(account.skipped.values()) == account.of(MessageStatus.SKIPPED)
    assert set(account.by_status) <= set(MessageStatus)
    known = account.waiting + account.in_flight + account.accepted
    ends = ("failed", "skipped", "cancelled", "unknown")
    assert known + sum(account.of(MessageStatus(end)) for end in ends) == MESSAGES


async def in_python(sessions: Sessions, campaign: UUID, *, cancelled: bool) -> Account:
    rows = await messages_of(sessions, campaign)
    statuses = Counter("cancelled" if cancelled and row.status == "pending" else row.status for row in rows)
    by_status = {MessageStatus(status): number for status, number in statuses.items()}
    skipped = Counter(row.reason for row in rows if row.status == "skipped" and row.reason is not None)
    return Account(datetime.now(UTC), by_status, skipped)


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    writers=st.lists(st.lists(st.lists(steps(), min_size=1, max_size=3), max_size=8), min_size=1, max_size=3),
    is_cancelled=st.booleans(),
)
async def test_it_adds_up_while_others_change_the_messages(
    sessions: Sessions, *, writers: list[list[list[Step]]], is_cancelled: bool
) -> None:
    campaign = await insert_with_messages(sessions, ["pending"] * MESSAGES)
    works = [carry_out(sessions, campaign, transactions) for transactions in writers]
    work = asyncio.gather(*works, *([cancel(sessions, campaign)] if is_cancelled else []))
    while not work.done():
        check(await count(sessions, campaign))
    await work
    account = await count(sessions, campaign)
    check(account)
    expected = await in_python(sessions, campaign, cancelled=is_cancelled)
    assert (account.by_status, account.skipped) == (expected.by_status, expected.skipped)
    if is_cancelled:
        assert account.waiting == 0
