"""Profiles from an external User Profile Service (docs/how-to: "Use your own profile service")."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import structlog
from pydantic import SecretStr

from notifications.profiles.fields import usable_profile
from notifications.profiles.profile import Profile, ProfileUnavailableError

MAX_ENTRIES = 10_000  # cached profiles, about 2 kB each
MAX_ANSWER = 256 * 1024  # bytes

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Entry:
    profile: Profile
    read_at: float  # by the source's clock


class HttpProfileSource:
    """`GET {url}/{recipient id}` answers the profile as JSON, or 404 for an unknown recipient.

    An answer is used for `cache_seconds`, and for `stale_seconds` where the service fails to give a newer one. An
    unknown recipient is never cached: the next event may come right after the registration.
    """

    is_local = False

    def __init__(
        self,
        url: str,
        *,
        token: SecretStr | None = None,
        timeout_seconds: float = 2.0,
        cache_seconds: float = 30.0,
        stale_seconds: float = 3600.0,
        max_entries: int = MAX_ENTRIES,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        headers = {"accept": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token.get_secret_value()}"
        self._url = url.rstrip("/")
        self._client = httpx.AsyncClient(headers=headers, timeout=timeout_seconds, transport=transport)
        self._timeout = timeout_seconds
        self._cache_seconds = cache_seconds
        self._stale_seconds = stale_seconds
        self._max_entries = max_entries
        self._clock = clock
        self._cache: OrderedDict[str, _Entry] = OrderedDict()
        self._in_flight: dict[str, asyncio.Task[Profile | None]] = {}

    async def get(self, recipient_id: str) -> Profile | None:
        kept = self._cache.get(recipient_id)
        if kept is not None:
            self._cache.move_to_end(recipient_id)
            if self._clock() - kept.read_at < self._cache_seconds:
                return kept.profile
        task = self._in_flight.get(recipient_id)
        if task is None:
            task = asyncio.create_task(self._refresh(recipient_id))
            self._in_flight[recipient_id] = task
            task.add_done_callback(lambda done: self._forget(recipient_id, done))
        return await asyncio.shield(task)  # one impatient caller must not end the request of the others

    async def close(self) -> None:
        for task in tuple(self._in_flight.values()):
            task.cancel()
        await asyncio.gather(*self._in_flight.values(), return_exceptions=True)
        await self._client.aclose()

    def _forget(self, recipient_id: str, done: asyncio.Task[Profile | None]) -> None:
        del self._in_flight[recipient_id]
        if not done.cancelled():
            done.exception()  # seen, so that asyncio does not report it when every caller has gone

    async def _refresh(self, recipient_id: str) -> Profile | None:
        try:
            document = await self._fetch(recipient_id)
        except ProfileUnavailableError as error:
            return self._stale(recipient_id, error)
        if document is None:
            self._cache.pop(recipient_id, None)  # erased there: no older answer may be used again
            return None
        profile = usable_profile(recipient_id, document, source="profile_service")
        self._keep(recipient_id, profile)
        return profile

    def _stale(self, recipient_id: str, error: ProfileUnavailableError) -> Profile:
        kept = self._cache.get(recipient_id)
        if kept is None or self._clock() - kept.read_at >= self._stale_seconds:
            raise error
        log.warning("profile.stale_answer_used", age_seconds=round(self._clock() - kept.read_at), reason=str(error))
        return kept.profile

    def _keep(self, recipient_id: str, profile: Profile) -> None:
        self._cache[recipient_id] = _Entry(profile, self._clock())
        self._cache.move_to_end(recipient_id)
        while len(self._cache) > self._max_entries:
            self._cache.popitem(last=False)

    async def _fetch(self, recipient_id: str) -> dict[str, Any] | None:
        """The service's document; None for a 404.

        Raises:
            ProfileUnavailableError: anything else than a 200 with a JSON object, in time.

        """
        if recipient_id in {"", ".", ".."}:
            return None  # in a path these would name another resource
        try:
            async with asyncio.timeout(self._timeout):  # in all: httpx's own starts anew with every byte
                status, body = await self._call(f"{self._url}/{quote(recipient_id, safe='')}")
        except TimeoutError:
            raise ProfileUnavailableError(f"the profile service did not answer within {self._timeout} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            kind = type(error).__name__
            raise ProfileUnavailableError(f"the profile service cannot be reached ({kind})") from None
        if status == httpx.codes.NOT_FOUND:
            return None
        if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            raise ProfileUnavailableError(f"the profile service answered {status}: check TIDINGS_PROFILE_TOKEN")
        if status != httpx.codes.OK:
            raise ProfileUnavailableError(f"the profile service answered {status}")
        return _parse(body)

    async def _call(self, url: str) -> tuple[int, bytes]:
        async with self._client.stream("GET", url) as response:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MAX_ANSWER:
                    raise ProfileUnavailableError(f"the profile service's answer is over {MAX_ANSWER} bytes")
            return response.status_code, bytes(body)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ProfileUnavailableError("the profile service's answer is not JSON") from None
    if not isinstance(document, dict):
        raise ProfileUnavailableError("the profile service's answer is not a JSON object")
    return document
