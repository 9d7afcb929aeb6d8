"""Meta's webhooks: https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components#statuses-object

Signed by https://developers.facebook.com/docs/graph-api/webhooks/getting-started#validate-payloads. The time of the
request is not signed; a repeat is recognised by its receipt id, and the ranks of statuses make it change nothing.
"""

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from notifications.providers.base import ErrorScope
from notifications.providers.receipts import (
    ForgedError,
    ReceiptEvent,
    SuppressReason,
    UnreadableError,
    UnsignedError,
    WebhookRequest,
    read_correlation,
    read_id,
)
from notifications.providers.verdicts import Verdict
from notifications.statuses import MessageStatus

SIGNATURE_HEADER = "x-hub-signature-256"

# `failed` is told apart by its code: a recipient that cannot be reached bounced.
STATUSES = {
    "sent": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "read": MessageStatus.OPENED,
    "played": MessageStatus.OPENED,
    "failed": MessageStatus.FAILED,
}
STOPPED_MARKETING = 131050


def sign(app_secret: str, body: bytes) -> str:
    """The header's value, over the bytes as they are sent."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def verify(app_secret: str, request: WebhookRequest) -> None:
    """Compare the signature of the raw body.

    Raises:
        WebhookError: it is missing or wrong.

    """
    given = request.headers.get(SIGNATURE_HEADER, "")
    if not given:
        raise UnsignedError("there is no X-Hub-Signature-256")
    if not hmac.compare_digest(given.encode(), sign(app_secret, request.body).encode()):
        raise ForgedError("X-Hub-Signature-256 is wrong: check TIDINGS_META__APP_SECRET")


def challenge(verify_token: str, query: Mapping[str, str]) -> str:
    """The word to answer a subscription with.

    Raises:
        WebhookError: the question is not of somebody who knows the token.

    """
    is_ours = hmac.compare_digest(query.get("hub.verify_token", "").encode(), verify_token.encode())
    if query.get("hub.mode") != "subscribe" or not is_ours:
        raise ForgedError("hub.mode is not subscribe, or hub.verify_token is not TIDINGS_META__VERIFY_TOKEN")
    return query.get("hub.challenge", "")


def read(request: WebhookRequest, codes: Mapping[int, Verdict]) -> list[ReceiptEvent]:
    """The receipts in a verified body; what recipients write to us is left out.

    Raises:
        UnreadableError: it is not JSON.

    """
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise UnreadableError("the body is not a JSON object")
    found = (_receipt(status, request.received_at, codes) for status in _statuses(document))
    return [receipt for receipt in found if receipt is not None]


def _statuses(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for entry in _objects(document.get("entry")):
        for change in _objects(entry.get("changes")):
            value = change.get("value")
            yield from _objects(value.get("statuses") if isinstance(value, dict) else None)


def _objects(found: object) -> list[Mapping[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _receipt(given: Mapping[str, Any], received_at: datetime, codes: Mapping[int, Verdict]) -> ReceiptEvent | None:
    word, wamid = given.get("status"), read_id(given.get("id"))
    status = STATUSES.get(word) if isinstance(word, str) else None
    if status is None or wamid is None:
        return None
    code = next((error.get("code") for error in _objects(given.get("errors"))), None)
    code = code if isinstance(code, int) and status is MessageStatus.FAILED else None
    verdict = codes.get(code) if code is not None else None
    if verdict is not None and verdict.scope is ErrorScope.RECIPIENT:
        status = MessageStatus.BOUNCED
    slot = given.get("biz_opaque_callback_data")
    return ReceiptEvent(
        provider="meta",
        receipt_id=f"{wamid}:{word}:{code or ''}",
        provider_message_id=wamid,
        correlation=read_correlation(slot.partition(" ")[0]) if isinstance(slot, str) else None,
        status=status,
        occurred_at=_instant(given.get("timestamp"), received_at),
        reason=f"meta_{code or word}" if word == "failed" else None,
        suppress=_suppression(code, verdict),
        details={"status": str(word)} | ({"code": code} if code is not None else {}),
    )


def _suppression(code: int | None, verdict: Verdict | None) -> SuppressReason | None:
    if code == STOPPED_MARKETING:
        return SuppressReason.OPTED_OUT
    return SuppressReason.HARD_BOUNCE if verdict is not None and verdict.disable_address else None


def _instant(timestamp: object, received_at: datetime) -> datetime:
    """Meta's seconds since the epoch, a string; the moment of its arrival where that makes no sense."""
    try:
        return min(datetime.fromtimestamp(int(str(timestamp)), UTC), received_at)
    except (ValueError, OverflowError, OSError):
        return received_at
