from typing import Any

import httpx
import pytest

from devstack.sandbox.segments import count_segments
from devstack.sandbox.twilio import ACCOUNT_SID, AUTH_TOKEN, FROM_NUMBER, MESSAGING_SERVICE_SID

URL = f"/twilio/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
KEY = "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac"
TEMPLATE = "HX" + "0a" * 16


async def _send(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    form = {"To": "+4915112345678", "From": FROM_NUMBER, "Body": "481 902 is your code.", **fields}
    given = {name: value for name, value in form.items() if value}
    return await client.post(URL, data=given, auth=(ACCOUNT_SID, AUTH_TOKEN))


async def _entry(client: httpx.AsyncClient) -> dict[str, Any]:
    (entry,) = (await client.get("/api/inbox")).json()["items"]
    return entry


async def test_an_accepted_text_is_in_the_inbox_with_its_segments(client, conforms) -> None:
    callback = f"https://tidings.example/webhooks/twilio?correlation=c&key={KEY}"
    answer = await _send(client, StatusCallback=callback, ValidityPeriod="600")
    assert answer.status_code == 201
    assert answer.json()["status"] == "queued"
    assert answer.json()["num_segments"] == "1"
    entry = await _entry(client)
    assert (entry["provider"], entry["channel"], entry["to"]) == ("twilio", "sms", "+4915112345678")
    assert entry["key"] == KEY
    assert entry["provider_message_id"] == answer.json()["sid"]
    assert entry["content"]["body"] == "481 902 is your code."
    assert (entry["content"]["segments"], entry["content"]["encoding"]) == (1, "GSM-7")
    conforms("twilio_messages.patched.openapi.json", "/twilio", answer)


async def test_a_messaging_service_answers_accepted(client, conforms) -> None:
    answer = await _send(client, From="", MessagingServiceSid=MESSAGING_SERVICE_SID)
    assert (answer.status_code, answer.json()["status"], answer.json()["from"]) == (201, "accepted", None)
    assert answer.json()["num_segments"] == "0"
    conforms("twilio_messages.patched.openapi.json", "/twilio", answer)


async def test_a_whatsapp_template_is_a_whatsapp_message(client) -> None:
    fields = {"To": "whatsapp:+4915112345678", "From": f"whatsapp:{FROM_NUMBER}", "Body": ""}
    answer = await _send(client, **fields, ContentSid=TEMPLATE, ContentVariables='{"1": "Ana"}')
    assert answer.status_code == 201
    entry = await _entry(client)
    assert (entry["channel"], entry["to"]) == ("whatsapp", "+4915112345678")
    assert (entry["content"]["template"], entry["content"]["parameters"]) == (TEMPLATE, ["Ana"])


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"To": ""}, 400, 21604),
        ({"To": "0151 1234"}, 400, 21211),
        ({"To": "+15005550001"}, 400, 21211),
        ({"To": "+15005550002"}, 400, 21612),
        ({"To": "+15005550003"}, 400, 21408),
        ({"To": "+15005550004"}, 400, 21610),
        ({"To": "+15005550009"}, 400, 21614),
        ({"To": "+15005550029"}, 429, 20429),
        ({"From": ""}, 400, 21603),
        ({"From": "+15005550001"}, 400, 21212),
        ({"From": "12345678901234567890"}, 400, 21212),
        ({"From": "+15005550007"}, 400, 21606),
        ({"From": "+15005550008"}, 429, 21611),
        ({"From": "", "MessagingServiceSid": "MG" + "0" * 32}, 404, 21701),
        ({"Body": ""}, 400, 21602),
        ({"Body": "x" * 1601}, 400, 21617),
        ({"StatusCallback": "not a url"}, 400, 21609),
        ({"ValidityPeriod": "36001"}, 400, 20001),
        ({"To": "whatsapp:+4915112345678", "From": f"whatsapp:{FROM_NUMBER}"}, 400, 63016),
        ({"To": "whatsapp:+4915112345678"}, 400, 21612),
        ({"ContentSid": "HX1"}, 400, 21655),
        ({"ContentSid": TEMPLATE, "ContentVariables": "[1]"}, 400, 21656),
        ({"ContentSid": TEMPLATE, "ContentVariables": "{"}, 400, 21656),
    ],
)
async def test_what_twilio_refuses_is_refused_with_its_code(client, fields, status, code) -> None:
    answer = await _send(client, **fields)
    error = answer.json()
    assert (answer.status_code, error["code"], error["status"]) == (status, code, status)
    assert error["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert (await client.get("/api/inbox/count")).json()["count"] == 0


@pytest.mark.parametrize("sender", ["ACME", "Acme Shop"])
async def test_a_sender_name_is_taken(client, sender) -> None:
    assert (await _send(client, From=sender)).status_code == 201


@pytest.mark.parametrize(
    ("url", "auth"),
    [
        (URL, None),
        (URL, (ACCOUNT_SID, "wrong")),
        (URL, ("AC" + "0" * 32, AUTH_TOKEN)),
        (URL.replace(ACCOUNT_SID, "AC" + "0" * 32), (ACCOUNT_SID, AUTH_TOKEN)),
    ],
    ids=["missing", "token", "account", "path"],
)
async def test_wrong_credentials_are_refused(client, url, auth) -> None:
    answer = await client.post(url, data={"To": "+4915112345678"}, auth=auth)
    assert (answer.status_code, answer.json()["code"], answer.json()["message"]) == (401, 20003, "Authenticate")


async def test_the_account_answers_a_check(client) -> None:
    url = f"/twilio/2010-04-01/Accounts/{ACCOUNT_SID}.json"
    assert (await client.get(url, auth=(ACCOUNT_SID, AUTH_TOKEN))).json()["sid"] == ACCOUNT_SID
    assert (await client.get(url)).status_code == 401


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("a" * 152 + "€" + "a" * 152, 3),  # the pair of the euro sign is not split
        ("ç" * 70, 1),
        ("ç" * 71, 2),
        ("📦" * 35, 1),
        ("📦" * 36, 2),
        ("📦" * 67, 3),  # 33 pairs in a part of 67
    ],
)
def test_segments_are_counted_as_in_the_standard(text, segments) -> None:
    assert count_segments(text) == segments


async def test_who_wrote_stop_is_refused_until_start(client) -> None:
    written = {"from": "+4915112345678", "url": "http://127.0.0.1:9/replies"}  # nobody listens there
    for body, status in (("Stop", 400), ("Start", 201)):
        answer = await client.post("/api/replies/twilio", json=written | {"body": body})
        assert answer.json() == {"status": None}
        assert (await _send(client)).status_code == status


async def test_a_reply_needs_a_webhook_and_a_number(client) -> None:
    for written in ({"from": "+4915112345678", "body": "STOP"}, {"from": "me", "body": "STOP"}):
        assert (await client.post("/api/replies/twilio", json=written)).status_code == 422
