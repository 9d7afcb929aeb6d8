"""What a folder must keep beyond the shape of its files."""

import json
from pathlib import Path
from typing import Any

import pytest

from notifications.statuses import NotificationType
from tests.notifications.catalogue.folders import edit, make_folder, problems


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("channels: [push, email, sms, whatsapp]", "channels: [push, email, sms]", None),
        ("  sms:\n    en:\n", "  sms:\n    fr:\n", "there is no sms template in the default locale 'en'"),
        ("  sms:\n    en:\n", "  sms:\n    de_AT:\n", "'de_AT' is no locale: write a BCP 47 tag such as en, de-AT"),
        (
            "event: order.refunded",
            "event: tidings.x",
            "definition.yaml:1: 'tidings.x': types that begin with 'tidings.'",
        ),
        (
            "category: order ",
            "aliases: [a.b, tidings.y]\ncategory: order ",
            "'tidings.y': types that begin with 'tidings.'",
        ),
        ("category: order ", "aliases: [order.refunded]\ncategory: order ", "'order.refunded' is already taken by"),
        (
            "category: order ",
            "delivery: {expire_after: 0s}\ncategory: order ",
            "definition.yaml:3: must be longer than nothing",
        ),
        ("reference: {type: string}", "reference: {type: strin}", "not valid JSON Schema: 'strin' is not valid"),
        ("reference: {type: string}", "reference: {type: string, pattern: '('}", "not valid JSON Schema"),
        ("reference: {type: string}", "reference: {$ref: 'https://x.example/s'}", "leaves the file"),
        ("reference: {type: string}", "reference: {$ref: '#/$defs/x'}", "points at nothing"),
        (
            "  type: object",
            "  type: object\n  $schema: http://json-schema.org/draft-07/schema#",
            "only https://json-schema.org/draft/2020-12/schema",
        ),
        ("{meta: {name: order_refunded, language: en_US}}", "{}", "name the approved template of at least one vendor"),
        ("{meta: {name: order_refunded, language: en_US}}", "{meta: {name: x}}", "'meta' needs 'language'"),
        (
            "{meta: {name: order_refunded, language: en_US}}",
            "{mta: {name: x}}",
            "unknown vendor 'mta'; did you mean 'meta'?",
        ),
        ("language: en_US", "language: en_US, sid: x", "unknown key 'sid'"),
    ],
)
def test_a_definition_that_cannot_work(tmp_path: Path, old: str, new: str, expected: str | None) -> None:
    edit(make_folder(tmp_path) / "definition.yaml", old, new)
    found = problems(tmp_path)
    assert found == [] if expected is None else any(expected in problem for problem in found), found


ROUTING = "routing: {mode: all, channels: [push, email, sms, whatsapp]}"


@pytest.mark.parametrize(
    ("routing", "expected"),
    [
        ("mode: fallback, channels: [whatsapp, sms], wait_for_receipt: 5m", None),
        ("mode: fallback, channels: [whatsapp, sms, push], wait_for_receipt: 23h", None),
        ("mode: all, channels: [whatsapp, sms], wait_for_receipt: 5m", "only `mode: fallback` with at least two"),
        ("mode: fallback, channels: [sms], wait_for_receipt: 5m", "only `mode: fallback` with at least two"),
        ("mode: fallback, channels: [whatsapp, sms], wait_for_receipt: 4s", "must be from 5s to 1d"),
        ("mode: fallback, channels: [whatsapp, sms], wait_for_receipt: 25h", "must be from 5s to 1d"),
        (
            "mode: fallback, channels: [whatsapp, sms, email, push], wait_for_receipt: 24h",
            "waiting 3 times leaves no time for the last channel: it expires after 3d",
        ),
        ("mode: fallback, channels: [push, sms], wait_for_receipt: 5m", "no provider of push reports a delivery"),
        ("mode: fallback, channels: [whatsapp, sms], wait_for_receipt: 5", "5 is not a duration"),
        ("mode: fallback, channels: [whatsapp, sms], wait_for_reciept: 5m", "did you mean 'wait_for_receipt'?"),
    ],
)
def test_what_a_fallback_may_wait_for(tmp_path: Path, routing: str, expected: str | None) -> None:
    edit(make_folder(tmp_path) / "definition.yaml", ROUTING, f"routing: {{{routing}}}")
    found = problems(tmp_path)
    assert found == [] if expected is None else any(expected in problem for problem in found), found


