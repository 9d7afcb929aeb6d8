from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from httpx import AsyncClient
from typing_extensions import override

from api.context import ApiContext
from notifications.profiles.profile import Device, Profile, ProfileSource, ProfileUnavailableError
from tests.api.support import client_of, unique

PROFILE: dict[str, Any] = {
    "name": "Jane",
    "email": "Jane@Example.org",
    "phone": "+49 151 1234 5678",
    "locale": "de_AT",
    "timezone": "Europe/Vienna",
    "attributes": {"plan": "pro", "address": {"city": "Linz"}},
}


@pytest.fixture
async def recipient(client: AsyncClient) -> str:
    recipient_id = unique("cus")
    answer = await client.put(f"/v1/recipients/{recipient_id}", json=PROFILE)
    assert answer.status_code == 201
    return recipient_id


class TestProfile:
    async def test_it_is_kept_in_one_spelling(self, client: AsyncClient, recipient: str) -> None:
        found = (await client.get(f"/v1/recipients/{recipient}")).json()
        assert (found["email"], found["phone"], found["locale"]) == ("Jane@example.org", "+4915112345678", "de-AT")
        assert (found["devices"], found["origin"]) == ([], "tidings")

    async def test_put_again_replaces(self, client: AsyncClient, recipient: str) -> None:
        answer = await client.put(f"/v1/recipients/{recipient}", json={"email": "new@example.org"})
        assert answer.status_code == 200
        assert (answer.json()["email"], answer.json()["phone"]) == ("new@example.org", None)

    async def test_patch_changes_what_it_names(self, client: AsyncClient, recipient: str) -> None:
        patch = {"phone": None, "attributes": {"plan": None, "address": {"zip": "4020"}}}
        found = (await client.patch(f"/v1/recipients/{recipient}", json=patch)).json()
        assert (found["email"], found["phone"]) == ("Jane@example.org", None)
        assert found["attributes"] == {"address": {"city": "Linz", "zip": "4020"}}

    async def test_patch_checks_too(self, client: AsyncClient, recipient: str) -> None:
        answer = await client.patch(f"/v1/recipients/{recipient}", json={"email": "canary"})
        assert answer.status_code == 422
        assert (await client.get(f"/v1/recipients/{recipient}")).json()["email"] == "Jane@example.org"

    async def test_delete(self, client: AsyncClient, recipient: str) -> None:
        assert (await client.delete(f"/v1/recipients/{recipient}")).status_code == 204
        assert (await client.get(f"/v1/recipients/{recipient}")).status_code == 404
        assert (await client.delete(f"/v1/recipients/{recipient}")).status_code == 404

    @pytest.mark.parametrize("method", ["GET", "PATCH"])
    async def test_unknown(self, client: AsyncClient, method: str) -> None:
        answer = await client.request(method, f"/v1/recipients/{unique('cus')}", json={} if method == "PATCH" else None)
        assert answer.status_code == 404
        assert "PUT /v1/recipients/" in answer.json()["detail"]

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"email": "canary"}, "email: not an e-mail address"),
            ({"phone": "0151 canary"}, "phone: a phone number must begin with +"),
            ({"timezone": "Mars/canary"}, "timezone: not an IANA time zone"),
            ({"locale": "canary!"}, "locale: not a language tag"),
            ({"attributes": {"note": "canary\x00"}}, "without NUL"),
            ({"shoe_size": "canary"}, "shoe_size"),
        ],
    )
    async def test_what_is_wrong_is_named_without_its_value(
        self, client: AsyncClient, change: dict[str, Any], words: str
    ) -> None:
        answer = await client.put(f"/v1/recipients/{unique('cus')}", json=PROFILE | change)
        assert answer.status_code == 422
        assert words in answer.json()["detail"]
        assert "canary" not in answer.text


class TestDevices:
    async def test_a_token_is_kept_and_shown_masked(self, client: AsyncClient, recipient: str) -> None:
        token = unique("registration-token-0123456789")
        url = f"/v1/recipients/{recipient}/devices/pixel-8"
        answer = await client.put(url, json={"token": token, "platform": "android"})
        assert answer.status_code == 200
        assert token not in answer.text
        (device,) = (await client.get(f"/v1/recipients/{recipient}")).json()["devices"]
        assert (device["id"], device["token"]) == ("pixel-8", "•••" + token[-4:])
        assert (await client.delete(url)).status_code == 204
        assert (await client.delete(url)).status_code == 404

    async def test_a_device_needs_a_recipient(self, client: AsyncClient) -> None:
        url = f"/v1/recipients/{unique('cus')}/devices/pixel-8"
        assert (await client.put(url, json={"token": "t", "platform": "android"})).status_code == 404

    @pytest.mark.parametrize("change", [{"platform": "symbian"}, {"token": ""}, {"token": "a\x00b"}])
    async def test_a_wrong_one_is_refused(self, client: AsyncClient, recipient: str, change: dict[str, str]) -> None:
        url = f"/v1/recipients/{recipient}/devices/pixel-8"
        assert (await client.put(url, json={"token": "t", "platform": "web"} | change)).status_code == 422


