"""What the catalogue's YAML files may hold, and pydantic's verdict on them as problems with lines."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from notifications.catalogue.definition import ConsentDefault, Routing, SenderIdentity, Templates
from notifications.catalogue.problems import Problem, did_you_mean
from notifications.catalogue.yaml import Document, KeyPath, text_expected
from notifications.durations import Duration
from notifications.statuses import DuplicatePolicy, NotificationType

EventType = Annotated[str, Field(pattern=r"^[^\s\x00-\x1f\x7f]+$", max_length=255)]
LocaleTag = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CategoryFile(_File):
    """Without a default, a category is opted in; a promotional one must say."""

    title: str
    default: ConsentDefault | None = None
    sender: SenderIdentity = SenderIdentity()


class DeliveryFile(_File):
    """What is left out comes from the type."""

    duplicates: DuplicatePolicy | None = None
    retry_for: Duration | None = None
    expire_after: Duration | None = None


class TemplateFile(_File):
    """template.yaml of a stand-alone template. `html` and `text` of an e-mail name files beside it."""

    default_locale: LocaleTag
    data: Mapping[str, Any]
    templates: Templates


class DefinitionFile(TemplateFile):
    """definition.yaml."""

    event: EventType
    aliases: tuple[EventType, ...] = ()
    type: NotificationType
    category: str
    recipient: Annotated[str, Field(pattern=r"^(recipient|data(\.[A-Za-z0-9_-]+)+)$")] = "recipient"
    routing: Routing
    delivery: DeliveryFile = DeliveryFile()


def problems_of(
    error: ValidationError, document: Document, model: type[BaseModel], root: KeyPath = ()
) -> list[Problem]:
    """Each of pydantic's errors at its line; `root` is where the validated value stands in the document."""
    return [_problem(item, document, model, root) for item in error.errors()]


def _problem(item: ErrorDetails, document: Document, model: type[BaseModel], root: KeyPath) -> Problem:
    location = tuple(part for part in item["loc"] if part != "[key]")
    at = (*root, *location)
    name = ".".join(str(part) for part in location)
    if item["type"] == "extra_forbidden":
        known = _keys_at(model, location[:-1])
        return document.problem(at, f"unknown key {location[-1]!r}{did_you_mean(str(location[-1]), known)}")
    if item["type"] == "missing":
        return document.problem(at, f"{name!r} is missing")
    if item["type"] == "string_type" and (hint := text_expected(document.mark(at), item["input"])):
        return document.problem(at, f"{name!r} {hint}")
    message = item["msg"].removeprefix("Value error, ")
    return document.problem(at, f"{name!r}: {message}" if name else f"must be a mapping of keys: {message}")


def _keys_at(model: Any, location: KeyPath) -> list[str]:
    """The keys that the model allows at this place."""
    current = model
    for part in location:
        current = _step(current, part)
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _step(annotation: Any, part: str | int) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return None if field is None else field.annotation
    inner = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return inner[-1] if inner else None
