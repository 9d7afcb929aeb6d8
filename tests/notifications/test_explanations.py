import pytest

from activities.batches import CATEGORY_GONE
from notifications.explanations import (
    explain_attempt,
    explain_campaign,
    explain_message,
    explain_notification,
    explain_reason,
    explain_skip,
)
from notifications.statuses import AttemptOutcome, MessageStatus, NotificationStatus, SkipReason
from workflows.campaign import SHARD_FAILED


@pytest.mark.parametrize("reason", list(SkipReason))
def test_every_skip_reason_has_a_sentence(reason: SkipReason) -> None:
    assert explain_skip(reason).endswith(".")
    assert len(explain_skip(reason)) > 30


@pytest.mark.parametrize("status", list(MessageStatus))
def test_every_message_status_has_a_sentence(status: MessageStatus) -> None:
    assert explain_message(status, None, None, has_turn=True)


@pytest.mark.parametrize("status", list(NotificationStatus))
def test_every_notification_status_has_a_sentence(status: NotificationStatus) -> None:
    assert explain_notification(status, started=True).endswith(".")


@pytest.mark.parametrize("outcome", list(AttemptOutcome))
def test_every_attempt_outcome_has_a_sentence(outcome: AttemptOutcome) -> None:
    assert explain_attempt(outcome).endswith(".")


def test_words_of_a_newer_version_are_shown_as_they_are() -> None:
    assert "moonphase" in explain_skip("moonphase")
    assert explain_attempt("moonphase") == "moonphase"
    assert explain_reason("smtp_550") == "smtp_550"


@pytest.mark.parametrize("reason", ["operator", SHARD_FAILED, CATEGORY_GONE, "breaker_open"])
def test_what_is_no_providers_code_is_not_called_one(reason: str) -> None:
    assert "answered" not in explain_campaign(reason)
    assert explain_campaign("smtp_535") == "its provider answered smtp_535"


def test_a_stuck_message_says_what_to_do() -> None:
    words = explain_message(MessageStatus.PENDING, "smtp_535", "smtp_535", has_turn=True)
    assert "smtp_535" in words
    assert "retry" in words


def test_a_notification_that_has_not_begun_says_so() -> None:
    assert "not begun" in explain_notification(NotificationStatus.RUNNING, started=False)
