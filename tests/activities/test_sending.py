"""One try: what each answer of a provider becomes in the ledger and towards Temporal."""

import asyncio
import logging
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import select
from structlog.testing import capture_logs
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from typing_extensions import override

from activities.sending import SendRequest
from notifications.addresses import address_ref
from notifications.contents import Contents
from notifications.dead_addresses import DeadAddresses
from notifications.ledger import Claim
from notifications.providers.base import (
    ErrorScope,
    OutgoingMessage,
    PermanentDeliveryError,
    Receipt,
    TransientDeliveryError,
    UnknownOutcome,
)
from notifications.providers.memory import MemoryProvider
from notifications.rendering.errors import RenderError
from notifications.rendering.render import Renderer
from notifications.statuses import Channel, MessageStatus
from notifications.tables import Device, Suppression
from tests.activities.desk import SECOND, T0, Desk, new_name, planned
from tests.support.integration import HASH_KEY, LINKS, House
from tests.support.programs import eventually


@pytest.fixture
async def desk(house: House) -> Desk:
    return Desk(house, await planned(house))


async def test_an_accepted_message_is_sent(desk: Desk):
    result = await desk.send()
    assert (result.status, result.round, result.provider) == (MessageStatus.SENT, 1, desk.provider.name)
    assert (await desk.send(at=T0 + SECOND)).status is MessageStatus.SENT  # a second run of the activity
    assert len(desk.provider.sent) == 1
    assert [(row.attempt, row.outcome, row.provider_message_id) for row in await desk.attempts()] == [
        (1, "accepted", f"{desk.provider.name}-1")
    ]


async def test_a_message_that_was_removed_is_not_tried_again(desk: Desk):
    with pytest.raises(ApplicationError) as raised:
        await ActivityEnvironment().run(desk.activities.send, SendRequest(uuid4(), 1, Channel.EMAIL, 1))
    assert (raised.value.type, raised.value.non_retryable) == ("UnknownNotification", True)


async def test_retry_after_sets_the_next_delay(desk: Desk):
    desk.provider.script([TransientDeliveryError("smtp_451", "greylisted", retry_after=7 * SECOND)])
    error = await desk.fail()
    assert (error.type, error.next_retry_delay, error.non_retryable) == ("transient", 7 * SECOND, False)
    assert error.category is ApplicationErrorCategory.BENIGN
    message = await desk.message()
    assert (message.status, message.failures, message.reason) == ("pending", 1, "smtp_451")


async def test_without_it_the_delay_grows_with_the_failures_of_the_round(desk: Desk):
    desk.provider.script([TransientDeliveryError("smtp_451")] * 3)
    delays = [(await desk.fail(at=T0 + number * SECOND)).next_retry_delay for number in range(3)]
    for delay, wanted in zip(delays, (1, 2, 4), strict=True):
        assert delay is not None
        assert wanted * 0.9 <= delay.total_seconds() <= wanted * 1.1


@pytest.mark.parametrize("error", [UnknownOutcome("timeout"), ValueError("a provider's bug"), KeyError("x")], ids=repr)
async def test_an_unknown_outcome_is_tried_again_where_duplicates_are_allowed(house: House, error: Exception):
    desk = Desk(house, await planned(house), providers={Channel.EMAIL: (Broken(error),)})
    assert (await desk.fail()).type == "unknown"
    assert (await desk.message()).status == "pending"
    assert [row.outcome for row in await desk.attempts()] == ["unknown"]


async def test_a_provider_that_overruns_its_deadline_is_cut_off(house: House):
    provider = MemoryProvider(Channel.EMAIL, name=new_name())
    provider.gate.clear()
    desk = Desk(house, await planned(house), providers={Channel.EMAIL: (provider,)}, call_seconds=0.05)
    assert (await desk.fail()).type == "unknown"


@pytest.mark.parametrize(
    ("scope", "status", "stuck"),
    [
        (ErrorScope.RECIPIENT, MessageStatus.FAILED, None),
        (ErrorScope.MESSAGE, MessageStatus.FAILED, None),
        (ErrorScope.CONFIG, MessageStatus.PENDING, "no_luck"),
    ],
)
async def test_permanent_errors_end_or_stick(desk: Desk, scope: ErrorScope, status: MessageStatus, stuck: str | None):
    desk.provider.script([PermanentDeliveryError("no_luck", scope=scope)])
    result = await desk.send()
    assert (result.status, result.stuck_reason, result.reason) == (status, stuck, "no_luck")


async def test_where_another_channel_is_left_nothing_sticks(desk: Desk):
    desk.provider.script([PermanentDeliveryError("no_account", scope=ErrorScope.CONFIG)])
    result = await desk.send(stick=False)
    assert (result.status, result.stuck_reason) == (MessageStatus.FAILED, None)


async def test_a_template_error_sticks_at_once_and_nothing_is_sent(house: House):
    desk = Desk(house, await planned(house), contents=BrokenTemplate(house))
    result = await desk.send()
    assert (result.status, result.stuck_reason) == (MessageStatus.PENDING, "render_error")
    (attempt,) = await desk.attempts()
    assert (attempt.outcome, attempt.detail) == ("render_error", "x/email.html:3: 'data.amuont' is undefined")
    assert desk.provider.calls == 0


