"""Statuses and reasons in words: what happened, and what to do. The API and `explain` say the same sentence."""

from collections.abc import Mapping

from notifications.statuses import AttemptOutcome, MessageStatus, NotificationStatus, SkipReason

SKIP_REASONS: Mapping[SkipReason, str] = {
    SkipReason.OPTED_OUT: (
        "The recipient has not agreed to this category on this channel. Nothing to mend: the next one goes out once "
        "they opt in."
    ),
    SkipReason.SUPPRESSED: (
        "The address is suppressed after a bounce, a complaint, a STOP or by hand. "
        "Look at GET /v1/suppressions, and lift it only if the address works again."
    ),
    SkipReason.NO_ADDRESS: (
        "The recipient has no address for this channel. Add the e-mail, phone or device to the profile."
    ),
    SkipReason.UNKNOWN_RECIPIENT: (
        "No profile has this recipient id. Create it with PUT /v1/recipients/{id}, or mend the id in the event."
    ),
    SkipReason.INVALID_ADDRESS: (
        "The recipient's address for this channel is not a valid one. Correct it in the profile."
    ),
    SkipReason.CAPPED: "The recipient has received as many messages of this kind as the cap allows. Nothing to mend.",
    SkipReason.EXPIRED: (
        "It expired before it could be tried. Send events earlier, or raise `expirytime` or the definition's "
        "expire_after; if many expire, look for a paused provider or a missing worker."
    ),
    SkipReason.REPLANNED: (
        "A later plan, made when the wait ended, no longer wanted this address. Its newer messages stand beside it."
    ),
    SkipReason.NOT_NEEDED: "An earlier channel of this fallback was accepted (or delivered), so this was not needed.",
    SkipReason.OPERATOR: "An operator gave it up with `skip`.",
    SkipReason.REROUTED: "An operator moved the delivery to another channel; its message stands beside this one.",
}

MESSAGE_STATUSES: Mapping[MessageStatus, str] = {
    MessageStatus.PENDING: "It waits to be sent.",
    MessageStatus.SENDING: "A worker is calling the provider now.",
    MessageStatus.SENT: "The provider accepted it.",
    MessageStatus.DELIVERED: "The provider reports it as delivered.",
    MessageStatus.OPENED: "The recipient opened it.",
    MessageStatus.CLICKED: "The recipient followed a link in it.",
    MessageStatus.FAILED: "It could not be delivered.",
    MessageStatus.BOUNCED: "The provider accepted it, then reported that the address does not take it.",
    MessageStatus.SKIPPED: "It was not sent.",
    MessageStatus.CANCELLED: "It was cancelled before it was sent.",
    MessageStatus.UNKNOWN: (
        "The provider was called and its answer was lost, so it may or may not have been delivered. A late receipt "
        'may still settle it; `retry` with {"accept_duplicate": true} sends it again, at the risk of a second copy.'
    ),
}

NOTIFICATION_STATUSES: Mapping[NotificationStatus, str] = {
    NotificationStatus.SCHEDULED: "It waits for its time.",
    NotificationStatus.RUNNING: "It is being planned or sent.",
    NotificationStatus.STUCK: "A delivery waits for an operator: retry, reroute or skip it before it expires.",
    NotificationStatus.DONE: "At least one message was accepted, or its answer was lost.",
    NotificationStatus.FAILED: "No message could be delivered.",
    NotificationStatus.CANCELLED: "It was cancelled before anything was sent.",
    NotificationStatus.EXPIRED: "It expired before anything could be sent.",
    NotificationStatus.SKIPPED: "Nothing was sent, for the reasons given with its messages.",
}

ATTEMPT_OUTCOMES: Mapping[AttemptOutcome, str] = {
    AttemptOutcome.ACCEPTED: "The provider accepted it.",
    AttemptOutcome.TRANSIENT: "The provider did not accept it for now; another try may work.",
    AttemptOutcome.UNKNOWN: "The provider may have accepted it: its answer was lost.",
    AttemptOutcome.REJECTED_RECIPIENT: "The provider refuses this address for good.",
    AttemptOutcome.REJECTED_MESSAGE: "The provider refuses this content for good.",
    AttemptOutcome.REJECTED_CONFIG: "The provider refuses our account, credentials or sender: mend the settings.",
    AttemptOutcome.RENDER_ERROR: "The template failed, so no call was made: mend it, apply it and retry.",
}

