"""What the documents name exists, and what the code offers is documented."""

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import typer
from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel, SecretStr

import activities.metrics
import api.metrics
import bridge.metrics
from activities.temporal import SEARCH_ATTRIBUTES
from api.app import create_app
from devstack.temporal import attribute_type
from notifications.events import RejectReason
from notifications.events.topics import CAMPAIGNS, OUTCOMES, TOPICS
from notifications.settings import PREFIX, Settings
from notifications.statuses import MessageStatus, NotificationStatus, SkipReason
from tests.support.documents import DOCUMENTS, ROOT, everything, fences
from tidings.__main__ import COMMANDS, command_line
from worker.roles import Role
from workflows.notification import NotificationWorkflow

OBSERVE = (ROOT / "docs/how-to/observe.md").read_text(encoding="utf-8")
CONTRACTS = (ROOT / "docs/contracts.md").read_text(encoding="utf-8")
UNSTICK = (ROOT / "docs/how-to/unstick-a-delivery.md").read_text(encoding="utf-8")
# Variables with the prefix that are no settings: of the compose file and of the tests.
NOT_SETTINGS = {"TIDINGS_DATABASE_PASSWORD", "TIDINGS_VERSION", "TIDINGS_TEST_POSTGRES"}
METRICS = (activities.metrics, api.metrics, bridge.metrics)
# Fields in a push's data, which look like metrics.
NOT_METRICS = {"tidings_message_id", "tidings_correlation"}
PACKAGES = ("activities", "api", "bridge", "worker", "notifications", "workflows")
MAX_IMAGE_BYTES = 200_000


def _anchor(heading: str) -> str:
    """As code hosts make them."""
    words = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return words.replace(" ", "-")


@cache
def _anchors(document: Path) -> frozenset[str]:
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    return frozenset(_anchor(heading) for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", document.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        if not found.exists() or (anchor and anchor not in _anchors(found)):
            broken.append(target)
    assert not broken


def test_every_document_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    todo = [ROOT / "README.md"]
    while todo:
        document = todo.pop()
        seen.add(document)
        for target in re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8")):
            found = (document.parent / target).resolve()
            found = found / "README.md" if (found / "README.md").exists() else found
            if found.suffix == ".md" and found.exists() and found not in seen:
                todo.append(found)
    assert not {str(document.relative_to(ROOT)) for document in DOCUMENTS} - {
        *(str(document.relative_to(ROOT)) for document in seen),
        "CHANGELOG.md",
    }


def test_images_are_small() -> None:
    images = list(ROOT.glob("docs/images/*"))
    assert images
    assert not [image.name for image in images if image.stat().st_size > MAX_IMAGE_BYTES]


def test_files_that_are_named_exist() -> None:
    """`folder/file.ext`, from the root or within notifications/; the provider of the how-to is yet to be written."""
    missing = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|ya?ml|json|html|lock))`", text):
            if not any((base / name).exists() for base in (ROOT, ROOT / "notifications", document.parent)):
                missing.add(name)
    written = {f".tidings/{name}.json" for name in ("demo", "endpoints", "pull-the-plug")}
    assert {name for name in missing if "vonage" not in name} <= written


# Commands


def _command_lines() -> Iterator[list[str]]:
    """What follows `python -m tidings`, in examples and in running text."""
    for found in re.findall(r"python -m tidings ([^\n`|]+)", everything()):
        try:
            words = shlex.split(found, comments=True)
        except ValueError:  # the line ends within a quotation
            words = found.split()
        ends = [index for index, word in enumerate(words) if word in {"&&", "|", "\\"}]
        yield words[: ends[0]] if ends else words


def test_every_command_that_is_named_exists_with_its_options() -> None:
    wrong = []
    for words in _command_lines():
        name = words[0].rstrip(".,;:)")
        if name not in COMMANDS:
            wrong.append(" ".join(words))
            continue
        command = typer.main.get_command(command_line([name])).commands[name]  # type: ignore[attr-defined]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        wrong += [" ".join(words) for word in words[1:] if word.startswith("--") and word not in known]
    assert not wrong


def test_every_command_is_documented() -> None:
    named = {words[0].rstrip(".,;:)") for words in _command_lines()} | {
        found for found in re.findall(r"`make (\w+)", everything()) if found in COMMANDS
    }
    assert not {name for name in COMMANDS if name not in named and f"`{name}`" not in everything()}


def test_every_make_target_that_is_named_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = set(re.findall(r"(?:^|`|\$ |=\w+ )make ([a-z]+)", everything(), re.MULTILINE))
    assert {"demo", "test", "dev"} <= named <= targets


# Settings


def _settings(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, bool]]:
    """Each variable, and whether it is a secret."""
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from _settings(annotation, f"{variable}__")
        else:
            yield variable, SecretStr in getattr(annotation, "__args__", ())


def test_every_setting_that_is_named_exists_and_every_one_is_documented() -> None:
    known = dict(_settings(Settings, PREFIX))
    named = set(re.findall(r"\bTIDINGS_[A-Z_]*[A-Z]\b", everything())) - NOT_SETTINGS
    assert not named - known.keys() - {f"{variable}_FILE" for variable, secret in known.items() if secret}
    documented = everything() + (ROOT / ".env.example").read_text(encoding="utf-8")
    assert not {variable for variable in known if variable not in documented}


