"""Write a complete, valid definition for a new event, to be edited."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from string import Template

from notifications.catalogue.definition import ConsentDefault
from notifications.catalogue.folder import LAYOUTS_FOLDER, TEMPLATES_FOLDER, Folder, read_categories
from notifications.catalogue.problems import CatalogueError, Problem
from notifications.catalogue.reading import read_text
from notifications.catalogue.yaml import load_yaml
from notifications.statuses import Channel, NotificationType

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CATEGORY_DEFAULTS = {
    NotificationType.TRANSACTIONAL: ConsentDefault.REQUIRED,
    NotificationType.ALERT: ConsentDefault.REQUIRED,
    NotificationType.REMINDER: ConsentDefault.OPTED_IN,
    NotificationType.PROMOTIONAL: ConsentDefault.OPTED_OUT,
}
_DEFINITION = Template("""\
event: $event
type: $type # transactional | promotional | alert | reminder
category: $category # one of categories.yaml
default_locale: en
routing: {mode: all, channels: [$channels]} # all | fallback, in this order
data: # JSON Schema 2020-12 of the event's data
  type: object
  required: [reference]
  additionalProperties: false
  properties:
    reference: {type: string}
    url: {type: string, format: uri}
templates: # channel, then locale, then parts
""")
_CHANNELS = {
    Channel.PUSH: Template("""\
  push:
    en:
      title: "$title"
      body: "About {{ data.reference }}."
      link: "{{ data.url | default('') }}"
"""),
    Channel.EMAIL: Template("""\
  email:
    en:
      subject: "$title: {{ data.reference }}"
      html: email.en.html
      text: email.en.txt
"""),
    Channel.SMS: Template("""\
  sms:
    en:
      body: "$title: {{ data.reference }}{% if data.url is defined %} {{ data.url }}{% endif %}"
"""),
    Channel.WHATSAPP: Template("""\
  whatsapp: # the approved text lives at the vendor; these are its parameters, in order
    en:
      vendor_templates: {meta: {name: $slug, language: en_US}}
      parameters: ["{{ data.reference }}"]
"""),
}
_CONTENT = Template("""\
<h1 style="margin:0 0 16px 0;font-size:22px;line-height:30px;color:#111827;">$title</h1>
<p style="margin:0 0 16px 0;">{% if recipient.name %}Hello {{ recipient.name }},{% else %}Hello,{% endif %}</p>
<p style="margin:0 0 16px 0;">this is about {{ data.reference }}.</p>
{% if data.url is defined %}
<p style="margin:0;"><a href="{{ data.url }}" style="color:#1d4ed8;">See the details</a></p>
{% endif %}
""")
_TEXT = Template("""\
{% if recipient.name %}Hello {{ recipient.name }},{% else %}Hello,{% endif %}


this is about {{ data.reference }}.
{% if data.url is defined %}
See the details: {{ data.url }}
{% endif %}
""")


def write_definition(
    root: Path, event: str, notification_type: NotificationType, channels: Sequence[Channel]
) -> list[Path]:
    """Write `root/<event>/`, and its category where none fits; returns the files written.

    The folder appears with all its files at once, so that a process that watches never sees half of it.

    Raises:
        CatalogueError: the name cannot be used, or is taken, or the categories cannot be read.

    """
    target = root / event
    _check_name(root, event, target)
    category, written = _category(root, event, notification_type)
    draft = root / f".{event}.new"
    shutil.rmtree(draft, ignore_errors=True)  # left by a run that died
    draft.mkdir(parents=True)
    files = _files(root, event, notification_type, tuple(dict.fromkeys(channels)), category)
    for name, content in files.items():
        (draft / name).write_text(content, encoding="utf-8")
    draft.rename(target)
    return [*written, *(target / name for name in files)]


def _check_name(root: Path, event: str, target: Path) -> None:
    message = None
    if not _NAME.fullmatch(event) or event in {LAYOUTS_FOLDER, TEMPLATES_FOLDER}:
        message = f"{event!r} cannot name a folder: use letters, digits, dots, hyphens, such as order.refunded"
    elif event.startswith("tidings."):
        message = "types that begin with 'tidings.' are commands: choose another name"
    elif target.exists():
        message = "exists already: edit it, or choose another name"
    if message:
        raise CatalogueError([Problem((target if target.exists() else root).as_posix(), 1, message)])


def _category(root: Path, event: str, notification_type: NotificationType) -> tuple[str, list[Path]]:
    """The category that is named like the event's first word, or a new one."""
    path = root / "categories.yaml"
    folder = Folder(root)
    if path.exists():
        read_categories(path, folder)
    word = re.split(r"[._-]", event)[0].lower()
    promotional = notification_type is NotificationType.PROMOTIONAL
    for name in (word, f"{word}s"):
        known = folder.categories.get(name)
        choosable = known and name not in folder.undecided and known.default is not ConsentDefault.REQUIRED
        if known and (choosable or not promotional):
            return name, []
    name = word if word not in folder.categories else f"{word}-offers"
    if name in folder.categories:
        return name, []
    before = read_text(path) if path.exists() else ""
    title = name.replace("-", " ").capitalize()
    line = f"{_scalar(name)}:\n  title: {_scalar(title)}\n  default: {_CATEGORY_DEFAULTS[notification_type]}\n"
    _replace(path, before + ("\n" if before and not before.endswith("\n") else "") + line)
    return name, [path]


def _replace(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    draft.write_text(content, encoding="utf-8")
    draft.replace(path)


def _files(
    root: Path, event: str, notification_type: NotificationType, channels: Sequence[Channel], category: str
) -> dict[str, str]:
    words = re.sub(r"[._-]+", " ", event).strip()
    values = {
        "event": _scalar(event),
        "type": notification_type.value,
        "category": _scalar(category),
        "channels": ", ".join(channels),
        "title": words[:1].upper() + words[1:],
        "slug": _scalar(words.lower().replace(" ", "_")),
    }
    definition = _DEFINITION.substitute(values) + "".join(_CHANNELS[channel].substitute(values) for channel in channels)
    files = {"definition.yaml": definition, "example.json": json.dumps(_example(event), indent=2) + "\n"}
    if Channel.EMAIL in channels:
        files["email.en.html"] = _html(root, _CONTENT.substitute(values))
        files["email.en.txt"] = _TEXT.substitute(values)
    return files


def _scalar(word: str) -> str:
    """The word as YAML text: in quotes if it would be read as a number, a boolean or nothing."""
    return word if load_yaml(word, "").value == word else json.dumps(word)


def _html(root: Path, content: str) -> str:
    layout = root / LAYOUTS_FOLDER / "email.html"
    if layout.is_file() and "block content" in read_text(layout):
        return f'{{% extends "{LAYOUTS_FOLDER}/email.html" %}}\n{{% block content %}}\n{content}{{% endblock %}}\n'
    return f'<!doctype html>\n<html lang="{{{{ locale }}}}">\n<body>\n{content}</body>\n</html>\n'


def _example(event: str) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"{event}-example-1",
        "source": "https://acme.example/example",
        "type": event,
        "time": "2026-11-22T10:15:00Z",
        "datacontenttype": "application/json",
        "recipient": "cus_42",
        "data": {"reference": "No. 1001", "url": "https://acme.example/details/1001"},
    }
