"""SMS through Twilio: https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource"""

import base64
import re
import time
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from notifications.providers import verdicts
from notifications.providers.base import (
    ErrorScope,
    OutgoingMessage,
    PermanentDeliveryError,
    Receipt,
    SmsContent,
    UnknownOutcome,
)
from notifications.providers.http import Answer, HttpClient
from notifications.providers.receipts import ForgedError, ReceiptEvent, Reply, WebhookRequest
from notifications.providers.required import required, required_secret
from notifications.providers.sms import twilio_receipts
from notifications.settings import SettingsError, TwilioSettings
from notifications.statuses import Channel

# https://www.twilio.com/docs/api/errors; Twilio adds codes and asks not to rely on a fixed list.
CODES = {
    20003: verdicts.config("Twilio refused the account SID or the auth token"),
    20404: verdicts.config("Twilio does not know the account or the sender"),
    20429: verdicts.transient("too many requests at once"),
    21211: verdicts.recipient("not a phone number", disable=True),
    21212: verdicts.config("the sender is not a phone number or sender id"),
    21408: verdicts.config("sending to this country is not switched on in the account"),
    21602: verdicts.message("the text is empty"),
    21603: verdicts.config("there is no sender"),
    21605: verdicts.message("the text is too long"),
    21606: verdicts.config("the sender is not the account's or cannot send SMS"),
    21608: verdicts.config("a trial account sends only to numbers that it has verified"),
    21610: verdicts.opted_out("the recipient opted out of this sender with STOP"),
    21611: verdicts.transient("the sender's queue is full", retry_after=timedelta(minutes=5)),
    21612: verdicts.config("this sender cannot reach that country or carrier"),
    21614: verdicts.recipient("not a mobile number", disable=True),
    21617: verdicts.message("the text is too long"),
    21635: verdicts.recipient("a landline", disable=True),
    21701: verdicts.config("the messaging service does not exist"),
    21703: verdicts.config("the messaging service has no sender"),
    30001: verdicts.transient("the sender's queue is full", retry_after=timedelta(minutes=1)),
    30002: verdicts.config("the account is suspended"),
    30005: verdicts.recipient("the number is not in service", disable=True),
    30006: verdicts.recipient("a landline, or a carrier that cannot be reached", disable=True),
    30007: verdicts.message("the carrier filters this text"),
    30034: verdicts.config("the sender is not registered for A2P 10DLC"),
}

MAX_CHARACTERS = 1600
MAX_VALIDITY_SECONDS = 36_000  # also the default
_MESSAGING_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")


class TwilioProvider:
    """One Twilio account. It has no slot but StatusCallback: with `status_callback_url` set, its query carries
    `correlation` and the idempotency key as `key`; without, nothing ties a message to its notification at Twilio.
    """

    name = "twilio"
    channel = Channel.SMS

    def __init__(self, settings: TwilioSettings) -> None:
        sid = required(settings.account_sid, "TIDINGS_TWILIO__ACCOUNT_SID")
        token = required_secret(settings.auth_token, "TIDINGS_TWILIO__AUTH_TOKEN")
        self._sender = settings.messaging_service_sid or settings.from_number
        if not self._sender:
            raise SettingsError("set TIDINGS_TWILIO__FROM_NUMBER or TIDINGS_TWILIO__MESSAGING_SERVICE_SID")
        self._callback = settings.status_callback_url
        self._auth_token = token
        self._account_url = f"{settings.base_url.rstrip('/')}/2010-04-01/Accounts/{sid}"
        self._headers = {"Authorization": f"Basic {base64.b64encode(f'{sid}:{token}'.encode()).decode()}"}
        self._timeout = settings.timeout_seconds
        self._http = HttpClient(self.name, timeout_seconds=settings.timeout_seconds)

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        form = self._form(message, idempotency_key)
        answer = await self._http.request(
            "POST",
            f"{self._account_url}/Messages.json",
            deadline=deadline,
            headers={**self._headers, "Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form, errors="replace").encode(),
        )
        sid = _accepted(answer).get("sid")
        if not isinstance(sid, str):
            raise UnknownOutcome("twilio_bad_answer", f"Twilio answered {answer.status} without the message's sid")
        return Receipt(sid)

    async def check(self) -> None:
        deadline = time.monotonic() + self._timeout
        url = f"{self._account_url}.json"
        _accepted(await self._http.request("GET", url, deadline=deadline, headers=self._headers))

    def parse_receipts(self, request: WebhookRequest) -> list[ReceiptEvent]:
        urls = [request.url]
        if self._callback:
            # As Twilio was told: a proxy may serve it under another path than ours.
            urls.append(f"{self._callback.partition('?')[0]}?{request.url.partition('?')[2]}")
        fields = twilio_receipts.verify(self._auth_token, request, urls)
        return twilio_receipts.read(request, fields, CODES)

    def parse_replies(self, request: WebhookRequest) -> list[Reply]:
        return twilio_receipts.read_reply(request, twilio_receipts.verify(self._auth_token, request, [request.url]))

    def answer_challenge(self, query: Mapping[str, str]) -> str:
        del query
        raise ForgedError("Twilio asks no question")

    async def close(self) -> None:
        await self._http.close()

    def _form(self, message: OutgoingMessage, idempotency_key: UUID) -> dict[str, str]:
        content = message.content
        if not isinstance(content, SmsContent):
            raise PermanentDeliveryError("twilio_wrong_content", "takes SMS content only", scope=ErrorScope.MESSAGE)
        if len(content.body) > MAX_CHARACTERS:
            detail = f"the text has {len(content.body)} characters, Twilio takes {MAX_CHARACTERS}: shorten the template"
            raise PermanentDeliveryError("twilio_too_long", detail, scope=ErrorScope.MESSAGE)
        sender = content.sender or self._sender or ""
        sender_field = "MessagingServiceSid" if _MESSAGING_SERVICE.fullmatch(sender) else "From"
        form = {"To": message.address, sender_field: sender, "Body": content.body}
        if message.ttl is not None:
            form["ValidityPeriod"] = str(min(max(int(message.ttl.total_seconds()), 1), MAX_VALIDITY_SECONDS))
        if self._callback:
            query = urlencode({"correlation": message.correlation, "key": str(idempotency_key)})
            form["StatusCallback"] = f"{self._callback}{'&' if '?' in self._callback else '?'}{query}"
        return form


def _accepted(answer: Answer) -> dict[str, object]:
    document = answer.document()
    if answer.status in {200, 201}:
        return document
    code = document.get("code")
    verdict = verdicts.listed(CODES, code, answer.status, f"https://www.twilio.com/docs/api/errors/{code}")
    word = str(code) if isinstance(code, int) else f"http_{answer.status}"
    raise verdict.error(f"twilio_{word}", retry_after=answer.retry_after)
