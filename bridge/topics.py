"""Topics, consumer groups, and which consumer reads what."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from notifications.events.topics import CAMPAIGNS, OUTCOMES, TOPICS, topic_for
from notifications.statuses import NotificationType

__all__ = ["CAMPAIGNS", "OUTCOMES", "TOPICS", "Subscription", "all_topics", "subscriptions", "topic_for"]

MOST_IN_FLIGHT = 400  # records read whose work has not ended
MOST_IN_FLIGHT_BULK = 50  # all groups share one process: a flood of offers must not keep it from what is urgent

URGENT_TYPES = (NotificationType.TRANSACTIONAL, NotificationType.ALERT, NotificationType.REMINDER)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One consumer of its own: what it reads never waits for what another one reads.

    `types` are, per topic, those that a record may have; the topic is paused while too many of any are not yet tried.
    """

    group: str
    types: Mapping[str, tuple[NotificationType, ...]]
    most_in_flight: int = MOST_IN_FLIGHT

    @property
    def topics(self) -> list[str]:
        return list(self.types)


def subscriptions(extra_topics: Collection[str] = ()) -> tuple[Subscription, ...]:
    """The consumers of a bridge; topics added in settings are read with the urgent ones.

    Raises:
        ValueError: an added topic is one of our own.

    """
    reserved = {*TOPICS.values(), CAMPAIGNS, OUTCOMES}
    taken = sorted(reserved.intersection(extra_topics))
    if taken:
        message = f"TIDINGS_TOPICS names {', '.join(taken)}, which the bridge reads or writes already: remove it"
        raise ValueError(message)
    own: dict[str, tuple[NotificationType, ...]] = {TOPICS[kind]: (kind,) for kind in URGENT_TYPES}
    added: dict[str, tuple[NotificationType, ...]] = dict.fromkeys(extra_topics, URGENT_TYPES)
    return (
        Subscription("tidings-urgent", own | added),
        Subscription(
            "tidings-promotional",
            {TOPICS[NotificationType.PROMOTIONAL]: (NotificationType.PROMOTIONAL,)},
            MOST_IN_FLIGHT_BULK,
        ),
        Subscription("tidings-campaigns", {CAMPAIGNS: ()}),
    )


def all_topics(extra_topics: Collection[str] = ()) -> tuple[str, ...]:
    """Every topic that must exist: those read, and that of the outcomes."""
    return (*(topic for one in subscriptions(extra_topics) for topic in one.topics), OUTCOMES)
