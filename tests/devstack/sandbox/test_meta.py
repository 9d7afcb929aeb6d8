from typing import Any

import httpx
import pytest

from devstack.sandbox.meta import ACCESS_TOKEN, PHONE_NUMBER_ID

URL = f"/meta/v23.0/{PHONE_NUMBER_ID}/messages"
HEADERS = {"Authorization": f"Bearer {ACCESS_TOKEN}"}
CORRELATION = "a56453a4-7db3-5408-8b23-96f8b4313634.1.2"
KEY = "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac"


def _template(name: str = "order_shipped", *texts: str) -> dict[str, Any]:
    parameters = [{"type": "text", "text": text} for text in texts or ("Ana", "DHL 0034")]
    components = [{"type": "body", "parameters": parameters}]
    return {"name": name, "language": {"code": "en_US", "policy": "deterministic"}, "components": components}


def _document(**changes: Any) -> dict[str, Any]:
    document = {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+4915112345678",
        "type": "template",
        "template": _template(),
        **changes,
    }
    return {name: value for name, value in document.items() if value is not None}


async def _send(client: httpx.AsyncClient, document: Any) -> httpx.Response:
    return await client.post(URL, headers=HEADERS, json=document)


async def test_an_accepted_template_is_in_the_inbox_with_its_parameters(client, conforms) -> None:
    answer = await _send(client, _document(biz_opaque_callback_data=f"{CORRELATION} {KEY}"))
    assert answer.status_code == 200
    assert answer.json()["contacts"] == [{"input": "+4915112345678", "wa_id": "4915112345678"}]
    (entry,) = (await client.get("/api/inbox")).json()["items"]
    assert (entry["provider"], entry["channel"], entry["to"]) == ("meta", "whatsapp", "+4915112345678")
    assert (entry["key"], entry["correlation"]) == (KEY, CORRELATION)
    assert entry["provider_message_id"] == answer.json()["messages"][0]["id"]
    assert (entry["content"]["template"], entry["content"]["language"]) == ("order_shipped", "en_US")
    assert entry["content"]["parameters"] == ["Ana", "DHL 0034"]
    conforms("meta_whatsapp_v23.patched.openapi.json", "/meta", answer)


async def test_a_text_is_taken_too(client, conforms) -> None:
    answer = await _send(client, _document(type="text", template=None, text={"body": "Hello"}))
    assert answer.status_code == 200
    (entry,) = (await client.get("/api/inbox")).json()["items"]
    assert entry["content"] == {"body": "Hello"}
    conforms("meta_whatsapp_v23.patched.openapi.json", "/meta", answer)


@pytest.mark.parametrize(
    ("to", "status", "code"),
    [
        ("+15005551026", 400, 131026),
        ("15005551047", 400, 131047),
        ("+15005551049", 400, 131049),
        ("+15005551050", 400, 131050),
        ("+15005551056", 429, 131056),
        ("+15005550472", 400, 130472),
        ("+15005550429", 429, 130429),
        ("+15005551031", 403, 131031),
    ],
)
async def test_test_numbers_get_the_vendors_errors(client, to, status, code) -> None:
    answer = await _send(client, _document(to=to))
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert (await client.get("/api/inbox/count")).json()["count"] == 0


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], 100),
        (_document(messaging_product=None), 100),
        (_document(recipient_type="crowd"), 100),
        (_document(to=None), 100),
        (_document(to="0151-a"), 131009),
        (_document(to=15112345678), 131009),
        (_document(colour="red"), 100),
        (_document(biz_opaque_callback_data="x" * 513), 100),
        (_document(type="poem"), 131051),
        (_document(type=["text"]), 131051),
        (_document(template=None), 131008),
        (_document(template={"language": {"code": "en"}}), 131008),
        (_document(template={"name": "x"}), 131008),
        (_document(template={**_template(), "colour": "red"}), 100),
        (_document(template={**_template(), "language": {"code": "English"}}), 132001),
        (_document(template={**_template(), "components": {}}), 100),
        (_document(template={**_template(), "components": [{"type": "footer"}]}), 100),
        (_document(template={**_template(), "components": [{"type": "body", "parameters": None}]}), 100),
        (_document(template={**_template(), "components": [{"type": "body", "parameters": ["Ana"]}]}), 131008),
        (_document(template={**_template(), "components": [{"type": "button", "parameters": []}]}), 131008),
        (_document(template=_template("order_shipped", "two\nlines")), 132018),
        (_document(template=_template("order_shipped", "a\tb")), 132018),
        (_document(template=_template("order_shipped", "a     b")), 132018),
        (_document(template=_template("order_shipped", "")), 131008),
        (_document(template=_template("missing_one")), 132001),
        (_document(template=_template("mismatch_one")), 132000),
        (_document(template=_template("paused_one")), 132015),
        (_document(template=_template("disabled_one")), 132016),
        (_document(type="text", template=None, text={"body": "x" * 4097}), 100),
        (_document(type="text", template=None, text={}), 100),
    ],
)
async def test_what_meta_refuses_is_refused_with_its_code(client, document, code) -> None:
    answer = await _send(client, document)
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["type"] == "OAuthException"
    assert error["error_data"]["details"]
    assert (await client.get("/api/inbox/count")).json()["count"] == 0


async def test_four_blanks_are_still_taken(client) -> None:
    assert (await _send(client, _document(template=_template("order_shipped", "a    b")))).status_code == 200


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}], ids=["missing", "wrong"])
async def test_a_wrong_token_is_refused(client, headers) -> None:
    answer = await client.post(URL, headers=headers, json=_document())
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 190)


async def test_another_phone_number_is_refused(client) -> None:
    answer = await client.post(URL.replace(PHONE_NUMBER_ID, "42"), headers=HEADERS, json=_document())
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["error_subcode"]) == (400, 100, 33)


async def test_the_phone_number_answers_a_check(client) -> None:
    url = f"/meta/v23.0/{PHONE_NUMBER_ID}?fields=id"
    assert (await client.get(url, headers=HEADERS)).json()["id"] == PHONE_NUMBER_ID
    assert (await client.get(url)).status_code == 401
