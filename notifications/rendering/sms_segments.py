"""How many parts an SMS costs, by 3GPP TS 23.038 (alphabets) and TS 23.040 (concatenation, a header of 6 octets)."""

from dataclasses import dataclass

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")  # an escape and a septet each

# What word processors put in for a plain character; with the plain one the text costs less than half.
_PLAIN = str.maketrans(
    {
        "\u00a0": " ",  # no-break spaces: CLDR puts them into amounts and times
        "\u202f": " ",
        "\u2009": " ",
        "\u200b": "",
        "\u2018": "'",
        "\u2019": "'",
        "\u201a": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u201e": '"',
        "\u2011": "-",
        "\u2013": "-",
        "\u2014": "-",
        "\u2026": "...",
    }
)


@dataclass(frozen=True, slots=True)
class Segmentation:
    """`units` are septets in GSM-7 and 16-bit units in UCS-2."""

    encoding: str  # GSM-7 | UCS-2
    units: int
    segments: int


def segment(text: str) -> Segmentation:
    """Count the parts; an escaped character or a surrogate pair is never split between two."""
    if _is_gsm(text):
        return _counted("GSM-7", [2 if char in _EXTENSION else 1 for char in text], single=160, part=153)
    return _counted("UCS-2", [2 if ord(char) > 0xFFFF else 1 for char in text], single=70, part=67)  # noqa: PLR2004 - beyond the BMP


def plain(text: str) -> str:
    """The text with typographic marks made plain, where that alone makes it fit GSM-7; else as it is."""
    simple = text.translate(_PLAIN)
    return simple if _is_gsm(simple) else text


def _is_gsm(text: str) -> bool:
    return all(char in _BASIC or char in _EXTENSION for char in text)


def _counted(encoding: str, sizes: list[int], *, single: int, part: int) -> Segmentation:
    units = sum(sizes)
    if units <= single:
        return Segmentation(encoding, units, 1)
    segments, used = 1, 0
    for size in sizes:
        if used + size > part:
            segments, used = segments + 1, 0
        used += size
    return Segmentation(encoding, units, segments)
