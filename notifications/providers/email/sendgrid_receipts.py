"""SendGrid's event webhook: https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event

Signed as in https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features:
ECDSA P-256 with SHA-256 over the timestamp's header and the raw body.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from notifications.providers.receipts import (
    ForgedError,
    NotConfiguredError,
    ReceiptEvent,
    StaleError,
    SuppressReason,
    UnreadableError,
    UnsignedError,
    WebhookRequest,
    read_correlation,
    read_id,
)
from notifications.statuses import MessageStatus

SIGNATURE_HEADER = "x-twilio-email-event-webhook-signature"
TIMESTAMP_HEADER = "x-twilio-email-event-webhook-timestamp"
FRESH = timedelta(minutes=10)  # either way, for clocks that differ

# Those that are left out (processed, deferred, group_resubscribe) say nothing about where the message stands.
STATUSES = {
    "delivered": MessageStatus.DELIVERED,
    "open": MessageStatus.OPENED,
    "click": MessageStatus.CLICKED,
    "bounce": MessageStatus.BOUNCED,
    "dropped": MessageStatus.FAILED,
    "spamreport": MessageStatus.DELIVERED,
    "unsubscribe": MessageStatus.DELIVERED,
    "group_unsubscribe": MessageStatus.DELIVERED,
}
_SUPPRESSIONS = {
    "spamreport": SuppressReason.COMPLAINT,
    "unsubscribe": SuppressReason.OPTED_OUT,
    "group_unsubscribe": SuppressReason.OPTED_OUT,
}
_NEGATIVE = {MessageStatus.BOUNCED, MessageStatus.FAILED}
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_EPOCH = re.compile(r"[0-9]{1,11}")


def verify(public_key: str, request: WebhookRequest) -> None:
    """Check the signature, then that it was made now.

    Raises:
        WebhookError: it is missing, wrong or old, or `public_key` is not what SendGrid's settings show.

    """
    signature, timestamp = request.headers.get(SIGNATURE_HEADER, ""), request.headers.get(TIMESTAMP_HEADER, "")
    if not signature or not timestamp:
        raise UnsignedError("there is no X-Twilio-Email-Event-Webhook-Signature with its Timestamp")
    key = _key(public_key)
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + request.body, ec.ECDSA(SHA256()))
    except (InvalidSignature, ValueError):
        is_right = False
    else:
        is_right = _EPOCH.fullmatch(timestamp) is not None
    if not is_right:
        raise ForgedError("the signature is wrong: check TIDINGS_SENDGRID__WEBHOOK_PUBLIC_KEY")
    if abs(request.received_at.timestamp() - int(timestamp)) > FRESH.total_seconds():
        raise StaleError(f"it was signed more than {FRESH.total_seconds() / 60:g} minutes from now")


def read(request: WebhookRequest) -> list[ReceiptEvent]:
    """The receipts in a verified body.

    Raises:
        UnreadableError: it is no JSON array.

    """
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, list):
        raise UnreadableError("the body is not a JSON array")
    found = (_receipt(event, request.received_at) for event in document if isinstance(event, dict))
    return [receipt for receipt in found if receipt is not None]


def _receipt(event: Mapping[str, Any], received_at: datetime) -> ReceiptEvent | None:
    word, event_id = event.get("event"), read_id(event.get("sg_event_id"))
    status = STATUSES.get(word) if isinstance(word, str) else None
    if status is None or event_id is None:
        return None
    if event.get("sg_machine_open") is True:
        status = MessageStatus.DELIVERED  # fetched by a mail service, not by a person
    is_blocked = word == "bounce" and event.get("type") == "blocked"  # soft: the same address may work tomorrow
    is_dead = word == "bounce" and not is_blocked
    code = event.get("status")
    detail = code if isinstance(code, str) and _ENHANCED.fullmatch(code) else "blocked" if is_blocked else word
    message_id = read_id(event.get("sg_message_id"))
    correlation = event.get("tidings_correlation")
    return ReceiptEvent(
        provider="sendgrid",
        receipt_id=event_id,
        provider_message_id=message_id.partition(".")[0] if message_id else None,  # as X-Message-Id said it
        correlation=read_correlation(correlation) if isinstance(correlation, str) else None,
        status=status,
        occurred_at=_instant(event.get("timestamp"), received_at),
        reason=f"sendgrid_{detail}" if status in _NEGATIVE else None,
        suppress=SuppressReason.HARD_BOUNCE if is_dead else _SUPPRESSIONS.get(str(word)),
        details={"status": str(word)},
    )


def _key(public_key: str) -> ec.EllipticCurvePublicKey:
    try:
        key = load_der_public_key(base64.b64decode(public_key, validate=True))
    except (ValueError, binascii.Error):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise NotConfiguredError("TIDINGS_SENDGRID__WEBHOOK_PUBLIC_KEY is not the key that SendGrid shows")
    return key


def _instant(timestamp: object, received_at: datetime) -> datetime:
    try:
        return min(datetime.fromtimestamp(int(str(timestamp)), UTC), received_at)
    except (ValueError, OverflowError, OSError):
        return received_at
