"""The definition decides type, topic, recipient and schema; reserved types are commands."""

import pytest

from notifications.catalogue.definition import Definition
from notifications.events import RejectedError, parse
from notifications.events.intent import CampaignCancel, CampaignLaunch, CancelCommand, Interpreter, NewNotification
from notifications.ids import event_uuid
from tests.support.events import CATALOGUE, SOURCE, cancel, catalogue, definition, event, record

_TOPIC = "transactional.notifications"


def _interpret(whole: dict[str, object], topic: str | None = _TOPIC, *only: Definition) -> object:
    definitions = catalogue(*only) if only else CATALOGUE
    return Interpreter().interpret(parse(record(whole)), definitions, topic=topic)


def _rejection(whole: dict[str, object], topic: str | None = _TOPIC, *only: Definition) -> tuple[str, str]:
    with pytest.raises(RejectedError) as caught:
        _interpret(whole, topic, *only)
    return caught.value.reason, caught.value.detail


def test_a_notification() -> None:
    found = _interpret(event())
    assert isinstance(found, NewNotification)
    assert (found.definition.name, found.recipient_id, found.guest) == ("payment.succeeded", "cus_42", None)


@pytest.mark.parametrize(
    ("event_type", "topic", "reason", "hint"),
    [
        ("payment.succeded", _TOPIC, "unknown_type", "did you mean payment.succeeded?"),
        ("zzz", _TOPIC, "unknown_type", "tidings apply"),
        ("payment.succeeded", "alert.notifications", "wrong_topic", _TOPIC),
        ("cart.abandoned", "acme.events", "wrong_topic", "promotional.notifications"),
        ("cart.abandoned", "campaigns", "wrong_topic", "promotional.notifications"),
        ("zzz", "campaigns", "unknown_type", "tidings apply"),
        ("tidings.campaign.cancel", "campaigns", "schema", "data.campaign must be the id of a campaign"),
        ("tidings.campaign.lunch", "campaigns", "unknown_type", "did you mean tidings.campaign.launch?"),
        ("tidings.campaign.launch", _TOPIC, "wrong_topic", "campaigns"),
        ("tidings.notification.cancle", _TOPIC, "unknown_type", "tidings.notification.cancel"),
        ("tidings.notification.cancel", "campaigns", "wrong_topic", "notification topic"),
        ("tidings.notification.cancel", _TOPIC, "missing_attribute", "cancelkey"),
    ],
)
def test_rejected_types(event_type: str, topic: str, reason: str, hint: str) -> None:
    found, detail = _rejection(event(type=event_type), topic)
    assert found == reason
    assert hint in detail


def test_an_added_topic_carries_every_type_but_promotional() -> None:
    for name in ("payment.succeeded", "security.new_login", "appointment.reminder"):
        assert isinstance(_interpret(event(type=name), "acme.events"), NewNotification)


def test_a_cancel_is_taken_on_every_notification_topic() -> None:
    for topic in (_TOPIC, "promotional.notifications", "acme.events"):
        found = _interpret(cancel("appointment-77"), topic)
        assert isinstance(found, CancelCommand)
        assert found.cancelkey == "appointment-77"


def test_commands_on_campaigns_name_their_campaign() -> None:
    launched = _interpret(event(id="spring-2027", type="tidings.campaign.launch", data={}), "campaigns")
    assert isinstance(launched, CampaignLaunch)
    assert launched.campaign_id == event_uuid(SOURCE, "spring-2027")
    called_off = event(type="tidings.campaign.cancel", data={"campaign": str(launched.campaign_id)})
    for topic in ("campaigns", None):
        found = _interpret(called_off, topic)
        assert isinstance(found, CampaignCancel)
        assert found.campaign_id == launched.campaign_id


@pytest.mark.parametrize(
    ("attribute", "hint"),
    [
        ({"expirytime": "2027-01-01T00:00:00Z"}, "data.expire_after"),
        ({"cancelkey": "spring"}, "tidings.campaign.cancel"),
    ],
)
def test_a_launch_takes_nothing_that_would_be_ignored(attribute: dict[str, str], hint: str) -> None:
    reason, detail = _rejection(event(type="tidings.campaign.launch", **attribute), "campaigns")
    assert reason == "bad_attribute"
    assert hint in detail


@pytest.mark.parametrize("data", [None, [], {"campaign": 7}, {"campaign": "spring-2027"}, {"id": "x"}])
def test_a_cancel_that_names_no_campaign(data: object) -> None:
    reason, detail = _rejection(event(type="tidings.campaign.cancel", data=data), "campaigns")
    assert reason == "schema"
    assert "GET /v1/campaigns" in detail


def test_a_guest_is_taken_out_before_the_schema() -> None:
    guest = {"email": "ana@example.org", "phone": None, "locale": "de-AT", "timezone": "Europe/Berlin", "name": "Ana"}
    data = {"payment_id": "p", "amount": "1.00"}
    found = _interpret(event(recipient=..., data={**data, "recipient": guest}))
    assert isinstance(found, NewNotification)
    assert found.data == data
    assert found.guest == {name: value for name, value in guest.items() if value is not None}


@pytest.mark.parametrize(
    ("guest", "hint"),
    [
        ("cus_1", "reserved"),
        ({}, "needs an email or a phone"),
        ({"name": "Ana"}, "needs an email or a phone"),
        ({"email": "nobody"}, "data.recipient.email: not an e-mail address"),
        ({"phone": "0151 1234"}, "country code"),
        ({"email": "ana@example.org", "timezone": "Mars/Base"}, "IANA"),
        ({"email": "ana@example.org", "locale": "??"}, "de or pt-BR"),
        ({"email": "ana@example.org", "name": "A\nB"}, "line breaks"),
        ({"email": "ana@example.org", "name": 7}, "1 to 255"),
        ({"email": "ana@example.org", "vip": True}, "vip is not known"),
    ],
)
def test_wrong_guests(guest: object, hint: str) -> None:
    reason, detail = _rejection(event(recipient=..., data={"payment_id": "p", "amount": "1.00", "recipient": guest}))
    assert reason == "bad_recipient"
    assert hint in detail
    assert "nobody" not in detail


def test_a_guest_and_a_recipient_exclude_each_other() -> None:
    data = {"payment_id": "p", "amount": "1.00", "recipient": {"email": "ana@example.org"}}
    assert "exclude" in _rejection(event(data=data))[1]


@pytest.mark.parametrize(
    ("data", "expected"),
    [({"customer": {"id": "c_1"}}, "c_1"), ({"customer": {"id": 42}}, "42"), ({"customer": 7}, "cus_42")],
)
def test_the_recipient_may_stand_in_the_data(data: object, expected: str) -> None:
    by_path = definition(data={}, recipient="data.customer.id")
    found = _interpret(event(data=data), _TOPIC, by_path)
    assert isinstance(found, NewNotification)
    assert found.recipient_id == expected


@pytest.mark.parametrize("value", [True, 1.5, "", "x" * 256, ["c"]])
def test_a_wrong_recipient_in_the_data(value: object) -> None:
    by_path = definition(data={}, recipient="data.customer_id")
    assert _rejection(event(data={"customer_id": value}), _TOPIC, by_path)[0] == "bad_recipient"


def test_nobody_named_is_no_rejection() -> None:
    found = _interpret(event(recipient=...))
    assert isinstance(found, NewNotification)
    assert found.recipient_id is None
