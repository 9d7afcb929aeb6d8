"""What SendGrid is told about one mail, and how long it asks to wait."""

import time
from datetime import timedelta
from email.header import decode_header, make_header
from typing import Any

import pytest
from pydantic import SecretStr

from notifications.providers.base import EmailContent, ErrorScope, PermanentDeliveryError, Receipt
from notifications.providers.email.addresses import mailbox
from notifications.providers.email.sendgrid import SendGridProvider, build_request
from notifications.settings import SendGridSettings, SettingsError
from tests.contracts.support.bench import BODY, KEY, NAME, ORIGIN, outgoing
from tests.contracts.support.http_server import Reply
from tests.contracts.support.sendgrid import SendGridBench
from tests.contracts.support.vendors import running

FROM = mailbox("Tidings <hello@tidings.example>")


def build(content: EmailContent | None = None, **changes: Any) -> dict[str, Any]:
    bench = SendGridBench()
    message = outgoing(bench, content=content or bench.content(), **changes)
    return build_request(message, idempotency_key=KEY, default_from=FROM, default_reply_to=None)


def refused(content: EmailContent | None = None, **changes: Any) -> PermanentDeliveryError:
    with pytest.raises(PermanentDeliveryError) as caught:
        build(content, **changes)
    return caught.value


def test_a_request_is_the_mail_with_our_reference_in_it():
    assert build() == {
        "personalizations": [
            {
                "to": [{"email": SendGridBench.address, "name": NAME}],
                "custom_args": {"tidings_message_id": str(KEY), "tidings_correlation": f"{ORIGIN}.1.2"},
            }
        ],
        "from": {"email": "hello@tidings.example", "name": "Tidings"},
        "subject": "Payment received",
        "content": [{"type": "text/plain", "value": BODY}, {"type": "text/html", "value": f"<p>{BODY}</p>"}],
        "headers": {
            "Message-ID": f"<{KEY}@tidings.example>",
            "X-Tidings-Correlation": f"{ORIGIN}.1.2",
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
        },
    }


def test_the_categorys_sender_and_reply_to_go_first():
    content = EmailContent("s", None, "t", from_address="Shop <shop@acme.example>", reply_to="help@acme.example")
    built = build(content)
    assert built["from"] == {"email": "shop@acme.example", "name": "Shop"}
    assert built["reply_to"] == {"email": "help@acme.example"}
    assert built["headers"]["Message-ID"] == f"<{KEY}@acme.example>"


def test_header_fields_are_encoded_and_on_one_line():
    unsubscribe = "<https://u.example/u/1>, <mailto:leave@u.example>"
    content = EmailContent("s", None, "t", headers={"List-Unsubscribe": unsubscribe, "X-Shop": "Grüße " * 30})
    headers = build(content)["headers"]
    assert headers["List-Unsubscribe"] == unsubscribe
    assert headers["X-Shop"].isascii()
    assert "\n" not in headers["X-Shop"]
    assert str(make_header(decode_header(headers["X-Shop"]))) == "Grüße " * 30
    assert "Auto-Submitted" not in headers


@pytest.mark.parametrize("name", ["Message-ID", "Subject", "Content-Type", "Reply-To", "Received", "a b"])
def test_a_header_field_that_is_not_free_is_refused(name):
    assert refused(EmailContent("s", None, "t", headers={name: "x"})).code == "email_bad_header"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Müller", "Müller"),
        ("Person, Ana", '"Person, Ana"'),
        ('Ana "A;B" Person', "\"Ana 'A;B' Person\""),
        ("two\r\nlines", "two lines"),
    ],
)
def test_a_name_with_a_separator_is_quoted(name, expected):
    assert build(recipient_name=name)["personalizations"][0]["to"][0]["name"] == expected


def test_a_recipient_without_a_name_is_an_address():
    assert build(recipient_name=None)["personalizations"][0]["to"] == [{"email": SendGridBench.address}]


def test_a_domain_is_written_in_ascii():
    to = build(address="ana@münchen.example")["personalizations"][0]["to"][0]
    assert to["email"] == "ana@xn--mnchen-3ya.example"


