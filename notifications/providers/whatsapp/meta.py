"""WhatsApp through Meta's Cloud API: https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages"""

import re
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from notifications.providers import verdicts
from notifications.providers.base import (
    ErrorScope,
    OutgoingMessage,
    PermanentDeliveryError,
    Receipt,
    UnknownOutcome,
    WhatsAppContent,
)
from notifications.providers.http import Answer, HttpClient, encode_json
from notifications.providers.receipts import ForgedError, NotConfiguredError, ReceiptEvent, Reply, WebhookRequest
from notifications.providers.required import required, required_secret
from notifications.providers.verdicts import Verdict
from notifications.providers.whatsapp import meta_receipts
from notifications.settings import MetaSettings
from notifications.statuses import Channel

# https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes: "branch on code", not on HTTP status.
CODES: dict[int, Verdict] = {
    **dict.fromkeys((4, 80007), verdicts.transient("the app's or account's call limit is reached")),
    130429: verdicts.transient("the sender's throughput is reached"),
    131048: verdicts.transient("too many recipients reported messages as spam", retry_after=timedelta(hours=1)),
    131056: verdicts.transient("too many messages to this recipient in a short time", retry_after=timedelta(seconds=6)),
    133016: verdicts.transient("too many registrations of the sender", retry_after=timedelta(hours=1)),
    **dict.fromkeys(
        (1, 2, 131000, 131016, 131057, 133004), verdicts.transient("Meta's service is disturbed", outage=True)
    ),
    **dict.fromkeys((0, 190), verdicts.config("the access token is wrong or has expired")),
    **dict.fromkeys((3, 10, 131005, *range(200, 300)), verdicts.config("the access token lacks a permission")),
    33: verdicts.config("the sender's phone number id is unknown or deleted"),
    368: verdicts.config("the account is blocked for breaking Meta's policies"),
    130497: verdicts.config("the account may not send to this country"),
    131031: verdicts.config("the account is locked"),
    131042: verdicts.config("the account's payment method needs attention"),
    131045: verdicts.config("the sender's certificate or registration is wrong"),
    133010: verdicts.config("the sender's phone number is not registered"),
    **dict.fromkeys((100, 131008, 131009), verdicts.message("a field is missing or wrong")),
    131047: verdicts.message("only an approved template may be sent more than 24 h after the recipient last wrote"),
    **dict.fromkeys((131051, 131052, 131053), verdicts.message("the kind of message or its media is not taken")),
    132000: verdicts.message("the number of parameters is not that of the template"),
    132001: verdicts.message("the template does not exist in this language, or is not approved"),
    132005: verdicts.message("the filled-in template is too long"),
    132007: verdicts.message("the template breaks a policy of Meta"),
    132012: verdicts.message("a parameter has the wrong form"),
    132015: verdicts.message("the template is paused for low quality"),
    132016: verdicts.message("the template is disabled for low quality"),
    **dict.fromkeys((132068, 132069), verdicts.message("the template's flow is blocked or throttled")),
    131021: verdicts.recipient("sender and recipient are the same number"),
    131026: verdicts.recipient("WhatsApp cannot deliver to this number: not a user, an old app, or terms not accepted"),
    131030: verdicts.recipient("not on the list of allowed test recipients"),
    **dict.fromkeys((131049, 130472), verdicts.recipient("Meta chose not to deliver this to this user for now")),
    131050: verdicts.recipient("the recipient stopped marketing messages from this sender"),
}

UNKNOWN_SENDER = (100, 33)  # code and subcode; it comes for a wrong phone number id in the URL

TEMPLATE_KEYS = frozenset({"name", "language"})
MAX_PARAMETER_CHARACTERS = 1024  # of the body it stands in
_BLANKS = re.compile(r"\s+")


