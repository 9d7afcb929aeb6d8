"""What intake leaves to be started, apart from intake itself: workers start notifications without reading events."""

from dataclasses import dataclass
from uuid import UUID

from notifications.statuses import NotificationType


@dataclass(frozen=True, slots=True)
class PendingStart:
    """A notification without an acknowledged start; holds what the start tells Temporal."""

    id: UUID
    type: NotificationType
    definition: str
    recipient_ref: str
