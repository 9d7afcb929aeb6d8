"""Meta's WhatsApp Cloud API: `POST /meta/v23.0/{phone-number-id}/messages`.

Any number but the test numbers (see the package) is on WhatsApp, any template but the test templates is approved. Texts
without a template are taken, as inside the 24 h window. Of the message types `template` and `text` are known.
"""

import re
import uuid
from functools import partial
from typing import Any

from aiohttp import web

from devstack.sandbox.callbacks import meta_callback
from devstack.sandbox.faults import ErrorKnob
from devstack.sandbox.gate import Refusal, parse_json
from devstack.sandbox.inbox import Accepted, Content, Inbox
from devstack.sandbox.receipts import ReceiptSender
from devstack.sandbox.slots import read_slots

PHONE_NUMBER_ID = "100000000000001"
ACCESS_TOKEN = "sandbox-meta-token"  # noqa: S105 - the one that everybody may know
VERSION = "v23.0"
MAX_TEXT_CHARACTERS = 4096
MAX_CALLBACK_DATA_CHARACTERS = 512

_NUMBER = re.compile(r"^\+?\d{7,15}$")
_LANGUAGE = re.compile(r"^[a-z]{2,3}(_[A-Z]{2})?$")
_BAD_PARAMETER = re.compile(r"[\n\t\r]| {5,}")
_FIELDS = {
    "messaging_product",
    "recipient_type",
    "to",
    "type",
    "template",
    "text",
    "context",
    "biz_opaque_callback_data",
}
_TEMPLATE_FIELDS = {"name", "language", "components"}
_COMPONENT_FIELDS = {"type", "sub_type", "index", "parameters"}

# Meta's code: (HTTP status, title)
_ERRORS: dict[int, tuple[int, str]] = {
    1: (500, "An unknown error occurred"),
    2: (503, "Service temporarily unavailable"),
    4: (429, "Application request limit reached"),
    10: (403, "Application does not have permission for this action"),
    100: (400, "Invalid parameter"),
    190: (401, "Invalid OAuth access token - Cannot parse access token"),
    80007: (429, "Rate limit issues"),
    130429: (429, "Rate limit hit"),
    130472: (400, "User's number is part of an experiment"),
    131000: (500, "Something went wrong"),
    131008: (400, "Required parameter is missing"),
    131009: (400, "Parameter value is not valid"),
    131016: (503, "Service unavailable"),
    131026: (400, "Message undeliverable"),
    131031: (403, "Business Account locked"),
    131047: (400, "Re-engagement message"),
    131049: (400, "This message was not delivered to maintain healthy ecosystem engagement."),
    131050: (400, "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages."),
    131051: (400, "Unsupported message type"),
    131056: (429, "(Business Account, Consumer Account) pair rate limit hit"),
    132000: (400, "Number of parameters does not match the expected number of params"),
    132001: (404, "Template name does not exist in the translation"),
    132015: (400, "Template is paused"),
    132016: (400, "Template is disabled"),
    132018: (400, "There's an issue with the parameters in your template"),
}
_TEST_NUMBERS = {
    f"1500555{code % 10_000:04}": code for code in (131026, 131047, 131049, 131050, 131056, 130472, 130429, 131031)
}
_TEST_TEMPLATES = {"missing_": 132001, "mismatch_": 132000, "paused_": 132015, "disabled_": 132016}
_CODE_OF_STATUS = {400: 100, 401: 190, 403: 10, 429: 130429, 500: 131000, 503: 131016}


class Meta:
    name = "meta"

    def __init__(self, inbox: Inbox, receipts: ReceiptSender) -> None:
        self._inbox = inbox
        self._receipts = receipts

    def recipient_of(self, _request: web.Request, body: bytes) -> str | None:
        """With the plus of E.164, which Meta itself leaves out."""
        try:
            digits = str(parse_json(body)["to"]).lstrip("+")
        except (ValueError, TypeError, KeyError):
            return None
        return f"+{digits}" if digits else None

    def handle(self, request: web.Request, body: bytes) -> web.Response:
        authenticate(request)
        message = _message(body)
        digits = message["to"].lstrip("+")
        wamid = f"wamid.{uuid.uuid4().hex.upper()}"
        slots = read_slots(message.get("biz_opaque_callback_data"))
        self._inbox.add(
            Accepted(
                provider=self.name,
                channel="whatsapp",
                to=f"+{digits}",
                key=slots.key,
                correlation=slots.correlation,
                provider_message_id=wamid,
                parse=lambda: _content(message),
                size=len(body),
            )
        )
        self._receipts.report(self.name, partial(meta_callback, message, wamid))
        answer = {
            "messaging_product": "whatsapp",
            "contacts": [{"input": message["to"], "wa_id": digits}],
            "messages": [{"id": wamid, "message_status": "accepted"}],
        }
        return web.json_response(answer)

    def fault(self, knob: ErrorKnob) -> Refusal:
        code = int(knob.code) if knob.code is not None else _CODE_OF_STATUS.get(knob.status or 503, 1)
        return _refused(code, knob.message or "", status=knob.status)


class MetaPhoneNumber:
    """`GET /meta/v23.0/{phone-number-id}`: whether the token is right, without sending."""

    name = "meta"

    def __init__(self, vendor: Meta) -> None:
        self.fault = vendor.fault

    def recipient_of(self, _request: web.Request, _body: bytes) -> str | None:
        return None

    def handle(self, request: web.Request, _body: bytes) -> web.Response:
        authenticate(request)
        return web.json_response(
            {"id": PHONE_NUMBER_ID, "display_phone_number": "+1 500-555-0006", "verified_name": "Tidings sandbox"}
        )


