import pytest

from notifications.rendering.locales import babel_locale, chain, formatting, resolve


@pytest.mark.parametrize(
    ("requested", "tried"),
    [
        ("de-AT", ("de-AT", "de", "en")),
        ("zh-Hant-TW", ("zh-Hant-TW", "zh-Hant", "zh", "en")),
        ("de_AT", ("de-AT", "de", "en")),
        ("en", ("en",)),
        (None, ("en",)),
        ("", ("en",)),
    ],
)
def test_the_chain_ends_with_the_default(requested: str | None, tried: tuple[str, ...]) -> None:
    assert chain(requested, "en") == tried


@pytest.mark.parametrize(
    ("requested", "chosen"),
    [("de-AT", "de"), ("DE", "de"), ("pt-br", "pt-BR"), ("pt", "en"), ("fr", "en"), (None, "en"), ("no", "no")],
)
def test_the_nearest_template_is_chosen(requested: str | None, chosen: str) -> None:
    assert resolve(requested, ["en", "de", "pt-BR", "no"], "en") == chosen


def test_a_missing_default_is_an_error() -> None:
    with pytest.raises(LookupError, match="default locale 'en'"):
        resolve("fr", ["de"], "en")


def test_numbers_follow_the_recipient_only_within_the_language_of_the_text() -> None:
    assert formatting("de-AT", "de") == "de-AT"
    assert formatting("fr", "en") == "en"
    assert formatting(None, "en") == "en"


@pytest.mark.parametrize(("tag", "locale"), [("de-AT", "de_AT"), ("de-XX", "de"), ("xx", "en"), ("\x00", "en")])
def test_an_unknown_tag_falls_back(tag: str, locale: str) -> None:
    assert str(babel_locale(tag)) == locale