class MetaProvider:
    """One WhatsApp sender. `biz_opaque_callback_data`, which comes back in every receipt, is `{correlation} {key}`."""

    name = "meta"
    channel = Channel.WHATSAPP

    def __init__(self, settings: MetaSettings) -> None:
        number_id = required(settings.phone_number_id, "TIDINGS_META__PHONE_NUMBER_ID")
        token = required_secret(settings.access_token, "TIDINGS_META__ACCESS_TOKEN")
        self._number_url = f"{settings.base_url.rstrip('/')}/{number_id}"
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._app_secret = settings.app_secret
        self._verify_token = settings.verify_token
        self._timeout = settings.timeout_seconds
        self._http = HttpClient(self.name, timeout_seconds=settings.timeout_seconds)

    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        answer = await self._http.request(
            "POST",
            f"{self._number_url}/messages",
            deadline=deadline,
            headers=self._headers,
            body=encode_json(build_message(message, idempotency_key)),
        )
        messages = _accepted(answer).get("messages")
        try:
            return Receipt(str(messages[0]["id"]))  # type: ignore[index]
        except (TypeError, LookupError):
            failure = UnknownOutcome("meta_bad_answer", f"Meta answered {answer.status} without the message's id")
        raise failure

    async def check(self) -> None:
        deadline = time.monotonic() + self._timeout
        url = f"{self._number_url}?fields=id"
        _accepted(await self._http.request("GET", url, deadline=deadline, headers=self._headers))

    def parse_receipts(self, request: WebhookRequest) -> list[ReceiptEvent]:
        meta_receipts.verify(_given(self._app_secret, "TIDINGS_META__APP_SECRET"), request)
        return meta_receipts.read(request, CODES)

    def parse_replies(self, request: WebhookRequest) -> list[Reply]:
        del request
        raise ForgedError("Meta's replies come with its receipts, and none of them is STOP or START")

    def answer_challenge(self, query: Mapping[str, str]) -> str:
        return meta_receipts.challenge(_given(self._verify_token, "TIDINGS_META__VERIFY_TOKEN"), query)

    async def close(self) -> None:
        await self._http.close()


def _given(secret: SecretStr | None, variable: str) -> str:
    if secret is None or not secret.get_secret_value():
        raise NotConfiguredError(f"{variable} is not set, so nothing can be told of Meta's webhooks")
    return secret.get_secret_value()


def build_message(message: OutgoingMessage, idempotency_key: UUID) -> dict[str, Any]:
    """The body of a send: an approved template, since nothing else may begin a conversation.

    Raises:
        PermanentDeliveryError: the definition names no template at Meta, or says what is not supported.

    """
    content = message.content
    if not isinstance(content, WhatsAppContent):
        raise _unusable("meta_wrong_content", "takes WhatsApp content only")
    template = content.vendor_templates.get("meta", {})
    if not template.get("name") or not template.get("language"):
        raise _unusable("meta_no_template", "the definition needs whatsapp.vendor_templates.meta: {name, language}")
    if unsupported := sorted(template.keys() - TEMPLATE_KEYS):
        raise _unusable("meta_unsupported", f"vendor_templates.meta.{unsupported[0]} is not supported")
    # Meta refuses line breaks, tabs and runs of blanks in a parameter; they have no meaning in a line of text.
    parameters = [_BLANKS.sub(" ", parameter).strip() for parameter in content.parameters]
    for position, parameter in enumerate(parameters, start=1):
        if not 0 < len(parameter) <= MAX_PARAMETER_CHARACTERS:
            detail = f"parameter {position} has {len(parameter)} characters, Meta takes 1 to {MAX_PARAMETER_CHARACTERS}"
            raise _unusable("meta_parameter_length", detail)
    texts = [{"type": "text", "text": parameter} for parameter in parameters]
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": message.address,
        "type": "template",
        "template": {
            "name": template["name"],
            "language": {"policy": "deterministic", "code": template["language"]},
            **({"components": [{"type": "body", "parameters": texts}]} if texts else {}),
        },
        "biz_opaque_callback_data": f"{message.correlation} {idempotency_key}",
    }


def _unusable(code: str, detail: str) -> PermanentDeliveryError:
    return PermanentDeliveryError(code, detail, scope=ErrorScope.MESSAGE)


def _accepted(answer: Answer) -> dict[str, object]:
    document = answer.document()
    if answer.status == 200:  # noqa: PLR2004 - HTTP
        return document
    error = document.get("error")
    code = error.get("code") if isinstance(error, dict) else None
    if isinstance(error, dict) and (code, error.get("error_subcode")) == UNKNOWN_SENDER:
        code = 33
    page = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes"
    verdict = verdicts.listed(CODES, code, answer.status, page)
    word = str(code) if isinstance(code, int) else f"http_{answer.status}"
    raise verdict.error(f"meta_{word}", retry_after=answer.retry_after)