def test_a_routed_channel_needs_a_template(tmp_path: Path) -> None:
    file = make_folder(tmp_path) / "definition.yaml"
    text = file.read_text(encoding="utf-8")
    file.write_text(text[: text.index("  whatsapp:")], encoding="utf-8")
    assert problems(tmp_path) == [
        "order.refunded/definition.yaml:5: there is no whatsapp template: add templates.whatsapp.en"
    ]


def test_an_alias_belongs_to_one_definition(tmp_path: Path) -> None:
    make_folder(tmp_path, "order.refunded")
    edit(
        make_folder(tmp_path, "order.returned") / "definition.yaml", "category:", "aliases: [order.refunded]\ncategory:"
    )
    (problem,) = problems(tmp_path)
    assert problem.startswith("order.returned/definition.yaml:3: 'order.refunded' is already taken by")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "categories.yaml:1: a promotional category must state its default"),
        ("  default: required\n", "definition.yaml:3: a promotional message can be opted out of"),
        ("  default: opted_in\n", None),
    ],
)
def test_a_promotional_category_states_a_default_that_leaves_a_choice(
    tmp_path: Path, line: str, expected: str | None
) -> None:
    make_folder(tmp_path, notification_type=NotificationType.PROMOTIONAL)
    edit(tmp_path / "categories.yaml", "  default: opted_out\n", line)
    found = problems(tmp_path)
    assert found == [] if expected is None else any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("sender", "expected"),
    [
        ("{from_address: Acme <hello@acme.example>, reply_to: help@acme.example, sms_sender: ACME}", None),
        ("{sms_sender: '+4915112345678'}", None),
        ("{from_address: Acme}", "categories.yaml:1: sender of 'order': not an e-mail address"),
        ("{reply_to: ''}", "categories.yaml:1: sender of 'order': not an e-mail address"),
        ("{sms_sender: much too long a name}", "categories.yaml:1: sms_sender of 'order' is neither"),
        ("{sms_sender: 49151}", "must be text, but 49151 is read as a number"),
        ("{sms_from: ACME}", "unknown key 'sms_from'"),
    ],
)
def test_the_sender_of_a_category(tmp_path: Path, sender: str, expected: str | None) -> None:
    make_folder(tmp_path)
    edit(tmp_path / "categories.yaml", "  default: required\n", f"  default: required\n  sender: {sender}\n")
    found = problems(tmp_path)
    assert found == [] if expected is None else any(expected in problem for problem in found), found


def _change_example(folder: Path, **changes: Any) -> None:
    file = folder / "example.json"
    example = json.loads(file.read_text(encoding="utf-8"))
    data = changes.pop("data", {})
    example = {name: value for name, value in {**example, **changes}.items() if value is not None}
    example["data"] = {name: value for name, value in {**example["data"], **data}.items() if value is not None}
    file.write_text(json.dumps(example, indent=2), encoding="utf-8")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"type": "order.refund"}, "no valid event: no definition has the event type order.refund"),
        ({"source": None}, "no valid event: the attribute source is missing"),
        ({"recipient": None}, "names no recipient: 'recipient' is missing"),
        ({"sendat": "2026-11-22T10:15:00"}, "no valid event: the attribute sendat has no offset"),
        ({"data": {"reference": None}}, "data lacks reference"),
        ({"data": {"url": "not a url"}}, "data.url must be a uri"),
        (
            {"data": {"refrence": "1"}},
            "data has fields that the definition does not know: refrence (did you mean reference?)",
        ),
        ({"recipient": None, "data": {"recipient": {"email": "ana@example.org"}}}, None),
    ],
)
def test_the_example_is_a_valid_event(tmp_path: Path, changes: dict[str, Any], expected: str | None) -> None:
    _change_example(make_folder(tmp_path), **changes)
    found = problems(tmp_path)
    assert found == [] if expected is None else any(expected in problem for problem in found), found


