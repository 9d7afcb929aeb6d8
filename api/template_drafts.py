"""Drafts of templates, and what publishing and removing them asks of the catalogue."""

from typing import Any

import structlog
from sqlmodel.ext.asyncio.session import AsyncSession

from api.problems import CONFLICT, INVALID, NOT_FOUND, FieldError, ProblemError
from api.schemas.templates import TemplateView, VersionView, field_error
from notifications.catalogue import templates as catalogue
from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.publish import ORIGIN as FOLDER
from notifications.catalogue.templates import TemplateBody
from notifications.queries import catalogue as queries
from notifications.queries import templates as drafts
from notifications.queries.templates import TemplateState

log = structlog.get_logger()


async def read(session: AsyncSession, name: str) -> TemplateView:
    state = await _existing(session, name)
    body = content_of(state)
    _, problems = await catalogue.checked(session, name, body)
    return TemplateView.with_content(state, body, [field_error(problem) for problem in problems])


async def read_version(session: AsyncSession, name: str, version: int) -> VersionView:
    row = await drafts.read_version(session, name, version)
    if row is None:
        raise ProblemError(NOT_FOUND, f"no version {version} of a template {name}")
    return VersionView(
        name=name,
        version=version,
        published_at=row["created_at"],
        content=_published(row["content"], row["example"]),
    )


async def create(session: AsyncSession, name: str, body: TemplateBody) -> tuple[TemplateView, bool]:
    """The template, and whether it is new; the same again is no mistake.

    Raises:
        ProblemError: there is one of this name with another content.

    """
    state = await drafts.read_template(session, name)
    if state is None or (state.draft is None and state.retired):
        is_new = await drafts.add_draft(session, name, body.model_dump(mode="json"))
        state = None if is_new else await drafts.read_template(session, name)
    else:
        is_new = False
    if state is not None and content_of(state) != body:
        raise ProblemError(CONFLICT, f"there is a template {name}: change it with PUT /v1/templates/{name}")
    return await read(session, name), is_new


async def replace(session: AsyncSession, name: str, body: TemplateBody) -> TemplateView:
    """Write the draft.

    Raises:
        ProblemError: the catalogue folder keeps this template.

    """
    _refuse_folder(await drafts.read_template(session, name))
    await drafts.put_draft(session, name, body.model_dump(mode="json"))
    return await read(session, name)


async def publish(session: AsyncSession, name: str) -> TemplateView:
    """Make the draft the next version; without a draft, the published one stays as it is.

    Raises:
        ProblemError: there is neither, it has mistakes, or the catalogue folder keeps this template.

    """
    draft = await drafts.take_draft(session, name)
    if draft is not None:
        await queries.lock_catalogue(session)
        _refuse_folder(await drafts.read_template(session, name))
        try:
            await catalogue.publish_template(session, name, TemplateBody.model_validate(draft))
        except CatalogueError as error:
            errors = [field_error(problem) for problem in error.problems]
            raise ProblemError(INVALID, _in_words(errors), errors=[each.model_dump() for each in errors]) from None
        log.info("template.published", template=name)
    return await read(session, name)


async def remove(session: AsyncSession, name: str) -> None:
    """Drop the draft and retire what is published; its versions stay, for those who use them.

    Raises:
        ProblemError: there is none, or the catalogue folder keeps it.

    """
    await queries.lock_catalogue(session)
    state = await _existing(session, name)
    _refuse_folder(state)
    await drafts.take_draft(session, name)
    if state.version is not None and not state.retired:
        await queries.retire(session, "template", name)
        await queries.raise_revision(session)


async def content(session: AsyncSession, name: str, version: int | None) -> TemplateBody:
    """Of one version; None: the draft's, or where there is none the published one's."""
    if version is not None:
        return (await read_version(session, name, version)).content
    return content_of(await _existing(session, name))


def content_of(state: TemplateState) -> TemplateBody:
    if state.draft is not None:
        return TemplateBody.model_validate(state.draft)
    return _published(state.content or {}, state.example)


def _published(document: dict[str, Any], example: dict[str, Any] | None) -> TemplateBody:
    kept = {name: document[name] for name in ("default_locale", "data", "templates", "layouts")}
    return TemplateBody.model_validate({**kept, "example": (example or {}).get("data", {})})


async def _existing(session: AsyncSession, name: str) -> TemplateState:
    state = await drafts.read_template(session, name)
    if state is None:
        raise ProblemError(NOT_FOUND, f"no template {name}: create a draft with POST /v1/templates")
    return state


def _refuse_folder(state: TemplateState | None) -> None:
    if state is not None and state.origin == FOLDER and not state.retired:
        detail = f"the catalogue folder keeps {state.name}: change templates/{state.name}/template.yaml and apply it"
        raise ProblemError(CONFLICT, detail)


def _in_words(errors: list[FieldError]) -> str:
    return "; ".join(f"{error.location}: {error.message}" for error in errors)
