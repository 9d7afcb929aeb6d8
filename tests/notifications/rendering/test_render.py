"""Each channel's content, and errors that say where and never what the data was."""

import traceback
from typing import Any

import pytest

from notifications.catalogue.definition import SenderIdentity
from notifications.profiles.profile import Device, Profile
from notifications.providers.base import EmailContent, PushContent, SmsContent, WhatsAppContent
from notifications.rendering.render import RenderContext, Renderer, RenderError, recipient_view
from notifications.statuses import Channel
from tests.notifications.rendering.definitions import body, definition, email, rendered, sms

CANARY = "s3cret-ana@example.org"


def test_an_email_has_the_senders_identity_of_its_category() -> None:
    content = rendered(email("<p>{{ data.x }}</p>", "{{ data.x }}", "About {{ data.x }}"), {"x": "a & b"})
    assert content == EmailContent(
        subject="About a & b",
        html="<p>a &amp; b</p>",
        text="a & b",
        from_address="Acme <hello@acme.example>",
        reply_to="help@acme.example",
    )


def test_an_email_may_be_text_only() -> None:
    template = definition({"email": {"en": {"subject": "s", "text": "t"}}}, sender=SenderIdentity())
    assert rendered(template) == EmailContent(subject="s", html=None, text="t")


def test_a_push_without_a_link_has_none_and_its_data_are_strings() -> None:
    parts = {"title": "t", "body": "b", "link": "{{ data.url | default('') }}", "data": {"n": "{{ data.n }}"}}
    template = definition({"push": {"en": parts}})
    assert rendered(template, {"n": 7}) == PushContent(title="t", body="b", link=None, data={"n": "7"})
    linked = rendered(template, {"n": True, "url": "acme://orders/1"})
    assert (linked.link, linked.data) == ("acme://orders/1", {"n": "true"})


def test_an_sms_counts_its_segments_after_marks_were_made_plain() -> None:
    content = rendered(sms("{{ data.x | money('EUR') }} \u2013 ok"), {"x": "49.90"}, locale="en")
    assert content == SmsContent(body="€49.90 - ok", segments=1, encoding="GSM-7", sender="ACME")
    assert rendered(sms("ж" * 71)).segments == 2


