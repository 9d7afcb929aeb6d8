"""For machines: is the process alive, can it serve, and what does it measure."""

import asyncio
from collections.abc import Awaitable

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import literal
from sqlmodel import select

from api.context import ApiContext, Context

CHECK_SECONDS = 3.0

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "alive"}]})

    status: str = "alive"


class DependencyState(BaseModel):
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
                        "temporal": {"ready": True, "detail": "serving"},
                        "kafka": {"ready": True, "detail": "1 broker"},
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


async def _state(check: Awaitable[str]) -> DependencyState:
    """A server's own words may hold an address with a password, so only the kind of its error is told."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return DependencyState(ready=True, detail=await check)
    except TimeoutError:
        return DependencyState(ready=False, detail=f"no answer in {CHECK_SECONDS:g} s")
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
    checks = {"postgres": _postgres(context), "temporal": context.workflows.check(), "kafka": context.publisher.check()}
    states = dict(zip(checks, await asyncio.gather(*map(_state, checks.values())), strict=True))
    ready = all(state.ready for state in states.values())
    response.status_code = 200 if ready else 503
    return Readiness(status="ready" if ready else "not ready", dependencies=states)