def authenticate(request: web.Request) -> None:
    """Raises Refusal: 190 for the token, 100 (subcode 33) for a phone number that is not its own."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or token != ACCESS_TOKEN:
        raise _refused(190)
    given = request.match_info["phone_number_id"]
    if given != PHONE_NUMBER_ID:
        text = f"Object with ID '{given}' does not exist or cannot be loaded due to missing permissions"
        raise _refused(100, text, subcode=33)


def _message(body: bytes) -> dict[str, Any]:
    try:
        message = parse_json(body)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise _refused(100, "The body must be a JSON object")
    _only(message, _FIELDS, "message")
    _check_envelope(message)
    _check_content(message)
    code = _TEST_NUMBERS.get(message["to"].lstrip("+"))
    if code is not None:
        raise _refused(code)
    return message


def _check_envelope(message: dict[str, Any]) -> None:
    if message.get("messaging_product") != "whatsapp":
        raise _refused(100, "The parameter messaging_product is required and must be 'whatsapp'.")
    if message.get("recipient_type", "individual") != "individual":
        raise _refused(100, "Param recipient_type must be one of {individual}")
    if not message.get("to"):
        raise _refused(100, "The parameter to is required.")
    if not isinstance(message["to"], str) or not _NUMBER.match(message["to"]):
        raise _refused(131009, "Param to is not a valid phone number")
    slot = message.get("biz_opaque_callback_data", "")
    if not isinstance(slot, str) or len(slot) > MAX_CALLBACK_DATA_CHARACTERS:
        raise _refused(100, "Param biz_opaque_callback_data must be at most 512 characters long.")


def _check_content(message: dict[str, Any]) -> None:
    kind = message.get("type", "text")
    if kind not in ("template", "text"):
        raise _refused(131051, f"Message type {kind!r} is not supported here")
    content = message.get(kind)
    if not isinstance(content, dict):
        raise _refused(131008, f"The parameter {kind} is required.")
    (_check_template if kind == "template" else _check_text)(content)


def _check_text(text: dict[str, Any]) -> None:
    _only(text, {"body", "preview_url"}, "text")
    body = text.get("body")
    if not isinstance(body, str) or not body:
        raise _refused(100, "The parameter text['body'] is required.")
    if len(body) > MAX_TEXT_CHARACTERS:
        raise _refused(100, "Param text['body'] must be at most 4096 characters long.")


def _check_template(template: dict[str, Any]) -> None:
    _only(template, _TEMPLATE_FIELDS, "template")
    name, language = template.get("name"), template.get("language")
    if not isinstance(name, str) or not name:
        raise _refused(131008, "The parameter template['name'] is required.")
    if not isinstance(language, dict) or not language.get("code"):
        raise _refused(131008, "The parameter template['language']['code'] is required.")
    if not _LANGUAGE.match(str(language["code"])):
        raise _refused(132001, f"template name ({name}) does not exist in {language['code']}")
    for start, code in _TEST_TEMPLATES.items():
        if name.startswith(start):
            raise _refused(code)
    components = template.get("components", [])
    if not isinstance(components, list):
        raise _refused(100, "Param template['components'] must be an array.")
    for component in components:
        _check_component(component)


def _check_component(component: Any) -> None:
    if not isinstance(component, dict) or component.get("type") not in ("header", "body", "button"):
        raise _refused(100, "Param template['components'][]['type'] must be one of {HEADER, BODY, BUTTON}")
    _only(component, _COMPONENT_FIELDS, "component")
    if component["type"] == "button" and not {"sub_type", "index"} <= component.keys():
        raise _refused(131008, "A button component needs sub_type and index.")
    parameters = component.get("parameters", [])
    if not isinstance(parameters, list):
        raise _refused(100, "Param template['components'][]['parameters'] must be an array.")
    for parameter in parameters:
        if not isinstance(parameter, dict) or "type" not in parameter:
            raise _refused(131008, "Every template parameter needs a type.")
        if parameter["type"] == "text":
            _check_text_parameter(parameter.get("text"))


def _check_text_parameter(text: Any) -> None:
    if not isinstance(text, str) or not text:
        raise _refused(131008, "Parameter of type text is missing text value")
    if _BAD_PARAMETER.search(text):
        details = "Param text cannot have new-line/tab characters or more than 4 consecutive spaces"
        raise _refused(132018, details)


def _only(given: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise _refused(100, f'Unexpected key "{unknown[0]}" on param "{where}".')


def _refused(code: int, details: str = "", *, status: int | None = None, subcode: int | None = None) -> Refusal:
    usual, title = _ERRORS.get(code, (400, "Error"))
    error: dict[str, Any] = {
        "message": title if code == 190 else f"(#{code}) {title}",  # noqa: PLR2004 - Meta's one without a number
        "type": "OAuthException",
        "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": details or title},
        "fbtrace_id": uuid.uuid4().hex[:22],
    }
    if subcode is not None:
        error["error_subcode"] = subcode
    return Refusal(status or usual, {"error": error})


def _content(message: dict[str, Any]) -> Content:
    if message.get("type") != "template":
        return {"body": message["text"]["body"]}
    template = message["template"]
    parameters = [
        {
            "component": component["type"],
            "name": parameter.get("parameter_name"),
            "text": str(parameter.get("text", "")),
        }
        for component in template.get("components", [])
        for parameter in component.get("parameters", [])
    ]
    return {
        "template": template["name"],
        "language": template["language"]["code"],
        "parameters": [parameter["text"] for parameter in parameters],
        "components": parameters,
    }