def test_whatsapp_parameters_have_no_line_ends_tabs_or_gaps() -> None:
    vendors = {"meta": {"name": "shop_event", "language": "en_US"}}
    template = definition(
        {"whatsapp": {"en": {"vendor_templates": vendors, "parameters": ["{{ data.x }}", "{{ data.y }}"]}}}
    )
    content = rendered(template, {"x": "a\r\n\tb     c   d", "y": 3})
    assert content == WhatsAppContent(vendor_templates=vendors, parameters=("a b c   d", "3"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\u2028", "\x85", "\x0b", "\t"])
def test_a_subject_is_one_line_without_control_characters(end: str) -> None:
    content = rendered(email("<p></p>", subject="a {{ data.x }} b"), {"x": f"x{end}Bcc: eve@example.org\x00\x1b"})
    assert content.subject == "a x Bcc: eve@example.org b"


def test_a_text_keeps_its_lines_but_no_more_than_one_blank_one() -> None:
    assert body("a\r\nb\n\n\n  \nc\x00\x07{{ data.x }}\n", {"x": "\ud800d"}) == "a\nb\n\ncd"


def test_keys_of_the_data_come_before_methods() -> None:
    assert body("{% for item in data.items %}{{ item }},{% endfor %}", {"items": [1, 2]}) == "1,2,"
    assert body("{% for key, value in data.items() %}{{ key }}{{ value }}{% endfor %}", {"a": 1}) == "a1"


def test_an_event_without_data_renders() -> None:
    context = RenderContext(data=None)
    assert Renderer().render(sms("{{ data.x | default('none') }}"), Channel.SMS, context).body == "none"  # type: ignore[union-attr]


def test_templates_see_the_profile_without_its_addresses() -> None:
    profile = Profile(
        recipient_id="cus_42",
        name="Ana",
        email="ana@example.org",
        phone="+4915112345678",
        locale="de-AT",
        timezone="Europe/Vienna",
        attributes={"plan": "pro"},
        devices=(Device("d", "token", "ios"),),
    )
    view = recipient_view(profile)
    assert view == {
        "id": "cus_42",
        "name": "Ana",
        "locale": "de-AT",
        "timezone": "Europe/Vienna",
        "attributes": {"plan": "pro"},
    }
    source = "{{ recipient.name }} {{ recipient.attributes.plan }} {{ locale }}"
    assert body(source, recipient=view) == "Ana pro en"


def test_a_guest_is_the_recipient_with_what_the_event_says() -> None:
    assert (
        body("{{ recipient.name }} {{ recipient.email }}", recipient={"name": "Ana", "email": "a@b.c"}) == "Ana a@b.c"
    )


def test_templates_see_four_attributes_of_the_event() -> None:
    event = {"id": "1", "type": "t", "source": "s", "time": "2026-11-22T10:15:00Z", "cancelkey": "k"}
    assert body("{{ event.id }}{{ event.type }}{{ event.source }}{{ event.time | date }}", event=event).startswith(
        "1ts"
    )
    with pytest.raises(RenderError, match=r"'event\.cancelkey' is undefined"):
        body("{{ event.cancelkey }}", event=event)


def test_the_recipients_locale_is_used_where_none_is_asked_for() -> None:
    template = definition({"sms": {"en": {"body": "hello"}, "de": {"body": "hallo {{ locale }}"}}})
    assert rendered(template, recipient={"locale": "de-CH"}).body == "hallo de-CH"
    assert rendered(template, recipient={"locale": "de"}, locale="en").body == "hello"
    assert rendered(template, recipient={"locale": "fr"}).body == "hello"


def test_a_version_is_compiled_once_and_an_unpublished_one_each_time() -> None:
    renderer, context = Renderer(), RenderContext(data={})
    one, other = definition({"sms": {"en": {"body": "one"}}}), definition({"sms": {"en": {"body": "other"}}})
    assert renderer.render(one, Channel.SMS, context).body == "one"  # type: ignore[union-attr]
    assert renderer.render(other, Channel.SMS, context).body == "one"  # type: ignore[union-attr] # the same version
    drafts = [draft.model_copy(update={"version": 0}) for draft in (one, other)]
    assert [renderer.render(draft, Channel.SMS, context).body for draft in drafts] == ["one", "other"]  # type: ignore[union-attr]


def test_a_channel_without_a_template() -> None:
    with pytest.raises(RenderError, match="push: there is no template in the default locale 'en'"):
        Renderer().render(sms("x"), Channel.PUSH, RenderContext(data={}))


@pytest.mark.parametrize(
    ("origins", "where"),
    [
        ({"push.en.body": "shop.event/definition.yaml:20"}, "shop.event/definition.yaml:22: "),
        ({}, "shop.event/push.en.body:3: "),
    ],
)
def test_an_error_names_the_file_and_the_line(origins: dict[str, str], where: str) -> None:
    template = definition({"push": {"en": {"title": "t", "body": "a\nb\n{{ data.x }}"}}}, origins=origins)
    with pytest.raises(RenderError) as caught:
        rendered(template)
    assert str(caught.value) == f"{where}'data.x' is undefined"


def test_an_error_in_a_layout_names_the_layout() -> None:
    layouts = {"layouts/a.html": "<p>\n{{ data.card.nmae }}{% block b %}{% endblock %}</p>"}
    template = email('{% extends "layouts/a.html" %}{% block b %}x{% endblock %}', layouts=layouts)
    with pytest.raises(RenderError) as caught:
        rendered(template, {"card": {"name": "x"}})
    expected = "layouts/a.html:2: 'data.card.nmae' is undefined; did you mean 'data.card.name'?"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ data.absent }}", "'data.absent' is undefined"),
        ("{{ data.list[7].x }}", "undefined"),
        ("{{ data.text.absent }}", "'data.text.absent' is undefined"),
        ("{{ data.map[data.text] }}", "a key taken from the data is undefined"),
        ("{{ data.list | map(attribute=data.text) | join }}", "a key taken from the data is undefined"),
        ("{{ data.text | int + data.text }}", "the values do not fit this expression (TypeError)"),
        ("{{ 1 // (data.text | int) }}", "the values do not fit this expression (ZeroDivisionError)"),
        ("{{ data.text | money('EUR') }}", "money() needs a number"),
        ("{{ data.text * 2 }}", "'*' is for numbers only"),
        ("{{ data.text % 2 }}", "'%' is for numbers only"),
        ("{{ data.map }}", "a list or an object, not text"),
        ("{{ data.none }}", "gives nothing (null)"),
        ("{{ data.text.upper }}", "gives a method"),
        ("{{ data.text.split(data.list) }}", "the values do not fit this expression (TypeError)"),
        ("{{ data.text | round }}", "the values do not fit this expression"),
    ],
)
def test_an_error_never_holds_a_value_of_the_data(source: str, message: str) -> None:
    data: dict[str, Any] = {"text": CANARY, "map": {"k": CANARY}, "list": [{"k": CANARY}], "none": None}
    with pytest.raises(RenderError) as caught:
        body(source, data)
    assert message in str(caught.value)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (email("<p></p>", subject="{{ data.empty }}"), "gives an empty text"),
        (email("<p></p>", text=" \n{{ data.empty }}"), "gives an empty text"),
        (sms("{{ data.empty }}"), "gives an empty text"),
        (sms("{{ data.long }}"), "the SMS has 1601 characters; providers take 1600"),
    ],
)
def test_what_no_provider_takes_is_an_error_of_the_template(template: Any, message: str) -> None:
    with pytest.raises(RenderError, match=message):
        rendered(template, {"empty": "", "long": "x" * 1601})
