"""Twilio's status callbacks and incoming messages: https://www.twilio.com/docs/messaging/guides/track-outbound-message-status

Signed by https://www.twilio.com/docs/usage/security#validating-requests. No time is signed, so a repeat cannot be told
from the first: it is recognised by its receipt id, and the ranks of statuses make it change nothing.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlsplit

from notifications.providers.receipts import (
    ForgedError,
    ReceiptEvent,
    Reply,
    SuppressReason,
    UnreadableError,
    UnsignedError,
    WebhookRequest,
    read_correlation,
    read_id,
)
from notifications.providers.verdicts import Verdict
from notifications.statuses import Channel, MessageStatus

SIGNATURE_HEADER = "x-twilio-signature"

# Those that are left out (accepted, scheduled, queued, sending) say nothing that the answer to the send did not.
STATUSES = {
    "sent": MessageStatus.SENT,
    "delivered": MessageStatus.DELIVERED,
    "partially_delivered": MessageStatus.DELIVERED,
    "read": MessageStatus.OPENED,
    "undelivered": MessageStatus.BOUNCED,
    "failed": MessageStatus.FAILED,
    "canceled": MessageStatus.FAILED,
}
_NEGATIVE = {MessageStatus.BOUNCED, MessageStatus.FAILED}
_DEFAULT_PORTS = {"https": 443, "http": 80}
_MAX_FIELDS = 200
_STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
_START = frozenset({"START", "YES", "UNSTOP"})
_AROUND_A_WORD = " \t\r\n.,!?'\""
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")

Fields = list[tuple[str, str]]


def sign(auth_token: str, url: str, fields: Iterable[tuple[str, str]] = ()) -> str:
    """The header's value: each value of each field once, both sorted."""
    text = url + "".join(name + value for name, value in sorted(set(fields)))
    digest = hmac.new(auth_token.encode(), text.encode("utf-8", "replace"), hashlib.sha1).digest()
    return base64.b64encode(digest).decode()


def verify(auth_token: str, request: WebhookRequest, urls: Iterable[str]) -> Fields:
    """The form's fields, once the signature over one of `urls` and them is right.

    Raises:
        WebhookError: it is not, or the body is no form.

    """
    given = request.headers.get(SIGNATURE_HEADER, "")
    if not given:
        raise UnsignedError("there is no X-Twilio-Signature")
    fields = _fields(request.body)
    body_hash = dict(parse_qsl(urlsplit(request.url).query)).get("bodySHA256")
    signed = fields
    if body_hash is not None:
        signed = []
        if not _equal(body_hash, hashlib.sha256(request.body).hexdigest()):
            raise ForgedError("bodySHA256 is not that of the body")
    candidates = [candidate for url in urls for candidate in _port_variants(url)]
    if not any(_equal(given, sign(auth_token, url, signed)) for url in candidates):
        raise ForgedError("X-Twilio-Signature is wrong: check the auth token, and that TIDINGS_PUBLIC_URL is right")
    return fields


def read(request: WebhookRequest, fields: Fields, codes: Mapping[int, Verdict]) -> list[ReceiptEvent]:
    """The receipt that a callback's fields are, if they are one."""
    form = dict(fields)
    word = form.get("MessageStatus", "")
    status, sid = STATUSES.get(word), read_id(form.get("MessageSid"))
    if status is None or sid is None:
        return []
    text = form.get("ErrorCode", "")
    code = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None  # noqa: PLR2004 - digits
    verdict = codes.get(code) if code is not None else None
    return [
        ReceiptEvent(
            provider="twilio",
            receipt_id=f"{sid}:{word}:{code or ''}",
            provider_message_id=sid,
            correlation=read_correlation(dict(parse_qsl(urlsplit(request.url).query)).get("correlation")),
            status=status,
            occurred_at=request.received_at,
            reason=f"twilio_{code or word}" if status in _NEGATIVE else None,
            suppress=_suppression(verdict) if status in _NEGATIVE else None,
            details={"status": word} | ({"code": code} if code is not None else {}),
        )
    ]


def _suppression(verdict: Verdict | None) -> SuppressReason | None:
    if verdict is not None and verdict.opted_out:
        return SuppressReason.STOPPED
    return SuppressReason.HARD_BOUNCE if verdict is not None and verdict.disable_address else None


def read_reply(request: WebhookRequest, fields: Fields) -> list[Reply]:
    """The STOP or START that an incoming SMS is, if it is one.

    With Advanced Opt-Out Twilio says so itself (`OptOutType`); else the whole text is one of its keywords:
    https://help.twilio.com/articles/223134027
    """
    form = dict(fields)
    sid, sender = read_id(form.get("MessageSid")), form.get("From", "")
    word = form.get("OptOutType") or form.get("Body", "").strip(_AROUND_A_WORD).upper()
    if sid is None or not _E164.fullmatch(sender) or word not in _STOP | _START:
        return []
    return [
        Reply(
            provider="twilio",
            receipt_id=f"{sid}:reply",
            channel=Channel.SMS,
            address=sender,
            stops=word in _STOP,
            received_at=request.received_at,
        )
    ]


def _fields(body: bytes) -> Fields:
    try:
        return parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError:
        failure = UnreadableError(f"a callback has at most {_MAX_FIELDS} fields")
    raise failure


def _port_variants(url: str) -> set[str]:
    """Twilio signs the address with or without its port, by scheme and product."""
    parts = urlsplit(url)
    host, _, port = parts.netloc.partition(":")
    netlocs = {parts.netloc, host, f"{host}:{port or _DEFAULT_PORTS.get(parts.scheme, 443)}"}
    return {url.replace(f"//{parts.netloc}", f"//{netloc}", 1) for netloc in netlocs}


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
