"""Urgent and promotional records have consumers of their own."""

import pytest

from bridge.topics import all_topics, subscriptions


def test_each_class_has_its_group_and_added_topics_are_urgent() -> None:
    groups = {one.group: one.topics for one in subscriptions(["acme.events"])}
    assert groups == {
        "tidings-urgent": [
            "transactional.notifications",
            "alert.notifications",
            "reminder.notifications",
            "acme.events",
        ],
        "tidings-promotional": ["promotional.notifications"],
        "tidings-campaigns": ["campaigns"],
    }
    in_flight = {one.group: one.most_in_flight for one in subscriptions()}
    assert in_flight["tidings-promotional"] < in_flight["tidings-urgent"], "a flood of offers leaves the process free"
    assert all_topics()[-1] == "notifications.outcomes"


@pytest.mark.parametrize("topic", ["campaigns", "notifications.outcomes", "promotional.notifications"])
def test_our_own_topics_cannot_be_added(topic: str) -> None:
    with pytest.raises(ValueError, match=topic):
        subscriptions([topic])
