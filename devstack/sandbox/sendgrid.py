"""SendGrid's Web API v3: `POST /sendgrid/v3/mail/send`, `GET /sendgrid/v3/scopes`.

Any address that is one is a mailbox, as at SendGrid, which says only later that a mail bounced (sendgrid_events.py).
Of the body's fields those of a mail without a template are known; `sandbox_mode` answers 200 and keeps nothing.
"""

import re
import uuid
from functools import partial
from http import HTTPStatus
from typing import Any

from aiohttp import web

from devstack.sandbox.faults import ErrorKnob
from devstack.sandbox.gate import Refusal, parse_json
from devstack.sandbox.inbox import Accepted, Content, Inbox
from devstack.sandbox.mailbox import mail_content
from devstack.sandbox.receipts import ReceiptSender
from devstack.sandbox.sendgrid_events import EventWebhook, Mail
from devstack.sandbox.slots import Slots, read_slots

API_KEY = "SG.sandbox.sendgrid-key"  # the one that everybody may know
MAX_BYTES = 30_000_000
MAX_RECIPIENTS = 1000
MAX_CUSTOM_ARGS_BYTES = 10_000

_HELP = "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message."
_ADDRESS = re.compile(r"[\x21-\x3f\x41-\x7e]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_UNVERIFIED_SENDER = "unverified"
_RESERVED = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)
_TEXTS = {
    400: "Bad Request",
    401: "The provided authorization grant is invalid, expired, or revoked",
    403: "access forbidden",
    404: "not found",
    405: "method not allowed",
    413: "content too large",
    415: "Content-Type should be application/json.",
    429: "too many requests",
    500: "internal server error",
    503: "service not available",
}
_SENDER_TEXT = (
    "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved. "
    "Visit https://sendgrid.com/docs/for-developers/sending-email/sender-identity/ "
    "to see the Sender Identity requirements"
)


class SendGrid:
    name = "sendgrid"

    def __init__(self, inbox: Inbox, receipts: ReceiptSender) -> None:
        self._inbox = inbox
        self._receipts = receipts
        self._events = EventWebhook()

    def recipient_of(self, _request: web.Request, body: bytes) -> str | None:
        try:
            return str(parse_json(body)["personalizations"][0]["to"][0]["email"])
        except (ValueError, TypeError, LookupError):
            return None

    def handle(self, request: web.Request, body: bytes) -> web.Response:
        authenticate(request)
        mail = _mail(request, body)
        message_id = uuid.uuid4().hex[:22]
        if mail.get("mail_settings", {}).get("sandbox_mode") == {"enable": True}:
            return web.Response(status=HTTPStatus.OK)
        for personalization in mail["personalizations"]:
            for party in personalization["to"]:
                self._keep(mail, personalization, party, message_id, len(body))
        return web.Response(status=HTTPStatus.ACCEPTED, headers={"X-Message-Id": message_id})

    def _keep(
        self, mail: dict[str, Any], personalization: dict[str, Any], party: dict[str, Any], message_id: str, size: int
    ) -> None:
        slots = _slots(mail, personalization)
        self._inbox.add(
            Accepted(
                provider=self.name,
                channel="email",
                to=party["email"],
                key=slots.key,
                correlation=slots.correlation,
                provider_message_id=message_id,
                parse=lambda: _content(mail, personalization),
                size=size,
            )
        )
        of = Mail(
            address=party["email"],
            message_id=message_id,
            smtp_id=_header(mail, personalization, "message-id"),
            custom_args=_custom_args(mail, personalization),
        )
        self._receipts.report(self.name, partial(self._events.callback, of))

    def fault(self, knob: ErrorKnob) -> Refusal:
        status = knob.status or HTTPStatus.SERVICE_UNAVAILABLE
        return _refused(knob.message or _TEXTS.get(status, "error"), status=status)


class SendGridScopes:
    """`GET /sendgrid/v3/scopes`: what the key may do, without sending."""

    name = "sendgrid"

    def __init__(self, vendor: SendGrid) -> None:
        self.fault = vendor.fault

    def recipient_of(self, _request: web.Request, _body: bytes) -> str | None:
        return None

    def handle(self, request: web.Request, _body: bytes) -> web.Response:
        authenticate(request)
        return web.json_response({"scopes": ["mail.send", "sender_verification_eligible"]})


