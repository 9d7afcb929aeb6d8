"""E-mail through SendGrid's Web API v3: https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send"""

import re
import time
from collections.abc import Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from notifications.providers import verdicts
from notifications.providers.base import DeliveryError, ErrorScope, OutgoingMessage, PermanentDeliveryError, Receipt
from notifications.providers.email import sendgrid_receipts
from notifications.providers.email.addresses import Mailbox, one_line
from notifications.providers.email.mime import email_content, extra_fields, own_mailbox, read_parties
from notifications.providers.http import Answer, HttpClient, encode_json
from notifications.providers.receipts import ForgedError, ReceiptEvent, Reply, WebhookRequest
from notifications.providers.required import required, required_secret
from notifications.providers.verdicts import Verdict
from notifications.settings import SendGridSettings
from notifications.statuses import Channel

# https://www.twilio.com/docs/sendgrid/api-reference/mail-send/errors: SendGrid has no codes. A 400 names the field,
# here the field or one above it, the longest first; whether the mailbox exists it never says at once, only by webhook.
FIELDS = {
    "personalizations.0.to.0.email": verdicts.recipient("SendGrid does not take the address as one", disable=True),
    "personalizations": verdicts.message("SendGrid does not take the fields that belong to the recipient"),
    "from": verdicts.config("SendGrid does not take our sender address"),
    "reply_to": verdicts.config("SendGrid does not take our reply-to address"),
    "subject": verdicts.message("SendGrid does not take the subject"),
    "content": verdicts.message("SendGrid does not take the text"),
    "headers": verdicts.message("SendGrid does not take a header field"),
}
STATUSES = {
    401: verdicts.config("the API key was refused"),
    403: verdicts.config("the sender is not verified, or the API key lacks the permission Mail Send"),
    404: verdicts.config("there is no SendGrid at TIDINGS_SENDGRID__BASE_URL"),
    413: verdicts.message("the message is too large"),
    415: verdicts.config("SendGrid does not understand us"),
}
CREDITS = verdicts.config("the account's credits are used up")  # a 401 too; only its text tells
_NO_CREDITS = "maximum credits exceeded"

MAX_BYTES = 30_000_000
SCOPE = "mail.send"
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")
_BLAME: tuple[ErrorScope | None, ...] = (ErrorScope.CONFIG, ErrorScope.MESSAGE, ErrorScope.RECIPIENT)
_MAX_WAIT_SECONDS = 10**6  # as in http.py: no date of ours may overflow
_EPOCH = re.compile(r"[0-9]{1,12}")


class SendGridProvider:
    """One SendGrid account. The idempotency key is in Message-ID, as with SMTP, and with the correlation in
    `custom_args`, which come back in every event: `tidings_message_id` and `tidings_correlation`. Categories are not
    used: nobody can erase them.
    """

    name = "sendgrid"
    channel = Channel.EMAIL

    def __init__(self, settings: SendGridSettings) -> None:
        key = required_secret(settings.api_key, "TIDINGS_SENDGRID__API_KEY")
        variable = "TIDINGS_SENDGRID__FROM_ADDRESS"
        self._from = own_mailbox(required(settings.from_address, variable), variable)
        self._reply_to = (
            own_mailbox(settings.reply_to, "TIDINGS_SENDGRID__REPLY_TO") if settings.reply_to is not None else None
        )
        self._url = f"{settings.base_url.rstrip('/')}/v3"
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self._webhook_key = settings.webhook_public_key or ""
        self._timeout = settings.timeout_seconds
        self._http = HttpClient(self.name, timeout_seconds=settings.timeout_seconds)

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        document = build_request(
            message, idempotency_key=idempotency_key, default_from=self._from, default_reply_to=self._reply_to
        )
        body = encode_json(document)
        if len(body) > MAX_BYTES:
            raise _unusable("too_large", f"the e-mail has {len(body)} bytes, SendGrid takes {MAX_BYTES}: shorten it")
        answer = await self._http.request(
            "POST", f"{self._url}/mail/send", deadline=deadline, headers=self._headers, body=body
        )
        if answer.status != HTTPStatus.ACCEPTED:  # a 200 is sandbox_mode's: valid, and not sent
            raise _refusal(answer)
        given = answer.headers.get("x-message-id", "")
        return Receipt(given if _MESSAGE_ID.fullmatch(given) else None)

    async def check(self) -> None:
        deadline = time.monotonic() + self._timeout
        answer = await self._http.request("GET", f"{self._url}/scopes", deadline=deadline, headers=self._headers)
        if answer.status != HTTPStatus.OK:
            raise _refusal(answer)
        scopes = answer.document().get("scopes")
        if not isinstance(scopes, list) or SCOPE not in scopes:
            detail = "the API key lacks the permission Mail Send"
            raise PermanentDeliveryError("sendgrid_no_scope", detail, scope=ErrorScope.CONFIG)

    def parse_receipts(self, request: WebhookRequest) -> list[ReceiptEvent]:
        sendgrid_receipts.verify(self._webhook_key, request)
        return sendgrid_receipts.read(request)

    def parse_replies(self, request: WebhookRequest) -> list[Reply]:
        del request
        raise ForgedError("SendGrid hands on no replies")

    def answer_challenge(self, query: Mapping[str, str]) -> str:
        del query
        raise ForgedError("SendGrid asks no question")

    async def close(self) -> None:
        await self._http.close()