async def test_a_dead_token_disables_the_device(house: House):
    desk = Desk(house, await planned(house))
    dead = PermanentDeliveryError("fcm_unregistered", scope=ErrorScope.RECIPIENT, disable_address=True)
    desk.provider.script([dead])
    assert (await desk.send(channel=Channel.PUSH)).status is MessageStatus.FAILED
    async with house.sessions() as session:
        token = (await desk.message(Channel.PUSH)).address
        device = (await session.exec(select(Device).where(Device.token == token))).one()
    assert device.disabled_reason == "dead_token"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermanentDeliveryError("smtp_550_5.1.1", scope=ErrorScope.RECIPIENT, disable_address=True), "hard_bounce"),
        (PermanentDeliveryError("twilio_21610", scope=ErrorScope.RECIPIENT, opted_out=True), "stopped"),
    ],
)
async def test_an_address_that_is_dead_or_opted_out_is_suppressed(
    house: House, error: PermanentDeliveryError, reason: str
):
    desk = Desk(house, await planned(house))
    desk.provider.script([error])
    await desk.send()
    address = (await desk.message()).address
    assert address is not None
    async with house.sessions() as session:
        ref = address_ref(HASH_KEY.encode(), Channel.EMAIL, address)
        suppression = (await session.exec(select(Suppression).where(Suppression.address_ref == ref))).one()
    assert (suppression.reason, suppression.scope, suppression.source) == (reason, "all", desk.provider.name)


async def test_an_address_that_cannot_be_condemned_costs_no_outcome(house: House):
    desk = Desk(house, await planned(house), dead_addresses=BrokenDeadAddresses(house.sessions, hash_key=b"k" * 32))
    desk.provider.script([PermanentDeliveryError("gone", scope=ErrorScope.RECIPIENT, disable_address=True)])
    assert (await desk.send()).status is MessageStatus.FAILED


async def test_a_lower_try_sends_nothing_while_a_higher_one_holds_the_message(house: House):
    desk = Desk(house, await planned(house))
    desk.provider.gate.clear()
    holder = asyncio.create_task(desk.send(at=T0 + SECOND))
    await eventually(lambda: desk.provider.calls == 1)
    lower = await desk.fail(at=T0)
    assert (lower.type, lower.non_retryable) == ("Superseded", False)
    desk.provider.gate.set()
    assert (await holder).status is MessageStatus.SENT
    assert desk.provider.calls == 1


async def test_an_outdated_round_learns_the_new_one(house: House):
    desk = Desk(house, await planned(house))
    desk.provider.script([PermanentDeliveryError("no_account", scope=ErrorScope.CONFIG)])
    await desk.send()
    await house.ledger.raise_round(desk.notification, 2, from_round=1)
    result = await desk.send(at=T0 + SECOND)
    assert (result.status, result.round) == (MessageStatus.PENDING, 2)
    assert (await desk.send(at=T0 + SECOND, round_number=2)).status is MessageStatus.SENT


async def test_what_a_provider_says_can_always_be_written_down(desk: Desk):
    """A NUL or a lone surrogate is refused by Postgres; unwritten, the message would be sent again and again."""
    desk.provider.script([PermanentDeliveryError("odd\0", "\ud800" + "x" * 5000, scope=ErrorScope.MESSAGE)])
    assert (await desk.send()).reason == "odd"
    (attempt,) = await desk.attempts()
    assert attempt.detail == "?" + "x" * 999


async def test_nothing_personal_is_in_logs_and_errors(house: House, caplog: pytest.LogCaptureFixture):
    canary = "canary7f3a"
    recipient = await house.recipient(email=f"{canary}@example.org", name=canary)
    notification = await planned(
        house, recipient=recipient, data={"payment_id": canary, "amount": "1.00", "currency": "EUR"}
    )
    desk = Desk(house, notification, providers={Channel.EMAIL: (Broken(ValueError(f"{canary}@example.org")),)})
    with capture_logs() as logs, caplog.at_level(logging.DEBUG):
        error = await desk.fail()
        broken = Desk(house, await planned(house, recipient=recipient), contents=BrokenContents(canary))
        worse = await broken.fail()
    assert any(entry["event"] == "delivery.provider_bug" for entry in logs)
    assert canary not in str(logs) + caplog.text
    for raised in (error, worse):
        assert canary not in "".join(_texts(raised))
    assert worse.type == "LookupError"
    assert (await broken.message()).status == "pending"  # no call was made
    assert (await broken.message()).attempt == 0


def _texts(error: BaseException | None) -> list[str]:
    """Everything that Temporal would store of an error: causes, and contexts that are not suppressed."""
    texts = []
    while error is not None:
        texts.append(repr(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return texts


class Broken(MemoryProvider):
    """Raises what no provider should."""

    def __init__(self, error: Exception) -> None:
        super().__init__(Channel.EMAIL, name=new_name())
        self._error = error

    @override
    async def send(self, message: OutgoingMessage, *, idempotency_key: UUID, deadline: float) -> Receipt:
        raise self._error


class BrokenDeadAddresses(DeadAddresses):
    @override
    async def condemn(self, claim: Claim, *, provider: str) -> None:
        raise ConnectionError


class BrokenTemplate(Contents):
    def __init__(self, house: House) -> None:
        super().__init__(house.sessions, catalogue=house.catalogue, renderer=Renderer(), links=LINKS)

    @override
    async def render(self, claim: Claim) -> Any:
        raise RenderError("x/email.html", 3, "'data.amuont' is undefined")


class BrokenContents(BrokenTemplate):
    def __init__(self, text: str) -> None:
        self._text = text

    @override
    async def render(self, claim: Claim) -> Any:
        raise LookupError(self._text)
