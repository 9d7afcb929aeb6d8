"""The console has a word for everything that a campaign can be, and its numbers add up."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console import words
from api.schemas.campaigns import CampaignAccount, CommandView
from notifications.campaigns.lifecycle import CommandName
from notifications.statuses import MessageStatus

AT = datetime(2027, 3, 1, 8, tzinfo=UTC)


def account(numbers: dict[MessageStatus, int]) -> CampaignAccount:
    in_flight = numbers.get(MessageStatus.SENDING, 0)
    total = sum(numbers.values())
    values = {"targeted": total, "recipients": total, "by_status": numbers, "skipped": {}, "in_flight": in_flight}
    return CampaignAccount.model_validate({"at": AT} | values)


def command(name: str, **changes: Any) -> CommandView:
    values = {"command": name, "by": "ana", "at": AT, "from_state": "running", "to_state": "running", "details": {}}
    return CommandView.model_validate(values | changes)


@given(st.dictionaries(st.sampled_from(MessageStatus), st.integers(0, 10**7)))
def test_every_status_is_counted_once(numbers: dict[MessageStatus, int]) -> None:
    given_account = account(numbers)
    assert sum(count.number for count in words.counts(given_account)) == given_account.targeted
    assert sum(number for _, number in words.answer_counts(given_account)) == given_account.targeted
    assert 0 <= words.percent_done(given_account) <= 100
    waiting = numbers.get(MessageStatus.PENDING, 0)
    shown = sum(width for _, _, width in words.bar(given_account))
    left = 100 * waiting / given_account.targeted if given_account.targeted else 100
    assert shown == pytest.approx(100 - left, abs=0.01)


def test_all_is_done_only_when_nothing_waits_and_no_call_is_under_way() -> None:
    assert words.percent_done(account({MessageStatus.SENT: 999, MessageStatus.PENDING: 1})) == 99
    assert words.percent_done(account({MessageStatus.SENT: 999, MessageStatus.SENDING: 1})) == 99
    assert words.percent_done(account({MessageStatus.SENT: 999, MessageStatus.FAILED: 1})) == 100
    assert words.percent_done(account({MessageStatus.SENT: 500, MessageStatus.CANCELLED: 500})) == 50
    assert words.percent_done(account({})) == words.percent_done(None) == 0


@pytest.mark.parametrize("name", CommandName)
def test_the_log_has_words_for_every_command(name: CommandName) -> None:
    (entry,) = words.log([command(name)])
    assert entry.by == "ana"
    assert len(entry.what.split()) > 1
    assert "_" not in entry.what


def test_the_log_is_newest_first_and_says_what_was_asked_for() -> None:
    asked = [
        command("launch", details={"at": "2027-03-01T10:00:00+01:00"}),
        command("start", by="temporal"),
        command("change_rate", by="api", details={"per_second": 2_500}),
        command("change_rate", details={"per_second": None}),
    ]
    assert [(entry.by, entry.what) for entry in words.log(asked)] == [
        ("ana", "changed the rate: as fast as the providers take it"),
        ("somebody with the API token", "changed the rate: at most 2,500 a second"),
        ("Tidings (Temporal)", "began to send"),
        ("ana", "launched it, for 1 Mar 2027, 09:00:00 UTC"),
    ]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"all": True}, "everybody"),
        ({"filter": {"field": "email", "op": "eq", "value": "ana@example.org"}}, "recipients by a filter"),
        ({"list": "l-1"}, "an uploaded list"),
        ({"recipients": ["cus_1"]}, "1 that were named"),
    ],
)
def test_the_audience_is_told_without_its_people(wanted: dict[str, Any], said: str) -> None:
    assert words.audience(wanted) == said
