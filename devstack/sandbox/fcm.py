"""FCM HTTP v1: `POST /fcm/v1/projects/{project}/messages:send`.

Any token but the test tokens (see the package) is a device. The error bodies follow
firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode.
"""

import json
import re
import uuid
from typing import Any

from aiohttp import web

from devstack.sandbox.faults import ErrorKnob
from devstack.sandbox.fcm_fields import FieldError, read_fields
from devstack.sandbox.gate import Refusal, parse_json
from devstack.sandbox.google_oauth import PROJECT_ID, ServiceAccount
from devstack.sandbox.inbox import Accepted, Content, Inbox
from devstack.sandbox.slots import Slots, read_slots

MAX_PAYLOAD_BYTES = 4096
MAX_TOPIC_PAYLOAD_BYTES = 2048
MAX_TTL_SECONDS = 2_419_200

_TARGETS = ("fid", "token", "topic", "condition")
_RESERVED_DATA = re.compile(r"^(from|message_type|google.*|gcm.*)$")
_TTL = re.compile(r"^(\d+)(\.\d{1,9})?s$")
_LABEL = re.compile(r"^[a-zA-Z0-9\-_.~%]{1,50}$")
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

# FCM's code: (HTTP status, google.rpc status, message)
_ERRORS: dict[str, tuple[int, str, str]] = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Messages sent per minute'."),
    "UNAVAILABLE": (503, "UNAVAILABLE", "The service is currently unavailable."),
    "INTERNAL": (500, "INTERNAL", "Internal error encountered."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
}
_CODE_OF_STATUS = {status: code for code, (status, _, _) in _ERRORS.items()}
_TEST_TOKENS = {
    "dead-": "UNREGISTERED",
    "foreign-": "SENDER_ID_MISMATCH",
    "apns-auth-": "THIRD_PARTY_AUTH_ERROR",
    "busy-": "QUOTA_EXCEEDED",
}


