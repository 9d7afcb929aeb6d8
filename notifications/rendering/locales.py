"""Which of a definition's locales a recipient gets, and by whose rules numbers and dates are written."""

from collections.abc import Iterable
from functools import lru_cache

from babel import Locale, UnknownLocaleError


def chain(requested: str | None, default: str) -> tuple[str, ...]:
    """The locales to try, in order: de-Latn-AT, de-Latn, de, then the default."""
    tags: list[str] = []
    parts = requested.replace("_", "-").split("-") if requested else []
    while parts:
        tags.append("-".join(parts))
        parts.pop()
    return tuple(dict.fromkeys([*tags, default]))


def resolve(requested: str | None, available: Iterable[str], default: str) -> str:
    """The available locale that comes first in the chain; tags are compared without regard to case.

    Raises:
        LookupError: not even the default is available.

    """
    by_folded = {tag.casefold(): tag for tag in available}
    for tag in chain(requested, default):
        if tag.casefold() in by_folded:
            return by_folded[tag.casefold()]
    message = f"there is no template in the default locale {default!r}"
    raise LookupError(message)


def formatting(requested: str | None, chosen: str) -> str:
    """The recipient's own tag where it is the template's language (de-AT for a `de` text), else the template's."""
    if (
        requested
        and requested.replace("_", "-").split("-")[0].casefold() == chosen.split("-", maxsplit=1)[0].casefold()
    ):
        return requested.replace("_", "-")
    return chosen


@lru_cache(maxsize=256)
def babel_locale(tag: str) -> Locale:
    """CLDR's rules for the tag, or for its language where CLDR has no such region; English for an unknown one."""
    for candidate in chain(tag, "en"):
        try:
            return Locale.parse(candidate, sep="-")
        except (UnknownLocaleError, ValueError):
            continue
    return Locale("en")
