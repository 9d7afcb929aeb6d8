"""Twilio: `POST /twilio/2010-04-01/Accounts/{sid}/Messages.json`, SMS and WhatsApp.

Any E.164 number but the test numbers (see the package; but for 20429 they are Twilio's own) is a phone. Unknown form
fields are ignored, as Twilio does. A WhatsApp text outside a template gets 63016 at once; Twilio says it by callback.
"""

import base64
import binascii
import json
import re
import uuid
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from devstack.sandbox.callbacks import twilio_callback
from devstack.sandbox.faults import ErrorKnob
from devstack.sandbox.gate import Refusal
from devstack.sandbox.inbox import Accepted, Content, Inbox
from devstack.sandbox.receipts import ReceiptSender
from devstack.sandbox.segments import count_segments, is_gsm_7
from devstack.sandbox.slots import Slots, read_slots

ACCOUNT_SID = "AC" + "5a" * 16
AUTH_TOKEN = "sandbox-twilio-token"  # noqa: S105 - the one that everybody may know
FROM_NUMBER = "+15005550006"
MESSAGING_SERVICE_SID = "MG" + "5a" * 16
MAX_BODY_CHARACTERS = 1600
MAX_VALIDITY_SECONDS = 36_000
IDEMPOTENCY_HEADER = "I-Twilio-Idempotency-Token"

_E164 = re.compile(r"^\+[1-9]\d{6,14}$")
_SENDER_NAME = re.compile(r"^(?=.*[A-Za-z])[A-Za-z0-9 _&+-]{1,11}$")
_CONTENT_SID = re.compile(r"^HX[0-9a-fA-F]{32}$")

_TO_NUMBERS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
    "+15005550029": 20429,
}
_FROM_NUMBERS = {"+15005550001": 21212, "+15005550007": 21606, "+15005550008": 21611}

# Twilio's code: (HTTP status, message)
_ERRORS: dict[int, tuple[int, str]] = {
    20001: (400, "Invalid parameter"),
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    20503: (503, "Service unavailable"),
    21211: (400, "Invalid 'To' Phone Number: {to}"),
    21212: (400, "Invalid From Number (caller ID): {sender}"),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: {to}"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' or 'MessagingServiceSid' is required to send a message."),
    21604: (400, "A 'To' phone number is required."),
    21606: (400, "The 'From' phone number {sender} is not a valid, message-capable Twilio phone number."),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "The 'To' phone number: {to}, is not currently reachable using the 'From' number: {sender} via SMS."),
    21614: (400, "'To' number: {to}, is not a valid mobile number"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit"),
    21655: (400, "The ContentSid is Invalid"),
    21656: (400, "The ContentVariables Parameter is invalid"),
    21701: (404, "The Messaging Service does not exist"),
    63016: (400, "Failed to send freeform message because you are outside the allowed window."),
}
_CODE_OF_STATUS = {401: 20003, 404: 20404, 429: 20429, 500: 20500, 503: 20503}


class Twilio:
    name = "twilio"

    def __init__(self, inbox: Inbox, receipts: ReceiptSender) -> None:
        self._inbox = inbox
        self._receipts = receipts
        self._blocked: set[str] = set()

    def block(self, number: str, *, until_start: bool) -> None:
        """A recipient wrote STOP, or START."""
        (self._blocked.add if until_start else self._blocked.discard)(number)

    def recipient_of(self, _request: web.Request, body: bytes) -> str | None:
        return _form(body).get("To", "").removeprefix("whatsapp:") or None

    def handle(self, request: web.Request, body: bytes) -> web.Response:
        authenticate(request)
        form = _form(body)
        _check_addresses(form)
        if form["To"] in self._blocked:
            raise _refused(21610)
        _check_content(form)
        sid = f"SM{uuid.uuid4().hex}"
        slots = _slots(request, form)
        self._inbox.add(
            Accepted(
                provider=self.name,
                channel="whatsapp" if form["To"].startswith("whatsapp:") else "sms",
                to=form["To"].removeprefix("whatsapp:"),
                key=slots.key,
                correlation=slots.correlation,
                provider_message_id=sid,
                parse=lambda: _content(form),
                size=len(body),
            )
        )
        self._receipts.report(self.name, partial(twilio_callback, form, sid, ACCOUNT_SID))
        return web.json_response(_created(sid, form), status=201)

    def fault(self, knob: ErrorKnob) -> Refusal:
        code = int(knob.code) if knob.code is not None else _CODE_OF_STATUS.get(knob.status or 503, 20500)
        status, text = _ERRORS.get(code, (400, "Error"))
        return _refusal(code, knob.status or status, knob.message or text)


class TwilioAccount:
    """`GET .../Accounts/{sid}.json`: whether the credentials are right, without sending."""

    name = "twilio"

    def __init__(self, vendor: Twilio) -> None:
        self.fault = vendor.fault

    def recipient_of(self, _request: web.Request, _body: bytes) -> str | None:
        return None

    def handle(self, request: web.Request, _body: bytes) -> web.Response:
        authenticate(request)
        return web.json_response({"sid": ACCOUNT_SID, "friendly_name": "Tidings sandbox", "status": "active"})