class Fcm:
    name = "fcm"

    def __init__(self, inbox: Inbox, account: ServiceAccount) -> None:
        self._inbox = inbox
        self._account = account

    def recipient_of(self, _request: web.Request, body: bytes) -> str | None:
        try:
            message = parse_json(body)["message"]
            return next((str(message[target]) for target in _TARGETS if message.get(target)), None)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def handle(self, request: web.Request, body: bytes) -> web.Response:
        self._authenticate(request)
        if request.match_info["project"] != PROJECT_ID:
            resource = f"//cloudresourcemanager.googleapis.com/projects/{request.match_info['project']}"
            text = f"Permission 'cloudmessaging.messages.create' denied on resource '{resource}' (or it may not exist)."
            raise _refused(403, "PERMISSION_DENIED", text)
        fields = _fields(body)
        message = fields["message"]
        to = _target(message)
        _check(message)
        _refuse_test_tokens(to)
        name = f"projects/{PROJECT_ID}/messages/0:{uuid.uuid4().hex}"
        if not fields.get("validateOnly"):
            slots = _slots(message)
            self._inbox.add(
                Accepted(
                    provider=self.name,
                    channel="push",
                    to=to,
                    key=slots.key,
                    correlation=slots.correlation,
                    provider_message_id=name,
                    parse=lambda: _content(message),
                    size=len(body),
                )
            )
        return web.json_response({"name": name})

    def fault(self, knob: ErrorKnob) -> Refusal:
        known = _CODE_OF_STATUS.get(knob.status or 503, "UNAVAILABLE" if (knob.status or 503) >= 500 else "")  # noqa: PLR2004 - HTTP
        code = str(knob.code or known)
        status, rpc_status, text = _ERRORS.get(code, (knob.status or 400, "UNKNOWN", "Error."))
        return _refused(knob.status or status, rpc_status, knob.message or text, fcm_code=code or None)

    def _authenticate(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            text = "Request is missing required authentication credential. Expected OAuth 2 access token."
            raise _refused(401, "UNAUTHENTICATED", text)
        if not self._account.accepts(token):
            text = "Request had invalid authentication credentials. Expected OAuth 2 access token."
            raise _refused(401, "UNAUTHENTICATED", text)


def _fields(body: bytes) -> dict[str, Any]:
    try:
        document = parse_json(body)
    except ValueError:
        raise _refused(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected token.") from None
    try:
        fields: dict[str, Any] = read_fields(document)
    except FieldError as error:
        raise _violation(error.field, str(error)) from None
    if "message" not in fields:
        raise _violation("message", "Message is not set.")
    return fields


def _target(message: dict[str, Any]) -> str:
    targets = [target for target in _TARGETS if message.get(target)]
    if not targets:
        raise _violation("message", "Recipient of the message is not set.")
    if len(targets) > 1:
        text = f"Invalid value at 'message' (oneof), oneof field 'target' is already set. Cannot set '{targets[1]}'"
        raise _violation("message", text)
    return str(message[targets[0]])


def _check(message: dict[str, Any]) -> None:
    for key in message.get("data", {}):
        if _RESERVED_DATA.match(key):
            raise _violation("message.data", f"Invalid data payload key: {key}")
    ttl = message.get("android", {}).get("ttl")
    matched = _TTL.match(ttl) if ttl is not None else None
    if ttl is not None and (matched is None or int(matched.group(1)) > MAX_TTL_SECONDS):
        raise _violation("message.android.ttl", "Invalid value: the time to live must be 0s to 2419200s")
    if "android" in message and "androidV2" in message:
        raise _violation("message", "Only one of android and android_v2 may be set.")
    label = message.get("fcmOptions", {}).get("analyticsLabel")
    if label is not None and not _LABEL.match(label):
        raise _violation("message.fcm_options.analytics_label", "Invalid analytics label")
    limit = MAX_TOPIC_PAYLOAD_BYTES if "topic" in message or "condition" in message else MAX_PAYLOAD_BYTES
    if _payload_bytes(message) > limit:
        raise _refused(400, "INVALID_ARGUMENT", "Android message is too big", fcm_code="INVALID_ARGUMENT")


def _payload_bytes(message: dict[str, Any]) -> int:
    """What counts is the content; how and to whom it is sent is free."""
    payload: dict[str, Any] = {name: message[name] for name in ("notification", "data") if name in message}
    if "data" in message.get("android", {}):
        payload["android"] = message["android"]["data"]
    return len(json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace"))


def _refuse_test_tokens(to: str) -> None:
    for prefix, code in _TEST_TOKENS.items():
        if to.startswith(prefix):
            status, rpc_status, text = _ERRORS[code]
            headers = {"Retry-After": "60"} if status == 429 else {}  # noqa: PLR2004 - HTTP
            raise _refused(status, rpc_status, text, fcm_code=code, headers=headers)
    if to.startswith("invalid-"):
        text = "The registration token is not a valid FCM registration token"
        raise _violation("message.token", text)


def _violation(field: str, text: str) -> Refusal:
    details = [{"@type": _BAD_REQUEST, "fieldViolations": [{"field": field, "description": text}]}]
    return _refused(400, "INVALID_ARGUMENT", text, fcm_code="INVALID_ARGUMENT", details=details)


def _refused(
    status: int,
    rpc_status: str,
    text: str,
    *,
    fcm_code: str | None = None,
    details: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Refusal:
    error: dict[str, Any] = {"code": status, "message": text, "status": rpc_status}
    all_details = [{"@type": _FCM_ERROR, "errorCode": fcm_code}] if fcm_code else []
    all_details += details or []
    if all_details:
        error["details"] = all_details
    return Refusal(status, {"error": error}, headers)


def _slots(message: dict[str, Any]) -> Slots:
    data = message.get("data", {})
    ours = [value for key, value in data.items() if key.startswith("tidings") or key in ("message_id", "key")]
    return read_slots(*ours, message.get("fcmOptions", {}).get("analyticsLabel"))


def _content(message: dict[str, Any]) -> Content:
    notification = message.get("notification", {})
    data = message.get("data", {})
    link = message.get("webpush", {}).get("fcmOptions", {}).get("link") or data.get("link")
    return {
        "title": notification.get("title"),
        "body": notification.get("body"),
        "image": notification.get("image"),
        "link": link,
        "data": data,
        "message": message,
    }
