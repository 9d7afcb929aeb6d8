"""The console: sign in, see what campaigns there are, watch one and steer it."""

from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Cookie, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from markupsafe import Markup

from api.campaign_commands import command
from api.console import STATIC, answer, live, static_file
from api.console.routing import ConsoleRoute, ForeignFormError, is_piece, safe_target
from api.console.sign_ins import COOKIE, LASTS_SECONDS, SignInError, Visitor
from api.console.steering import SAID, Action, wanted
from api.context import ApiContext, Context, Session
from api.forms import read_form
from api.pagination import Cursor, decode_cursor, encode_cursor, time_position
from api.problems import NOT_FOUND, ProblemError
from api.progress_stream import MEDIA_TYPE, progress_of
from api.schemas.campaigns import CampaignView
from notifications.campaigns.lifecycle import Asked
from notifications.queries import campaigns as queries

log = structlog.get_logger()

router = APIRouter(tags=["console"], route_class=ConsoleRoute)

_ON_A_PAGE = 25
_HTML: dict[str, Any] = {"content": {"text/html": {"example": "<!doctype html>..."}}}
_PAGE: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page for people"} | _HTML,
    303: {"description": "Nobody is signed in: to the form that asks"},
    422: {"description": "The address is not complete"} | _HTML,
    503: {"description": "PostgreSQL does not answer; asking again is safe"} | _HTML,
}
_DONE: dict[int | str, dict[str, Any]] = _PAGE | {
    200: {"description": "What became of it; a piece of a page where HTMX asks, else the page"} | _HTML,
    403: {"description": "The form is not of a page of this sign-in; nothing was done"} | _HTML,
    404: {"description": "There is no such campaign"} | _HTML,
    409: {"description": "The campaign's state does not allow it"} | _HTML,
}

Form = dict[str, str]


def _visitor(
    context: Context, cookie: Annotated[str | None, Cookie(alias=COOKIE, include_in_schema=False)] = None
) -> Visitor:
    return context.sign_ins.visitor(cookie)


SignedIn = Annotated[Visitor, Depends(_visitor)]


async def _form(request: Request) -> Form:
    return dict(read_form(request.headers.get("content-type", ""), await request.body()))


async def _own_form(visitor: SignedIn, form: Annotated[Form, Depends(_form)]) -> Form:
    """A page from elsewhere may send a form, cookie and all, if it is of the same site; it cannot read the key."""
    if not visitor.owns(form.get("form_key", "")):
        raise ForeignFormError
    return form


OwnForm = Annotated[Form, Depends(_own_form)]


@router.get(
    "/sign-in",
    summary="Sign in",
    description="A form for a name, which the log of commands shows, and the API token; sent, it sets a cookie.",
    response_class=HTMLResponse,
    responses={status: _PAGE[status] for status in (200, 422)},
)
async def show_sign_in(
    context: Context, target: Annotated[str, Query(alias="next", description="Where to go then.")] = "/campaigns"
) -> HTMLResponse:
    return _sign_in_page(context, target)


@router.post("/sign-in", include_in_schema=False)
async def sign_in(context: Context, form: Annotated[Form, Depends(_form)]) -> Response:
    try:
        cookie = context.sign_ins.sign_in(form.get("name", ""), form.get("token", ""))
    except SignInError as error:
        log.info("console.refused")
        return _sign_in_page(context, form.get("next", ""), name=form.get("name", ""), error=str(error))
    log.info("console.signed_in")
    response = RedirectResponse(safe_target(form.get("next", "")), status_code=303)
    response.set_cookie(
        COOKIE, cookie, max_age=LASTS_SECONDS, httponly=True, samesite="strict", secure=context.sign_ins.secure
    )
    return response


def _sign_in_page(context: ApiContext, target: str, *, name: str = "", error: str | None = None) -> HTMLResponse:
    return answer(
        "sign_in",
        status=401 if error else 200,
        visitor=None,
        asks_for_token=context.sign_ins.asks_for_token,
        target=safe_target(target),
        name=name,
        error=error,
    )


@router.post("/sign-out", include_in_schema=False)
async def sign_out(context: Context, form: OwnForm) -> RedirectResponse:
    del form
    response = RedirectResponse("/sign-in", status_code=303)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=context.sign_ins.secure)
    return response


@router.get("/campaigns", summary="The campaigns, newest first", response_class=HTMLResponse, responses=_PAGE)
async def show_campaigns(session: Session, visitor: SignedIn, cursor: Cursor = None) -> HTMLResponse:
    before = decode_cursor(cursor, time_position, UUID) if cursor is not None else None
    rows = await queries.list_campaigns(session, state=None, before=before, limit=_ON_A_PAGE + 1)
    last = rows[_ON_A_PAGE - 1] if len(rows) > _ON_A_PAGE else None
    return answer(
        "campaigns",
        visitor=visitor,
        campaigns=[CampaignView.of(row) for row in rows[:_ON_A_PAGE]],
        is_first=cursor is None,
        older=encode_cursor(last.created_at, last.id) if last else None,
    )


@router.get("/campaigns/{campaign_id}", summary="One campaign, live", response_class=HTMLResponse, responses=_PAGE)
async def show_campaign(context: Context, visitor: SignedIn, campaign_id: UUID) -> HTMLResponse:
    return await _page(context, visitor, campaign_id)


@router.get(
    "/campaigns/{campaign_id}/live",
    summary="What changes on its page, as Server-Sent Events",
    response_class=StreamingResponse,
    responses=_PAGE | {200: {"description": "HTML of each part", "content": {MEDIA_TYPE: {"example": "event: state"}}}},
)
async def follow_campaign(
    context: Context, request: Request, visitor: SignedIn, campaign_id: UUID
) -> StreamingResponse:
    return live.stream(context, request, await progress_of(context, campaign_id), visitor.form_key)


@router.post(
    "/campaigns/{campaign_id}/{action}",
    summary="Pause, resume, cancel, or change the rate",
    description="The fields of the page's forms: `per_second` with `rate`, `confirmed=yes` with `cancel`.",
    response_class=HTMLResponse,
    responses=_DONE,
)
async def steer_campaign(
    context: Context, request: Request, visitor: SignedIn, form: OwnForm, campaign_id: UUID, action: Action
) -> HTMLResponse:
    done = await command(context, wanted(action, campaign_id, Asked(by=visitor.name), form))
    if not is_piece(request):
        return await _page(context, visitor, campaign_id, said=SAID[action])
    return answer("answer", said=SAID[action], campaign=done.campaign, account=done.account, form_key=visitor.form_key)


async def _page(context: ApiContext, visitor: Visitor, campaign_id: UUID, said: str | None = None) -> HTMLResponse:
    progress = await progress_of(context, campaign_id)
    parts = live.parts(progress, await live.log_of(context, progress), visitor.form_key)
    shown = {name: Markup(html) for name, html in parts.items()}  # noqa: S704 - made from templates of ours, escaped there
    return answer(
        "campaign", visitor=visitor, campaign=progress.campaign, account=progress.account, parts=shown, said=said
    )


@router.get("/console/{name}", include_in_schema=False)
async def show_static_file(name: str) -> Response:
    if name not in STATIC:
        raise ProblemError(NOT_FOUND, "there is no such file")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "X-Content-Type-Options": "nosniff"}
    return Response(static_file(name), media_type=STATIC[name], headers=headers)
