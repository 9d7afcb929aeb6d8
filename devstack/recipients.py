"""A handful of recipients to try things with. Names, addresses and numbers are made up or reserved for examples."""

from typing import Any

from sqlalchemy.dialects.postgresql import insert
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.database import Sessions, transaction
from notifications.tables import Device, Recipient

RECIPIENTS: tuple[dict[str, Any], ...] = (
    {
        "id": "cus_42",
        "name": "Jürgen Müller",
        "email": "juergen.mueller@example.org",
        "phone": "+4915112345678",
        "locale": "de-DE",
        "timezone": "Europe/Berlin",
        "attributes": {"plan": "pro", "signed_up": "2025-03-14"},
    },
    {
        "id": "cus_43",
        "name": "Amelia Clarke",
        "email": "amelia.clarke@example.com",
        "phone": "+447400123456",
        "locale": "en-GB",
        "timezone": "Europe/London",
        "attributes": {"plan": "free", "signed_up": "2026-01-08"},
    },
    {
        "id": "cus_44",
        "name": "Noah Williams",
        "email": "noah.williams@example.net",
        "phone": "+12015550123",
        "locale": "en-US",
        "timezone": "America/New_York",
        "attributes": {"plan": "pro", "signed_up": "2024-11-30"},
    },
    {
        "id": "cus_45",
        "name": "Lena Huber",
        "email": "lena.huber@example.org",
        "phone": "+436641234567",
        "locale": "de-AT",
        "timezone": "Europe/Vienna",
        "attributes": {"plan": "free", "signed_up": "2026-06-21"},
    },
    {
        "id": "cus_46",  # reachable by text message only
        "name": "Priya Nair",
        "email": None,
        "phone": "+919812345678",
        "locale": "en-IN",
        "timezone": "Asia/Kolkata",
        "attributes": {"plan": "free", "signed_up": "2026-09-02"},
    },
)
DEVICES: tuple[dict[str, Any], ...] = (
    {"recipient_id": "cus_42", "id": "pixel-9", "platform": "android", "token": "cus-42-pixel-9:APA91bE2gZ7k"},
    {"recipient_id": "cus_42", "id": "ipad", "platform": "ios", "token": "cus-42-ipad:APA91bHq0Vt3"},
    {"recipient_id": "cus_43", "id": "iphone-17", "platform": "ios", "token": "cus-43-iphone-17:APA91bFw8Ls1"},
    {"recipient_id": "cus_44", "id": "galaxy-s26", "platform": "android", "token": "cus-44-galaxy-s26:APA91bGd5Rn9"},
    {"recipient_id": "cus_45", "id": "pixel-8", "platform": "android", "token": "cus-45-pixel-8:APA91bC4Jx60"},
)


async def load_recipients(sessions: Sessions) -> int:
    """Write the examples that are not there yet; returns how many recipients there are in the examples."""
    async with transaction(sessions) as session:
        await _insert(session, Recipient, RECIPIENTS)
        await _insert(session, Device, DEVICES)
    return len(RECIPIENTS)


async def _insert(session: AsyncSession, table: type[Recipient | Device], rows: tuple[dict[str, Any], ...]) -> None:
    await session.exec(insert(table).values(list(rows)).on_conflict_do_nothing())
