"""Templates over HTTP: drafts, versions, previews, and a message to try one with."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from httpx import AsyncClient

from api.context import ApiContext
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import CatalogueStore
from notifications.database import Sessions, transaction
from notifications.profiles.profile import Profile
from notifications.queries.recipients import upsert_recipient
from notifications.settings import SmtpSettings
from notifications.unsubscribe import Subject
from tests.api.support import client_of, unique

CATALOGUE = Path(__file__).parents[2] / "catalogue"
SCHEMA = {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]}


def content(text: str = "Code {{ data.code }}. {{ links.unsubscribe }}", **changes: Any) -> dict[str, Any]:
    templates = {
        "email": {
            "en": {"subject": "Sale", "text": text},
            "de": {"subject": "Schluss", "text": "Hallo {{ recipient.name or 'du' }}: {{ data.code }}"},
        },
        "sms": {"en": {"body": "Sale {{ data.code }}"}},
    }
    values = {"default_locale": "en", "data": SCHEMA, "templates": templates, "example": {"code": "SPRING"}}
    return values | changes


async def created(client: AsyncClient, **changes: Any) -> str:
    name = unique("sale")
    answer = await client.post("/v1/templates", json={"name": name} | content(**changes))
    assert answer.status_code == 201, answer.text
    return name


async def published(client: AsyncClient, **changes: Any) -> str:
    name = await created(client, **changes)
    assert (await client.post(f"/v1/templates/{name}/publish")).status_code == 200
    return name


async def test_the_life_of_a_template(client: AsyncClient, sessions: Sessions) -> None:
    name = await created(client)
    draft = (await client.get(f"/v1/templates/{name}")).json()
    assert (draft["version"], draft["has_draft"], draft["problems"]) == (None, True, [])

    first = (await client.post(f"/v1/templates/{name}/publish")).json()
    assert (first["version"], first["origin"], first["has_draft"]) == (1, "api", False)
    again = (await client.post(f"/v1/templates/{name}/publish")).json()
    assert again["version"] == 1, "without a draft nothing changes"

    changed = await client.put(f"/v1/templates/{name}", json=content("New: {{ data.code }}"))
    assert (changed.json()["version"], changed.json()["has_draft"]) == (1, True)
    assert (await client.post(f"/v1/templates/{name}/publish")).json()["version"] == 2
    versions = [(await client.get(f"/v1/templates/{name}/versions/{number}")).json() for number in (1, 2)]
    texts = [each["content"]["templates"]["email"]["en"]["text"] for each in versions]
    assert texts == ["Code {{ data.code }}. {{ links.unsubscribe }}", "New: {{ data.code }}"]
    kept = await CatalogueStore(sessions).template_version(name, 1)
    assert kept.templates.email["en"].text == texts[0]

    assert (await client.delete(f"/v1/templates/{name}")).status_code == 204
    assert (await client.get(f"/v1/templates/{name}")).status_code == 404
    assert (await client.get(f"/v1/templates/{name}/versions/2")).status_code == 200
    assert name not in (await CatalogueStore(sessions).current()).templates


async def test_creating_twice_is_no_mistake_and_another_content_is(client: AsyncClient) -> None:
    name = await created(client)
    assert (await client.post("/v1/templates", json={"name": name} | content())).status_code == 200
    answer = await client.post("/v1/templates", json={"name": name} | content("Another"))
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:tidings:problem:conflict")
    assert (await client.get(f"/v1/templates/{name}")).json()["content"] == content() | {"layouts": {}} | {
        "templates": answer_templates(content())
    }


def answer_templates(written: dict[str, Any]) -> dict[str, Any]:
    """As they come back: every part and channel that was left out is named."""
    email = {locale: each | {"html": None} for locale, each in written["templates"]["email"].items()}
    return {"email": email, "push": {}, "sms": written["templates"]["sms"], "whatsapp": {}}


async def test_a_draft_may_have_mistakes_and_is_not_published_with_them(client: AsyncClient) -> None:
    name = await created(client, text="one\n{{ data.cod }}")
    problem = {
        "location": "templates.email.en.text",
        "message": "line 2: 'data.cod' is undefined; did you mean 'data.code'?",
    }
    assert (await client.get(f"/v1/templates/{name}")).json()["problems"] == [problem]
    refused = await client.post(f"/v1/templates/{name}/publish")
    assert (refused.status_code, refused.json()["errors"]) == (422, [problem])
    after = (await client.get(f"/v1/templates/{name}")).json()
    assert (after["version"], after["has_draft"]) == (None, True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Sale"},
        {"name": "campaign-x"},
        {"name": "../x"},
        {"default_locale": "english, please"},
        {"templates": {"fax": {}}},
        {"extra": 1},
        {"example": {"code": 2**70}},
    ],
)
async def test_what_has_not_the_form_of_a_template_is_refused(client: AsyncClient, wrong: dict[str, Any]) -> None:
    answer = await client.post("/v1/templates", json={"name": unique("sale")} | content() | wrong)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:tidings:problem:invalid")


@pytest.mark.parametrize("text", [r"\u0000", r"\ud800"])
@pytest.mark.parametrize("place", ["example", "text"])
async def test_text_that_cannot_be_kept_is_refused(client: AsyncClient, text: str, place: str) -> None:
    body = f'{{"name": "x", "default_locale": "en", "templates": {{"sms": {{"en": {{"body": "{text}"}}}}}}}}'
    if place == "example":
        body = body.replace(f'"{text}"', '"x"').replace('"name": "x"', f'"name": "x", "example": {{"code": "{text}"}}')
    answer = await client.post("/v1/templates", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text


async def test_what_the_folder_keeps_is_changed_there(client: AsyncClient, sessions: Sessions) -> None:
    await apply_folder(CATALOGUE, sessions)
    state = (await client.get("/v1/templates/spring-sale")).json()
    assert (state["origin"], state["problems"]) == ("folder", [])
    for method, path in (("PUT", ""), ("DELETE", "")):
        body = content() if method == "PUT" else None
        answer = await client.request(method, f"/v1/templates/spring-sale{path}", json=body)
        assert answer.status_code == 409
        assert "templates/spring-sale/template.yaml" in answer.json()["detail"]


async def test_a_name_that_the_folder_took_meanwhile_is_not_published_over(
    client: AsyncClient, sessions: Sessions, tmp_path: Path
) -> None:
    name = await created(client)
    folder = tmp_path / "templates" / name
    folder.mkdir(parents=True)
    (tmp_path / "categories.yaml").write_text("offers: {title: Offers}\n", encoding="utf-8")
    text = "default_locale: en\ndata: {type: object}\ntemplates: {sms: {en: {body: Hello}}}\n"
    (folder / "template.yaml").write_text(text, encoding="utf-8")
    await apply_folder(tmp_path, sessions)
    assert (await client.post(f"/v1/templates/{name}/publish")).status_code == 409
    assert (await client.get(f"/v1/templates/{name}")).json()["has_draft"] is True
    await apply_folder(CATALOGUE, sessions)


async def test_the_list_goes_by_name(client: AsyncClient) -> None:
    names = sorted([await created(client), await published(client), await created(client)])
    found: list[str] = []
    cursor = None
    while True:
        parameters = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/v1/templates", params=parameters)).json()
        found += [item["name"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert found == sorted(found)
    assert [name for name in found if name in names] == names


async def test_a_preview_shows_every_text(client: AsyncClient) -> None:
    name = await created(client)
    items = (await client.post(f"/v1/templates/{name}/preview", json={})).json()["items"]
    assert [(item["channel"], item["locale"]) for item in items] == [("email", "en"), ("email", "de"), ("sms", "en")]
    assert items[0]["parts"] == {
        "subject": "Sale",
        "html": None,
        "text": "Code SPRING. https://tidings.example/u/sample",
    }
    assert items[1]["parts"]["text"] == "Hallo Ana Maier: SPRING"
    assert items[2]["parts"] == {"body": "Sale SPRING", "segments": 1, "encoding": "GSM-7"}


async def test_a_preview_for_a_recipient_with_data(client: AsyncClient, sessions: Sessions) -> None:
    name = await published(client)
    recipient = unique("cus")
    async with transaction(sessions) as session:
        await upsert_recipient(session, Profile(recipient_id=recipient, name="Bo", locale="de-AT"), hash_key=b"k" * 16)
    wanted = {"recipient": recipient, "channel": "email", "data": {"code": "OWN"}, "version": 1}
    (item,) = (await client.post(f"/v1/templates/{name}/preview", json=wanted)).json()["items"]
    assert item["parts"]["text"] == "Hallo Bo: OWN"
    unknown = await client.post(f"/v1/templates/{name}/preview", json={"recipient": unique("cus")})
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("wanted", "status", "words"),
    [
        ({"data": {"code": 7}}, 422, "body.data.code: "),
        ({"data": {"code": "\ud800"}}, 422, "body.data: holds what no message can"),
        ({"data": {}}, 422, "body.data: data lacks code"),
        ({"channel": "push"}, 422, "has no text for push; it has email, sms"),
        ({"version": 9}, 404, "no version 9"),
    ],
)
async def test_a_preview_that_is_not_possible_says_why(
    client: AsyncClient, wanted: dict[str, Any], status: int, words: str
) -> None:
    name = await created(client)
    headers = {"Content-Type": "application/json"}
    answer = await client.post(f"/v1/templates/{name}/preview", content=json.dumps(wanted), headers=headers)
    assert answer.status_code == status
    assert words in answer.json()["detail"]


async def test_a_preview_says_which_text_has_a_mistake(client: AsyncClient) -> None:
    name = await created(client, text="{{ data.cod }}")
    items = (await client.post(f"/v1/templates/{name}/preview", json={"channel": "email"})).json()["items"]
    assert items[0]["parts"] is None
    assert items[0]["problem"]["location"] == "templates.email.en.text"
    assert items[1]["problem"] is None


async def test_a_draft_with_a_broken_schema_has_no_preview(client: AsyncClient) -> None:
    name = await created(client, data={"type": "objekt"})
    answer = await client.post(f"/v1/templates/{name}/preview", json={})
    assert (answer.status_code, answer.json()["errors"][0]["location"]) == (422, "data.type")


async def test_a_test_message_arrives_with_links_of_nobody(
    context: ApiContext, sandbox_url: str, sandbox_smtp_port: int
) -> None:
    settings = context.settings.model_copy(
        update={"dev_sandbox_url": sandbox_url, "dev_sandbox_smtp_port": sandbox_smtp_port}
    )
    to = f"{unique('jane')}@example.org"
    async with client_of(replace(context, settings=settings)) as client:
        name = await created(client)
        answer = await client.post(f"/v1/templates/{name}/test-send", json={"channel": "email", "to": to})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["provider"], answer.json()["to"]) == ("smtp", "j•••@example.org")
    async with httpx.AsyncClient(base_url=sandbox_url, trust_env=False) as sandbox:
        (entry,) = (await sandbox.get("/api/inbox", params={"to": to})).json()["items"]
    link = dict(entry["content"]["headers"])["List-Unsubscribe"].strip("<>")
    assert link in entry["content"]["text"]
    subject = context.unsubscribe.read(link.rpartition("/")[2])
    assert isinstance(subject, Subject)
    assert subject.recipient_id == "test-recipient"


async def test_without_a_sandbox_only_allowed_addresses_are_written_to(context: ApiContext) -> None:
    smtp = SmtpSettings(host="127.0.0.1", port=9, tls="none")
    settings = context.settings.model_copy(update={"dev_allow_recipients": ("Jane@example.org",), "smtp": smtp})
    async with client_of(replace(context, settings=settings)) as client:
        name = await created(client)
        refused = await client.post(f"/v1/templates/{name}/test-send", json={"channel": "email", "to": "b@example.org"})
        tried = await client.post(
            f"/v1/templates/{name}/test-send", json={"channel": "email", "to": "jane@example.org"}
        )
        invalid = await client.post(f"/v1/templates/{name}/test-send", json={"channel": "email", "to": "jane"})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:tidings:problem:address-not-allowed")
    assert "b@example.org" not in refused.text
    assert (tried.status_code, tried.json()["type"]) == (502, "urn:tidings:problem:not-accepted")
    assert (invalid.status_code, invalid.json()["type"]) == (422, "urn:tidings:problem:invalid")


async def test_a_provider_that_is_not_configured_is_named(context: ApiContext) -> None:
    settings = context.settings.model_copy(update={"dev_allow_recipients": ("+4915112345678",)})
    async with client_of(replace(context, settings=settings)) as client:
        name = await created(client)
        wanted = {"channel": "sms", "to": "+49 151 12345678"}
        answer = await client.post(f"/v1/templates/{name}/test-send", json=wanted)
    assert answer.status_code == 409
    assert "TIDINGS_TWILIO__" in answer.json()["detail"]
