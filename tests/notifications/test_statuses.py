"""The closed vocabularies agree with one another, in Python and in SQL."""

import pytest

from notifications.database import Sessions, execute
from notifications.queries.ledger import _RANK
from notifications.statuses import ACCEPTED, RANKS, MessageStatus, NotificationStatus


def test_every_status_has_a_rank():
    assert set(RANKS) == set(MessageStatus)


@pytest.mark.parametrize("status", MessageStatus)
async def test_postgres_ranks_as_python_does(sessions: Sessions, status: MessageStatus):
    async with sessions() as session:
        found = await execute(session, "SELECT " + _RANK.format("CAST(:status AS text)"), {"status": status})
        assert found.scalar_one() == RANKS[status]


def test_a_later_report_only_raises():
    order = ["pending", "skipped", "unknown", "sent", "failed", "delivered", "opened", "clicked"]
    ranks = [RANKS[MessageStatus(status)] for status in order]
    assert ranks == sorted(set(ranks))
    assert RANKS[MessageStatus.FAILED] == RANKS[MessageStatus.BOUNCED]


def test_only_open_messages_may_be_sent_and_only_they_rank_lowest():
    assert {status for status in MessageStatus if status.is_open} == {
        status for status, rank in RANKS.items() if rank == 0
    }


def test_what_was_accepted_is_not_open():
    assert all(RANKS[status] >= RANKS[MessageStatus.SENT] and not status.is_open for status in ACCEPTED)


def test_a_notification_has_five_ends():
    ends = {status for status in NotificationStatus if status.is_final}
    assert ends == {"done", "failed", "cancelled", "expired", "skipped"}
