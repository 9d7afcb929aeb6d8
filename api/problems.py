"""Every error leaves as `application/problem+json` (RFC 9457): what is wrong, where, and what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DataError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of problem; `name` makes its URI, which stays the same in every installation."""

    name: str
    status: int
    title: str
    remedy: str

    @property
    def uri(self) -> str:
        return f"urn:tidings:problem:{self.name}"


BAD_REQUEST = ProblemType("bad-request", 400, "The request cannot be read", "Mend what `detail` names.")
UNAUTHORIZED = ProblemType(
    "unauthorized", 401, "A bearer token is required", "Send `Authorization: Bearer <TIDINGS_API_TOKEN>`."
)
UNSIGNED = ProblemType(
    "unsigned-webhook", 401, "A webhook is signed by its vendor", "Call it as the vendor does, with its signature."
)
FORGED = ProblemType(
    "forged-webhook", 403, "The signature is not the vendor's, or too old", "Check the secret that `detail` names."
)
FORBIDDEN_HOST = ProblemType(
    "forbidden-host", 403, "This host name is not served", "Use localhost, or start the API with TIDINGS_API_TOKEN."
)
NOT_FOUND = ProblemType("not-found", 404, "There is no such thing", "Check the path and the id.")
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed", 405, "This path has no such method", "Use a method that the `Allow` header names."
)
NOT_ACCEPTABLE = ProblemType(
    "not-acceptable", 406, "There is no such form of it", "Ask with an Accept, or a `format`, that `detail` names."
)
REQUEST_TIMEOUT = ProblemType("request-timeout", 408, "The body came too slowly", "Send the request again.")
CONFLICT = ProblemType(
    "conflict", 409, "The state does not allow it", "Read the resource again; `detail` says what its state allows."
)
ID_REUSED = ProblemType(
    "id-reused", 409, "This event id stands for another event", "Give the new event an id of its own."
)
PROFILES_ELSEWHERE = ProblemType(
    "profiles-elsewhere", 409, "Profiles live in an external service", "Write them there; TIDINGS_PROFILE_URL names it."
)
CONSENT_REQUIRED = ProblemType(
    "consent-required", 409, "This category cannot be opted out of", "Leave the category out of the request."
)
TOO_LARGE = ProblemType("too-large", 413, "The body is too large", "Send less: an event has at most 256 KiB.")
ENCODED_BODY = ProblemType(
    "encoded-body", 415, "Compressed bodies are not taken", "Send the body without Content-Encoding."
)
UNKNOWN_FORMAT = ProblemType(
    "unknown-format", 415, "The body is of no format that is taken here", "Send it with a Content-Type that is."
)
INVALID = ProblemType("invalid", 422, "The request is not valid", "Mend what `errors` and `detail` name.")
EVENT_REJECTED = ProblemType(
    "event-rejected", 422, "The event itself is wrong", "Mend what `detail` names and send it again."
)
INTERNAL = ProblemType(
    "internal", 500, "Tidings has a fault", "Report it with the time: the log of the API names the place."
)
UNAVAILABLE = ProblemType(
    "unavailable", 503, "A server that this needs does not answer", "Try again; /readyz names the server."
)
NO_WORKER = ProblemType(
    "no-worker",
    503,
    "No worker answered in time",
    "Start one (`python -m tidings worker --roles orchestrator`), and look at the notification before repeating it.",
)
ADDRESS_NOT_ALLOWED = ProblemType(
    "address-not-allowed",
    403,
    "Test messages go to allowed addresses only",
    "Name the address in TIDINGS_DEV_ALLOW_RECIPIENTS of the API.",
)
NOT_ACCEPTED = ProblemType(
    "not-accepted",
    502,
    "The provider did not accept the message",
    "Mend what `detail` names; `doctor` checks accounts.",
)
PROBLEMS = (
    BAD_REQUEST,
    UNAUTHORIZED,
    UNSIGNED,
    FORGED,
    FORBIDDEN_HOST,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    REQUEST_TIMEOUT,
    CONFLICT,
    ID_REUSED,
    PROFILES_ELSEWHERE,
    CONSENT_REQUIRED,
    TOO_LARGE,
    ENCODED_BODY,
    UNKNOWN_FORMAT,
    INVALID,
    EVENT_REJECTED,
    INTERNAL,
    UNAVAILABLE,
    NO_WORKER,
    ADDRESS_NOT_ALLOWED,
    NOT_ACCEPTED,
)
_BY_STATUS = {problem.status: problem for problem in (BAD_REQUEST, NOT_FOUND, METHOD_NOT_ALLOWED, UNAVAILABLE)}


