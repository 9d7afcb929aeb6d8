"""What a claimed message says: its event and its profile as planned, by the pinned definition."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from notifications.catalogue.definition import ConsentDefault, Definition, Templates
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.store import CatalogueStore
from notifications.contents import Contents
from notifications.database import Sessions
from notifications.ledger import Claim, Ledger, Try
from notifications.providers.base import EmailContent, PushContent, SmsContent
from notifications.rendering.errors import RenderError
from notifications.rendering.render import Renderer
from notifications.statuses import Channel, NotificationType
from notifications.unsubscribe import Subject
from tests.support.integration import LINKS
from tests.support.planning import definition_of, insert_notification, plans_for, profile_of

CATALOGUE = Path(__file__).parents[2] / "catalogue"


@pytest.fixture
def contents(sessions: Sessions) -> Contents:
    return Contents(sessions, catalogue=CatalogueStore(sessions), renderer=Renderer(), links=LINKS)


async def claimed(sessions: Sessions, definition: Definition, **changes: Any) -> Claim:
    values: dict[str, Any] = {"event": _event({"amount": "49.90"})} | changes
    origin = await insert_notification(sessions, definition, **values)
    await plans_for(sessions).make(origin, 1)
    (found,) = await Ledger(sessions, process="worker").claim([Try(origin, 1, 1, datetime.now(UTC), "smtp")])
    return found


def _event(data: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": "pay_8812", "source": "https://tests.example", "type": "payment.succeeded", "data": data}


async def test_an_email_names_the_recipient_and_shows_the_data(contents: Contents, sessions: Sessions):
    profile = profile_of("cus-contents")
    claim = await claimed(sessions, definition_of(), profile=profile)
    rendered = await contents.render(claim)
    message = rendered.message
    assert isinstance(message.content, EmailContent)
    assert message.content.text.strip() == "Hello Ana, 49.90 paid."
    assert (message.address, message.recipient_name, message.channel) == (profile.email, "Ana", Channel.EMAIL)
    assert (message.origin_id, message.seq, message.attempt) == (claim.origin_id, 1, 1)


async def test_the_time_to_live_ends_with_the_message(contents: Contents, sessions: Sessions):
    profile = profile_of("cus-ttl")
    claim = await claimed(sessions, definition_of(expire_after=timedelta(minutes=10)), profile=profile)
    ttl = (await contents.render(claim)).message.ttl
    assert ttl is not None
    assert timedelta(minutes=9) < ttl <= timedelta(minutes=10)


async def test_latency_counts_from_the_time_at_which_it_might_go_out(contents: Contents, sessions: Sessions):
    received_at = datetime.now(UTC) - timedelta(minutes=3)
    claim = await claimed(sessions, definition_of(), profile=profile_of("cus-due"), received_at=received_at)
    assert (await contents.render(claim)).due_since == received_at


async def test_a_guest_is_addressed_by_the_event_s_own_block(contents: Contents, sessions: Sessions):
    guest = {"email": "guest@example.org", "name": "Gus"}
    claim = await claimed(sessions, definition_of(), recipient_id=f"guest-{uuid4()}", guest=guest)
    message = (await contents.render(claim)).message
    assert isinstance(message.content, EmailContent)
    assert message.content.text.strip() == "Hello Gus, 49.90 paid."
    assert (message.address, message.recipient_name) == ("guest@example.org", "Gus")


async def test_a_push_goes_to_the_device_of_the_row(contents: Contents, sessions: Sessions):
    claim = await claimed(sessions, definition_of(Channel.PUSH), profile=profile_of("cus-push", tokens=["token-1"]))
    message = (await contents.render(claim)).message
    assert isinstance(message.content, PushContent)
    assert (message.address, message.content.body) == ("token-1", "49.90")


async def test_a_template_that_does_not_fit_says_where(contents: Contents, sessions: Sessions):
    claim = await claimed(sessions, definition_of(), profile=profile_of("cus-misfit"), event=_event({}))
    with pytest.raises(RenderError, match=r"amount"):
        await contents.render(claim)


@pytest.mark.parametrize("data", [None, {}], ids=["null", "empty"])
async def test_an_event_without_data_can_be_rendered(
    contents: Contents, sessions: Sessions, data: dict[str, Any] | None
):
    templates = Templates.model_validate({"email": {"en": {"subject": "Hello", "text": "Nothing to say."}}})
    profile = profile_of(f"cus-no-data-{data}")
    claim = await claimed(sessions, definition_of(templates=templates), profile=profile, event=_event(data))
    content = (await contents.render(claim)).message.content
    assert isinstance(content, EmailContent)
    assert content.subject == "Hello"


async def test_a_retry_of_a_template_error_finds_the_newest_version(contents: Contents, sessions: Sessions):
    report = await apply_folder(CATALOGUE, sessions)
    newest = next(
        change.version for change in report.changes if (change.kind, change.name) == ("definition", "payment.succeeded")
    )
    assert await contents.newest_version("payment.succeeded") == newest
    assert await contents.newest_version("no.such.definition") is None


def _offer(**changes: Any) -> Definition:
    templates = {
        "email": {"en": {"subject": "Sale", "text": "Stop: {{ links.unsubscribe }} Choose: {{ links.preferences }}"}},
        "sms": {"en": {"body": "Sale. Stop: {{ links.unsubscribe }}"}},
    }
    values: dict[str, Any] = {
        "type": NotificationType.PROMOTIONAL,
        "consent": ConsentDefault.OPTED_IN,
        "templates": Templates.model_validate(templates),
    }
    return definition_of(**(values | changes))


async def test_a_promotional_email_can_be_stopped_by_one_click(contents: Contents, sessions: Sessions):
    claim = await claimed(sessions, _offer(), profile=profile_of("cus-links"))
    content = (await contents.render(claim)).message.content
    assert isinstance(content, EmailContent)
    links = LINKS.make(Subject("cus-links", "receipts", Channel.EMAIL))
    assert content.text == f"Stop: {links.unsubscribe} Choose: {links.preferences}"
    assert content.headers == {
        "List-Unsubscribe": f"<{links.unsubscribe}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


async def test_a_promotional_sms_has_links_of_its_own_channel(contents: Contents, sessions: Sessions):
    offer = definition_of(
        Channel.SMS,
        **{name: getattr(_offer(), name) for name in ("type", "templates", "category")},
    )
    claim = await claimed(sessions, offer, profile=profile_of("cus-sms-links"))
    content = (await contents.render(claim)).message.content
    assert isinstance(content, SmsContent)
    token = content.body.rpartition("/")[2]
    assert LINKS.read(token) == Subject("cus-sms-links", "receipts", Channel.SMS)


async def test_other_messages_have_no_links(contents: Contents, sessions: Sessions):
    claim = await claimed(sessions, definition_of(), profile=profile_of("cus-no-links"))
    content = (await contents.render(claim)).message.content
    assert isinstance(content, EmailContent)
    assert not content.headers
    wrong = await claimed(sessions, _offer(type=NotificationType.TRANSACTIONAL), profile=profile_of("cus-wrong-links"))
    with pytest.raises(RenderError, match="only promotional messages can be unsubscribed from"):
        await contents.render(wrong)


async def test_an_id_too_long_for_a_link_is_an_error_of_that_message(contents: Contents, sessions: Sessions):
    claim = await claimed(sessions, _offer(), profile=profile_of("\U0001f600" * 200))
    with pytest.raises(RenderError, match="too long for an unsubscribe link"):
        await contents.render(claim)
