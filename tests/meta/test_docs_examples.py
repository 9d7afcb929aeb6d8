"""The examples in the documents are what the code takes and gives."""

import ast
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from bridge.outcomes import encode
from devstack.demo.scenes import scenes, stuck_scene
from notifications.audiences.audience import MAX_RECIPIENTS, parse_audience
from notifications.audiences.conditions import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_PATH,
    MAX_TEXT,
    MAX_VALUES,
    TEXT_FIELDS,
    TIME_FIELDS,
    Op,
    parse_condition,
)
from notifications.campaigns.accounts import Account
from notifications.campaigns.body import CampaignBody
from notifications.catalogue.definition import DELIVERY_DEFAULTS, Definition
from notifications.catalogue.publish import load_folder
from notifications.catalogue.schema import data_validator
from notifications.durations import format_duration
from notifications.events import Record, parse
from notifications.events.intent import CampaignCancel, CampaignLaunch, CancelCommand, Interpreter, NewNotification
from notifications.ids import event_uuid, message_id
from notifications.profiles.fields import checked_profile
from notifications.queries.outbox import Outcome
from notifications.rendering.environment import Sources, TemplateEnvironment
from notifications.statuses import MessageStatus
from tests.support.documents import ROOT, Fence, fences

CONTRACTS = ROOT / "docs/contracts.md"
CATALOGUE_PAGE = ROOT / "docs/catalogue.md"
PAYMENT = {"source": "https://acme.example/payments", "id": "pay_8812-succeeded"}


class Examples:
    """The example catalogue as the bridge sees it."""

    @cache  # noqa: B019 - one for the whole run
    def _by_type(self) -> dict[str, Definition]:
        loaded = [item.content for item in load_folder(ROOT / "catalogue").loaded]
        found = [content for content in loaded if isinstance(content, Definition)]
        return {name: definition for definition in found for name in (definition.event, *definition.aliases)}

    def find(self, event_type: str) -> Definition | None:
        return self._by_type().get(event_type)

    def nearest(self, event_type: str) -> str | None:
        return None


EXAMPLES = Examples()


def _json_examples() -> Iterator[tuple[Fence, dict[str, Any]]]:
    for fence in fences("json"):
        yield fence, json.loads(fence.text)
    for fence in fences("python"):
        for node in ast.walk(ast.parse(fence.text)):
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "event":
                yield fence, ast.literal_eval(node.value)
    for fence in fences(""):
        for body in re.findall(r"-d '(\{.*?\})'", fence.text, re.DOTALL):
            yield fence, json.loads(body)


def _events() -> list[Any]:
    found = [(fence, document) for fence, document in _json_examples() if "specversion" in document]
    return [pytest.param(document, id=fence.name) for fence, document in found if document["source"] != "/tidings"]


@pytest.mark.parametrize("event", _events())
def test_every_event_is_valid_for_the_example_catalogue(event: dict[str, Any]) -> None:
    intent = Interpreter().interpret(parse(Record(value=json.dumps(event).encode())), EXAMPLES, topic=None)
    assert isinstance(intent, NewNotification | CancelCommand | CampaignLaunch | CampaignCancel)
    if isinstance(intent, CampaignLaunch):
        CampaignBody.model_validate(event["data"])
    if isinstance(intent, NewNotification):
        assert intent.recipient_id or intent.guest


def _campaigns() -> Iterator[tuple[Fence, dict[str, Any]]]:
    for fence, document in _json_examples():
        body = document.get("data", {}) if document.get("type") == "tidings.campaign.launch" else document
        if "audience" in body and "channel" in body:
            yield fence, body


def test_every_campaign_can_be_launched_with_the_example_catalogue() -> None:
    templates = {item.content.name: item.content for item in load_folder(ROOT / "catalogue").loaded}
    shown = [(fence.name, CampaignBody.model_validate(body)) for fence, body in _campaigns()]
    assert {"campaigns.md", "contracts.md"} <= {fence.document.name for fence, _ in _campaigns()}
    for name, body in shown:
        assert templates[body.template or ""].templates.of(body.channel), name
        assert not list(data_validator(templates[body.template or ""].data).iter_errors(body.data)), name


def test_every_condition_and_audience_is_valid() -> None:
    documents = [document for fence, document in _json_examples() if fence.document.name == "audiences.md"]
    for document in documents:
        if "audience" in document:
            parse_audience(document["audience"])
        else:
            parse_condition(document.get("filter", document))
    assert len(documents) >= 3
    text = (ROOT / "docs/how-to/audiences.md").read_text(encoding="utf-8")
    assert not [word for word in (*Op, *TEXT_FIELDS, *TIME_FIELDS) if f"`{word}`" not in text]
    for limit in (MAX_CONDITIONS, MAX_DEPTH, MAX_PATH, f"{MAX_VALUES:,}", f"{MAX_TEXT:,}", f"{MAX_RECIPIENTS:,}"):
        assert f" {limit} " in text


