"""The example of a definition: a valid event with which every template renders, and again without what is optional."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notifications.catalogue.definition import Definition, StandaloneTemplate
from notifications.catalogue.folder import Loaded
from notifications.catalogue.problems import Problem
from notifications.catalogue.schema import data_validator, without_optional
from notifications.events import Record, RejectedError, RejectReason, parse
from notifications.events.intent import Interpreter, NewNotification
from notifications.events.schema import message
from notifications.rendering.render import RenderContext, Renderer, RenderError
from notifications.statuses import Channel, NotificationType
from notifications.unsubscribe import SAMPLE_LINKS

_RECIPIENT = {"id": "cus_42", "name": "Ana Maier", "timezone": "Europe/Berlin", "attributes": {}}
_BARE_HINT = " when the optional fields are left out: use `is defined` or `| default(...)`"


@dataclass(frozen=True, slots=True)
class _Only:
    """A catalogue of one definition."""

    definition: Definition

    def find(self, event_type: str) -> Definition | None:
        known = event_type in {self.definition.event, *self.definition.aliases}
        return self.definition if known else None

    def nearest(self, event_type: str) -> str | None:
        del event_type
        return self.definition.event


def check_example(item: Loaded, root: Path) -> Iterator[Problem]:
    """The example's own mistakes; if it has none, those of the templates that it brings to light."""
    content = item.content
    found = _event_problems(item, content) if isinstance(content, Definition) else _data_problems(item)
    problems = list(found)
    yield from problems or _render_problems(item, root)


def _event_problems(item: Loaded, definition: Definition) -> Iterator[Problem]:
    if item.example is None:
        yield item.problem_in_example(
            (), "this file is missing: put an event in it that the templates can be tried with"
        )
        return
    try:
        event = parse(Record(value=json.dumps(item.example.value).encode()))
        intent = Interpreter().interpret(event, _Only(definition), topic=None)
    except RejectedError as error:
        by_line = list(_data_problems(item)) if error.reason is RejectReason.SCHEMA else []
        yield from by_line or [item.problem_in_example((), f"no valid event: {error.detail}")]
        return
    if not isinstance(intent, NewNotification):
        yield item.problem_in_example(("type",), "is a command, not an event of this definition")
    elif intent.recipient_id is None and intent.guest is None:
        yield item.problem_in_example((), f"names no recipient: {definition.recipient!r} is missing")


def _data_problems(item: Loaded) -> Iterator[Problem]:
    """`data` against the schema."""
    for error in data_validator(item.content.data).iter_errors(_data(item)):
        yield item.problem_in_example(("data", *error.absolute_path), message(error))


def _data(item: Loaded) -> Any:
    """The example's data without the guest block; a template without an example is tried with no data."""
    data = (item.example.value if item.example else {}).get("data", {})
    is_event = isinstance(item.content, Definition) and isinstance(data, dict)
    return {key: value for key, value in data.items() if key != "recipient"} if is_event else data


def _render_problems(item: Loaded, root: Path) -> Iterator[Problem]:
    data = _data(item)
    event = item.example.value if item.example else {}
    links = SAMPLE_LINKS.variables() if _can_be_stopped(item.content) else None
    full = RenderContext(data=data, recipient=_RECIPIENT, event=event, links=links)
    bare_event = {key: event.get(key) for key in ("id", "source", "type")}
    bare = RenderContext(data=without_optional(data, item.content.data), event=bare_event, links=links)
    renderer = Renderer()
    for channel in Channel:
        for locale in item.content.templates.of(channel):
            wrong = _rendered(renderer, item, channel, locale, full)
            hint = ""
            if wrong is None:
                wrong, hint = _rendered(renderer, item, channel, locale, bare), _BARE_HINT
            if wrong is not None:
                yield Problem((root / wrong.path).as_posix(), wrong.line, wrong.message + hint)


def _can_be_stopped(content: Definition | StandaloneTemplate) -> bool:
    """Whether its messages have `links`; a stand-alone template is tried as what it is for, a promotional campaign."""
    return not isinstance(content, Definition) or content.type is NotificationType.PROMOTIONAL


def _rendered(
    renderer: Renderer, item: Loaded, channel: Channel, locale: str, context: RenderContext
) -> RenderError | None:
    try:
        renderer.render(item.content, channel, context.with_locale(locale))
    except RenderError as error:
        return error
    return None
