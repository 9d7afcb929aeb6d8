from typing import Any

import httpx
import pytest

from devstack.sandbox.sendgrid import API_KEY, MAX_BYTES

URL = "/sendgrid/v3/mail/send"
HEADERS = {"Authorization": f"Bearer {API_KEY}"}
CORRELATION = "a56453a4-7db3-5408-8b23-96f8b4313634.1.2"
KEY = "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac"
TO = {"email": "ana@example.org", "name": "Ana"}


def _mail(**changes: Any) -> dict[str, Any]:
    mail = {
        "personalizations": [
            {"to": [TO], "custom_args": {"tidings_message_id": KEY, "tidings_correlation": CORRELATION}}
        ],
        "from": {"email": "hello@acme.example", "name": "Acme"},
        "subject": "Zahlung",
        "content": [{"type": "text/plain", "value": "Danke"}, {"type": "text/html", "value": "<p>Danke</p>"}],
        "headers": {"Message-ID": f"<{KEY}@acme.example>"},
        **changes,
    }
    return {name: value for name, value in mail.items() if value is not None}


def _to(*addresses: str, **more: Any) -> list[dict[str, Any]]:
    return [{"to": [{"email": address} for address in addresses], **more}]


async def _send(client: httpx.AsyncClient, mail: Any) -> httpx.Response:
    return await client.post(URL, headers=HEADERS, json=mail)


async def _items(client: httpx.AsyncClient) -> list[dict[str, Any]]:
    return (await client.get("/api/inbox")).json()["items"]


async def test_an_accepted_mail_is_in_the_inbox_as_a_person_would_read_it(client, conforms) -> None:
    answer = await _send(client, _mail(reply_to={"email": "help@acme.example"}))
    assert (answer.status_code, answer.content) == (202, b"")
    (entry,) = await _items(client)
    assert (entry["provider"], entry["channel"], entry["to"]) == ("sendgrid", "email", "ana@example.org")
    assert (entry["key"], entry["correlation"]) == (KEY, CORRELATION)
    assert entry["provider_message_id"] == answer.headers["X-Message-Id"]
    content = entry["content"]
    assert (content["subject"], content["from"], content["to"]) == (
        "Zahlung",
        "Acme <hello@acme.example>",
        "Ana <ana@example.org>",
    )
    assert (content["text"], content["html"], content["reply_to"]) == ("Danke", "<p>Danke</p>", "help@acme.example")
    assert content["message_id"] == f"<{KEY}@acme.example>"
    conforms("sendgrid_mail_v3.openapi.json", "/sendgrid", answer)


async def test_the_page_shows_it_in_its_mailbox(client) -> None:
    await _send(client, _mail())
    html = (await client.get("/")).text
    assert 'data-box="Mailbox:ana@example.org"' in html
    assert "SendGrid" in html


async def test_without_custom_args_the_key_is_that_of_the_message_id(client) -> None:
    await _send(client, _mail(personalizations=_to("ana@example.org")))
    (entry,) = await _items(client)
    assert (entry["key"], entry["correlation"]) == (KEY, None)


async def test_each_recipient_has_a_mail_of_their_own(client) -> None:
    await _send(client, _mail(personalizations=[*_to("a@example.org", "b@example.org"), *_to("c@example.org")]))
    assert sorted(entry["to"] for entry in await _items(client)) == ["a@example.org", "b@example.org", "c@example.org"]


async def test_in_sandbox_mode_a_mail_is_valid_and_not_sent(client) -> None:
    answer = await _send(client, _mail(mail_settings={"sandbox_mode": {"enable": True}}))
    assert answer.status_code == 200
    assert await _items(client) == []


PERSONALIZATION = "personalizations.0"


