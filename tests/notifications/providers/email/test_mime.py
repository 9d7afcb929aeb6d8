"""Mail built by hand says the same as what the standard library reads back from it."""

import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, message_from_string
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import parseaddr, parsedate_to_datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.ids import message_id
from notifications.providers.base import EmailContent, ErrorScope, OutgoingMessage, PermanentDeliveryError, SmsContent
from notifications.providers.email.addresses import mailbox
from notifications.providers.email.mime import Mail, build_mail
from notifications.statuses import Channel

ORIGIN = UUID("a56453a4-7db3-5408-8b23-96f8b4313634")
KEY = message_id(ORIGIN, 1)
FIELDS = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "X-Tidings-Correlation",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
]


def build(address="ana@example.org", name=None, default_reply_to=None, **content) -> Mail:
    given = {"subject": "Hello", "html": "<p>Hi</p>", "text": "Hi"} | content
    message = OutgoingMessage(
        origin_id=ORIGIN,
        seq=1,
        attempt=2,
        channel=Channel.EMAIL,
        address=address,
        recipient_name=name,
        content=EmailContent(**given),
    )
    return build_mail(
        message,
        idempotency_key=KEY,
        default_from=mailbox("Tidings <hello@tidings.example>"),
        default_reply_to=default_reply_to,
    )


def parse(mail: Mail) -> EmailMessage:
    # The bytes parser knows no UTF-8 in header fields (RFC 6532), the other one does.
    utf8 = mail.needs_smtputf8
    parsed = (
        message_from_string(mail.data.decode(), policy=SMTPUTF8) if utf8 else message_from_bytes(mail.data, policy=SMTP)
    )
    assert isinstance(parsed, EmailMessage)
    assert not parsed.defects
    return parsed


def refused(**content) -> PermanentDeliveryError:
    with pytest.raises(PermanentDeliveryError) as caught:
        build(**content)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value


def test_the_mail_has_its_fields_and_both_bodies():
    parsed = parse(build(subject="Your payment", html="<p>49,90 €</p>", text="49,90 €"))
    assert list(parsed.keys()) == FIELDS
    assert parsed["From"] == "Tidings <hello@tidings.example>"
    assert parsed["To"] == "ana@example.org"
    assert parsed["Subject"] == "Your payment"
    assert parsed["Message-ID"] == f"<{KEY}@tidings.example>"
    assert parsed["X-Tidings-Correlation"] == f"{ORIGIN}.1.2"
    assert abs(parsedate_to_datetime(parsed["Date"]) - datetime.now(UTC)) < timedelta(minutes=5)
    assert parsed.get_content_type() == "multipart/alternative"
    plain, html = parsed.iter_parts()
    assert (plain.get_content_type(), plain.get_content()) == ("text/plain", "49,90 €")
    assert (html.get_content_type(), html.get_content()) == ("text/html", "<p>49,90 €</p>")


def test_without_html_it_is_plain_text():
    parsed = parse(build(html=None, text="One\nTwo\n"))
    assert parsed.get_content_type() == "text/plain"
    assert parsed.get_content() == "One\r\nTwo\r\n"


@pytest.mark.parametrize(
    "name",
    ["Ana", "Ana Müller", 'Ana "the boss" O\'Neil, Jr.', "Анна Каренина " * 8, "a\\b", "=?utf-8?q?x?=", "李小龍" * 30],
)
def test_a_name_reads_back_as_given(name):
    # Not by the newer policy: it keeps the blanks between encoded words (cpython), against RFC 2047 §6.2.
    shown, address = parseaddr(message_from_bytes(build(name=name).data)["To"])
    assert (str(make_header(decode_header(shown))), address) == (name.strip(), "ana@example.org")


@pytest.mark.parametrize("subject", ["Grüße", "🎉" * 100, "x" * 2000, "word " * 300, "=?utf-8?b?eA==?=", ""])
def test_a_subject_reads_back_as_given(subject):
    assert str(parse(build(subject=subject))["Subject"]) == subject.strip()


def test_an_international_domain_is_written_in_ascii():
    mail = build("ana@straße.example")
    assert mail.recipient == "ana@xn--strae-oqa.example"
    assert not mail.needs_smtputf8
    assert parse(mail)["To"].addresses[0].addr_spec == mail.recipient


