"""Profiles from an external service, over real HTTP on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from itertools import count

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from notifications.profiles.http import HttpProfileSource
from notifications.profiles.profile import ProfileUnavailableError

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Service:
    """A profile service whose next answers the test decides."""

    url: str = ""
    answer: Answer | None = None
    requests: list[web.Request] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.asked.set()
        if self.answer is not None:
            return await self.answer(request)
        number = len(self.requests)
        return web.json_response({"recipient_id": "cus_1", "name": f"Answer {number}", "phone": "nonsense"})

    def answers(self, body: bytes = b"{}", status: int = 200) -> None:
        async def answer(_: web.Request) -> web.Response:
            return web.Response(body=body, status=status, content_type="application/json")

        self.answer = answer


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    service = Service()
    application = web.Application()
    application.router.add_get("/profiles/{id:.*}", service.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}/profiles"
    yield service
    await runner.cleanup()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def source(service: Service, clock: Clock) -> AsyncIterator[HttpProfileSource]:
    source = HttpProfileSource(
        service.url + "/",
        token=SecretStr("a token"),
        timeout_seconds=2.0,
        cache_seconds=30,
        stale_seconds=600,
        max_entries=2,
        clock=clock,
    )
    yield source
    await source.close()


async def _name(source: HttpProfileSource, recipient_id: str = "cus_1") -> str | None:
    profile = await source.get(recipient_id)
    return profile.name if profile is not None else None


async def test_a_profile_is_read_with_the_token_and_without_what_cannot_be_used(service: Service, source):
    with capture_logs() as logs:
        profile = await source.get("cus/../1 ?")
    assert profile is not None
    assert (profile.recipient_id, profile.name, profile.phone) == ("cus/../1 ?", "Answer 1", None)
    assert service.requests[0].raw_path == "/profiles/cus%2F..%2F1%20%3F"
    assert service.requests[0].headers["authorization"] == "Bearer a token"
    assert [entry["field"] for entry in logs] == ["phone"]


async def test_an_answer_is_used_until_it_is_too_old(source, clock: Clock):
    assert await _name(source) == "Answer 1"
    clock.now += 29
    assert await _name(source) == "Answer 1"
    clock.now += 2
    assert await _name(source) == "Answer 2"


async def test_an_unknown_recipient_is_asked_for_again(service: Service, source):
    service.answers(status=404)
    assert await source.get("cus_1") is None
    service.answer = None
    assert await _name(source) == "Answer 2"


async def test_only_so_many_profiles_are_kept_the_ones_used_last(service: Service, source):
    for recipient_id in ("a", "b", "a", "c", "a", "b"):
        await source.get(recipient_id)
    assert [request.match_info["id"] for request in service.requests] == ["a", "b", "c", "b"]


async def test_when_the_service_fails_an_older_answer_serves_for_a_while(service: Service, source, clock: Clock):
    assert await _name(source) == "Answer 1"
    service.answers(status=503)
    clock.now += 599
    with capture_logs() as logs:
        assert await _name(source) == "Answer 1"
    assert logs[0]["event"] == "profile.stale_answer_used"
    clock.now += 1
    with pytest.raises(ProfileUnavailableError, match="answered 503"):
        await source.get("cus_1")


async def test_a_profile_erased_at_the_service_is_never_used_again(service: Service, source, clock: Clock):
    await source.get("cus_1")
    clock.now += 31
    service.answers(status=404)
    assert await source.get("cus_1") is None
    service.answers(status=503)
    with pytest.raises(ProfileUnavailableError):
        await source.get("cus_1")


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (500, b"{}", "answered 500"),
        (302, b"", "answered 302"),
        (401, b"{}", "check TIDINGS_PROFILE_TOKEN"),
        (200, b"<html>", "not JSON"),
        (200, b'{"name": NaN}', "not JSON"),
        (200, b"[" * 100_000, "not JSON"),
        (200, b"\xff\xfe", "not JSON"),
        (200, b"[]", "not a JSON object"),
        (200, json.dumps({"name": "x" * 300_000}).encode(), "over 262144 bytes"),
    ],
)
async def test_an_answer_of_no_use_says_what_is_wrong(service: Service, source, status: int, body: bytes, says: str):
    service.answers(body, status)
    with pytest.raises(ProfileUnavailableError, match=says):
        await source.get("cus_1")


async def test_a_service_that_is_not_there_is_unavailable():
    source = HttpProfileSource("http://127.0.0.1:1/profiles")
    with pytest.raises(ProfileUnavailableError, match="cannot be reached"):
        await source.get("cus_1")
    await source.close()


@pytest.mark.parametrize("recipient_id", ["", ".", ".."])
async def test_an_id_that_would_name_another_resource_is_unknown(service: Service, source, recipient_id: str):
    assert await source.get(recipient_id) is None
    assert service.requests == []


async def test_a_service_that_trickles_its_answer_is_given_up(service: Service):
    released = asyncio.Event()

    async def trickle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in count():
            await response.write(b" ")
            try:
                async with asyncio.timeout(0.05):
                    await released.wait()
            except TimeoutError:
                continue
            return response
        raise AssertionError

    service.answer = trickle
    source = HttpProfileSource(service.url, timeout_seconds=0.3)
    with pytest.raises(ProfileUnavailableError, match=r"within 0\.3 s"):
        await source.get("cus_1")
    released.set()
    await source.close()


async def test_many_who_ask_at_once_share_one_request_and_one_who_leaves_does_not_end_it(service: Service, source):
    released = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await released.wait()
        return web.json_response({"name": "Ana"})

    service.answer = wait
    callers = [asyncio.create_task(_name(source)) for _ in range(5)]
    async with asyncio.timeout(5):
        await service.asked.wait()
    callers[0].cancel()
    released.set()
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert results[1:] == ["Ana"] * 4
    assert len(service.requests) == 1


async def test_closing_ends_what_is_under_way(service: Service):
    released = asyncio.Event()

    async def wait(_: web.Request) -> web.Response:
        await released.wait()
        return web.Response()

    service.answer = wait
    source = HttpProfileSource(service.url)
    caller = asyncio.create_task(source.get("cus_1"))
    async with asyncio.timeout(5):
        await service.asked.wait()
    await source.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
    released.set()
