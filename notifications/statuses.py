"""The closed vocabularies. Each word here appears as itself in the database, the API, the events and the docs."""

from enum import StrEnum


class NotificationType(StrEnum):
    """Decides urgency, consent, quiet hours and what happens when an answer is lost."""

    TRANSACTIONAL = "transactional"  # at once; ignores marketing consent; resends on a lost answer
    PROMOTIONAL = "promotional"  # needs consent; never resends on a lost answer
    ALERT = "alert"  # before everything else, on all channels
    REMINDER = "reminder"  # relative to a due time, cancellable by key


class Channel(StrEnum):
    PUSH = "push"
    EMAIL = "email"
    SMS = "sms"
    WHATSAPP = "whatsapp"


class RoutingMode(StrEnum):
    ALL = "all"  # every channel, in parallel
    FALLBACK = "fallback"  # the next channel when this one ends failed, bounced or skipped


class DuplicatePolicy(StrEnum):
    """What to do when a provider was called and its answer is lost."""

    AT_LEAST_ONCE = "at_least_once"  # send again under the same key
    AT_MOST_ONCE = "at_most_once"  # end as `unknown`


class MessageStatus(StrEnum):
    PENDING = "pending"  # waits for `due_at`; with a `stuck_reason` it waits for an operator
    SENDING = "sending"  # claimed by a try
    SENT = "sent"  # accepted by the provider
    DELIVERED = "delivered"
    OPENED = "opened"
    CLICKED = "clicked"
    FAILED = "failed"
    BOUNCED = "bounced"
    SKIPPED = "skipped"  # never sent, for the recorded reason
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"  # called, answer lost; a receipt may still settle it

    @property
    def is_open(self) -> bool:
        """Whether a try may still send the message."""
        return self in {MessageStatus.PENDING, MessageStatus.SENDING}


# A later report never lowers a status: it applies only where its rank is higher. Failed and bounced are the last word
# only until a delivery is reported.
RANKS = {
    MessageStatus.PENDING: 0,
    MessageStatus.SENDING: 0,
    MessageStatus.CANCELLED: 1,
    MessageStatus.SKIPPED: 1,
    MessageStatus.UNKNOWN: 2,
    MessageStatus.SENT: 3,
    MessageStatus.FAILED: 4,
    MessageStatus.BOUNCED: 4,
    MessageStatus.DELIVERED: 5,
    MessageStatus.OPENED: 6,
    MessageStatus.CLICKED: 7,
}

ACCEPTED = frozenset({MessageStatus.SENT, MessageStatus.DELIVERED, MessageStatus.OPENED, MessageStatus.CLICKED})


class NotificationStatus(StrEnum):
    SCHEDULED = "scheduled"
    RUNNING = "running"
    STUCK = "stuck"
    DONE = "done"  # a message was accepted, or is unknown
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # at least one message was skipped as expired
    SKIPPED = "skipped"

    @property
    def is_final(self) -> bool:
        return self not in {NotificationStatus.SCHEDULED, NotificationStatus.RUNNING, NotificationStatus.STUCK}


class CampaignState(StrEnum):
    """draft → scheduled → preparing → running ⇄ paused → completed | cancelled | failed."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"  # launched for a later time; nothing is prepared yet
    PREPARING = "preparing"  # its recipients are written down; then it waits for `starts_at`
    RUNNING = "running"  # its time has come, and it is sent
    PAUSED = "paused"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        return self in {CampaignState.COMPLETED, CampaignState.CANCELLED, CampaignState.FAILED}


class SkipReason(StrEnum):
    """Why a message was never sent. `explain` puts each into words (notifications/explanations.py)."""

    OPTED_OUT = "opted_out"
    SUPPRESSED = "suppressed"
    NO_ADDRESS = "no_address"
    UNKNOWN_RECIPIENT = "unknown_recipient"
    INVALID_ADDRESS = "invalid_address"
    CAPPED = "capped"
    EXPIRED = "expired"
    REPLANNED = "replanned"  # a later plan no longer wants it
    NOT_NEEDED = "not_needed"  # an earlier channel of a fallback was accepted
    OPERATOR = "operator"  # given up by an operator's `skip`
    REROUTED = "rerouted"  # an operator's `reroute` moved the delivery to another channel


class AttemptOutcome(StrEnum):
    """How one provider call ended; one row of `attempts` each."""

    ACCEPTED = "accepted"
    TRANSIENT = "transient"  # definitely not accepted, worth another try
    UNKNOWN = "unknown"  # may have been accepted
    REJECTED_RECIPIENT = "rejected_recipient"  # this address will never work
    REJECTED_MESSAGE = "rejected_message"  # this content will never work
    REJECTED_CONFIG = "rejected_config"  # our account, credentials or sender are wrong
    RENDER_ERROR = "render_error"  # the template failed; no call was made


class ImportFormat(StrEnum):
    CSV = "csv"
    NDJSON = "ndjson"


class ImportState(StrEnum):
    """uploading → waiting → running → completed, or cancelled at any time before."""

    UPLOADING = "uploading"  # also one that broke off: it can be continued
    WAITING = "waiting"  # whole; nothing is written yet
    RUNNING = "running"
    COMPLETED = "completed"
    CANCELLED = "cancelled"  # what is written stays

    @property
    def is_final(self) -> bool:
        return self in {ImportState.COMPLETED, ImportState.CANCELLED}
