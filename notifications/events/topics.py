"""Which topic carries which type."""

from collections.abc import Mapping

from notifications.statuses import NotificationType

CAMPAIGNS = "campaigns"
OUTCOMES = "notifications.outcomes"
TOPICS: Mapping[NotificationType, str] = {kind: f"{kind}.notifications" for kind in NotificationType}
_TYPES = {topic: kind for kind, topic in TOPICS.items()}


def topic_for(notification_type: NotificationType) -> str:
    return TOPICS[notification_type]


def may_carry(topic: str, notification_type: NotificationType) -> bool:
    """A topic added in settings may carry any type but promotional, which has a consumer of its own."""
    expected = _TYPES.get(topic)
    if expected is not None:
        return expected is notification_type
    return topic != CAMPAIGNS and notification_type is not NotificationType.PROMOTIONAL
