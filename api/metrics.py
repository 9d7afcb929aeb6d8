"""How many requests, how they ended and how long they took, by handler."""

import time

from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUESTS = Counter("tidings_api_requests_total", "Requests by handler and status code.", ["handler", "status"])
SECONDS = Histogram("tidings_api_request_seconds", "Time from the request to the end of the answer.", ["handler"])

RECEIPTS = Counter("tidings_receipts_total", "Providers' receipts by what became of them.", ["provider", "result"])
UNSUBSCRIBES = Counter("tidings_unsubscribes_total", "What came by the links of messages, by its result.", ["result"])
PROGRESS_STREAMS = Gauge("tidings_progress_streams", "Who follows the progress of a campaign at this moment.")


class RequestMetrics:
    """A handler's name is bounded, a path is not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            handler = getattr(scope.get("endpoint"), "__name__", "none")
            REQUESTS.labels(handler, status).inc()
            SECONDS.labels(handler).observe(time.monotonic() - began)
