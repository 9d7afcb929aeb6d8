"""Profiles from documents that others wrote."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from notifications.profiles import fields
from notifications.profiles.guest import guest_profile
from notifications.profiles.profile import Device, Profile
from notifications.statuses import Channel

GOOD = {
    "name": "Ana Müller",
    "email": "Ana@Example.org",
    "phone": "+49 151 12345678",
    "locale": "de_AT",
    "timezone": "Europe/Vienna",
    "attributes": {"plan": "pro", "tags": ["a", {"b": 1.5}]},
    "devices": [{"id": "d2", "token": "t2", "platform": "ios"}, {"id": "d1", "token": "t1", "platform": "web"}],
    "preferences": [{"category": "offers", "channel": "email", "opted_in": True}],
}
DEVICE = {"id": "d", "token": "t", "platform": "ios"}


def test_a_good_document_becomes_a_profile_in_normal_form():
    assert fields.checked_profile("cus_1", GOOD) == Profile(
        recipient_id="cus_1",
        name="Ana Müller",
        email="Ana@example.org",
        phone="+4915112345678",
        locale="de-AT",
        timezone="Europe/Vienna",
        attributes={"plan": "pro", "tags": ["a", {"b": 1.5}]},
        devices=(Device("d1", "t1", "web"), Device("d2", "t2", "ios")),
        preferences={("offers", Channel.EMAIL): True},
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 7),
        ("name", "a\x00b"),
        ("name", "\ud800"),
        ("name", "x" * 5000),
        ("email", "nonsense"),
        ("phone", "0151 12345678"),
        ("locale", "german, please"),
        ("timezone", "Mars/Olympus"),
        ("timezone", "../../etc/passwd"),
        ("timezone", "Europe"),
        ("attributes", ["a"]),
        ("attributes", {"a": "\x00"}),
        ("attributes", {"a\x00": 1}),
        ("attributes", {"a": [float("nan")]}),
        ("attributes", {"a": {"b": float("inf")}}),
        ("devices", "d1"),
        ("devices[0]", ["d1"]),
        ("devices[0]", [{**DEVICE, "platform": ["ios"]}]),
        ("devices[0]", [{**DEVICE, "platform": "symbian"}]),
        ("devices[0]", [{**DEVICE, "token": ""}]),
        ("devices[0]", [{**DEVICE, "id": None}]),
        ("devices", [{**DEVICE, "id": str(number)} for number in range(101)]),
        ("preferences[0]", [{"category": "offers", "channel": "pigeon", "opted_in": True}]),
        ("preferences[0]", [{"category": "offers", "channel": "email", "opted_in": "yes"}]),
    ],
)
def test_a_bad_field_is_dropped_and_logged_by_its_name_only(field: str, value: object):
    document = {**GOOD, field.removesuffix("[0]"): value}
    with capture_logs() as logs:
        profile = fields.usable_profile("cus_1", document, source="test")
    assert [(entry["event"], entry["field"]) for entry in logs] == [("profile.field_dropped", field)]
    assert set(logs[0]) == {"event", "field", "source", "log_level"}
    assert len(profile.devices) <= 100
    name = field.removesuffix("[0]")
    if name != "devices":
        assert not getattr(profile, name)
    untouched = {"name", "email", "phone", "locale", "timezone"} - {name}
    assert all(getattr(profile, kept) is not None for kept in untouched)
    with pytest.raises(ValueError, match=name):
        fields.checked_profile("cus_1", document)


def test_attributes_nested_too_deep_for_postgres_are_dropped():
    deep: dict = {}
    for _ in range(2000):
        deep = {"a": deep}
    profile = fields.usable_profile("cus_1", {"attributes": {"deep": deep, "plan": "pro"}}, source="test")
    assert profile.attributes == {"plan": "pro"}


def test_every_fault_is_told_at_once_without_the_values():
    with pytest.raises(ValueError, match=r"email: .*; phone: .*") as caught:
        fields.checked_profile("cus_1", {"email": "secret value", "phone": "secret value"})
    assert "secret" not in str(caught.value)


def test_missing_null_and_empty_fields_are_no_faults():
    assert fields.checked_profile("cus_1", {"name": None, "email": "", "devices": None}) == Profile(
        recipient_id="cus_1"
    )


_text = st.text("a@+0\x00\ud800/é", max_size=5)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(sorted(GOOD)), _json, max_size=4))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine is no fault
def test_no_document_whatever_makes_reading_fail(document: dict):
    profile = fields.usable_profile("cus_1", document, source="test")
    fields._check_storable(dict(profile.attributes))


def test_a_guest_has_the_fields_of_the_block_and_no_others():
    with capture_logs():
        profile = guest_profile("guest-1", {**GOOD, "timezone": "Nowhere"})
    assert profile == Profile(
        recipient_id="guest-1", name="Ana Müller", email="Ana@example.org", phone="+4915112345678", locale="de-AT"
    )
