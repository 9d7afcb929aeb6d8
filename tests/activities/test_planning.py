"""What the orchestrator asks of Postgres: each answer the same however often it is asked."""

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment

from activities.planning import MessageCommand, PlanRequest
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import CatalogueStore
from notifications.database import create_engine
from notifications.plans import MessageState
from notifications.profiles.profile import Profile, ProfileUnavailableError
from notifications.providers.base import ErrorScope, PermanentDeliveryError
from notifications.statuses import Channel, MessageStatus
from tests.activities.desk import SECOND, T0, Desk, planned
from tests.support.integration import CATALOGUE_FOLDER, House

NO_ACCOUNT = PermanentDeliveryError("no_account", scope=ErrorScope.CONFIG)


class ExternalService:
    """A profile service in memory; one that is down raises."""

    is_local = False

    def __init__(self, profile: Profile | None) -> None:
        self._profile = profile

    async def get(self, recipient_id: str) -> Profile | None:
        if self._profile is None:
            raise ProfileUnavailableError("HTTP 503")
        return self._profile

    async def close(self) -> None:
        """Nothing is open."""


async def run(method: Any, argument: Any) -> Any:
    return await ActivityEnvironment().run(method, argument)


async def stuck(house: House) -> Desk:
    desk = Desk(house, await planned(house))
    desk.provider.script([NO_ACCOUNT])
    await desk.send()
    return desk


async def test_an_external_profile_service_is_asked_only_by_an_ordinary_activity(house: House):
    notification = await house.intake()
    service = ExternalService(Profile(recipient_id="cus_42", email="ana@example.org"))
    planning = house.collaborators(profiles=service).planning
    assert await run(planning.plan, PlanRequest(notification, 1)) is None
    state = await run(planning.plan, PlanRequest(notification, 1, may_wait=True))
    assert {message.channel: message.status for message in state.messages} == {"push": "skipped", "email": "pending"}


async def test_a_profile_service_that_is_down_is_asked_again_soon(house: House):
    planning = house.collaborators(profiles=ExternalService(None)).planning
    with pytest.raises(ApplicationError) as raised:
        await run(planning.plan, PlanRequest(await house.intake(), 1, may_wait=True))
    assert (raised.value.type, raised.value.non_retryable) == ("ProfileUnavailable", False)
    assert raised.value.category is ApplicationErrorCategory.BENIGN
    assert raised.value.next_retry_delay is not None
    assert raised.value.next_retry_delay <= 5 * SECOND


@pytest.mark.parametrize("name", ["plan", "look", "withdraw", "expire"])
async def test_an_unknown_notification_is_an_end(house: House, name: str):
    notification = uuid4()
    argument = PlanRequest(notification, 1) if name == "plan" else notification
    with pytest.raises(ApplicationError, match=str(notification)) as raised:
        await run(getattr(house.collaborators().planning, name), argument)
    assert (raised.value.type, raised.value.non_retryable) == ("UnknownNotification", True)


async def test_a_lost_database_is_asked_again_soon(house: House):
    nobody = create_engine(SecretStr("postgresql://postgres@127.0.0.1:1/postgres"))
    planning = house.collaborators(engine=nobody).planning
    with pytest.raises(ApplicationError) as raised:
        await run(planning.look, uuid4())
    assert (raised.value.type, raised.value.non_retryable) == ("DatabaseUnavailable", False)
    assert raised.value.next_retry_delay is not None
    assert raised.value.__cause__ is None  # Temporal would store its text
    assert raised.value.__suppress_context__


async def test_a_plan_of_the_same_version_is_made_once(house: House):
    notification = await house.intake(recipient=await house.recipient())
    planning = house.collaborators().planning
    first = await run(planning.plan, PlanRequest(notification, 1))
    assert await run(planning.plan, PlanRequest(notification, 1)) == first
    assert len(await house.messages(notification)) == 2