def test_there_are_events_in_each_place_that_a_newcomer_looks_at() -> None:
    places = {fence.document.name for fence, document in _json_examples() if "specversion" in document}
    assert {"README.md", "contracts.md", "send-an-event.md"} <= places


def test_the_ids_on_the_page_are_those_of_the_event() -> None:
    text = CONTRACTS.read_text(encoding="utf-8")
    notification = event_uuid(PAYMENT["source"], PAYMENT["id"])
    assert f"`{notification}`" in text
    assert f"`{message_id(notification, 1)}`" in text


def test_the_outcome_on_the_page_has_the_form_that_is_published() -> None:
    shown, of_campaign = [document for fence, document in _json_examples() if document.get("source") == "/tidings"]
    data = shown["data"]
    outcome = Outcome(
        id=int(shown["id"]),
        origin_id=UUID(data["notification_id"]),
        origin_kind="notification",
        seq=2,
        version=data["version"],
        channel=data["channel"],
        provider=data["provider"],
        status=data["status"],
        stuck=True,
        reason=data["reason"],
        attempt=data["attempt"],
        created_at=datetime(2026, 11, 22, 21, 2, 56, 580954, tzinfo=UTC),
        recipient_id=shown["recipient"],
        event_source=data["event"]["source"],
        event_id=data["event"]["id"],
    )
    key, value = encode(outcome)
    assert json.loads(value) == shown
    assert key == shown["partitionkey"]
    assert event_uuid(data["event"]["source"], data["event"]["id"]) == UUID(data["notification_id"])
    data = of_campaign["data"]
    outcome = replace(
        outcome,
        id=int(of_campaign["id"]),
        origin_id=UUID(data["campaign_id"]),
        origin_kind="campaign",
        seq=0,
        attempt=data["round"],
        version=data["version"],
        status=data["status"],
        stuck=False,
        created_at=datetime(2027, 3, 1, 8, 12, 31, 20411, tzinfo=UTC),
        recipient_id=None,
        event_source="https://acme.example/marketing",
        event_id="spring-2027",
    )
    by_status = {MessageStatus(name): number for name, number in data["counts"].items() if name != "targeted"}
    assert json.loads(encode(outcome, Account(outcome.created_at, by_status))[1]) == of_campaign
    assert event_uuid(outcome.event_source or "", outcome.event_id or "") == outcome.origin_id


def test_profiles_on_the_pages_are_valid() -> None:
    shown = [document for _, document in _json_examples() if "recipient_id" in document]
    assert shown
    for document in shown:
        assert checked_profile(document["recipient_id"], document).devices


def test_the_catalogue_on_the_page_can_be_published(tmp_path: Path) -> None:
    categories, definition = [
        fence.text for fence in fences("yaml") if fence.document == CATALOGUE_PAGE and not fence.text.startswith(" ")
    ]
    for folder in ("layouts", "payment.succeeded"):
        shutil.copytree(ROOT / "catalogue" / folder, tmp_path / folder)
    (tmp_path / "categories.yaml").write_text(categories, encoding="utf-8")
    (tmp_path / "payment.succeeded" / "definition.yaml").write_text(definition, encoding="utf-8")
    (item,) = load_folder(tmp_path).loaded
    assert item.content.name == "payment.succeeded"


def test_the_table_of_defaults_is_right() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| `(\w+)` \| (\w+) \| (\w+) \| \d", CATALOGUE_PAGE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert {row[0]: row[1:] for row in rows} == {
        str(kind): (str(delivery.duplicates), format_duration(delivery.retry_for), _hours(delivery.expire_after))
        for kind, delivery in DELIVERY_DEFAULTS.items()
    }


def _hours(value: Any) -> str:
    return f"{int(value.total_seconds()) // 3600}h"


def test_the_filters_on_the_page_exist() -> None:
    text = CATALOGUE_PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:`(?:money|number|date)|Jinja2).*)$", text, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([a-z]+)(?:\(|`)", row)}
    assert {"money", "number", "date", "time", "datetime", "default"} <= named
    words = {"short", "medium", "long", "full"}  # formats of a date
    assert not named - words - TemplateEnvironment(Sources({})).filters.keys()


def test_the_readme_tells_every_scene_of_the_demo() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("| event | what you see |")[2].partition("\n\n")[0]
    now = datetime.now(UTC)
    types = {str(scene.event["type"]) for scene in [*scenes("1", now), stuck_scene("1", now)]}
    assert not [event_type for event_type in types if f"`{event_type}`" not in table]
