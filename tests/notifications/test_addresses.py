"""One spelling per address, and the hashes that stand for them."""

import pytest
from pydantic import SecretStr

from notifications import addresses
from notifications.statuses import Channel

KEY = b"a key that is only used in tests"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (" Ana@Example.ORG ", "Ana@example.org"),
        ("ana@bücher.example", "ana@bücher.example"),
        ("ana@xn--bcher-kva.example", "ana@bücher.example"),
        ("ana+tag@example.org", "ana+tag@example.org"),
    ],
)
def test_an_email_address_is_kept_in_one_spelling(given: str, kept: str):
    assert addresses.normalise_email(given) == kept


@pytest.mark.parametrize(
    "given", ["", "ana", "ana@", "ana@example", "a b@example.org", "ana@example.org\r\nBcc: x@y.z"]
)
def test_what_is_no_email_address_is_refused_without_repeating_it(given: str):
    with pytest.raises(ValueError, match=r"name@example\.org") as caught:
        addresses.normalise_email(given)
    assert caught.value.__cause__ is None
    assert len(given) < 4 or given not in str(caught.value).replace("name@example.org", "")


def test_a_phone_number_is_kept_in_e164():
    assert addresses.normalise_phone(" +49 (151) 1234-5678 ") == "+4915112345678"


@pytest.mark.parametrize("given", ["", "015112345678", "+", "+49", "+999123456789", "+49151123456789012345", "+abc"])
def test_what_is_no_phone_number_is_refused_without_repeating_it(given: str):
    with pytest.raises(ValueError, match=r"write \+|country code") as caught:
        addresses.normalise_phone(given)
    assert len(given) < 4 or given not in str(caught.value)


@pytest.mark.parametrize(
    ("channel", "one", "another"),
    [
        (Channel.EMAIL, "ana@example.org", " ANA@EXAMPLE.org"),
        (Channel.SMS, "+4915112345678", "+49 151 12345678"),
        (Channel.EMAIL, "not an address", "Not an address "),
    ],
)
def test_every_spelling_of_an_address_has_the_same_hash(channel: Channel, one: str, another: str):
    assert addresses.address_ref(KEY, channel, one) == addresses.address_ref(KEY, channel, another)


def test_sms_and_whatsapp_know_a_number_by_the_same_hash_and_tokens_differ_by_case():
    number = "+4915112345678"
    assert addresses.address_ref(KEY, Channel.SMS, number) == addresses.address_ref(KEY, Channel.WHATSAPP, number)
    assert addresses.address_ref(KEY, Channel.PUSH, "tOken") != addresses.address_ref(KEY, Channel.PUSH, "token")


@pytest.mark.parametrize(
    ("channel", "given", "normalise"),
    [
        (Channel.EMAIL, "ANA.Souza@EXAMPLE.org ", addresses.normalise_email),
        (Channel.EMAIL, "ana@b\u00fccher.example", addresses.normalise_email),
        (Channel.EMAIL, "Jo\u0308rg@example.org", addresses.normalise_email),
        (Channel.SMS, "+49 (151) 1234-5678", addresses.normalise_phone),
        (Channel.PUSH, " Token:A-b_c", str),
    ],
)
def test_a_normalised_address_has_the_hash_of_every_spelling(channel: Channel, given: str, normalise):
    assert addresses.normalised_ref(KEY, channel, normalise(given)) == addresses.address_ref(KEY, channel, given)


def test_hashes_depend_on_the_key_and_on_what_is_hashed():
    texts = [addresses.address_ref(key, Channel.EMAIL, "ana@example.org").hex() for key in (KEY, KEY + b"2")]
    texts += [addresses.recipient_ref(KEY, "ana@example.org"), addresses.recipient_ref(KEY, "\ud800")]
    assert len(set(texts)) == 4
    assert len(texts[0]) == 64
    assert len(texts[2]) == 16


def test_a_guest_is_known_by_email_first_then_by_phone():
    both = addresses.guest_id(KEY, {"email": "Ana@example.org", "phone": "+4915112345678"})
    assert both == addresses.guest_id(KEY, {"email": "ana@EXAMPLE.org"})
    assert both != addresses.guest_id(KEY, {"phone": "+4915112345678"})
    assert both.startswith("guest-")


def test_a_guest_with_an_unusable_email_is_known_by_the_phone_number():
    by_phone = addresses.guest_id(KEY, {"phone": "+49 151 12345678"})
    assert addresses.guest_id(KEY, {"email": "nonsense", "phone": "+4915112345678"}) == by_phone


def test_a_guest_without_any_usable_address_still_has_a_stable_id():
    assert addresses.guest_id(KEY, {"email": "nonsense"}) == addresses.guest_id(KEY, {"email": "nonsense"})


@pytest.mark.parametrize("guest", [{}, {"email": ""}, {"email": None, "phone": 4915112345678}])
def test_a_guest_without_an_address_is_refused(guest: dict):
    with pytest.raises(ValueError, match="`email` or a `phone`"):
        addresses.guest_id(KEY, guest)


@pytest.mark.parametrize("secret", [None, SecretStr(""), SecretStr("short")])
def test_without_a_proper_key_no_hash_is_made(secret: SecretStr | None):
    with pytest.raises(ValueError, match="TIDINGS_HASH_KEY must be a secret"):
        addresses.require_hash_key(secret)


def test_a_proper_key_is_taken_as_it_is():
    assert addresses.require_hash_key(SecretStr("k" * 32)) == b"k" * 32