@pytest.mark.parametrize(
    ("mail", "status", "field"),
    [
        ([], 400, None),
        (_mail(personalizations=None), 400, "personalizations"),
        (_mail(personalizations={}), 400, "personalizations"),
        (_mail(personalizations=[{}]), 400, f"{PERSONALIZATION}.to"),
        (_mail(personalizations=_to()), 400, f"{PERSONALIZATION}.to"),
        (_mail(personalizations=_to("nobody")), 400, f"{PERSONALIZATION}.to.0.email"),
        (_mail(personalizations=_to("a@example.org", "müller@example.org")), 400, f"{PERSONALIZATION}.to.1.email"),
        (_mail(personalizations=[{"to": ["a@example.org"]}]), 400, f"{PERSONALIZATION}.to.0.email"),
        (_mail(personalizations=_to("a@example.org", "A@example.org")), 400, "personalizations"),
        (_mail(personalizations=_to(*(f"{n}@example.org" for n in range(1001)))), 400, "personalizations"),
        (_mail(personalizations=_to("a@b.example", custom_args={"n": 1})), 400, f"{PERSONALIZATION}.custom_args"),
        (
            _mail(personalizations=_to("a@b.example", custom_args={"n": "x" * 10_001})),
            400,
            f"{PERSONALIZATION}.custom_args",
        ),
        (_mail(personalizations=_to("a@b.example", headers={"To": "x"})), 400, f"{PERSONALIZATION}.headers.To"),
        ({**_mail(), "from": {"email": "nobody"}}, 400, "from.email"),
        ({name: value for name, value in _mail().items() if name != "from"}, 400, "from.email"),
        ({**_mail(), "from": {"email": "unverified-1@acme.example"}}, 403, "from"),
        (_mail(reply_to={"email": "nobody"}), 400, "reply_to.email"),
        (_mail(subject=None), 400, "subject"),
        (_mail(subject=""), 400, "subject"),
        (_mail(content=None), 400, "content"),
        (_mail(content=[{"type": "text/plain", "value": ""}]), 400, "content.0.value"),
        (_mail(content=["text"]), 400, "content.0.value"),
        (_mail(content=list(reversed(_mail()["content"]))), 400, "content"),
        (_mail(headers={"Received": "x"}), 400, "headers.Received"),
        (_mail(headers={"X-A": "a\r\nBcc: x@y.example"}), 400, "headers"),
        (_mail(headers={"X-A": "Grüße"}), 400, "headers"),
        (_mail(headers={"X-A": 1}), 400, "headers"),
        (_mail(custom_args="text"), 400, "custom_args"),
    ],
)
async def test_what_sendgrid_refuses_is_refused_with_its_field(client, mail, status, field) -> None:
    answer = await _send(client, mail)
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["field"]) == (status, field)
    assert error["message"]
    assert (error["help"] is None) == (field is None)
    assert await _items(client) == []


async def test_a_body_that_is_no_json_or_too_large_is_refused(client) -> None:
    given = {**HEADERS, "Content-Type": "application/json"}
    assert (await client.post(URL, headers=given, content=b"{")).status_code == 400
    answer = await client.post(URL, headers=given, content=b" " * (MAX_BYTES + 1))
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (413, "content too large")
    assert (await client.post(URL, headers=HEADERS, data={"a": "b"})).status_code == 415


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}], ids=["missing", "wrong"])
async def test_a_wrong_key_is_refused(client, headers) -> None:
    answer = await client.post(URL, headers=headers, json=_mail())
    assert answer.status_code == 401
    assert "authorization grant" in answer.json()["errors"][0]["message"]


async def test_the_scopes_answer_a_check(client) -> None:
    url = "/sendgrid/v3/scopes"
    assert "mail.send" in (await client.get(url, headers=HEADERS)).json()["scopes"]
    assert (await client.get(url)).status_code == 401


async def test_a_fault_has_sendgrids_body_and_no_code(client) -> None:
    await client.put("/api/faults/sendgrid/ana@example.org", json={"throttle": {"retry_after": 7}})
    answer = await _send(client, _mail())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert answer.headers["X-RateLimit-Remaining"] == "0"
    assert answer.json() == {"errors": [{"message": "too many requests", "field": None, "help": None}]}
    assert (await _send(client, _mail(personalizations=_to("eva@example.org")))).status_code == 202
    refused = await client.put("/api/faults/sendgrid", json={"error": {"code": 5}})
    assert (refused.status_code, "use error.status" in refused.json()["detail"]) == (422, True)


async def test_switched_off_it_is_down(client) -> None:
    await client.put("/api/providers/sendgrid", json={"enabled": False})
    answer = await _send(client, _mail())
    assert (answer.status_code, answer.json()["errors"][0]["message"]) == (503, "service not available")