def authenticate(request: web.Request) -> None:
    """HTTP Basic, account SID and auth token.

    Raises:
        Refusal: 20003, as Twilio says it for every kind of wrong credentials.

    """
    scheme, _, encoded = request.headers.get("Authorization", "").partition(" ")
    try:
        given = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        given = ""
    right = f"{ACCOUNT_SID}:{AUTH_TOKEN}"
    if scheme.lower() != "basic" or given != right or request.match_info["sid"] != ACCOUNT_SID:
        raise _refused(20003)


def _form(body: bytes) -> dict[str, str]:
    return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))


def _check_addresses(form: dict[str, str]) -> None:
    to, sender = form.get("To", ""), form.get("From", "")
    number, sender_number = to.removeprefix("whatsapp:"), sender.removeprefix("whatsapp:")
    if not to:
        raise _refused(21604)
    if not _E164.match(number):
        raise _refused(21211, to=to)
    service = form.get("MessagingServiceSid")
    if not sender and not service:
        raise _refused(21603)
    if service and service != MESSAGING_SERVICE_SID:
        raise _refused(21701)
    if sender and not _E164.match(sender_number) and not _SENDER_NAME.match(sender):
        raise _refused(21212, sender=sender)
    code = _FROM_NUMBERS.get(sender_number) or _TO_NUMBERS.get(number)
    if code is None and to.startswith("whatsapp:") != sender.startswith("whatsapp:") and not service:
        code = 21612
    if code is not None:
        raise _refused(code, to=to, sender=sender)


def _check_content(form: dict[str, str]) -> None:
    _check_options(form)
    template = form.get("ContentSid")
    if template:
        _check_template(template, form.get("ContentVariables", "{}"))
    elif not form.get("Body") and not form.get("MediaUrl"):
        raise _refused(21602)
    elif form["To"].startswith("whatsapp:"):
        raise _refused(63016)
    elif len(form.get("Body", "")) > MAX_BODY_CHARACTERS:
        raise _refused(21617)


def _check_options(form: dict[str, str]) -> None:
    validity = form.get("ValidityPeriod")
    if validity is not None and not (validity.isdecimal() and 1 <= int(validity) <= MAX_VALIDITY_SECONDS):
        raise _refused(20001)
    callback = urlsplit(form.get("StatusCallback", "https://unset.example"))
    if callback.scheme not in ("http", "https") or not callback.netloc:
        raise _refused(21609)


def _check_template(content_sid: str, variables: str) -> None:
    if not _CONTENT_SID.match(content_sid):
        raise _refused(21655)
    try:
        valid = isinstance(json.loads(variables), dict)
    except (ValueError, RecursionError):
        valid = False
    if not valid:
        raise _refused(21656)


def _refused(code: int, *, to: str = "", sender: str = "") -> Refusal:
    status, text = _ERRORS[code]
    return _refusal(code, status, text.format(to=to, sender=sender))


def _refusal(code: int, status: int, text: str) -> Refusal:
    more = f"https://www.twilio.com/docs/errors/{code}"
    return Refusal(status, {"code": code, "message": text, "more_info": more, "status": status})


def _slots(request: web.Request, form: dict[str, str]) -> Slots:
    callback = parse_qsl(urlsplit(form.get("StatusCallback", "")).query)
    return read_slots(request.headers.get(IDEMPOTENCY_HEADER), *(value for _, value in callback))


def _content(form: dict[str, str]) -> Content:
    if form.get("ContentSid"):
        variables = json.loads(form.get("ContentVariables", "{}"))
        return {"template": form["ContentSid"], "parameters": [str(value) for value in variables.values()]}
    body = form.get("Body", "")
    return {
        "body": body,
        "segments": count_segments(body),
        "encoding": "GSM-7" if is_gsm_7(body) else "UCS-2",
        "from": form.get("From") or form.get("MessagingServiceSid"),
        "status_callback": form.get("StatusCallback"),
        "validity_period": form.get("ValidityPeriod"),
    }


def _created(sid: str, form: dict[str, str]) -> dict[str, Any]:
    now = format_datetime(datetime.now(UTC))
    service = form.get("MessagingServiceSid")
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{sid}"
    return {
        "account_sid": ACCOUNT_SID,
        "api_version": "2010-04-01",
        "body": form.get("Body", ""),
        "date_created": now,
        "date_sent": None,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": None if service else form.get("From"),
        "messaging_service_sid": service,
        "num_media": "0",
        "num_segments": "0" if service else str(count_segments(form.get("Body", ""))),
        "price": None,
        "price_unit": None,
        "sid": sid,
        "status": "accepted" if service else "queued",
        "subresource_uris": {"media": f"{path}/Media.json"},
        "to": form["To"],
        "uri": f"{path}.json",
    }
