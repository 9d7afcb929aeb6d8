"""Whether a campaign's category, template and data fit together; said when it is written, and again at its launch."""

from collections.abc import Mapping
from typing import Any, Protocol

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.campaigns.body import CampaignBody
from notifications.catalogue.definition import Category, StandaloneTemplate
from notifications.catalogue.problems import CatalogueError, Problem, did_you_mean
from notifications.catalogue.schema import data_validator
from notifications.catalogue.templates import TemplateBody, checked, keep_campaign_template
from notifications.statuses import Channel
from notifications.tables import Campaign


class Published(Protocol):
    """What a campaign may name of the published catalogue."""

    @property
    def categories(self) -> Mapping[str, Category]: ...

    @property
    def templates(self) -> Mapping[str, StandaloneTemplate]: ...


class ContentError(ValueError):
    """What a campaign says cannot be sent; says what to mend."""


async def check_content(session: AsyncSession, body: CampaignBody, catalogue: Published) -> None:
    """See that category and template exist, and that the template takes the channel and the data.

    Raises:
        ContentError: says what to mend.

    """
    if body.category not in catalogue.categories:
        hint = did_you_mean(body.category, catalogue.categories)
        raise ContentError(f"category: there is no {body.category!r}{hint}; categories.yaml has them")
    if body.content is None:
        template = _published(body.template or "", catalogue)
    else:
        template, problems = await checked(session, "content", _tried_with(body.content, body.data))
        if problems:
            raise _content_error(problems[0])
    _check_fit(template, body.channel, body.data)


async def pin_template(session: AsyncSession, draft: Campaign, catalogue: Published) -> tuple[str, int]:
    """Name and version of what is sent; content of the campaign's own is kept as a version of its own.

    Raises:
        ContentError: the template is not there any more, or no longer takes this.

    """
    if draft.content is None:
        template = _published(draft.template or "", catalogue)
        _check_fit(template, Channel(draft.channel), draft.data)
        return template.name, template.version
    own = _tried_with(TemplateBody.model_validate(draft.content), draft.data)
    try:
        return await keep_campaign_template(session, draft.id, own)
    except CatalogueError as error:
        raise _content_error(error.problems[0]) from None


def _content_error(problem: Problem) -> ContentError:
    """Its example is the campaign's `data`."""
    place = problem.path.replace("example", "data", 1) if problem.path.startswith("example") else problem.path
    return ContentError(f"{'content.' if place == problem.path else ''}{place}: {problem.message}")


def _tried_with(content: TemplateBody, data: Mapping[str, Any]) -> TemplateBody:
    """The campaign's own data are the best example of them."""
    return content.model_copy(update={"example": dict(data)})


def _published(name: str, catalogue: Published) -> StandaloneTemplate:
    if name not in catalogue.templates:
        hint = did_you_mean(name, catalogue.templates)
        raise ContentError(f"template: none is published as {name!r}{hint}")
    return catalogue.templates[name]


def _check_fit(template: StandaloneTemplate, channel: Channel, data: Mapping[str, Any]) -> None:
    texts = template.templates.of(channel)
    if template.default_locale not in texts:
        has = ", ".join(each for each in Channel if template.templates.of(each)) or "no channel"
        raise ContentError(
            f"channel: the template {template.name} has no {channel} text in {template.default_locale!r}, only {has}"
        )
    wrong = next(data_validator(template.data).iter_errors(dict(data)), None)
    if wrong is not None:
        where = ".".join(["data", *map(str, wrong.absolute_path)])
        raise ContentError(f"{where}: {wrong.message}")