# The ledger's own words for a failed, stuck or cancelled message; any other word is a provider's code.
REASONS: Mapping[str, str] = {
    "answer_lost": "the provider was called and its answer was lost",
    "render_error": "the template failed: mend it, apply it, and a retry takes the newest version",
    "expired": "it expired before it could be delivered",
    "cancelled": "it was cancelled",
    "provider_paused": "an operator paused its provider",
    "breaker_open": "its provider failed too often in a row and was not called any more",
}
# Why a campaign is paused or was given up; any other word is one of REASONS, or a provider's code.
CAMPAIGN_REASONS: Mapping[str, str] = {
    "operator": "somebody sent the signal `pause` in the Temporal UI",
    "shard_failed": (
        "a part of its work broke off five times in a row; the last of its shards' workflows in the Temporal UI "
        "says why"
    ),
    "category_gone": "its category is gone: put it back into categories.yaml, and apply the catalogue",
    "unknown_audience": "the list that it was for is gone",
    "not_ready": "its template or its category was taken out of the catalogue before it was prepared",
    "prepare_failed": "writing down who gets it broke off; its workflow in the Temporal UI says why",
}
HOLDS: Mapping[str, str] = {
    "provider_paused": (
        "It waits: an operator paused its provider. It goes on within 5 minutes of "
        "`python -m tidings providers resume NAME`."
    ),
    "breaker_open": (
        "It waits: its provider failed too often in a row, so it is only probed now and then until it works again."
    ),
}
WAITS_FOR_TURN = "It waits for its turn: an earlier channel is tried first."
WAITS_FOR_RECEIPT = (
    "It waits: an earlier channel was accepted, and is given the definition's wait_for_receipt to be reported as "
    "delivered. If it is not, this one is sent."
)

LOST_ATTEMPT = "No answer was recorded: the worker ended while the provider was being called, so nobody knows."
STUCK_ADVICE = "Mend the cause, then `retry`; or `reroute` it to another channel, or give it up with `skip`."
NOT_STARTED = "It is stored and its workflow has not begun yet."
NOT_SEEN = (
    "No event with this source and id has arrived. Check both texts, the topic and the broker's address; one that was "
    "sent a moment ago may still be on its way (the bridge's lag is in its metrics). A cancel that was carried out is "
    "not kept under its own id: look at what it cancels."
)
LAUNCHED = "It launched a campaign: whom it reaches, and why not the others, is in the campaign's account."
REJECTED = "The event itself is wrong, so it was set aside and nothing was sent."


def explain_skip(reason: str | None) -> str:
    """The sentence for a skip's reason; a word from a newer version is shown as it is."""
    if reason is None:
        return MESSAGE_STATUSES[MessageStatus.SKIPPED]
    try:
        return SKIP_REASONS[SkipReason(reason)]
    except ValueError:
        return f"It was not sent: {reason}."


def explain_stuck(reason: str, provider: str | None) -> str:
    """Why a message waits for an operator: the ledger's own word, or what the provider answered last."""
    return REASONS.get(reason) or f"{provider or 'the provider'} answered {reason}, and no further try is left"


def explain_campaign(reason: str) -> str:
    """Why a campaign is paused or was given up, inside a sentence."""
    return CAMPAIGN_REASONS.get(reason) or REASONS.get(reason) or f"its provider answered {reason}"


def explain_reason(reason: str) -> str:
    """A reason inside a sentence; a provider's code stands as it is."""
    return REASONS.get(reason, reason)


def explain_message(
    status: MessageStatus,
    reason: str | None,
    stuck_reason: str | None,
    *,
    has_turn: bool,
    after_accepted: bool = False,
) -> str:
    """One message in words.

    `has_turn` says that no earlier channel of a fallback comes first, `after_accepted` that one was accepted.
    """
    if status is MessageStatus.PENDING and stuck_reason is not None:
        return f"It is stuck: {explain_reason(stuck_reason)}. {STUCK_ADVICE}"
    if status is MessageStatus.PENDING and not has_turn:
        return WAITS_FOR_RECEIPT if after_accepted else WAITS_FOR_TURN
    if status is MessageStatus.PENDING and reason is not None and reason in HOLDS:
        return HOLDS[reason]
    if status is MessageStatus.SKIPPED:
        return explain_skip(reason)
    sentence = MESSAGE_STATUSES[status]
    if reason is not None and status in {MessageStatus.FAILED, MessageStatus.BOUNCED}:
        return f"{sentence} Reason: {explain_reason(reason)}."
    return sentence


def explain_notification(status: NotificationStatus, *, started: bool) -> str:
    """A notification in words; `started` says whether its workflow's start was acknowledged."""
    if not started and not status.is_final:
        return NOT_STARTED
    return NOTIFICATION_STATUSES[status]


def explain_attempt(outcome: str) -> str:
    try:
        return ATTEMPT_OUTCOMES[AttemptOutcome(outcome)]
    except ValueError:
        return outcome