class FieldError(BaseModel):
    """One thing to mend in a request."""

    location: str = Field(description="Where: `body.email`, `query.limit`, `path.seq`.", examples=["body.email"])
    message: str = Field(examples=["an e-mail address has one @ with something before and after it"])


class ProblemDocument(BaseModel):
    """RFC 9457 problem details."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Stable name of the kind of problem.", examples=[NOT_FOUND.uri])
    title: str = Field(examples=[NOT_FOUND.title])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no notification a56453a4-7db3-5408-8b23-96f8b4313634"])
    remedy: str = Field(description="What to do about it.", examples=[NOT_FOUND.remedy])
    errors: list[FieldError] | None = Field(None, description="Each thing to mend, for an invalid request.")


class ProblemError(Exception):
    """Raised anywhere below a route; one handler turns it into the answer.

    `detail` never holds an address, a token or a body. `extensions` become members of the document.
    """

    def __init__(
        self, problem: ProblemType, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: Any
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.detail = detail
        self.headers = headers
        self.extensions = extensions


def problem_response(
    problem: ProblemType, detail: str, *, headers: Mapping[str, str] | None = None, **extensions: Any
) -> JSONResponse:
    content = {
        "type": problem.uri,
        "title": problem.title,
        "status": problem.status,
        "detail": detail,
        "remedy": problem.remedy,
        **extensions,
    }
    return JSONResponse(content, status_code=problem.status, headers=headers, media_type=MEDIA_TYPE)


def problem_responses(*problems: ProblemType) -> dict[int | str, dict[str, Any]]:
    """The `responses=` of a route: what it may answer besides success, with an example for each kind."""
    documented: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        response = documented.setdefault(
            problem.status,
            {
                "description": HTTPStatus(problem.status).phrase,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}, "examples": {}}},
            },
        )
        example = {"type": problem.uri, "title": problem.title, "status": problem.status}
        example |= {"detail": problem.title, "remedy": problem.remedy}
        response["content"][MEDIA_TYPE]["examples"][problem.name] = {"summary": problem.title, "value": example}
    return documented


def problem_table() -> str:
    """Every kind of problem as a Markdown table, for the description of the OpenAPI document."""
    rows = [f"| `{p.uri}` | {p.status} | {p.title} | {p.remedy} |" for p in PROBLEMS]
    return "\n".join(["| type | status | meaning | what to do |", "|---|---|---|---|", *rows])


def field_errors(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Pydantic's errors without the offending values: a value may be an address."""
    return [
        {
            "location": ".".join(str(part) for part in error["loc"]),
            "message": str(error["msg"]).removeprefix("Value error, "),
        }
        for error in errors
    ]


async def _on_problem(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)  # noqa: S101 - registered for this class only
    return problem_response(error.problem, error.detail, headers=error.headers, **error.extensions)


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    if any(item["type"] == "json_invalid" for item in error.errors()):
        return problem_response(BAD_REQUEST, "the body is not JSON")
    errors = field_errors(error.errors())
    detail = "; ".join(f"{item['location']}: {item['message']}" for item in errors)
    return problem_response(INVALID, detail, errors=errors)


async def _on_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    problem = _BY_STATUS.get(error.status_code)
    if problem is None:
        problem = ProblemType("http", error.status_code, str(error.detail), "Mend the request.")
    return problem_response(problem, str(error.detail), headers=error.headers)


async def _on_database(request: Request, error: Exception) -> JSONResponse:
    if isinstance(error, DataError):
        return problem_response(INVALID, "a text or number in the request cannot be stored (NUL, or out of range)")
    if isinstance(error, InterfaceError | OperationalError | PoolTimeoutError):
        log.warning("api.database_unavailable", path=request.scope["route"].path, error=type(error).__name__)
        return problem_response(UNAVAILABLE, "PostgreSQL does not answer", headers={"Retry-After": "2"})
    raise error


async def _on_fault(request: Request, error: Exception) -> JSONResponse:
    # The text of an unforeseen exception may quote a request: only its class and place are logged.
    route = request.scope.get("route")
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    place = f"{frames.tb_frame.f_code.co_filename}:{frames.tb_lineno}" if frames is not None else "?"
    log.error("api.fault", route=getattr(route, "path", "?"), error=type(error).__name__, at=place)
    return problem_response(INTERNAL, "an unforeseen error; the log names its place")


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(ProblemError, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(DBAPIError, _on_database)
    app.add_exception_handler(PoolTimeoutError, _on_database)
    app.add_exception_handler(Exception, _on_fault)
