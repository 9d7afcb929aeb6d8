from typing import Any

import pytest

from notifications.rendering.render import RenderError
from tests.notifications.rendering.definitions import body

_BERLIN = {"timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("source", "data", "locale", "expected"),
    [
        ("{{ data.x | money('EUR') }}", "49.90", "en", "€49.90"),
        ("{{ data.x | money('EUR') }}", "1234.5", "en-IE", "€1,234.50"),
        ("{{ data.x | money('JPY') }}", "1234", "en", "¥1,234"),
        ("{{ data.x | money('EUR') }}", 49.9, "en", "€49.90"),
        ("{{ data.x | money('EUR') }}", "-3.00", "en", "-€3.00"),
        ("{{ data.x | number }}", "1234567.891", "en", "1,234,567.891"),
        ("{{ data.x | number(1) }}", 2.25, "en", "2.2"),
        ("{{ data.x | number(0) }}", 1234, "en", "1,234"),
        ("{{ data.x | date }}", "2026-11-22T23:30:00Z", "en", "November 23, 2026"),
        ("{{ data.x | date }}", "2026-11-22", "en", "November 22, 2026"),
        ("{{ data.x | date('EEEE d MMMM') }}", "2026-11-22", "en", "Sunday 22 November"),
        ("{{ data.x | time }}", "2026-07-01T10:00:00Z", "en-GB", "12:00"),
        ("{{ data.x | time }}", "2026-12-01T10:00:00Z", "en-GB", "11:00"),
        ("{{ data.x | datetime('short') }}", "2026-11-22T10:15:00+05:00", "en-GB", "22/11/2026, 06:15"),
    ],
)
def test_values_in_the_recipients_locale_and_zone(source: str, data: Any, locale: str, expected: str) -> None:
    assert body(source, {"x": data}, locale=locale, recipient=_BERLIN) == expected


@pytest.mark.parametrize("zone", [None, "", "Mars/Olympus", "../../etc/passwd", "\x00"])
def test_an_unknown_zone_is_utc(zone: str | None) -> None:
    assert body("{{ data.x | time('HH:mm') }}", {"x": "2026-11-22T10:15:00Z"}, recipient={"timezone": zone}) == "10:15"


@pytest.mark.parametrize(
    ("source", "value", "message"),
    [
        ("{{ data.x | money('EUR') }}", "s3cret", "money() needs a number, or one as text such as '49.90'"),
        ("{{ data.x | money('EUR') }}", "NaN", "money() needs a number"),
        ("{{ data.x | money('EUR') }}", "1e999999", "money() needs a number"),
        ("{{ data.x | money('EUR') }}", True, "money() needs a number"),
        ("{{ data.x | money('EUR') }}", None, "money() needs a number"),
        ("{{ '1' | money(data.x) }}", "s3cret", "money() needs an ISO 4217 currency code such as EUR"),
        ("{{ data.x | number }}", ["s3cret"], "number() needs a number"),
        ("{{ data.x | date }}", "s3cret", "date() needs an RFC 3339 date or time"),
        ("{{ data.x | date }}", "2026-13-40", "date() needs an RFC 3339 date or time"),
        ("{{ data.x | datetime }}", "2026-11-22T10:15:00", "datetime() needs an RFC 3339 time with its offset"),
        ("{{ data.x | time }}", 7, "time() needs an RFC 3339 time with its offset"),
    ],
)
def test_a_value_that_cannot_be_formatted_is_told_without_showing_it(source: str, value: Any, message: str) -> None:
    with pytest.raises(RenderError) as caught:
        body(source, {"x": value})
    assert message in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_an_undefined_value_is_named() -> None:
    with pytest.raises(RenderError, match=r"'data\.amuont' is undefined; did you mean 'data\.amount'"):
        body("{{ data.amuont | money(data.currency) }}", {"amount": "1.00", "currency": "EUR"})
