"""Stand-alone templates that come as JSON, for campaigns: checked as those of the folder are, published as versions."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlmodel.ext.asyncio.session import AsyncSession
from typing_extensions import override

from notifications.catalogue.checks import check_content
from notifications.catalogue.definition import StandaloneTemplate, Templates
from notifications.catalogue.files import LocaleTag
from notifications.catalogue.folder import Loaded
from notifications.catalogue.parts import extended
from notifications.catalogue.problems import CatalogueError, Problem
from notifications.catalogue.publish import content_hash
from notifications.catalogue.yaml import Document, KeyPath
from notifications.queries import catalogue as queries
from notifications.queries import templates as drafts
from notifications.rendering.sources import LAYOUTS, part_name, parts
from notifications.statuses import Channel

ORIGIN = "api"


class TemplateBody(BaseModel):
    """A template's content. `html` and `text` of an e-mail are the sources themselves.

    `data` is the JSON Schema of the data that a campaign gives; `example` is such data, with which every text is tried.
    Layouts that are not among `layouts` are those of the catalogue folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    default_locale: LocaleTag
    data: Mapping[str, Any] = Field(default_factory=lambda: {"type": "object"})
    templates: Templates
    layouts: Mapping[str, str] = Field(default_factory=dict)
    example: Mapping[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _can_be_kept(self) -> "TemplateBody":
        try:
            orjson.dumps(self.model_dump())
        except (TypeError, ValueError):
            message = "holds what cannot be kept: half a surrogate pair, or a number beyond 64 bits"
            raise ValueError(message) from None
        return self


@dataclass(frozen=True, slots=True)
class _Place(Document):
    """A mistake is told by its place in the JSON, since nobody sees its lines."""

    @override
    def problem(self, path: KeyPath, message: str) -> Problem:
        return Problem(".".join(str(part) for part in (self.path, *path) if part != ""), 1, message)


def template_of(name: str, body: TemplateBody, folder_layouts: Mapping[str, str]) -> StandaloneTemplate:
    """The template with every layout that it extends, as far as there are such."""
    return StandaloneTemplate(
        name=name,
        default_locale=body.default_locale,
        data=body.data,
        templates=body.templates,
        layouts=_layouts(body.templates, {**folder_layouts, **body.layouts}),
        origins=dict(_origins(body.templates)),
    )


def _layouts(templates: Templates, known: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    sources = [source for each in templates.email.values() for source in (each.html, each.text) if source is not None]
    while sources:
        for name in extended(sources.pop()):
            if name.startswith(LAYOUTS) and name in known and name not in found:
                found[name] = known[name]
                sources.append(known[name])
    return found


def _origins(templates: Templates) -> list[tuple[str, str]]:
    return [
        (part_name(channel, locale, part), f"templates.{part_name(channel, locale, part)}:1")
        for channel in Channel
        for locale, template in templates.of(channel).items()
        for part, _ in parts(template)
    ]


def problems_of_template(template: StandaloneTemplate, example: Mapping[str, Any]) -> list[Problem]:
    """What `apply` would find. A `path` is a place such as templates.email.en.html, a `line` counts within its text."""
    document = _Place("", template.model_dump(mode="json"))
    tried = _Place("example", {"data": dict(example)})
    item = Loaded(template, Path(), document, tried)
    found = list(check_content(item, Path()))
    if not any(template.templates.of(channel) for channel in Channel):
        found.append(Problem("templates", 1, "has no text for any channel"))
    return [Problem(problem.path.replace("example.data", "example"), *_rest(problem)) for problem in sorted(set(found))]


def _rest(problem: Problem) -> tuple[int, str]:
    return problem.line, problem.message


async def checked(session: AsyncSession, name: str, body: TemplateBody) -> tuple[StandaloneTemplate, list[Problem]]:
    """The template as it would be published, and what is wrong with it."""
    template = template_of(name, body, await drafts.folder_layouts(session))
    return template, await asyncio.to_thread(problems_of_template, template, body.example)


async def publish_template(session: AsyncSession, name: str, body: TemplateBody) -> int:
    """Make it the current version of the template, under the lock of the catalogue; returns its number.

    Raises:
        CatalogueError: with every problem; nothing was written.

    """
    template = await _faultless(session, name, body)
    await queries.lock_catalogue(session)
    version = await _put(session, template, body)
    await queries.point(session, template.kind, name, version, origin=ORIGIN)
    await queries.raise_revision(session)
    return version


async def keep_campaign_template(session: AsyncSession, campaign_id: UUID, body: TemplateBody) -> tuple[str, int]:
    """A campaign's own content as a version that no list shows: its name and number, for `template_version`.

    Raises:
        CatalogueError: with every problem; nothing was written.

    """
    template = await _faultless(session, f"campaign-{campaign_id}", body)
    return template.name, await _put(session, template, body)


async def _faultless(session: AsyncSession, name: str, body: TemplateBody) -> StandaloneTemplate:
    template, problems = await checked(session, name, body)
    if problems:
        raise CatalogueError(problems)
    return template


async def _put(session: AsyncSession, template: StandaloneTemplate, body: TemplateBody) -> int:
    dumped = template.model_dump(mode="json", exclude={"version"})
    example = {"data": dict(body.example)}
    return await queries.put_version(session, template.kind, template.name, content_hash(template), dumped, example)
