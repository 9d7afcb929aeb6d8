from typing import Any

import httpx
import pytest

URL = "/fcm/v1/projects/tidings-sandbox/messages:send"
KEY = "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac"  # message 1 of the notification below (CONTRACTS, ids)
CORRELATION = "a56453a4-7db3-5408-8b23-96f8b4313634.1.2"


def _message(**changes: Any) -> dict[str, Any]:
    notification = {"title": "Payment received", "body": "€49.90 paid."}
    return {"message": {"token": "device-1", "notification": notification, **changes}}


async def _send(client: httpx.AsyncClient, headers: dict[str, str], document: Any) -> httpx.Response:
    return await client.post(URL, headers=headers, json=document)


def _fcm_code(answer: httpx.Response) -> str | None:
    details = answer.json()["error"].get("details", [])
    return next((item["errorCode"] for item in details if "errorCode" in item), None)


async def test_an_accepted_message_is_in_the_inbox_as_a_person_reads_it(client, fcm_headers, conforms) -> None:
    data = {"tidings_message_id": KEY, "tidings_correlation": CORRELATION, "link": "https://acme.example/r/1"}
    android = {"ttl": "3600s", "notification": {"tag": KEY}}
    apns = {"headers": {"apns-collapse-id": KEY}}
    answer = await _send(client, fcm_headers, _message(data=data, android=android, apns=apns))
    assert answer.status_code == 200
    assert answer.json()["name"].startswith("projects/tidings-sandbox/messages/")
    (entry,) = (await client.get("/api/inbox")).json()["items"]
    assert (entry["provider"], entry["channel"], entry["to"]) == ("fcm", "push", "device-1")
    assert (entry["key"], entry["correlation"]) == (KEY, CORRELATION)
    assert entry["provider_message_id"] == answer.json()["name"]
    assert entry["content"]["title"] == "Payment received"
    assert entry["content"]["link"] == "https://acme.example/r/1"
    conforms("fcm_v1.openapi.json", "/fcm", answer)


async def test_the_key_follows_from_a_correlation_alone(client, fcm_headers) -> None:
    assert (await _send(client, fcm_headers, _message(fcm_options={"analytics_label": CORRELATION}))).status_code == 200
    (entry,) = (await client.get("/api/inbox", params={"key": KEY})).json()["items"]
    assert entry["correlation"] == CORRELATION


async def test_validate_only_leaves_no_trace(client, fcm_headers) -> None:
    answer = await _send(client, fcm_headers, {**_message(), "validateOnly": True})
    assert answer.status_code == 200
    assert (await client.get("/api/inbox/count")).json()["count"] == 0


@pytest.mark.parametrize(
    ("token", "status", "code"),
    [
        ("dead-1", 404, "UNREGISTERED"),
        ("foreign-1", 403, "SENDER_ID_MISMATCH"),
        ("invalid-1", 400, "INVALID_ARGUMENT"),
        ("apns-auth-1", 401, "THIRD_PARTY_AUTH_ERROR"),
        ("busy-1", 429, "QUOTA_EXCEEDED"),
    ],
)
async def test_test_tokens_get_the_vendors_errors(client, fcm_headers, token, status, code) -> None:
    answer = await _send(client, fcm_headers, _message(token=token))
    assert (answer.status_code, _fcm_code(answer)) == (status, code)
    assert answer.json()["error"]["code"] == status
    assert answer.headers.get("Retry-After") == ("60" if status == 429 else None)
    assert (await client.get("/api/inbox/count")).json()["count"] == 0


async def test_a_bad_token_is_named_as_the_field(client, fcm_headers) -> None:
    answer = await _send(client, fcm_headers, _message(token="invalid-1"))
    violations = answer.json()["error"]["details"][1]["fieldViolations"]
    assert violations[0]["field"] == "message.token"


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (_message(data={"amount": 4990}), "Invalid value at 'message.data[0].value' (TYPE_STRING), 4990"),
        (_message(colour="red"), "Unknown name \"colour\" at 'message': Cannot find field."),
        (_message(android={"priority": 1}), "Invalid value at 'message.android.priority' (TYPE_STRING), 1"),
        (_message(topic="news"), "oneof field 'target' is already set"),
        ({"message": {"notification": {"title": "t"}}}, "Recipient of the message is not set."),
        ({}, "Message is not set."),
        ([], "Invalid value at 'message'"),
        (_message(data={"from": "me"}), "Invalid data payload key: from"),
        (_message(data={"google.x": "1"}), "Invalid data payload key: google.x"),
        (_message(data={"text": "x" * 4096}), "Android message is too big"),
        (_message(android={"ttl": "2419201s"}), "time to live"),
        (_message(android={"ttl": "60"}), "time to live"),
        (_message(android={}, android_v2={}), "Only one of android and android_v2"),
        (_message(fcm_options={"analytics_label": "a b"}), "Invalid analytics label"),
    ],
)
async def test_what_google_refuses_is_refused(client, fcm_headers, document, words) -> None:
    answer = await _send(client, fcm_headers, document)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert words in answer.json()["error"]["message"]


@pytest.mark.parametrize("body", [b"{", b'{"message": NaN}', b"[" * 100_000], ids=["cut", "NaN", "deep"])
async def test_a_body_that_is_no_json_is_refused(client, fcm_headers, body) -> None:
    answer = await client.post(URL, headers=fcm_headers, content=body)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_the_largest_payload_is_taken(client, fcm_headers) -> None:
    def sized(size: int) -> dict[str, Any]:
        empty = len('{"notification":{"title":"t","body":"b"},"data":{"text":""}}')
        return {
            "message": {
                "token": "d",
                "notification": {"title": "t", "body": "b"},
                "data": {"text": "x" * (size - empty)},
            }
        }

    assert (await _send(client, fcm_headers, sized(4096))).status_code == 200
    assert (await _send(client, fcm_headers, sized(4097))).status_code == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 401), ({"Authorization": "Bearer ya29.forged"}, 401), ({"Authorization": "Basic eDp5"}, 401)],
    ids=["missing", "forged", "basic"],
)
async def test_wrong_credentials_are_refused(client, headers, status) -> None:
    answer = await _send(client, headers, _message())
    assert (answer.status_code, answer.json()["error"]["status"]) == (status, "UNAUTHENTICATED")
    assert _fcm_code(answer) is None


async def test_another_project_is_forbidden(client, fcm_headers) -> None:
    answer = await client.post(URL.replace("tidings-sandbox", "other"), headers=fcm_headers, json=_message())
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
