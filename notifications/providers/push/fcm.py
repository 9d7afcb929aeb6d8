"""Firebase Cloud Messaging, HTTP v1: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages/send"""

import time
from datetime import timedelta
from typing import Any
from uuid import UUID

from notifications.providers import verdicts
from notifications.providers.base import (
    ErrorScope,
    OutgoingMessage,
    PermanentDeliveryError,
    PushContent,
    Receipt,
    UnknownOutcome,
)
from notifications.providers.http import Answer, HttpClient, encode_json
from notifications.providers.push.google_token import GoogleToken
from notifications.settings import FcmSettings
from notifications.statuses import Channel

# https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode (FcmError), https://cloud.google.com/apis/design/errors
CODES = {
    "UNREGISTERED": verdicts.recipient("the app was removed from the device, or the token has expired", disable=True),
    "SENDER_ID_MISMATCH": verdicts.recipient("the token belongs to another Firebase project", disable=True),
    "INVALID_ARGUMENT": verdicts.message("the message has a field that FCM does not take"),
    "QUOTA_EXCEEDED": verdicts.transient("the sending limit is reached", retry_after=timedelta(minutes=1)),
    "RESOURCE_EXHAUSTED": verdicts.transient("the sending limit is reached", retry_after=timedelta(minutes=1)),
    "UNAVAILABLE": verdicts.transient("FCM is overloaded", outage=True),
    "INTERNAL": verdicts.transient("FCM failed inside", outage=True),
    "THIRD_PARTY_AUTH_ERROR": verdicts.config("the APNs certificate or Web Push key in Firebase is missing or wrong"),
    "APNS_AUTH_ERROR": verdicts.config("the APNs certificate in Firebase is missing or wrong"),
    "UNAUTHENTICATED": verdicts.config("Google refused the service account's access token"),
    "PERMISSION_DENIED": verdicts.config("the service account may not send for this project"),
}
BAD_TOKEN = verdicts.recipient("not a valid registration token", disable=True)
TOKEN_FIELDS = frozenset({"message.token", "message.fid"})

MAX_PAYLOAD_BYTES = 4096
MAX_TTL = timedelta(seconds=2_419_200)
RESERVED_KEYS = frozenset({"from", "message_type"})
RESERVED_PREFIXES = ("google", "gcm", "tidings_")


class FcmProvider:
    """One Firebase project. The idempotency key is `data.tidings_message_id`, the correlation
    `data.tidings_correlation` (analytics labels are limited to 100 a day); a repeat replaces the first on the device.
    """

    name = "fcm"
    channel = Channel.PUSH

    def __init__(self, settings: FcmSettings) -> None:
        self._http = HttpClient(self.name, timeout_seconds=settings.timeout_seconds)
        self._timeout = settings.timeout_seconds
        self._token = GoogleToken(settings, self._http)
        self._url = f"{settings.base_url.rstrip('/')}/v1/projects/{self._token.project_id}/messages:send"

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        body = encode_json({"message": build_message(message, idempotency_key)})
        answer = await self._post(body, deadline)
        if answer.status == 401 and "FcmError" not in answer.body.decode("utf-8", "replace"):  # noqa: PLR2004 - HTTP
            # Google may revoke a token before its time: one more try with a new one, nothing was processed.
            self._token.forget()
            answer = await self._post(body, deadline)
        return _receipt(answer)

    async def check(self) -> None:
        await self._token.get(time.monotonic() + self._timeout)

    async def close(self) -> None:
        await self._http.close()

    async def _post(self, body: bytes, deadline: float) -> Answer:
        token = await self._token.get(deadline)
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self._http.request("POST", self._url, deadline=deadline, headers=headers, body=body)


def build_message(message: OutgoingMessage, idempotency_key: UUID) -> dict[str, Any]:
    """The `message` object of a send.

    Raises:
        PermanentDeliveryError: a reserved data key, or too large (checked here: FCM's own answer is the same for all
            bad arguments).

    """
    content = message.content
    if not isinstance(content, PushContent):
        raise PermanentDeliveryError("fcm_wrong_content", "FCM sends push content only", scope=ErrorScope.MESSAGE)
    data = _data(content, message.correlation, idempotency_key)
    payload = {"notification": {"title": content.title, "body": content.body}, "data": data}
    size = len(encode_json(payload))
    if size > MAX_PAYLOAD_BYTES:
        detail = f"title, body and data take {size} bytes of {MAX_PAYLOAD_BYTES}: shorten the template"
        raise PermanentDeliveryError("fcm_too_large", detail, scope=ErrorScope.MESSAGE)
    key = str(idempotency_key)
    web_options = {"fcmOptions": {"link": content.link}} if (content.link or "").startswith("https://") else {}
    document = {
        "token": message.address,
        **payload,
        "android": {"notification": {"tag": key}},
        "apns": {"headers": {"apns-collapse-id": key}},
        "webpush": {"headers": {"Topic": idempotency_key.hex}, **web_options},
    }
    if message.ttl is not None:
        _limit_life(document, int(min(max(message.ttl, timedelta()), MAX_TTL).total_seconds()))
    return document


def _limit_life(document: dict[str, Any], seconds: int) -> None:
    """Each platform has its own spelling of how long an undelivered push is kept."""
    document["android"]["ttl"] = f"{seconds}s"
    document["apns"]["headers"]["apns-expiration"] = str(int(time.time()) + seconds)
    document["webpush"]["headers"]["TTL"] = str(seconds)


def _data(content: PushContent, correlation: str, idempotency_key: UUID) -> dict[str, str]:
    reserved = sorted(key for key in content.data if key in RESERVED_KEYS or key.startswith(RESERVED_PREFIXES))
    if reserved:
        detail = f"push data may not use the reserved key {reserved[0]!r}: rename it in the template"
        raise PermanentDeliveryError("fcm_reserved_key", detail, scope=ErrorScope.MESSAGE)
    link = {"link": content.link} if content.link else {}
    ours = {"tidings_message_id": str(idempotency_key), "tidings_correlation": correlation}
    return {**link, **content.data, **ours}


def _receipt(answer: Answer) -> Receipt:
    document = answer.document()
    if answer.status == 200:  # noqa: PLR2004 - HTTP
        name = document.get("name")
        if isinstance(name, str):
            return Receipt(name)
        raise UnknownOutcome("fcm_bad_answer", "FCM answered 200 without the message's name")
    error = document.get("error")
    details = error.get("details") if isinstance(error, dict) else None
    items = [item for item in details if isinstance(item, dict)] if isinstance(details, list) else []
    code = next((item["errorCode"] for item in items if isinstance(item.get("errorCode"), str)), None)
    if code is None and isinstance(error, dict) and answer.status not in {404, 500}:
        code = error.get("status")
    if code == "INVALID_ARGUMENT" and _names_token(items, error):
        raise BAD_TOKEN.error("fcm_invalid_token")
    verdict = CODES.get(str(code)) or verdicts.by_status(answer.status)
    word = str(code).lower() if str(code) in CODES else f"http_{answer.status}"
    raise verdict.error(f"fcm_{word}", retry_after=answer.retry_after)


def _names_token(details: list[dict[str, Any]], error: Any) -> bool:
    """Whether a bad argument is the address itself: FCM names its field, or says so in its text."""
    violations = (v for item in details for v in item.get("fieldViolations", ()) if isinstance(v, dict))
    text = str(error.get("message", "")) if isinstance(error, dict) else ""
    return any(v.get("field") in TOKEN_FIELDS for v in violations) or "not a valid FCM registration token" in text
