"""To whom the benchmark sends, and what: everybody agreed to offers, and other people's addresses are suppressed."""

from dataclasses import dataclass, field
from typing import Any

from notifications.database import Sessions, execute, transaction

CATEGORY, TEMPLATE = "offers", "spring-sale"
DATA = {
    "discount": "20 %",
    "code": "SPRING27",
    "ends": "2027-03-14",
    "shop_url": "https://acme.example/spring",
    "highlight": "Garden chairs from €39",
}
_BLOCK = 50_000  # rows of one transaction
_LOCALES = ("de", "de-AT", "en", "fr")

_RECIPIENTS = """
INSERT INTO recipients (id, name, email, email_ref, locale, timezone, attributes)
SELECT 'bench_' || lpad(CAST(n AS text), 7, '0'), 'Person ' || n, 'person' || n || '@example.org',
       sha256(CAST(n AS text)::bytea), (CAST(:locales AS text[]))[1 + n % 4], 'Europe/Berlin',
       jsonb_build_object('number', n, 'plan', 'pro')
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
"""
_CHOICES = """
INSERT INTO preferences (recipient_id, category, channel, opted_in, source, time)
SELECT 'bench_' || lpad(CAST(n AS text), 7, '0'), :category, 'email', true, 'import', now()
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n
"""
_SUPPRESSIONS = """
INSERT INTO suppressions (address_ref, channel, scope, reason, source)
SELECT sha256(CAST(-n AS text)::bytea), 'email', 'all', 'hard_bounce', 'smtp'
FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) n WHERE n % 10 = 0
"""


@dataclass(frozen=True, slots=True)
class Person:
    id: str
    name: str
    email: str
    locale: str
    timezone: str = "Europe/Berlin"
    attributes: dict[str, Any] = field(default_factory=dict)


def person(number: int) -> Person:
    """Number 1 and up, the same as in the tables."""
    return Person(
        f"bench_{number:07}",
        f"Person {number}",
        f"person{number}@example.org",
        _LOCALES[number % 4],
        attributes={"number": number, "plan": "pro"},
    )


def audience(count: int) -> dict[str, Any]:
    """The first so many."""
    return {"filter": {"field": "attributes.number", "op": "lte", "value": count}}


async def fill_people(sessions: Sessions, count: int) -> None:
    for first in range(1, count + 1, _BLOCK):
        block = {"first": first, "last": min(first + _BLOCK - 1, count)}
        async with transaction(sessions) as session:
            await execute(session, _RECIPIENTS, block | {"locales": list(_LOCALES)})
            await execute(session, _CHOICES, block | {"category": CATEGORY})
            await execute(session, _SUPPRESSIONS, block)
    async with transaction(sessions) as session:
        await execute(session, "ANALYZE recipients, preferences, suppressions")
