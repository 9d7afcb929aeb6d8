import pytest

from devstack.sandbox.slots import Slots, read_slots

ORIGIN = "a56453a4-7db3-5408-8b23-96f8b4313634"
KEY = "d9b9d648-b8e9-5c5c-b618-c6558e5b8fac"  # UUIDv5(ORIGIN, "1")


@pytest.mark.parametrize(
    ("texts", "key", "correlation"),
    [
        ((KEY,), KEY, None),
        ((KEY.upper(),), KEY, None),
        ((f"{ORIGIN}.1.4",), KEY, f"{ORIGIN}.1.4"),
        ((f"{ORIGIN}.1.4 {KEY}",), KEY, f"{ORIGIN}.1.4"),
        ((f'{{"key": "{KEY}", "c": "{ORIGIN}.1.4"}}',), KEY, f"{ORIGIN}.1.4"),
        ((None, f"{ORIGIN}.1.4", KEY), KEY, f"{ORIGIN}.1.4"),
        (("anything", None), "anything", None),
        ((None, ""), None, None),
        ((), None, None),
    ],
)
def test_the_key_is_found_in_any_slot(texts, key, correlation) -> None:
    assert read_slots(*texts) == Slots(key, correlation)