@pytest.mark.parametrize(
    ("changes", "code", "scope"),
    [
        ({"address": "müller@example.org"}, "sendgrid_no_smtputf8", ErrorScope.RECIPIENT),
        ({"address": "nobody"}, "email_invalid_address", ErrorScope.RECIPIENT),
        ({"content": EmailContent("s", None, "t", "müller@acme.example")}, "sendgrid_no_smtputf8", ErrorScope.CONFIG),
        ({"content": EmailContent("s", None, "t", None, "ü@acme.example")}, "sendgrid_no_smtputf8", ErrorScope.CONFIG),
        ({"content": EmailContent(" \n", None, "t")}, "sendgrid_no_subject", ErrorScope.MESSAGE),
        ({"content": EmailContent("s", "", "")}, "sendgrid_no_text", ErrorScope.MESSAGE),
    ],
)
def test_what_sendgrid_never_takes_is_refused_before_the_call(changes, code, scope):
    error = refused(**changes)
    assert (error.code, error.scope) == (code, scope)


def test_an_empty_part_is_left_out():
    assert build(EmailContent("s", "<p>t</p>", ""))["content"] == [{"type": "text/html", "value": "<p>t</p>"}]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-RateLimit-Reset": "1795341640", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, timedelta(seconds=40)),
        ({"X-RateLimit-Reset": "1795341500", "Date": "Sun, 22 Nov 2026 10:00:00 GMT"}, timedelta()),
        ({"X-RateLimit-Reset": "1795341640", "Retry-After": "3"}, timedelta(seconds=3)),
        ({"X-RateLimit-Reset": "999999999999"}, timedelta(seconds=10**6)),
        ({"X-RateLimit-Reset": "soon"}, None),
    ],
)
async def test_after_too_many_requests_sendgrid_says_when_its_period_ends(headers, expected, failure):
    async with running("sendgrid") as bench:
        bench.play(Reply(429, {"errors": []}, headers))
        error = await failure(bench.provider, outgoing(bench))
    assert error.retry_after == expected


async def test_without_the_vendors_clock_the_period_ends_by_ours(failure):
    async with running("sendgrid") as bench:
        bench.play(Reply(429, {}, {"X-RateLimit-Reset": str(int(time.time()) + 600)}))
        error = await failure(bench.provider, outgoing(bench))
    assert timedelta(minutes=9) < error.retry_after <= timedelta(minutes=10)


@pytest.mark.parametrize("headers", [{}, {"X-Message-Id": "a b"}, {"X-Message-Id": "x" * 201}])
async def test_an_acceptance_counts_without_an_id_that_can_be_kept(headers, send):
    async with running("sendgrid") as bench:
        bench.play(Reply(202, body=b"", headers=headers))
        assert await send(bench.provider, outgoing(bench)) == Receipt(None)


async def test_a_key_that_may_not_send_is_said_by_the_check():
    async with running("sendgrid") as bench:
        for answer, code in (
            (Reply(200, {"scopes": ["stats.read"]}), "sendgrid_no_scope"),
            (Reply(200, {"scopes": "mail.send"}), "sendgrid_no_scope"),
            (Reply(401, {}), "sendgrid_http_401"),
        ):
            bench.server.elsewhere_script.append(answer)
            with pytest.raises(PermanentDeliveryError) as caught:
                await bench.provider.check()
            assert (caught.value.code, caught.value.scope) == (code, ErrorScope.CONFIG)


@pytest.mark.parametrize(
    ("given", "variable"),
    [
        ({}, "TIDINGS_SENDGRID__API_KEY"),
        ({"api_key": SecretStr("SG.1")}, "TIDINGS_SENDGRID__FROM_ADDRESS"),
        ({"api_key": SecretStr("SG.1"), "from_address": "nobody"}, "TIDINGS_SENDGRID__FROM_ADDRESS"),
        (
            {"api_key": SecretStr("SG.1"), "from_address": "a@acme.example", "reply_to": "nobody"},
            "TIDINGS_SENDGRID__REPLY_TO",
        ),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named(given, variable):
    with pytest.raises(SettingsError, match=variable):
        SendGridProvider(SendGridSettings(**given))
