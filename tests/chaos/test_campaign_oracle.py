"""What the oracle of campaigns lets pass and what it does not."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from tests.chaos.campaign_load import PEOPLE, REACHED
from tests.chaos.campaign_oracle import judge_row, judge_snapshot
from tests.chaos.oracle import Account

STRUCK = datetime(2026, 11, 23, 12, tzinfo=UTC)
FAULT = STRUCK, STRUCK + timedelta(seconds=20)


def row(**fields: Any) -> dict[str, Any]:
    return {
        "origin_id": uuid4(),
        "seq": 1,
        "recipient_id": "crowd-00001",
        "channel": "sms",
        "status": "sent",
        "reason": None,
        "stuck_reason": None,
        "duplicates": "at_least_once",
        "claimed_at": STRUCK,
        "answers_lost": 1,
    } | fields


def judged(fields: dict[str, Any], *copies: datetime) -> Account:
    account = Account(events=2)
    judge_row(account, row(**fields), copies, FAULT)
    return account


def test_a_copy_of_a_call_that_was_under_way_at_the_fault_is_allowed():
    account = judged({}, STRUCK + timedelta(seconds=1), STRUCK + timedelta(minutes=1))
    assert (account.duplicates, account.wrong) == (1, [])


@pytest.mark.parametrize("first", [-60, 60])
def test_a_copy_of_any_other_call_is_not(first: int):
    copies = [STRUCK + timedelta(seconds=first), STRUCK + timedelta(minutes=3)]
    (wrong,) = judged({}, *copies).wrong
    assert "not under way at the fault" in wrong


def test_unknown_is_what_was_claimed_at_the_fault_and_nothing_else():
    fields = {"status": "unknown", "duplicates": "at_most_once"}
    assert judged(fields).wrong == []
    later = fields | {"claimed_at": STRUCK + timedelta(minutes=1)}
    (wrong,) = judged(later).wrong
    assert "not at the fault" in wrong


def test_who_has_no_address_is_skipped_and_gets_nothing():
    fields = {"status": "skipped", "reason": "no_address"}
    assert judged(fields).wrong == []
    assert judged(fields, STRUCK).wrong


def crowd() -> list[dict[str, Any]]:
    return [
        row(seq=number, recipient_id=f"crowd-{number}", reason=None if number <= REACHED else "no_address")
        for number in range(1, PEOPLE + 1)
    ]


def snapshot(rows: list[dict[str, Any]]) -> Account:
    account = Account(events=2)
    judge_snapshot(account, "offers", rows)
    return account


def test_a_snapshot_has_each_of_the_crowd_once():
    assert snapshot(crowd()).wrong == []


def test_a_gap_and_a_double_of_the_snapshot_are_found():
    without = snapshot(crowd()[:-1])
    assert (without.lost, len(without.wrong)) == (1, 1)
    twice = crowd()
    twice[-1]["recipient_id"] = twice[-2]["recipient_id"]
    assert snapshot(twice).wrong