def authenticate(request: web.Request) -> None:
    """Raises Refusal: 401 for anything but the sandbox's key."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or key != API_KEY:
        raise _refused(_TEXTS[401], status=401)


def _mail(request: web.Request, body: bytes) -> dict[str, Any]:
    if request.content_type != "application/json":
        raise _refused(_TEXTS[415], status=415)
    if len(body) > MAX_BYTES:
        raise _refused(_TEXTS[413], status=413)
    try:
        mail = parse_json(body)
    except ValueError:
        mail = None
    if not isinstance(mail, dict):
        raise _refused(_TEXTS[400])
    for field, kind in _KINDS.items():
        if field in mail and not isinstance(mail[field], kind):
            raise _refused(f"Invalid type. Expected: {_KIND_NAMES[kind]}.", field)
    _check_recipients(mail.get("personalizations", []))
    _check_sender(mail)
    _check_text(mail)
    _check_headers(mail.get("headers", {}), "headers")
    return mail


_KIND_NAMES: dict[type, str] = {dict: "object", list: "array", str: "string"}
_KINDS: dict[str, type] = {
    "personalizations": list,
    "from": dict,
    "reply_to": dict,
    "subject": str,
    "content": list,
    "headers": dict,
    "custom_args": dict,
    "mail_settings": dict,
}


def _check_recipients(personalizations: list[Any]) -> None:
    if not personalizations:
        raise _refused(
            "The personalizations field is required and must have at least one personalization.", "personalizations"
        )
    for place, personalization in enumerate(personalizations):
        where = f"personalizations.{place}"
        if not isinstance(personalization, dict) or not isinstance(personalization.get("to"), list):
            text = "The to array is required for all personalization objects, and must have at least one email object."
            raise _refused(text, f"{where}.to")
        _check_parties(personalization["to"], f"{where}.to")
        _check_headers(personalization.get("headers", {}), f"{where}.headers")
        _check_custom_args(personalization.get("custom_args", {}), f"{where}.custom_args")
    addresses = [party["email"].casefold() for personalization in personalizations for party in personalization["to"]]
    if len(addresses) > MAX_RECIPIENTS:
        raise _refused("There is a limit of 1000 total recipients (to + cc + bcc) per request.", "personalizations")
    if len(set(addresses)) < len(addresses):
        text = "Each unique email address in the personalizations array should only be included once."
        raise _refused(text, "personalizations")


def _check_parties(parties: list[Any], where: str) -> None:
    if not parties:
        raise _refused("The to array must have at least one email object with a valid email address.", where)
    for place, party in enumerate(parties):
        if not _is_party(party):
            raise _refused("Does not contain a valid address.", f"{where}.{place}.email")


def _check_sender(mail: dict[str, Any]) -> None:
    if "from" not in mail:
        text = (
            "The from object must be provided for every email send. It is an object that requires the email parameter."
        )
        raise _refused(text, "from.email")
    if not _is_party(mail["from"]):
        raise _refused("The from email does not contain a valid address.", "from.email")
    if "reply_to" in mail and not _is_party(mail["reply_to"]):
        raise _refused("The reply_to email does not contain a valid address.", "reply_to.email")
    if mail["from"]["email"].startswith(_UNVERIFIED_SENDER):
        raise _refused(_SENDER_TEXT, "from", status=403)


def _is_party(party: Any) -> bool:
    return (
        isinstance(party, dict)
        and isinstance(party.get("email"), str)
        and isinstance(party.get("name", ""), str)
        and _ADDRESS.fullmatch(party["email"]) is not None
    )


def _check_text(mail: dict[str, Any]) -> None:
    if not mail.get("subject"):
        text = (
            "The subject is required. You can get around this requirement if you use a template with a subject defined."
        )
        raise _refused(text, "subject")
    if not mail.get("content"):
        text = "Unless a valid template_id is provided, the content parameter is required."
        raise _refused(text, "content")
    for place, part in enumerate(mail["content"]):
        value = part.get("value") if isinstance(part, dict) else None
        if not isinstance(value, str) or not value:
            raise _refused(
                "The content value must be a string at least one character in length.", f"content.{place}.value"
            )
    kinds = [part.get("type") for part in mail["content"]]
    if kinds not in (["text/plain"], ["text/html"], ["text/plain", "text/html"]):
        text = "If present, text/plain and text/html may only be provided once, text/plain first, then text/html."
        raise _refused(text, "content")


def _check_headers(headers: Any, where: str) -> None:
    if not isinstance(headers, dict):
        raise _refused("Invalid type. Expected: object.", where)
    for name, value in headers.items():
        if not isinstance(value, str) or not value.isascii() or "\n" in value or "\r" in value:
            raise _refused("Header values must be strings without line breaks, encoded where not ASCII.", where)
        if name.lower() in _RESERVED:
            raise _refused(f"{name} is a reserved header and cannot be set.", f"{where}.{name}")


def _check_custom_args(given: Any, where: str) -> None:
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise _refused("Each custom arg must be a string.", where)
    if len(str(given).encode()) > MAX_CUSTOM_ARGS_BYTES:
        raise _refused("The combined length of your custom arguments cannot exceed 10000 bytes per message.", where)


def _refused(text: str, field: str | None = None, *, status: int = 400) -> Refusal:
    page = f"{_HELP}{re.sub(r'[.][0-9]+', '', field)}" if field else None
    headers = (
        {"X-RateLimit-Limit": "600", "X-RateLimit-Remaining": "0"} if status == HTTPStatus.TOO_MANY_REQUESTS else {}
    )
    return Refusal(status, {"errors": [{"message": text, "field": field, "help": page}]}, headers)


def _slots(mail: dict[str, Any], personalization: dict[str, Any]) -> Slots:
    local_part = _header(mail, personalization, "message-id").strip("<>").rpartition("@")[0]
    return read_slots(*_custom_args(mail, personalization).values(), local_part)


def _custom_args(mail: dict[str, Any], personalization: dict[str, Any]) -> dict[str, str]:
    custom = {**mail.get("custom_args", {}), **personalization.get("custom_args", {})}
    return {name: str(value) for name, value in custom.items()}


def _header(mail: dict[str, Any], personalization: dict[str, Any], wanted: str) -> str:
    headers = {**mail.get("headers", {}), **personalization.get("headers", {})}
    return next((str(value) for name, value in headers.items() if name.lower() == wanted), "")


def _content(mail: dict[str, Any], personalization: dict[str, Any]) -> Content:
    headers = {**mail.get("headers", {}), **personalization.get("headers", {})}
    texts = {part["type"]: part["value"] for part in mail["content"]}
    shown = {
        "Subject": mail["subject"],
        "From": _shown(mail["from"]),
        "To": ", ".join(_shown(party) for party in personalization["to"]),
        **({"Reply-To": _shown(mail["reply_to"])} if "reply_to" in mail else {}),
        **headers,
    }
    return mail_content(shown, text=texts.get("text/plain"), html=texts.get("text/html"))


def _shown(party: dict[str, Any]) -> str:
    return f"{party['name']} <{party['email']}>" if party.get("name") else str(party["email"])