def build_request(
    message: OutgoingMessage, *, idempotency_key: UUID, default_from: Mailbox, default_reply_to: Mailbox | None
) -> dict[str, Any]:
    """The body of a send.

    Raises:
        PermanentDeliveryError: for what SendGrid never takes.

    """
    content, parties = email_content(message), read_parties(message, default_from, default_reply_to)
    for party, scope in (
        (parties.to, ErrorScope.RECIPIENT),
        (parties.sender, ErrorScope.CONFIG),
        (parties.reply_to, ErrorScope.CONFIG),
    ):
        if party is not None and party.needs_smtputf8:
            detail = "an address has letters beyond ASCII before the @, which SendGrid does not take"
            raise PermanentDeliveryError("sendgrid_no_smtputf8", detail, scope=scope)
    subject = one_line(content.subject)
    if not subject:
        raise _unusable("no_subject", "the subject is empty, and SendGrid wants one: mend the template")
    parts = [("text/plain", content.text), ("text/html", content.html)]  # in the order that SendGrid asks for
    written = [{"type": kind, "value": text} for kind, text in parts if text]
    if not written:
        raise _unusable("no_text", "text and html are empty, and SendGrid wants one of them: mend the template")
    correlation = {"tidings_message_id": str(idempotency_key), "tidings_correlation": message.correlation}
    return {
        "personalizations": [{"to": [_party(parties.to)], "custom_args": correlation}],
        "from": _party(parties.sender),
        **({"reply_to": _party(parties.reply_to)} if parties.reply_to else {}),
        "subject": subject,
        "content": written,
        "headers": {
            "Message-ID": f"<{idempotency_key}@{parties.sender.domain}>",
            "X-Tidings-Correlation": message.correlation,
            # SendGrid folds by itself.
            **{name: value.replace("\r\n ", " ") for name, value in extra_fields(content)},
        },
    }


def _party(party: Mailbox) -> dict[str, str]:
    if not party.name:
        return {"email": party.address}
    # SendGrid takes a comma or semicolon for the end of an address unless the name is quoted, as its own libraries do:
    # https://github.com/sendgrid/sendgrid-python/issues/578
    name = party.name
    if "," in name or ";" in name:
        name = '"' + name.replace('"', "'") + '"'
    return {"email": party.address, "name": name}


def _unusable(code: str, detail: str) -> PermanentDeliveryError:
    return PermanentDeliveryError(f"sendgrid_{code}", detail, scope=ErrorScope.MESSAGE)


def _refusal(answer: Answer) -> DeliveryError:
    given = answer.document().get("errors")
    errors = [error for error in given if isinstance(error, dict)] if isinstance(given, list) else []
    code, verdict = f"sendgrid_http_{answer.status}", STATUSES.get(answer.status) or verdicts.by_status(answer.status)
    if answer.status == HTTPStatus.BAD_REQUEST:
        fields = [_listed(str(error.get("field"))) for error in errors]
        # Ours first: no address is condemned by a request that is wrong elsewhere too.
        field, verdict = min(fields, key=lambda found: _BLAME.index(found[1].scope), default=("", verdict))
        code = f"sendgrid_400_{field}" if field else code
    elif answer.status == HTTPStatus.UNAUTHORIZED and any(_NO_CREDITS in str(e.get("message")).lower() for e in errors):
        code, verdict = "sendgrid_credits", CREDITS
    return verdict.error(code, retry_after=_wait(answer))


def _listed(field: str) -> tuple[str, Verdict]:
    """The table's entry for a field or the one that it belongs to."""
    start = next((start for start in FIELDS if f"{field}.".startswith(f"{start}.")), "")
    return start, FIELDS.get(start) or verdicts.by_status(HTTPStatus.BAD_REQUEST)


def _wait(answer: Answer) -> timedelta | None:
    """How long SendGrid asks to wait: `Retry-After`, else its own header in seconds since the epoch, by its clock.

    Source: https://www.twilio.com/docs/sendgrid/api-reference/how-to-use-the-sendgrid-v3-api/rate-limits
    """
    reset = answer.headers.get("x-ratelimit-reset", "")
    is_limited = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    if answer.retry_after is not None or not is_limited or not _EPOCH.fullmatch(reset):
        return answer.retry_after
    try:
        now = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except ValueError:
        now = time.time()
    return timedelta(seconds=min(max(int(reset) - now, 0), _MAX_WAIT_SECONDS))
