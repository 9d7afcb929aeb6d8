"""Templates of campaigns: written as drafts, looked at, tried, published as versions that never change."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from api import template_drafts, template_previews
from api.context import Context, Session
from api.pagination import Cursor, Limit, Page, decode_cursor, encode_cursor
from api.problems import (
    ADDRESS_NOT_ALLOWED,
    BAD_REQUEST,
    CONFLICT,
    INVALID,
    NOT_ACCEPTED,
    NOT_FOUND,
    UNAVAILABLE,
    problem_responses,
)
from api.schemas.templates import (
    PreviewView,
    PreviewWrite,
    TemplateCreate,
    TemplateName,
    TemplateSummary,
    TemplateView,
    TemplateWrite,
    TrialView,
    TrialWrite,
    VersionView,
)
from notifications.queries import templates

router = APIRouter(prefix="/templates", tags=["templates"])

Name = Annotated[TemplateName, Path(examples=["summer-sale"])]


@router.post(
    "",
    summary="Create a draft",
    description="It may have mistakes; `problems` names them. The same content again changes nothing.",
    responses=problem_responses(CONFLICT, INVALID) | {201: {"model": TemplateView, "description": "Created"}},
)
async def post_template(session: Session, response: Response, wanted: TemplateCreate) -> TemplateView:
    view, is_new = await template_drafts.create(session, wanted.name, wanted.body())
    response.status_code = 201 if is_new else 200
    return view


@router.get(
    "",
    summary="List templates",
    description="By name; drafts and published ones, those of the catalogue folder included.",
    responses=problem_responses(BAD_REQUEST, INVALID),
)
async def list_templates(session: Session, cursor: Cursor = None, limit: Limit = 50) -> Page[TemplateSummary]:
    (after,) = decode_cursor(cursor, str) if cursor is not None else ("",)
    states = await templates.list_templates(session, after=after, limit=limit + 1)
    following = encode_cursor(states[limit - 1].name) if len(states) > limit else None
    return Page(items=[TemplateSummary.of(state) for state in states[:limit]], next=following)


@router.get(
    "/{name}",
    summary="One template, its draft before what is published",
    responses=problem_responses(NOT_FOUND, INVALID),
)
async def get_template(session: Session, name: Name) -> TemplateView:
    return await template_drafts.read(session, name)


@router.put(
    "/{name}",
    summary="Write the draft",
    description="What is published stays as it is until the draft is published.",
    responses=problem_responses(CONFLICT, INVALID),
)
async def put_template(session: Session, name: Name, wanted: TemplateWrite) -> TemplateView:
    return await template_drafts.replace(session, name, wanted)


@router.delete(
    "/{name}",
    status_code=204,
    summary="Drop the draft and retire what is published",
    description="Its versions stay, for the campaigns that use them.",
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID),
)
async def delete_template(session: Session, name: Name) -> None:
    await template_drafts.remove(session, name)


@router.get(
    "/{name}/versions/{version}", summary="One published version", responses=problem_responses(NOT_FOUND, INVALID)
)
async def get_version(
    session: Session, name: Annotated[str, Path(max_length=100)], version: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> VersionView:
    return await template_drafts.read_version(session, name, version)


@router.post(
    "/{name}/preview",
    summary="See every text as it would be sent",
    description="For a recipient or none, with data or the example. A text with a mistake says what is wrong with it.",
    responses=problem_responses(NOT_FOUND, INVALID, UNAVAILABLE),
)
async def post_preview(context: Context, session: Session, name: Name, wanted: PreviewWrite) -> PreviewView:
    return await template_previews.preview(context, session, name, wanted)


@router.post(
    "/{name}/publish",
    summary="Publish the draft",
    description="The same checks as `apply`. Without a draft, what is published stays as it is.",
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID),
)
async def post_publish(session: Session, name: Name) -> TemplateView:
    return await template_drafts.publish(session, name)


@router.post(
    "/{name}/test-send",
    summary="Send one text to an allowed address",
    description="Outside the ledger: nothing is recorded, no consent is asked. In development any address will do, "
    "since all but those of TIDINGS_DEV_ALLOW_RECIPIENTS lead to the sandbox; elsewhere only those are taken.",
    responses=problem_responses(NOT_FOUND, CONFLICT, INVALID, UNAVAILABLE, ADDRESS_NOT_ALLOWED, NOT_ACCEPTED),
)
async def post_test_send(context: Context, name: Name, wanted: TrialWrite) -> TrialView:
    return await template_previews.send(context, name, wanted)
