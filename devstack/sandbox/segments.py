"""How many parts a text takes as SMS (3GPP TS 23.038): what Twilio answers as `num_segments`.

Written apart from the renderer's count, so that each is a check of the other.
"""

_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ ÆæßÉ!\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_TWICE = frozenset("\f^{}\\[~]|€")
_GSM_7_SIZES = (160, 153)  # characters in a single part, and in each of several
_UCS_2_SIZES = (70, 67)
_BASIC_PLANE_END = 0xFFFF  # a character beyond takes two UTF-16 units


def is_gsm_7(text: str) -> bool:
    return all(character in _GSM_7 or character in _GSM_7_TWICE for character in text)


def count_segments(text: str) -> int:
    """No character is split over two parts, so each part may end with an unused place."""
    if is_gsm_7(text):
        return _parts([2 if character in _GSM_7_TWICE else 1 for character in text], *_GSM_7_SIZES)
    return _parts([2 if ord(character) > _BASIC_PLANE_END else 1 for character in text], *_UCS_2_SIZES)


def _parts(widths: list[int], single: int, part: int) -> int:
    if sum(widths) <= single:
        return 1
    parts, free = 1, part
    for width in widths:
        if width > free:
            parts, free = parts + 1, part
        free -= width
    return parts
