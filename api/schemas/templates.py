"""Templates of campaigns: drafts, versions, and how they look."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.problems import FieldError
from api.texts import Text
from notifications.catalogue.checks import TEMPLATE_NAME, TEMPLATE_NAME_RULE
from notifications.catalogue.problems import Problem
from notifications.catalogue.templates import TemplateBody
from notifications.queries.templates import TemplateState
from notifications.statuses import Channel

_CONTENT: dict[str, Any] = {
    "default_locale": "en",
    "data": {"type": "object", "required": ["code"], "properties": {"code": {"type": "string"}}},
    "templates": {
        "email": {
            "en": {
                "subject": "20 % off",
                "text": "Your code is {{ data.code }}.\n\nUnsubscribe: {{ links.unsubscribe }}",
            }
        }
    },
    "example": {"code": "SUMMER27"},
}
_AT = "2026-11-22T10:15:00Z"
_SUMMARY: dict[str, Any] = {
    "name": "summer-sale",
    "version": None,
    "origin": None,
    "published_at": None,
    "has_draft": True,
    "updated_at": _AT,
}


def _checked_name(name: str) -> str:
    if not TEMPLATE_NAME.fullmatch(name):
        message = f"no name of a template: {TEMPLATE_NAME_RULE}"
        raise ValueError(message)
    return name


TemplateName = Annotated[str, Field(max_length=100), AfterValidator(_checked_name)]


class TemplateWrite(TemplateBody):
    """The whole content of a draft."""

    model_config = ConfigDict(json_schema_extra={"examples": [_CONTENT]})


class TemplateCreate(TemplateBody):
    """A new draft."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "summer-sale"} | _CONTENT]})

    name: TemplateName

    def body(self) -> TemplateBody:
        return TemplateBody.model_validate(self.model_dump(exclude={"name"}))


class TemplateSummary(BaseModel):
    """One template in the list."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUMMARY]})

    name: str
    version: int | None = Field(description="The published one; null: only a draft.")
    origin: str | None = Field(description="Who keeps it: `folder` (the catalogue folder) or `api`.")
    published_at: datetime | None
    has_draft: bool
    updated_at: datetime = Field(description="Of the draft, else of the version.")

    @classmethod
    def of(cls, state: TemplateState) -> "TemplateSummary":
        return cls(**_summary(state))


class TemplateView(TemplateSummary):
    """A template with its content: the draft's, or where there is none the published one's."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SUMMARY | {"content": _CONTENT, "problems": []}]})

    content: TemplateBody
    problems: list[FieldError] = Field(description="What keeps it from being published; empty: nothing.")

    @classmethod
    def with_content(cls, state: TemplateState, body: TemplateBody, problems: list[FieldError]) -> "TemplateView":
        return cls(**_summary(state), content=body, problems=problems)


class VersionView(BaseModel):
    """One immutable version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "summer-sale", "version": 1, "published_at": _AT, "content": _CONTENT}]
        }
    )

    name: str
    version: int
    published_at: datetime
    content: TemplateBody


class PreviewWrite(BaseModel):
    """What to render, for whom, with what."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"channel": "email", "recipient": "cus_42"}]}
    )

    channel: Channel | None = Field(None, description="Null: every channel that the template has.")
    locale: Text | None = Field(None, description="Null: the recipient's; without a recipient every locale.")
    recipient: Text | None = Field(None, description="A recipient's id; null: Ana Maier, who does not exist.")
    data: dict[str, Any] | None = Field(None, description="Null: the template's example.")
    version: int | None = Field(None, ge=1, description="Null: the draft, or where there is none the published one.")


class TrialWrite(BaseModel):
    """One message to try it with."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"channel": "email", "to": "jane@example.org"}]}
    )

    channel: Channel
    to: Text = Field(description="E-mail address, E.164 number or device token.")
    locale: Text | None = Field(None, description="Null: the recipient's, else the template's default.")
    recipient: Text | None = Field(None, description="Whose profile to render with; null: Ana Maier.")
    data: dict[str, Any] | None = Field(None, description="Null: the template's example.")
    version: int | None = Field(None, ge=1, description="Null: the draft, or where there is none the published one.")


class TrialView(BaseModel):
    """What the provider said."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "provider": "smtp",
                    "to": "j•••@example.org",
                    "provider_message_id": None,
                    "seconds": 0.21,
                    "sandbox": "http://localhost:8025",
                }
            ]
        }
    )

    provider: str
    to: str = Field(description="Shortened.")
    provider_message_id: str | None
    seconds: float
    sandbox: str | None = Field(description="Set in development: where it is, unless the address is an allowed one.")


class Rendered(BaseModel):
    """One channel in one locale: its parts, or what is wrong with them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "channel": "email",
                    "locale": "en",
                    "parts": {"subject": "20 % off", "html": None, "text": "Your code is SUMMER27."},
                    "problem": None,
                }
            ]
        }
    )

    channel: Channel
    locale: str
    parts: dict[str, Any] | None = Field(
        description="`subject`, `html`, `text`; `title`, `body`, `link`, `data`; `body`, `segments`, `encoding`; "
        "`vendor_templates`, `parameters`."
    )
    problem: FieldError | None


class PreviewView(BaseModel):
    """Each text as it would be sent; `links` are samples."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "channel": "email",
                            "locale": "en",
                            "parts": {"subject": "20 % off", "html": None, "text": "Your code is SUMMER27."},
                            "problem": None,
                        }
                    ]
                }
            ]
        }
    )

    items: list[Rendered]


def _summary(state: TemplateState) -> dict[str, Any]:
    is_published = state.version is not None and not state.retired
    return {
        "name": state.name,
        "version": state.version if is_published else None,
        "origin": state.origin if is_published else None,
        "published_at": state.published_at if is_published else None,
        "has_draft": state.draft is not None,
        "updated_at": state.draft_at or state.published_at,
    }


def field_error(problem: Problem, *, root: Literal["", "body"] = "") -> FieldError:
    """A problem by its place in the content; the line is that of the text."""
    location = ".".join(part for part in (root, problem.path) if part)
    line = f"line {problem.line}: " if problem.line > 1 else ""
    return FieldError(location=location, message=line + problem.message)
