import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.rendering.sms_segments import plain, segment

# The default alphabet as the table of 3GPP TS 23.038 §6.2.1 has it, by row; 0x1b is the escape to the extension.
_TABLE = (
    "@Δ 0¡P¿p",
    "£_!1AQaq",
    '$Φ"2BRbr',
    "¥Γ#3CScs",
    "èΛ¤4DTdt",
    "éΩ%5EUeu",
    "ùΠ&6FVfv",
    "ìΨ'7GWgw",
    "òΣ(8HXhx",
    "ÇΘ)9IYiy",
    "\nΞ*:JZjz",
    "Ø\x1b+;KÄkä",
    "øÆ,<LÖlö",
    "\ræ-=MÑmñ",
    "Åß.>NÜnü",
    "åÉ/?O§oà",
)
_ALPHABET = [char for row in _TABLE for char in row if char != "\x1b"]


def test_the_alphabet_is_the_one_of_the_standard() -> None:
    assert len(set(_ALPHABET)) == 127
    assert all(segment(char).encoding == "GSM-7" and segment(char).units == 1 for char in _ALPHABET)
    assert all(segment(char).encoding == "GSM-7" and segment(char).units == 2 for char in "\f^{}\\[~]|€")
    basic_latin = {chr(code) for code in range(0x20, 0x17F)}
    others = basic_latin - set(_ALPHABET) - set("^{}\\[~]|")
    assert all(segment(char).encoding == "UCS-2" for char in others)


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 152 + "€" + "a" * 151, "GSM-7", 305, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # the pair does not fit the first part
        ("ж" * 70, "UCS-2", 70, 1),
        ("ж" * 71, "UCS-2", 71, 2),
        ("ж" * 134, "UCS-2", 134, 2),
        ("ж" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("😀" * 67, "UCS-2", 134, 3),  # 33 pairs a part
        ("façade", "UCS-2", 6, 1),  # only the capital Ç is in the alphabet
        ("FAÇADE", "GSM-7", 6, 1),
        ("`", "UCS-2", 1, 1),
        ("ä\u00a0b", "UCS-2", 3, 1),
        ("a" * 159 + "€", "GSM-7", 161, 2),
        ("a" * 69 + "😀", "UCS-2", 71, 2),
    ],
)
def test_known_counts(text: str, encoding: str, units: int, segments: int) -> None:
    counted = segment(text)
    assert (counted.encoding, counted.units, counted.segments) == (encoding, units, segments)


@given(st.text(st.sampled_from([*_ALPHABET, *"^{}€", "ж", "😀"]), max_size=700))
def test_a_long_text_wastes_at_most_one_unit_a_part(text: str) -> None:
    counted = segment(text)
    single, part = (160, 153) if counted.encoding == "GSM-7" else (70, 67)
    if counted.encoding == "UCS-2":
        assert counted.units == len(text.encode("utf-16-be")) // 2
    if counted.units <= single:
        assert counted.segments == 1
    else:
        assert math.ceil(counted.units / part) <= counted.segments <= math.ceil(counted.units / (part - 1))


@given(st.text(st.sampled_from("ab€ж\u2019\u201e\u201c\u2013\u2026\u00a0\u202f"), max_size=50))
def test_plain_marks_never_cost_more(text: str) -> None:
    made = plain(text)
    assert made == text or (segment(made).encoding, segment(text).encoding) == ("GSM-7", "UCS-2")
    assert segment(made).segments <= segment(text).segments


def test_a_text_that_needs_ucs_2_anyway_keeps_its_marks() -> None:
    assert plain("\u201cж\u201d") == "\u201cж\u201d"
    assert plain("\u201c49,90\u00a0€\u201d \u2013 \u2019s\u2026") == '"49,90 €" - \'s...'
