"""The account of the pulled plug says what does not add up, and only that."""

from typing import Any

import pytest

from devstack.demo.account import Account


def account(**changes: Any) -> Account:
    good: dict[str, Any] = {
        "events": 1,
        "expected": 2,
        "unfinished": [],
        "ledger": {"a": "sent", "b": "sent"},
        "inbox": {"a": 2, "b": 1},
        "accepted": 3,
        "repeated": 1,
        "in_flight": frozenset("a"),
        "seconds": 1.0,
    }
    return Account(**(good | changes))


def test_a_duplicate_that_was_in_flight_is_as_promised() -> None:
    assert account().problems == []
    document = account().document()
    assert document["ok"] is True
    assert document["inbox"] == {"accepted": 3, "distinct": 2, "duplicates": 1}
    assert (document["ledger"], document["lost"], document["in_flight_at_the_kill"]) == ({"sent": 2}, [], 1)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"unfinished": ["pay-1"]}, "1 events have no finished notification"),
        ({"expected": 4}, "2 messages are not in the ledger"),
        ({"inbox": {"a": 2}, "accepted": 2}, "1 messages are lost"),
        ({"ledger": {"a": "sent", "b": "failed"}}, "messages did not end as sent: {'failed': 1}"),
        ({"inbox": {"a": 2, "b": 1, "c": 1}, "accepted": 4}, "the inbox holds messages that the ledger does not know"),
        ({"accepted": 4}, "the inbox's counters and its messages differ"),
        ({"in_flight": frozenset("b")}, "messages came twice whose calls were not in flight"),
        ({"inbox": {"a": 3, "b": 1}, "accepted": 4}, "2 duplicates are more than calls in flight"),
    ],
)
def test_what_does_not_add_up_is_said(changes: dict[str, Any], problem: str) -> None:
    assert problem in account(**changes).problems
    assert account(**changes).document()["ok"] is False
