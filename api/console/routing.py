"""The console's routes tell people, not programs, what went wrong: as a page, or as a piece of one where HTMX asks."""

import re
from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from typing_extensions import override

from api.console import answer
from api.console.sign_ins import NotSignedInError
from api.forms import FormError
from api.problems import ProblemError
from api.progress_stream import MEDIA_TYPE

log = structlog.get_logger()

FIRST_PAGE = "/campaigns"
_PAGES = re.compile(r"/campaigns(/[0-9a-fA-F-]{36})?")
_HTMX = "HX-Request"


class ForeignFormError(Exception):
    """A form without the key that the pages of this sign-in carry."""


def safe_target(path: str) -> str:
    """Where to go after signing in: a page of ours, else the first one."""
    return path if _PAGES.fullmatch(path) else FIRST_PAGE


def is_piece(request: Request) -> bool:
    """HTMX asks for a piece of a page; it also wants to hear of sign-ins in a way of its own."""
    return _HTMX in request.headers


class ConsoleRoute(APIRoute):
    """Errors in words; who is not signed in is asked to."""

    @override
    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except NotSignedInError:
                return _to_sign_in(request)
            except (ForeignFormError, FormError):
                log.info("console.foreign_form", path=self.path)
                return _trouble(request, 403, "This was not sent by the page. Load the page again, and try once more.")
            except RequestValidationError:
                return _trouble(request, 404, "There is no such page. Mail programs and chats sometimes break links.")
            except ProblemError as error:
                return _trouble(request, error.problem.status, _sentence(error.detail))
            except (InterfaceError, OperationalError, PoolTimeoutError) as error:
                log.warning("api.database_unavailable", path=self.path, error=type(error).__name__)
                return _trouble(
                    request, 503, "PostgreSQL does not answer. Try again in a minute: asking twice is safe."
                )

        return handle_for_people


def _to_sign_in(request: Request) -> Response:
    path = "/".join(request.url.path.split("/")[:3])  # of a page, where a form was sent to a path below it
    where = f"/sign-in?next={safe_target(path)}"
    if is_piece(request):
        return Response(status_code=401, headers={"HX-Redirect": where})
    if request.headers.get("accept", "").startswith(MEDIA_TYPE):
        return Response(status_code=401)
    return RedirectResponse(where, status_code=303)


def _trouble(request: Request, status: int, said: str) -> Response:
    heading = "Not done" if request.method == "POST" else HTTPStatus(status).phrase
    name = "parts/trouble" if is_piece(request) else "trouble"
    return answer(name, status=status, visitor=None, heading=heading, said=said)


def _sentence(detail: str) -> str:
    return f"{detail[:1].upper()}{detail[1:].rstrip('.')}."
