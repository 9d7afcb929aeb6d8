"""`plan`, for every recipient, consent and time that can be thought of."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.catalogue.definition import ConsentDefault, Definition
from notifications.consent import Consent
from notifications.planning import Plan, plan
from notifications.profiles.profile import Device, Profile
from notifications.statuses import Channel, RoutingMode, SkipReason
from tests.support.planning import definition_of, refer

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
EMAIL, PHONE = "ana@example.org", "+4915112345678"
CHOICES = st.dictionaries(st.tuples(st.sampled_from(["receipts", "other"]), st.sampled_from(Channel)), st.booleans())

definitions = st.builds(
    lambda channels, mode, consent, hours: definition_of(
        *channels, mode=mode, consent=consent, expire_after=hours * HOUR
    ),
    st.lists(st.sampled_from(Channel), min_size=1, unique=True),
    st.sampled_from(RoutingMode),
    st.sampled_from(ConsentDefault),
    st.integers(1, 100),
)
profiles = st.builds(
    lambda email, phone, tokens, preferences, locale: Profile(
        recipient_id="cus_42",
        email=email,
        phone=phone,
        locale=locale,
        devices=tuple(Device(f"d{number}", token, "ios") for number, token in enumerate(tokens)),
        preferences=preferences,
    ),
    st.sampled_from([None, "", EMAIL]),
    st.sampled_from([None, PHONE]),
    st.lists(st.sampled_from(["", "t1", "t2", "t3"]), max_size=4),  # an external service may name a token twice
    CHOICES,
    st.sampled_from([None, "de"]),
)
refs = [refer(Channel.EMAIL, EMAIL), refer(Channel.SMS, PHONE), refer(Channel.PUSH, "t1"), refer(Channel.PUSH, "t2")]
consents = st.builds(
    Consent,
    CHOICES,
    st.frozensets(
        st.tuples(st.sampled_from(refs), st.sampled_from(Channel), st.sampled_from(["all", "receipts", "other"]))
    ),
)
times = st.none() | st.integers(-200, 200).map(lambda hours: NOW + hours * HOUR)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(definitions, st.none() | profiles, consents, times, times)
def test_every_plan_keeps_the_rules(
    definition: Definition,
    profile: Profile | None,
    consent: Consent,
    sendat: datetime | None,
    expires_at: datetime | None,
):
    made = plan(definition, profile, consent, NOW, refer=refer, sendat=sendat, expires_at=expires_at)
    assert made == plan(definition, profile, consent, NOW, refer=refer, sendat=sendat, expires_at=expires_at)
    _each_channel_has_its_step(made, definition)
    _each_message_goes_somewhere_or_says_why_not(made, profile)
    _times_are_in_order(made, definition, sendat, expires_at)
    if profile is not None:
        _consent_is_heeded(made, definition, profile, consent)
    assert made.locale == ((profile.locale if profile else None) or "en")
    assert made.mode is definition.routing.mode


def _each_channel_has_its_step(made: Plan, definition: Definition) -> None:
    channels = definition.routing.channels
    assert {message.channel for message in made.messages} == set(channels)
    assert all(channels[message.step] is message.channel for message in made.messages)
    assert [message.step for message in made.messages] == sorted(message.step for message in made.messages)


def _each_message_goes_somewhere_or_says_why_not(made: Plan, profile: Profile | None) -> None:
    for message in made.messages:
        assert message.skip is not None or (message.address and message.address_ref)
        assert (message.device_id is not None) == (message.channel is Channel.PUSH and message.address is not None)
        if profile is None:
            assert message.skip is SkipReason.UNKNOWN_RECIPIENT
    addresses = Counter((message.channel, message.address) for message in made.messages if message.address)
    assert all(count == 1 for count in addresses.values())
    pushed = [message for message in made.messages if message.channel is Channel.PUSH and message.address]
    if pushed and profile is not None:
        assert {message.address for message in pushed} == {device.token for device in profile.devices} - {""}


def _times_are_in_order(
    made: Plan, definition: Definition, sendat: datetime | None, expires_at: datetime | None
) -> None:
    starts = max(sendat or NOW, NOW)
    assert made.not_before == (sendat if sendat is not None and sendat > NOW else None)
    assert made.expires_at == (expires_at or starts + definition.delivery.expire_after)
    if made.expires_at <= starts:
        assert all(message.skip is not None for message in made.messages)
    else:
        assert all(message.skip is not SkipReason.EXPIRED for message in made.messages)


def _consent_is_heeded(made: Plan, definition: Definition, profile: Profile, consent: Consent) -> None:
    required = definition.category.default is ConsentDefault.REQUIRED
    for message in made.messages:
        choice = ("receipts", message.channel)
        if message.address is not None:
            ours, theirs = choice in consent.preferences, choice in profile.preferences
            basis = "required" if required else "tidings" if ours else "external" if theirs else "default"
            assert message.consent == basis
        if message.skip is None:
            assert message.address_ref is not None
            assert not consent.suppresses(message.address_ref, message.channel, "all")
            assert required or not consent.suppresses(message.address_ref, message.channel, "receipts")
            chosen = consent.preferences.get(choice, profile.preferences.get(choice))
            assert required or (chosen if chosen is not None else definition.category.default == "opted_in")
        if message.skip is SkipReason.OPTED_OUT:
            assert not required
        if message.skip is SkipReason.NO_ADDRESS:
            assert message.address is None


def _plan(profile: Profile, *channels: Channel, consent: Consent | None = None, **options: object) -> Plan:
    definition = definition_of(*channels, consent=ConsentDefault.OPTED_IN)
    return plan(definition, profile, consent or Consent(), NOW, refer=refer, **options)  # type: ignore[arg-type]


def test_each_device_has_a_row_of_its_own():
    devices = (Device("d1", "t1", "ios"), Device("d2", "t2", "web"))
    made = _plan(Profile(recipient_id="cus_42", devices=devices), Channel.PUSH)
    assert [(message.device_id, message.address) for message in made.messages] == [("d1", "t1"), ("d2", "t2")]


def test_a_token_that_two_devices_claim_is_used_once():
    devices = (Device("d1", "t1", "ios"), Device("d2", "t1", "ios"))
    made = _plan(Profile(recipient_id="cus_42", devices=devices), Channel.PUSH)
    assert [(message.device_id, message.address) for message in made.messages] == [("d2", "t1")]


def test_a_suppressed_device_leaves_the_others():
    devices = (Device("d1", "t1", "ios"), Device("d2", "t2", "web"))
    consent = Consent(suppressions=frozenset({(refer(Channel.PUSH, "t1"), Channel.PUSH, "all")}))
    made = _plan(Profile(recipient_id="cus_42", devices=devices), Channel.PUSH, consent=consent)
    assert [message.skip for message in made.messages] == [SkipReason.SUPPRESSED, None]


def test_a_choice_made_through_tidings_wins_over_the_profile():
    theirs, ours = {("receipts", Channel.EMAIL): True}, {("receipts", Channel.EMAIL): False}
    profile = Profile(recipient_id="cus_42", email=EMAIL, preferences=theirs)
    made = _plan(profile, Channel.EMAIL, consent=Consent(ours))
    assert made.messages[0].skip is SkipReason.OPTED_OUT


@pytest.mark.parametrize(
    ("sendat", "not_before", "expires_at"),
    [
        (None, None, NOW + 72 * HOUR),
        (NOW - HOUR, None, NOW + 72 * HOUR),
        (NOW, None, NOW + 72 * HOUR),
        (NOW + HOUR, NOW + HOUR, NOW + 73 * HOUR),
    ],
    ids=["at once", "past", "now", "later"],
)
def test_expiry_counts_from_the_time_of_sending(
    sendat: datetime | None, not_before: datetime | None, expires_at: datetime
):
    made = _plan(Profile(recipient_id="cus_42", email=EMAIL), Channel.EMAIL, sendat=sendat)
    assert (made.not_before, made.expires_at) == (not_before, expires_at)


def test_an_expiry_before_the_time_of_sending_skips_everything():
    profile = Profile(recipient_id="cus_42", email=EMAIL)
    made = _plan(profile, Channel.EMAIL, Channel.SMS, sendat=NOW + 2 * HOUR, expires_at=NOW + HOUR)
    assert [message.skip for message in made.messages] == [SkipReason.EXPIRED, SkipReason.NO_ADDRESS]
