"""One receipt as Twilio and Meta send it: the request to the webhook, signed."""

import base64
import hashlib
import hmac
import json
import time
from urllib.parse import urlencode

from devstack.sandbox.receipts import Callback, ReceiptKnobs
from notifications.sandbox_signing import SandboxSigning

_FAILURES = frozenset({"failed", "undelivered"})


async def twilio_callback(
    form: dict[str, str], sid: str, account: str, word: str, knobs: ReceiptKnobs, signing: SandboxSigning
) -> Callback | None:
    """A status callback; None where the message named no address for it.

    With `knobs.url` it goes there, as through a tunnel: what is signed is the address that the message named.
    """
    named = form.get("StatusCallback")
    if not named:
        return None
    fields = {"MessageSid": sid, "MessageStatus": word, "SmsSid": sid, "SmsStatus": word, "AccountSid": account}
    fields |= {"To": form["To"], "From": form.get("From", ""), "ApiVersion": "2010-04-01"}
    if knobs.code is not None and word in _FAILURES:
        fields["ErrorCode"] = str(knobs.code)
    url = f"{knobs.url}?{named.partition('?')[2]}" if knobs.url else named
    return signed_by_twilio(url, named, fields, signing)


def signed_by_twilio(url: str, named: str, fields: dict[str, str], signing: SandboxSigning) -> Callback:
    """A form for `url`, which Twilio knows as `named`."""
    text = named + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    digest = hmac.new(signing.twilio_auth_token.encode(), text.encode(), hashlib.sha1).digest()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Twilio-Signature": base64.b64encode(digest).decode(),
    }
    return Callback(url, headers, urlencode(fields).encode())


async def meta_callback(
    message: dict[str, object], wamid: str, word: str, knobs: ReceiptKnobs, signing: SandboxSigning
) -> Callback | None:
    """A webhook with one status; None where no address is set."""
    if knobs.url is None:
        return None
    status: dict[str, object] = {
        "id": wamid,
        "status": word,
        "timestamp": str(int(time.time())),
        "recipient_id": str(message["to"]).lstrip("+"),
    }
    if "biz_opaque_callback_data" in message:
        status["biz_opaque_callback_data"] = message["biz_opaque_callback_data"]
    if word in _FAILURES:
        status["errors"] = [{"code": int(knobs.code or 131000), "title": "Something went wrong"}]
    value = {"messaging_product": "whatsapp", "statuses": [status]}
    entry = {"id": "100000000000002", "changes": [{"field": "messages", "value": value}]}
    body = json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
    signature = hmac.new(signing.meta_app_secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={signature}"}
    return Callback(knobs.url, headers, body)
