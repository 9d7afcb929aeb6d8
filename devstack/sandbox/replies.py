"""What recipients write back, as Twilio hands it on: `POST /api/replies/twilio`.

| field | meaning |
|---|---|
| `from` | the recipient's number |
| `body` | the text; STOP blocks the number at the sandbox too (21610), until START |
| `advanced` | say `OptOutType` as well, as Twilio's Advanced Opt-Out does |
| `forge` | signed with another secret |
| `url` | the webhook's address as entered at Twilio, which is signed (default: below `--webhooks`) |

The answer has the webhook's status.
"""

import uuid
from typing import Annotated

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devstack.sandbox.callbacks import signed_by_twilio
from devstack.sandbox.receipts import ReceiptSender
from devstack.sandbox.twilio import ACCOUNT_SID, FROM_NUMBER, Twilio
from notifications.sandbox_signing import SandboxSigning

_WORDS = ("STOP", "START")


class WrittenBack(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    sender: Annotated[str, Field(alias="from", pattern=r"^\+[1-9]\d{6,14}$")]
    body: str
    advanced: bool = False
    forge: bool = False
    url: str | None = Field(None, pattern="^https?://")


class Replies:
    """`webhooks` is the address above the vendors' webhooks."""

    def __init__(
        self, twilio: Twilio, receipts: ReceiptSender, signing: SandboxSigning, webhooks: str | None = None
    ) -> None:
        self._twilio = twilio
        self._receipts = receipts
        self._signing = signing
        self._url = f"{webhooks.rstrip('/')}/twilio/replies" if webhooks is not None else None

    def add_routes(self, app: web.Application) -> None:
        app.router.add_post("/api/replies/twilio", self._hand_on)

    async def _hand_on(self, request: web.Request) -> web.Response:
        try:
            written = WrittenBack.model_validate_json(await request.read())
        except ValidationError as error:
            raise web.HTTPUnprocessableEntity(text=str(error.errors()[0]["msg"])) from None
        named = written.url or self._url
        if named is None:
            raise web.HTTPUnprocessableEntity(text="Name the webhook's address: `url`, or `--webhooks` of the sandbox.")
        word = written.body.strip().upper()
        if word in _WORDS:
            self._twilio.block(written.sender, until_start=word == "STOP")
        signing = self._signing.forged() if written.forge else self._signing
        callback = signed_by_twilio(self._url or named, named, _fields(written, word), signing)
        return web.json_response({"status": await self._receipts.send(callback)})


def _fields(written: WrittenBack, word: str) -> dict[str, str]:
    sid = f"SM{uuid.uuid4().hex}"
    fields = {"MessageSid": sid, "SmsSid": sid, "SmsMessageSid": sid, "SmsStatus": "received"}
    fields |= {"AccountSid": ACCOUNT_SID, "ApiVersion": "2010-04-01", "NumMedia": "0", "NumSegments": "1"}
    fields |= {"From": written.sender, "To": FROM_NUMBER, "Body": written.body}
    if written.advanced and word in _WORDS:
        fields["OptOutType"] = word
    return fields
