"""The application: routes, middleware, and the state that the lifespan hands to them."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from api.authentication import PROTECTED, BearerToken, DocumentedToken, usable_token
from api.context import ApiContext, State
from api.examples import fill_in_nulls
from api.limits import BodyLimit
from api.metrics import RequestMetrics
from api.problems import (
    ENCODED_BODY,
    INTERNAL,
    REQUEST_TIMEOUT,
    TOO_LARGE,
    UNAUTHORIZED,
    UNAVAILABLE,
    ProblemDocument,
    install_problem_handlers,
    problem_responses,
    problem_table,
)
from api.reference import render_reference
from api.routes import (
    audiences,
    campaign_account,
    campaign_resends,
    campaigns,
    console,
    events,
    health,
    imports,
    messages,
    notifications,
    providers,
    recipients,
    rejected_events,
    suppressions,
    templates,
    unsubscribe,
    webhooks,
)
from notifications.settings import Settings

OpenContext = Callable[[Settings], AbstractAsyncContextManager[ApiContext]]

_ROUTES = (
    campaigns,
    campaign_account,
    campaign_resends,
    events,
    notifications,
    messages,
    recipients,
    imports,
    audiences,
    suppressions,
    templates,
    rejected_events,
    providers,
)
_DESCRIPTION = """Send events, follow what became of them, and act on deliveries.

Every route under `/v1` takes `Authorization: Bearer <TIDINGS_API_TOKEN>`. Lists go by cursor, newest first.
Every error is a problem document (RFC 9457):

"""


def _v1() -> APIRouter:
    everywhere = problem_responses(UNAUTHORIZED, TOO_LARGE, ENCODED_BODY, REQUEST_TIMEOUT, INTERNAL, UNAVAILABLE)
    router = APIRouter(prefix=PROTECTED, dependencies=[DocumentedToken], responses=everywhere)
    for routes in _ROUTES:
        router.include_router(routes.router)
    return router


def create_app(settings: Settings, open_context: OpenContext) -> FastAPI:
    """A function, so that tests can make one with collaborators of their own."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        async with open_context(settings) as context:
            yield {"context": context}

    app = FastAPI(
        title="Tidings",
        version="1",
        description=_DESCRIPTION + problem_table(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(BodyLimit)
    app.add_middleware(BearerToken, token=usable_token(settings.api_token))
    app.add_middleware(RequestMetrics)
    install_problem_handlers(app)
    app.include_router(health.router)
    app.include_router(webhooks.router)
    app.include_router(unsubscribe.router)
    app.include_router(console.router)
    app.include_router(_v1())
    _describe_problems(app)
    _serve_reference(app, settings.public_url)
    return app


def _serve_reference(app: FastAPI, base_url: str) -> None:
    @app.get("/docs", include_in_schema=False)
    async def reference() -> HTMLResponse:
        return HTMLResponse(render_reference(app.openapi(), base_url))


def _describe_problems(app: FastAPI) -> None:
    """The routes refer to the problem schema by name, so it has to stand in the document; examples are made whole."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        template = "#/components/schemas/{model}"
        problem = ProblemDocument.model_json_schema(ref_template=template)
        schemas.update(problem.pop("$defs", {}))
        schemas["ProblemDocument"] = problem
        fill_in_nulls(schemas)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
