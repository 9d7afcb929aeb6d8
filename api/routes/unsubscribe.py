"""Behind the links of messages: to look is to change nothing, to post is to choose. No login, no token of ours."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from typing_extensions import override

from api import preference_page
from api.context import ApiContext, Context
from api.forms import FormError, read_form
from api.metrics import UNSUBSCRIBES
from api.pages import page
from api.problems import ENCODED_BODY, INVALID, REQUEST_TIMEOUT, TOO_LARGE, problem_responses
from notifications.catalogue.definition import ConsentDefault
from notifications.database import transaction
from notifications.queries.unsubscribe import choose
from notifications.unsubscribe import ForgedTokenError, Subject

log = structlog.get_logger()

_NOT_OURS = (
    "Mail programs sometimes break long links. Open it again from the message, or copy all of it, to the last letter.",
    "If that does not help, answer the message and ask to be taken off the list.",
)
_NOT_ASKED = ("Nothing was changed. Open the link of the message again, and press the button on its page.",)
_PART_OF_SERVICE = ("Messages of this kind are now part of the service that you use, and cannot be stopped by a link.",)
_LATER = ("Please try again in a minute. It does no harm to ask twice.",)
_HTML: dict[str, Any] = {"content": {"text/html": {"example": "<!doctype html>..."}}}
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {"description": "A page for people"} | _HTML,
    404: {"description": "The link is incomplete, or was not made here"} | _HTML,
    503: {"description": "PostgreSQL does not answer; asking again is safe"} | _HTML,
    **problem_responses(INVALID),
}
_POSTED: dict[int | str, dict[str, Any]] = {
    **_ANSWERS,
    400: {"description": "The form is not the page's; nothing was changed"} | _HTML,
    **problem_responses(TOO_LARGE, ENCODED_BODY, REQUEST_TIMEOUT),
}

Token = Annotated[str, Path(description="Of the link in a message.", examples=["AGV4YW1wbGUgb2YgYSB0b2tlbg"])]


class _PageRoute(APIRoute):
    """Tells people, not programs, what went wrong."""

    @override
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except ForgedTokenError as error:
                UNSUBSCRIBES.labels("forged").inc()
                log.info("unsubscribe.refused", reason=error.reason)
                return page("message", status=404, heading="This link does not work", lines=_NOT_OURS)
            except FormError:
                UNSUBSCRIBES.labels("unreadable").inc()
                return page("message", status=400, heading="That was not the button", lines=_NOT_ASKED)
            except (InterfaceError, OperationalError, PoolTimeoutError) as error:
                log.warning("api.database_unavailable", path=self.path, error=type(error).__name__)
                again = {"Retry-After": "60"}
                return page("message", status=503, headers=again, heading="Not possible right now", lines=_LATER)

        return handle_for_people


router = APIRouter(prefix="/u/{token}", tags=["unsubscribe"], route_class=_PageRoute)


@router.head("", include_in_schema=False)
@router.get(
    "",
    summary="Ask whether to unsubscribe",
    description="Changes nothing, whoever fetches it: mail scanners follow every link.",
    response_class=HTMLResponse,
    responses=_ANSWERS,
)
async def get_unsubscribe(context: Context, token: Token) -> HTMLResponse:
    subject = context.unsubscribe.read(token)
    return await _about(context, subject, "confirm")


@router.post(
    "",
    summary="Unsubscribe",
    description="By RFC 8058: the body is `List-Unsubscribe=One-Click`, as a form (URL-encoded or multipart). "
    "Repeating it changes nothing.",
    response_class=HTMLResponse,
    responses=_POSTED,
)
async def post_unsubscribe(context: Context, request: Request, token: Token) -> HTMLResponse:
    subject = context.unsubscribe.read(token)
    form = read_form(request.headers.get("content-type", ""), await request.body())
    if ("List-Unsubscribe", "One-Click") not in form:
        raise FormError
    async with transaction(context.sessions) as session:
        is_new = await choose(session, subject, opted_in=False, source="unsubscribe")
    UNSUBSCRIBES.labels("unsubscribed" if is_new else "repeated").inc()
    log.info("unsubscribe.done", category=subject.category, channel=str(subject.channel), is_new=is_new)
    return await _about(context, subject, "unsubscribed")


@router.head("/preferences", include_in_schema=False)
@router.get(
    "/preferences",
    summary="See what one gets, and choose",
    description="Changes nothing.",
    response_class=HTMLResponse,
    responses=_ANSWERS,
)
async def get_preferences(context: Context, token: Token) -> HTMLResponse:
    subject = context.unsubscribe.read(token)
    return await preference_page.show(context, subject)


@router.post(
    "/preferences",
    summary="Keep what was chosen",
    description="The form of the page. What was not changed there is not written.",
    response_class=HTMLResponse,
    responses=_POSTED,
)
async def post_preferences(context: Context, request: Request, token: Token) -> HTMLResponse:
    subject = context.unsubscribe.read(token)
    form = read_form(request.headers.get("content-type", ""), await request.body())
    changed = await preference_page.keep(context, subject, form)
    if changed:
        UNSUBSCRIBES.labels("chosen").inc(changed)
        log.info("unsubscribe.chosen", choices=changed)
    return await preference_page.show(context, subject, changed=changed)


async def _about(context: ApiContext, subject: Subject, name: str) -> HTMLResponse:
    category = (await context.catalogue.current()).categories.get(subject.category)
    if category is not None and category.default is ConsentDefault.REQUIRED:
        return page("message", heading="Part of the service", lines=_PART_OF_SERVICE)
    return page(
        name,
        channel=preference_page.CHANNELS[subject.channel],
        title=category.title if category is not None else subject.category,
        links=context.unsubscribe.make(subject),
    )
