import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from notifications.providers.base import DeliveryError, OutgoingMessage, Provider, Receipt
from tests.contracts.support.vendors import BENCHES, KEY, running


@pytest.fixture(params=BENCHES)
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    async with running(request.param) as started:
        yield started


@pytest.fixture
def send() -> Callable[..., Any]:
    return send_by


async def send_by(provider: Provider, message: OutgoingMessage, seconds: float = 5.0) -> Receipt:
    return await provider.send(message, idempotency_key=KEY, deadline=time.monotonic() + seconds)


@pytest.fixture
def failure() -> Callable[..., Any]:
    return failure_of


async def failure_of(provider: Provider, message: OutgoingMessage, seconds: float = 5.0) -> DeliveryError:
    """The error of a send, which must hold nothing that leads to what was sent."""
    with pytest.raises(DeliveryError) as caught:
        async with asyncio.timeout(seconds + 3):
            await send_by(provider, message, seconds)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    return caught.value
