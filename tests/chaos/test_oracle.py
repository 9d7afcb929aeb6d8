"""What the oracle lets pass and what it does not."""

from typing import Any

import pytest

from tests.chaos.oracle import Account, judge
from tests.chaos.row import Row
from tests.chaos.table import markdown


def judged(copies: int, **fields: Any) -> Account:
    row = {
        "origin_id": "event",
        "seq": 1,
        "channel": "email",
        "status": "sent",
        "reason": None,
        "stuck_reason": None,
        "duplicates": "at_least_once",
        "answers_lost": 0,
    }
    account = Account(events=1)
    judge(account, row | fields, copies)
    return account


def test_what_arrived_once_is_well():
    assert judged(1).wrong == []


@pytest.mark.parametrize("status", ["sent", "sending", "pending", "unknown"])
def test_what_never_arrived_is_lost(status: str):
    account = judged(0, status=status)
    assert account.lost == 1
    assert account.wrong


def test_an_unknown_one_that_may_not_be_sent_again_is_not_lost():
    account = judged(0, status="unknown", duplicates="at_most_once")
    assert (account.lost, account.unknown, account.wrong) == (0, 1, [])


def test_a_duplicate_needs_a_lost_answer():
    assert judged(2, answers_lost=1).wrong == []
    silent = judged(2)
    assert (silent.duplicates, silent.forbidden) == (1, 1)
    assert silent.wrong


def test_a_duplicate_of_at_most_once_is_never_allowed():
    account = judged(2, duplicates="at_most_once", answers_lost=1)
    assert account.forbidden == 1
    assert account.wrong


@pytest.mark.parametrize("fields", [{"status": "failed"}, {"status": "pending", "stuck_reason": "smtp_421"}])
def test_giving_up_is_wrong_where_every_fault_passes(fields: dict[str, str]):
    account = judged(0, **fields)
    assert account.unsent == 1
    assert account.lost == 0
    assert account.wrong


def row(*, recovered: float | None) -> Row:
    return Row(fault="worker-kill", seed=1, account=judged(1), recovered=recovered, bound=35, last="event", seconds=20)


def test_a_late_recovery_is_wrong():
    assert row(recovered=34).wrong == []
    assert "allowed are 35 s" in row(recovered=36).wrong[0]
    assert "not settled" in row(recovered=None).wrong[0]


def test_the_table_of_the_docs_sums_up_the_seeds_and_shows_the_slowest_recovery():
    assert markdown([row(recovered=3), row(recovered=12.5)]).splitlines()[2:] == [
        "| worker-kill | 2 | 2 | 0 | 0 | 0 | 0 | 0 | 0 | 12.5 of 35 |"
    ]
