"""A reference User Profile Service, for `TIDINGS_PROFILE_URL`: `GET` and `PUT /profiles/{id}`.

A profile is this JSON object; of it only `recipient_id` is required (and equals the id in the path), a null is as
good as an absent field, unknown fields are refused so that a misspelt one is not lost:

    {"recipient_id": "cus_42", "name": "Ana Souza", "email": "ana@example.org", "phone": "+4915112345678",
     "locale": "de-AT", "timezone": "Europe/Vienna", "attributes": {"plan": "pro"},
     "devices": [{"id": "d1", "token": "fcm-token", "platform": "android"}],
     "preferences": [{"category": "offers", "channel": "email", "opted_in": true}]}

`phone` is E.164, `locale` BCP 47, `timezone` an IANA name, `platform` android, ios or web, `channel` push, email, sms
or whatsapp. `GET` answers 404 for an unknown recipient, and an ETag: with `If-None-Match` it says 304. On the fault
board a profile's recipient is its id; errors are RFC 9457 problems.
"""

import hashlib
import json
from collections import OrderedDict
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from devstack.sandbox.faults import ErrorKnob
from devstack.sandbox.gate import Refusal

_MAX_PROFILES = 100_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DeviceDocument(_Part):
    id: str
    token: str
    platform: Literal["android", "ios", "web"]


class PreferenceDocument(_Part):
    category: str
    channel: Literal["push", "email", "sms", "whatsapp"]
    opted_in: bool


class ProfileDocument(_Part):
    recipient_id: str = Field(min_length=1, max_length=255)
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None
    timezone: str | None = None
    attributes: dict[str, Any] = Field(default_factory=dict)
    devices: list[DeviceDocument] = Field(default_factory=list)
    preferences: list[PreferenceDocument] = Field(default_factory=list)


class Profiles:
    name = "profiles"

    def __init__(self) -> None:
        self._kept: OrderedDict[str, ProfileDocument] = OrderedDict()

    def recipient_of(self, request: web.Request, _body: bytes) -> str | None:
        return request.match_info["id"]

    def handle(self, request: web.Request, _body: bytes) -> web.Response:
        profile = self._kept.get(request.match_info["id"])
        if profile is None:
            raise _problem(404, "Not Found", "No profile has this id.")
        body = profile.model_dump_json().encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.Response(body=body, content_type="application/json", headers={"ETag": etag})

    async def put(self, request: web.Request) -> web.Response:
        """Set a profile; no fault knob stands before this, since it is how a test prepares."""
        try:
            profile = ProfileDocument.model_validate_json(await request.read())
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
            return _response(_problem(422, "Not a profile", wrong))
        if profile.recipient_id != request.match_info["id"]:
            return _response(_problem(422, "Not a profile", "recipient_id: must equal the id in the path"))
        created = profile.recipient_id not in self._kept
        self._kept[profile.recipient_id] = profile
        if len(self._kept) > _MAX_PROFILES:
            self._kept.popitem(last=False)
        return web.Response(status=201 if created else 204)

    async def delete(self, request: web.Request) -> web.Response:
        self._kept.pop(request.match_info["id"], None)
        return web.Response(status=204)

    def fault(self, knob: ErrorKnob) -> Refusal:
        status = knob.status or 503
        return _problem(status, "Service Unavailable", knob.message or "Try again later.")


def _problem(status: int, title: str, detail: str) -> Refusal:
    return Refusal(status, {"type": "about:blank", "title": title, "status": status, "detail": detail})


def _response(refusal: Refusal) -> web.Response:
    return web.Response(status=refusal.status, text=json.dumps(refusal.body), content_type="application/problem+json")