# Metrics


@cache
def _metrics() -> dict[str, tuple[str, ...]]:
    """Our metrics with their labels."""
    collectors = [
        value for module in METRICS for value in vars(module).values() if isinstance(value, MetricWrapperBase)
    ]
    return {
        f"{collector._name}{'_total' if isinstance(collector, Counter) else ''}": tuple(collector._labelnames)
        for collector in collectors
    }


def test_every_metric_is_documented_with_its_labels() -> None:
    rows = re.findall(r"^\| `(tidings_\w+)` \| ([\w, ]*?) ?\|", OBSERVE, re.MULTILINE)
    assert {name: tuple(filter(None, labels.split(", "))) for name, labels in rows} == _metrics()


def test_no_metric_is_defined_elsewhere() -> None:
    defining = re.compile(r"^\w+ = (?:Counter|Gauge|Histogram)\(", re.MULTILINE)
    files = [file for folder in PACKAGES for file in ROOT.glob(f"{folder}/**/*.py")]
    found = {file for file in files if defining.search(file.read_text(encoding="utf-8"))}
    assert found == {Path(str(module.__file__)) for module in METRICS}


def test_every_metric_that_is_named_exists() -> None:
    named = set(re.findall(r"\btidings_[a-z_]+[a-z]\b", everything())) - NOT_METRICS
    assert not named - _metrics().keys()


def test_every_log_event_that_is_named_exists() -> None:
    logs = OBSERVE.partition("## Logs")[2].partition("\n## ")[0]
    named = re.findall(r"`([a-z_]+\.[a-z_]+)`", logs)
    folders = ("activities", "api", "bridge", "worker", "notifications", "workflows")
    source = "\n".join(
        file.read_text(encoding="utf-8") for folder in folders for file in ROOT.glob(f"{folder}/**/*.py")
    )
    assert named
    assert not [name for name in named if f'"{name}"' not in source]


# Routes


@cache
def _routes() -> frozenset[str]:
    paths = create_app(Settings(), lambda _: pytest.fail("opened")).openapi()["paths"]
    return frozenset(f"{method.upper()} {path}" for path, item in paths.items() for method in item)


def _shape(route: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", route)


def test_every_route_that_is_named_exists() -> None:
    """In the form of `GET /v1/...`, and as curl calls it."""
    named = {
        f"{method} {path}"
        for method, path in re.findall(r"`(GET|PUT|POST|PATCH|DELETE) (/[\w/{}-]+)[?`]", everything())
        if not path.startswith("/api/")  # the sandbox's
    }
    assert named
    assert not {_shape(route) for route in named} - {_shape(route) for route in _routes()} - {"GET /metrics"}
    for fence in fences(""):
        for call in re.findall(r"^curl .*?(?:[^\\]\n|\Z)", fence.text, re.MULTILINE | re.DOTALL):
            path = re.search(r"\$TIDINGS_PUBLIC_URL(/[\w/$-]+)", call)
            if path is not None:
                method = re.search(r"-X (\w+)", call)
                verb = method[1] if method else "POST" if "-d " in call else "GET"
                assert any(_matches(f"{verb} {path[1]}", route) for route in _routes()), call


def _matches(call: str, route: str) -> bool:
    return re.fullmatch(re.sub(r"\\\{[^}]*\\\}", r"[^/]+", re.escape(route)), call) is not None


def test_every_route_is_documented() -> None:
    named = {_shape(found) for found in re.findall(r"`((?:GET|PUT|POST|PATCH|DELETE) /[\w/{}-]+)", everything())}
    assert not {route for route in _routes() if _shape(route) not in named}


# Words


def test_the_formats_name_every_topic_reason_and_status() -> None:
    words = [*TOPICS.values(), CAMPAIGNS, OUTCOMES, *RejectReason, *SkipReason, *MessageStatus, *NotificationStatus]
    assert not [str(word) for word in words if f"`{word}`" not in CONTRACTS]
    ends = set(MessageStatus) - {MessageStatus.PENDING, MessageStatus.SENDING}
    assert not [word for word in [*ends, "stuck"] if f"`tidings.message.{word}`" not in CONTRACTS]


def test_every_role_is_documented() -> None:
    text = (ROOT / "docs/how-to/use-your-servers.md").read_text(encoding="utf-8")
    assert not [role for role in Role if f"`{role}`" not in text]


def test_the_command_for_the_search_attributes_names_all_of_them() -> None:
    text = (ROOT / "docs/how-to/use-your-servers.md").read_text(encoding="utf-8")
    flags = " ".join(f"--name {key.name} --type {attribute_type(key)}" for key in SEARCH_ATTRIBUTES)
    assert flags in text


def test_queries_name_search_attributes_and_signals_are_the_workflows() -> None:
    attributes = {key.name for key in SEARCH_ATTRIBUTES}
    assert set(re.findall(r"\b([A-Z]\w+)=\"", UNSTICK)) <= attributes
    signals = NotificationWorkflow.__temporal_workflow_definition.signals  # type: ignore[attr-defined]
    named = set(re.findall(r"^\| `(\w+)` \| (?:nothing|`\")", UNSTICK, re.MULTILINE))
    assert named == {"retry", "reroute", "skip"}
    assert named <= signals.keys()
