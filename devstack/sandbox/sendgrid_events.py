"""SendGrid's event webhook: signed arrays of events.

https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event has the fields of each.
"""

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from devstack.sandbox.receipts import Callback, ReceiptKnobs
from notifications.sandbox_signing import SandboxSigning

_READER = {"useragent": "Mozilla/5.0", "ip": "192.0.2.1"}
_FIELDS: Mapping[str, Mapping[str, Any]] = {
    "deferred": {"response": "451 4.7.1 try again later", "attempt": "1"},
    "delivered": {"response": "250 2.0.0 OK", "tls": 1},
    "open": {**_READER, "sg_machine_open": False},
    "click": {**_READER, "url": "https://acme.example/"},
    "bounce": {"status": "5.1.1", "type": "bounce", "reason": "550 5.1.1 no such user", "tls": 1},
    "blocked": {"status": "5.7.1", "type": "blocked", "reason": "550 5.7.1 refused by policy", "tls": 1},
    "dropped": {"reason": "Bounced Address"},
}
_FATES = ("bounce", "blocked")  # of addresses that begin so
_AFTER_DELIVERY = frozenset({"open", "click", "spamreport", "unsubscribe", "group_unsubscribe"})


@dataclass(frozen=True, kw_only=True)
class Mail:
    """What an event says of the message to one address."""

    address: str
    message_id: str
    smtp_id: str
    custom_args: Mapping[str, str]


class EventWebhook:
    """Events of one moment go together in one request."""

    def __init__(self) -> None:
        self._gathered: dict[ReceiptKnobs, list[dict[str, Any]]] = {}

    async def callback(self, mail: Mail, word: str, knobs: ReceiptKnobs, signing: SandboxSigning) -> Callback | None:
        """The first of a moment waits for the others and takes them along."""
        word = _word_for(mail.address, word)
        if knobs.url is None or not word:
            return None
        event = _event(mail, word, knobs)
        if knobs in self._gathered:
            self._gathered[knobs].append(event)
            return None
        self._gathered[knobs] = [event]
        try:
            await asyncio.sleep(knobs.batch_ms / 1000)
        finally:
            events = self._gathered.pop(knobs)
        return _request(knobs.url, events, signing)


def _word_for(address: str, word: str) -> str:
    """A mail to `bounce...@` is never delivered; empty: nothing happens."""
    fate = next((fate for fate in _FATES if address.startswith(fate)), None)
    if fate is None or word not in _AFTER_DELIVERY | {"delivered"}:
        return word
    return fate if word == "delivered" else ""


def _event(mail: Mail, word: str, knobs: ReceiptKnobs) -> dict[str, Any]:
    """Doubled, an event has the same id."""
    digest = hashlib.sha256(f"{mail.message_id}:{mail.address}:{word}".encode()).digest()
    event = {
        **mail.custom_args,
        "email": mail.address,
        "timestamp": int(time.time()),
        "event": "bounce" if word == "blocked" else word,
        "smtp-id": mail.smtp_id,
        "sg_event_id": base64.urlsafe_b64encode(digest[:24]).decode(),
        "sg_message_id": f"{mail.message_id}.recvd-sandbox-1-0.0",
        **_FIELDS.get(word, {}),
    }
    if knobs.code is not None and "status" in event:
        event["status"] = str(knobs.code)
    return event


def _request(url: str, events: Sequence[Mapping[str, Any]], signing: SandboxSigning) -> Callback:
    body = (json.dumps(events, separators=(",", ":")) + "\r\n").encode()
    timestamp = str(int(time.time()))
    signature = signing.sendgrid_key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    headers = {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
    }
    return Callback(url, headers, body)
