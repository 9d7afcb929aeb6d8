"""Request bodies that are too large to hold: taken as they come, within a time for each piece."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from api.limits import BODY_SECONDS
from api.problems import BAD_REQUEST, REQUEST_TIMEOUT, ProblemError


async def body_chunks(request: Request, *, seconds: float = BODY_SECONDS) -> AsyncIterator[bytes]:
    """The body in pieces.

    Raises:
        ProblemError: no further piece came within `seconds`, or its sender went away (and hears nothing of it).

    """
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            detail = f"nothing of the body came for {seconds:g} s"
            raise ProblemError(REQUEST_TIMEOUT, detail, headers={"Connection": "close"}) from None
        except ClientDisconnect:
            raise ProblemError(BAD_REQUEST, "the body broke off") from None
        if chunk is None:
            return
        if chunk:
            yield chunk