class TestPreferences:
    async def test_defaults_until_a_choice_is_made(self, client: AsyncClient, recipient: str) -> None:
        url = f"/v1/recipients/{recipient}/preferences"
        before = _of(await _get(client, url), "offers", "email")
        assert (before["opted_in"], before["default"], before["source"]) == (False, "opted_out", None)
        choice = {"category": "offers", "channel": "email", "opted_in": True, "source": "signup form"}
        answer = await client.put(url, json={"preferences": [choice]})
        after = _of(answer.json(), "offers", "email")
        assert (after["opted_in"], after["source"]) == (True, "signup form")
        assert after["time"] is not None
        assert _of(answer.json(), "offers", "push")["opted_in"] is False

    async def test_an_older_choice_does_not_replace_a_newer(self, client: AsyncClient, recipient: str) -> None:
        url = f"/v1/recipients/{recipient}/preferences"
        choice = {"category": "offers", "channel": "email"}
        newer = choice | {"opted_in": False, "time": "2026-02-01T00:00:00Z"}
        older = choice | {"opted_in": True, "time": "2026-01-01T00:00:00Z"}
        for wanted in (newer, older):
            answer = await client.put(url, json={"preferences": [wanted]})
        assert _of(answer.json(), "offers", "email")["opted_in"] is False

    async def test_a_required_category_cannot_be_opted_out_of(self, client: AsyncClient, recipient: str) -> None:
        url = f"/v1/recipients/{recipient}/preferences"
        choices = [
            {"category": "offers", "channel": "email", "opted_in": True},
            {"category": "payments", "channel": "email", "opted_in": False},
        ]
        answer = await client.put(url, json={"preferences": choices})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidings:problem:consent-required")
        assert _of(await _get(client, url), "offers", "email")["source"] is None, "nothing of the request is kept"

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"category": "offer"}, "offers"),
            ({"time": "2199-01-01T00:00:00Z"}, "future"),
            ({"channel": "fax"}, "channel"),
        ],
    )
    async def test_a_wrong_choice_is_refused(
        self, client: AsyncClient, recipient: str, change: dict[str, str], words: str
    ) -> None:
        choice = {"category": "offers", "channel": "email", "opted_in": True} | change
        answer = await client.put(f"/v1/recipients/{recipient}/preferences", json={"preferences": [choice]})
        assert answer.status_code == 422
        assert words in answer.json()["detail"]

    async def test_a_guest_may_choose_without_a_profile(self, client: AsyncClient) -> None:
        choice = {"category": "offers", "channel": "email", "opted_in": True}
        for recipient_id, status in ((unique("guest"), 200), (unique("cus"), 404)):
            url = f"/v1/recipients/{recipient_id}/preferences"
            assert (await client.put(url, json={"preferences": [choice]})).status_code == status


async def _get(client: AsyncClient, url: str) -> dict[str, Any]:
    found: dict[str, Any] = (await client.get(url)).json()
    return found


def _of(view: dict[str, Any], category: str, channel: str) -> dict[str, Any]:
    return next(item for item in view["preferences"] if (item["category"], item["channel"]) == (category, channel))


@dataclass
class _ExternalProfiles(ProfileSource):
    is_local = False
    answers: bool = True

    @override
    async def get(self, recipient_id: str) -> Profile | None:
        if not self.answers:
            raise ProfileUnavailableError
        devices = (Device("d1", "token-0123456789abcdef", "ios"),)
        return Profile(recipient_id=recipient_id, name="Jane", devices=devices) if recipient_id == "known" else None

    @override
    async def close(self) -> None: ...


class TestExternalProfiles:
    @pytest.fixture
    def profiles(self) -> _ExternalProfiles:
        return _ExternalProfiles()

    @pytest.fixture
    async def external(self, context: ApiContext, profiles: _ExternalProfiles) -> AsyncIterator[AsyncClient]:
        settings = context.settings.model_copy(update={"profile_url": "https://user:secret@profiles.example/api"})
        async with client_of(replace(context, settings=settings, profiles=profiles)) as client:
            yield client

    @pytest.mark.parametrize(
        ("method", "path"),
        [("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("PUT", "/devices/d1"), ("DELETE", "/devices/d1")],
    )
    async def test_they_are_written_there(self, external: AsyncClient, method: str, path: str) -> None:
        body = {"token": "t", "platform": "web"} if path and method == "PUT" else {}
        answer = await external.request(method, f"/v1/recipients/known{path}", json=body)
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidings:problem:profiles-elsewhere")
        assert "profiles.example" in answer.json()["detail"]
        assert "secret" not in answer.text

    async def test_they_are_read_from_there(self, external: AsyncClient, profiles: _ExternalProfiles) -> None:
        found = (await external.get("/v1/recipients/known")).json()
        assert (found["origin"], found["devices"][0]["token"]) == ("external", "•••cdef")
        assert (await external.get("/v1/recipients/unknown")).status_code == 404
        profiles.answers = False
        assert (await external.get("/v1/recipients/known")).status_code == 503

    async def test_choices_are_kept_here(self, external: AsyncClient) -> None:
        choice = {"category": "offers", "channel": "email", "opted_in": True}
        answer = await external.put("/v1/recipients/known/preferences", json={"preferences": [choice]})
        assert answer.status_code == 200