def test_a_mistake_in_the_example_is_told_with_its_line(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    _change_example(folder, data={"url": "not a url"})
    line = next(n for n, text in enumerate((folder / "example.json").read_text().splitlines(), 1) if '"url"' in text)
    assert problems(tmp_path) == [f"order.refunded/example.json:{line}: data.url must be a uri"]


def test_a_definition_without_an_example(tmp_path: Path) -> None:
    (make_folder(tmp_path) / "example.json").unlink()
    (problem,) = problems(tmp_path)
    assert problem.startswith("order.refunded/example.json:1: this file is missing")


def test_a_misspelt_name_in_a_template(tmp_path: Path) -> None:
    folder = make_folder(tmp_path)
    edit(folder / "email.en.txt", "this is about {{ data.reference }}", "this is about {{ data.refrence }}")
    assert problems(tmp_path) == [
        "order.refunded/email.en.txt:4: 'data.refrence' is undefined; did you mean 'data.reference'?"
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            "email.en.txt",
            "{% if data.url is defined %}",
            "{% if true %}",
            "email.en.txt:6: 'data.url' is undefined when the optional",
        ),
        (
            "email.en.html",
            "{% if recipient.name %}",
            "{% if true %}",
            "email.en.html:5: an expression gives nothing (null)",
        ),
        (
            "email.en.txt",
            "{{ data.reference }}",
            "{{ recipient.attributes.plan }}",
            "'recipient.attributes.plan' is undefined",
        ),
        ("email.en.txt", "{{ data.reference }}", "{{ event.time | time }}", "email.en.txt:4: "),
        ("email.en.txt", "{{ data.reference }}", "{{ dta.reference }}", "'dta' is undefined; did you mean 'data'?"),
        ("email.en.txt", "{{ data.reference }}", "{{ data.reference", "email.en.txt:5: "),
        (
            "definition.yaml",
            'body: "About {{ data.reference }}."',
            'body: "{{ data.refrence }}"',
            "definition.yaml:17: 'data.refrence' is undefined",
        ),
        (
            "definition.yaml",
            '["{{ data.reference }}"]',
            '["{{ data.reference }}", "{{ data.url | default(\'\') }}"]',
            "gives an empty text",
        ),
    ],
)
def test_templates_are_rendered_with_the_example_and_without_what_is_optional(
    tmp_path: Path, file: str, old: str, new: str, expected: str
) -> None:
    edit(make_folder(tmp_path) / file, old, new)
    found = problems(tmp_path)
    assert any(expected in problem for problem in found), found


def test_a_mistake_in_a_layout_is_told_in_the_layout(tmp_path: Path) -> None:
    (tmp_path / "layouts").mkdir()
    layout = tmp_path / "layouts" / "email.html"
    layout.write_text("<html>\n{{ locle }}\n{% block content %}{% endblock %}</html>", encoding="utf-8")
    make_folder(tmp_path)
    assert problems(tmp_path) == ["layouts/email.html:2: 'locle' is undefined; did you mean 'locale'?"]


def test_a_layout_that_is_not_there(tmp_path: Path) -> None:
    file = make_folder(tmp_path) / "email.en.html"
    file.write_text('\n{% extends "layouts/emial.html" %}', encoding="utf-8")
    (problem,) = problems(tmp_path)
    assert problem.startswith("order.refunded/email.en.html:2: there is no layout 'layouts/emial.html'")