async def test_retry_frees_a_stuck_message_once(house: House):
    desk = await stuck(house)
    planning = house.collaborators().planning
    for _ in range(2):  # the second time as after a lost answer
        state: MessageState = await run(planning.retry_stuck, MessageCommand(desk.notification, 2, 1))
        assert (state.round, state.stuck_reason, state.status) == (2, None, MessageStatus.PENDING)


async def test_skip_gives_a_stuck_message_up_once(house: House):
    desk = await stuck(house)
    planning = house.collaborators().planning
    for _ in range(2):
        state: MessageState = await run(planning.skip_stuck, MessageCommand(desk.notification, 2, 1))
        assert state.status is MessageStatus.SKIPPED
    message = await desk.message()
    assert (message.reason, message.version) == ("operator", 2)  # told: stuck, skipped


async def test_reroute_makes_one_new_message_or_says_why_not(house: House):
    notification = await house.intake(
        type="order.shipped",
        recipient=await house.recipient(),
        data={"order_id": "1", "carrier": "DHL", "tracking_url": "https://acme.example/t/1"},
    )
    await house.plans.make(notification, 1)
    desk = Desk(house, notification)
    desk.provider.script([PermanentDeliveryError("no", scope=ErrorScope.RECIPIENT), NO_ACCOUNT])
    await desk.send(channel=Channel.WHATSAPP, stick=False)
    await desk.send(channel=Channel.SMS)
    planning = house.collaborators().planning
    for _ in range(2):
        state = await run(planning.reroute_stuck, MessageCommand(notification, 2, 1, Channel.WHATSAPP))
        assert (state.seq, state.channel, state.status) == (3, Channel.WHATSAPP, MessageStatus.PENDING)
    with pytest.raises(ApplicationError, match="message 2 is not stuck") as raised:
        await run(planning.reroute_stuck, MessageCommand(notification, 2, 1, Channel.EMAIL))
    assert (raised.value.type, raised.value.non_retryable) == ("CannotReroute", True)


async def test_a_retry_of_a_template_error_takes_the_newest_template(house: House, tmp_path: Path):
    try:
        await _publish(house, tmp_path, "{{ 10 // data.n }}")
        notification = await house.intake(type="tests.number", recipient=await house.recipient(), data={"n": 0})
        await house.plans.make(notification, 1)
        desk = Desk(house, notification)
        assert (await desk.send()).stuck_reason == "render_error"
        await _publish(house, tmp_path, "{{ data.n }}")
        await run(house.collaborators().planning.retry_stuck, MessageCommand(notification, 1, 1))
        assert (await desk.send(at=T0 + SECOND, round_number=2)).status is MessageStatus.SENT
        assert desk.provider.sent[0].message.content.subject == "0"  # type: ignore[union-attr]
    finally:
        await apply_folder(CATALOGUE_FOLDER, house.sessions)


async def _publish(house: House, folder: Path, subject: str) -> None:
    """A catalogue of one definition, whose first subject does not bear n = 0."""
    definition = folder / "tests.number"
    definition.mkdir(exist_ok=True)
    (folder / "categories.yaml").write_text("tests: {title: Tests, default: required}\n")
    (definition / "definition.yaml").write_text(
        "event: tests.number\ntype: transactional\ncategory: tests\ndefault_locale: en\n"
        "routing: {mode: all, channels: [email]}\n"
        "data: {type: object, required: [n], additionalProperties: false, properties: {n: {type: integer}}}\n"
        f'templates: {{email: {{en: {{subject: "{subject}", text: email.en.txt}}}}}}\n'
    )
    (definition / "email.en.txt").write_text("Hello\n")
    example = {"specversion": "1.0", "id": "n-1", "source": "https://acme.example/n", "type": "tests.number"}
    (definition / "example.json").write_text(
        json.dumps({**example, "time": "2026-11-22T10:00:00Z", "recipient": "cus_42", "data": {"n": 1}})
    )
    await apply_folder(folder, house.sessions)
    house.catalogue = CatalogueStore(house.sessions)  # the other one looks once a second
