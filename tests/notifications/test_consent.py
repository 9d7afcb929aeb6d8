"""Who may be reached for what."""

from uuid import uuid4

import pytest

from notifications.catalogue.definition import Category, ConsentDefault
from notifications.consent import Consent, allows, load_consent
from notifications.database import Sessions, transaction
from notifications.profiles.profile import Profile
from notifications.queries import recipients as queries
from notifications.statuses import Channel, SkipReason

REF = b"the keyed hash of an address"
EMAIL = ("offers", Channel.EMAIL)
OPTED_OUT = SkipReason.OPTED_OUT
SUPPRESSED = SkipReason.SUPPRESSED


def _category(default: ConsentDefault) -> Category:
    return Category(name="offers", title="Offers", default=default)


@pytest.mark.parametrize(
    ("default", "theirs", "ours", "reason"),
    [
        pytest.param("opted_in", None, None, None, id="the default lets it through"),
        pytest.param("opted_out", None, None, OPTED_OUT, id="the default needs an opt-in"),
        pytest.param("opted_out", True, None, None, id="an opt-in at the profile service counts"),
        pytest.param("opted_in", False, None, OPTED_OUT, id="an opt-out at the profile service counts"),
        pytest.param("opted_out", True, False, OPTED_OUT, id="an unsubscribe here wins over the service"),
        pytest.param("opted_in", False, True, None, id="an opt-in here wins over the service"),
        pytest.param("required", False, False, None, id="a required category cannot be opted out of"),
    ],
)
def test_the_recipients_choice(default, theirs, ours, reason):
    profile = Profile(recipient_id="cus_1", preferences={} if theirs is None else {EMAIL: theirs})
    consent = Consent(preferences={} if ours is None else {EMAIL: ours})
    assert allows(_category(ConsentDefault(default)), Channel.EMAIL, profile, consent, REF) is reason


@pytest.mark.parametrize(
    ("default", "channel", "scope", "reason"),
    [
        pytest.param("opted_in", Channel.EMAIL, "all", SUPPRESSED, id="for everything"),
        pytest.param("opted_in", Channel.EMAIL, "offers", SUPPRESSED, id="for this category"),
        pytest.param("opted_in", Channel.EMAIL, "news", None, id="for another category"),
        pytest.param("opted_in", Channel.SMS, "all", None, id="on another channel"),
        pytest.param("required", Channel.EMAIL, "all", SUPPRESSED, id="required, but the address is dead"),
        pytest.param("required", Channel.EMAIL, "offers", None, id="required stays allowed"),
    ],
)
def test_a_suppressed_address(default: str, channel: Channel, scope: str, reason: SkipReason | None):
    consent = Consent(suppressions=frozenset({(REF, channel, scope)}))
    profile = Profile(recipient_id="cus_1")
    category = _category(ConsentDefault(default))
    assert allows(category, Channel.EMAIL, profile, consent, REF) is reason
    assert allows(category, Channel.EMAIL, profile, consent, b"another address") is None
    assert allows(category, Channel.EMAIL, profile, consent) is None


def test_a_choice_holds_for_its_channel_and_category_only():
    consent = Consent(preferences={("offers", Channel.SMS): True, ("news", Channel.EMAIL): True})
    profile = Profile(recipient_id="cus_1")
    assert allows(_category(ConsentDefault.OPTED_OUT), Channel.EMAIL, profile, consent) is OPTED_OUT


async def test_what_is_kept_is_loaded_for_the_recipient_and_the_addresses(sessions: Sessions):
    recipient_id, ref = f"cus_{uuid4().hex}", uuid4().bytes
    async with transaction(sessions) as session:
        await queries.set_preference(session, recipient_id, "offers", Channel.EMAIL, opted_in=False, source="api")
        await queries.suppress(session, ref, Channel.SMS, "all", "manual", "api")
        consent = await load_consent(session, recipient_id, [ref])
        nobody = await load_consent(session, None, [])
    assert consent == Consent({EMAIL: False}, frozenset({(ref, Channel.SMS, "all")}))
    assert nobody == Consent()