def test_only_an_international_local_part_needs_smtputf8():
    mail = build("jürgen@münchen.example", name="Jürgen")
    assert mail.needs_smtputf8
    assert mail.recipient == "jürgen@xn--mnchen-3ya.example"
    assert "jürgen@xn--mnchen-3ya.example".encode() in mail.data
    assert parse(mail)["To"].addresses[0].addr_spec == mail.recipient


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ana",
        "@example.org",
        "ana@",
        "ana@exa mple.org",
        "a na@example.org",
        "ana@example.org\r\nBcc: eve@example.org",
        "ana@example.org>\r\nRCPT TO:<eve@example.org",
        "<ana@example.org> SIZE=1",
        "ana\x00@example.org",
        '"a b"@example.org',
        "ana@-example.org",
        "ana@example..org",
        "ana@[127.0.0.1]",
        "a" * 65 + "@example.org",
        "ana@" + "a." * 130 + "org",
        "ana@ex\u2028ample.org",
        "\ud800@example.org",
    ],
)
def test_what_is_no_address_is_refused_without_quoting_it(address):
    error = refused(address=address)
    assert error.scope is ErrorScope.RECIPIENT
    assert not error.disable_address
    assert not address or address not in str(error)


def test_sender_and_reply_to_of_the_category_go_before_the_defaults():
    default = mailbox("help@tidings.example")
    parsed = parse(build(default_reply_to=default))
    assert parsed["Reply-To"] == "help@tidings.example"
    parsed = parse(build(default_reply_to=default, from_address="Läden <shop@läden.example>", reply_to="r@x.example"))
    assert parsed["From"].addresses[0].display_name == "Läden"
    assert parsed["Reply-To"] == "r@x.example"
    assert parsed["Message-ID"] == f"<{KEY}@xn--lden-loa.example>"


def test_a_wrong_sender_is_a_matter_of_configuration():
    assert refused(from_address="nobody").scope is ErrorScope.CONFIG
    assert refused(reply_to="a@b\r\nX: y").scope is ErrorScope.CONFIG


def test_a_mailing_is_no_automatic_answer():
    link = "<https://tidings.example/u/abc>, <mailto:leave@tidings.example>"
    parsed = parse(build(headers={"List-Unsubscribe": link, "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}))
    assert parsed["List-Unsubscribe"] == link
    assert parsed["Auto-Submitted"] is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "b\r\nBcc: eve@example.org"),
        ("X-A", "b\nBcc: eve@example.org"),
        ("X-A", "b\x00"),
        ("X-A", "b\x85c"),
        ("X-A", "x" * 1000),
        ("X-A\r\nBcc", "eve@example.org"),
        ("X A", "canary"),
        ("X-A:", "canary"),
        ("", "canary"),
        ("Bcc", "eve@example.org"),
        ("content-type", "text/plain"),
        ("Message-Id", "<x@y>"),
    ],
)
def test_an_extra_header_cannot_bring_another(name, value):
    error = refused(headers={name: value})
    assert error.scope is ErrorScope.MESSAGE
    assert value not in str(error)


def test_content_of_another_channel_is_refused():
    message = OutgoingMessage(
        origin_id=ORIGIN,
        seq=1,
        attempt=1,
        channel=Channel.EMAIL,
        address="a@b.example",
        content=SmsContent("x", 1, "GSM-7"),
    )
    with pytest.raises(PermanentDeliveryError, match="email_wrong_content"):
        build_mail(message, idempotency_key=KEY, default_from=mailbox("a@b.example"), default_reply_to=None)


NASTY = st.text(st.characters() | st.sampled_from('\r\n\t\x00\x0b\x85\u2028\u2029=?"\\<>,;:.@'), max_size=300)


@settings(deadline=None)  # a busy machine is no fault
@given(name=NASTY, subject=NASTY, text=NASTY, html=NASTY)
def test_no_text_adds_a_header_or_a_long_line(name, subject, text, html):
    mail = build(name=name, subject=subject, text=text, html=html)
    parsed = parse(mail)
    assert list(parsed.keys()) == FIELDS
    assert [address.addr_spec for address in parsed["To"].addresses] == ["ana@example.org"]
    assert len(list(parsed.iter_parts())) == 2
    assert max(map(len, mail.data.split(b"\r\n"))) <= 998
    assert not re.search(rb"(?<!\r)\n|\r(?!\n)", mail.data)
    assert mail.data.isascii()


@settings(deadline=None)  # a busy machine is no fault
@given(text=NASTY)
def test_a_text_reads_back_as_given(text):
    sent = re.sub(r"\r\n?", "\n", text)
    mail = build(html=None, text=text)
    assert mail.data.endswith(b"\r\n")
    raw = parse(mail).get_payload(decode=True)
    assert isinstance(raw, bytes)
    whole = sent if sent.endswith("\n") else f"{sent}\n"  # the last line ends as well
    assert raw.replace(b"\r\n", b"\n") in {whole.encode("utf-8", "replace"), sent.encode("utf-8", "replace")}


@settings(deadline=None)  # a busy machine is no fault
@given(name=st.text(max_size=40), value=NASTY)
def test_an_extra_header_is_taken_whole_or_refused(name, value):
    try:
        mail = build(headers={name: value})
    except PermanentDeliveryError:
        return
    assert len(parse(mail).keys()) == len(FIELDS) + (1 if name.lower() != "list-unsubscribe" else -1)
