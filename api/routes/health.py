"""For machines: is the process alive, can it serve, and what does it measure."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import literal
from sqlmodel import select

from api.context import ApiContext, Context
from bridge.topics import all_topics
from notifications.metrics_endpoint import metrics_text

CHECK_SECONDS = 3.0

router = APIRouter(tags=["health"])


class _NotReadyError(Exception):
    """A server answers, but lacks something; the text says what, for people."""


class Alive(BaseModel):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "alive"}]})

    status: str = "alive"


class DependencyState(BaseModel):
    """Whether one server answers."""

    ready: bool
    detail: str = Field(description="What answered, or what is wrong.")


class Readiness(BaseModel):
    """`ready` when every server answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ready",
                    "dependencies": {
                        "postgres": {"ready": True, "detail": "answers"},
                        "temporal": {"ready": True, "detail": "serving namespace default"},
                        "kafka": {"ready": True, "detail": "answers, all topics are there"},
                    },
                }
            ]
        }
    )

    status: str
    dependencies: dict[str, DependencyState]


async def _postgres(context: ApiContext) -> str:
    async with context.sessions() as session:
        await session.exec(select(literal(1)))
    return "answers"


async def _kafka(context: ApiContext) -> str:
    missing = set(all_topics(context.settings.topics)) - await context.publisher.check(within=CHECK_SECONDS)
    if missing:
        raise _NotReadyError(f"lacks the topics {', '.join(sorted(missing))}: see `python -m tidings doctor`")
    return "answers, all topics are there"


async def _state(check: Awaitable[str]) -> DependencyState:
    """A server's own words may hold an address with a password, so only the kind of its error is told."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return DependencyState(ready=True, detail=await check)
    except TimeoutError:
        return DependencyState(ready=False, detail=f"no answer in {CHECK_SECONDS:g} s")
    except _NotReadyError as error:
        return DependencyState(ready=False, detail=str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, the server is not ready
        return DependencyState(ready=False, detail=f"does not answer ({type(error).__name__})")


@router.get("/healthz", summary="Whether the process is alive")
async def healthz() -> Alive:
    return Alive()


@router.get(
    "/readyz",
    summary="Whether every server behind the API answers",
    responses={503: {"model": Readiness, "description": "At least one does not."}},
)
async def readyz(context: Context, response: Response) -> Readiness:
    checks = {"postgres": _postgres(context), "temporal": context.workflows.check(), "kafka": _kafka(context)}
    states = dict(zip(checks, await asyncio.gather(*map(_state, checks.values())), strict=True))
    ready = all(state.ready for state in states.values())
    response.status_code = 200 if ready else 503
    return Readiness(status="ready" if ready else "not ready", dependencies=states)


@router.get(
    "/metrics",
    summary="Metrics in Prometheus' text format",
    response_class=PlainTextResponse,
    responses={200: {"content": {"text/plain": {"example": "# TYPE tidings_api_requests_total counter"}}}},
)
async def metrics() -> Response:
    return Response(await metrics_text(), media_type=CONTENT_TYPE_LATEST)
