"""Rows into recipients, devices and preferences: one statement for each, whatever their number."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.addresses import normalised_ref
from notifications.imports.rows import Row
from notifications.queries import imports as queries
from notifications.queries.intake_rows import blame
from notifications.statuses import Channel

Refusal = tuple[int, str, str, str]  # line, columns separated by spaces, what to mend, content


@dataclass(slots=True)
class Outcome:
    """What became of some rows."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    superseded: int = 0
    devices: int = 0
    choices: int = 0
    older_choices: int = 0
    refusals: list[Refusal] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.__slots__ if name != "refusals"}

    def add(self, other: "Outcome") -> None:
        for name, count in other.counts().items():
            setattr(self, name, getattr(self, name) + count)
        self.refusals += other.refusals


class RowWriter:
    """`hash_key` keys the hashes that stand for addresses. `keep` False: written, counted and taken back."""

    def __init__(self, hash_key: bytes, *, keep: bool) -> None:
        self._hash_key = hash_key
        self._keep = keep

    async def write(self, session: AsyncSession, rows: Sequence[Row]) -> Outcome:
        """All rows at once; where the database refuses them, in halves, until the ones at fault are found."""
        if not rows:
            return Outcome()
        try:
            async with session.begin_nested() as savepoint:
                outcome = await self._upsert(session, rows)
                if not self._keep:
                    await savepoint.rollback()
                return outcome
        except (DBAPIError, UnicodeEncodeError) as error:
            fault = blame(error)
            if fault is None:
                raise
        if len(rows) == 1:
            return Outcome(refusals=[(rows[0].line, "row", f"row: {fault}", rows[0].content)])
        half = len(rows) // 2
        outcome = await self.write(session, rows[:half])
        outcome.add(await self.write(session, rows[half:]))
        return outcome

    async def _upsert(self, session: AsyncSession, rows: Sequence[Row]) -> Outcome:
        ordered = sorted(rows, key=lambda row: row.id)  # so that two imports wait for each other in turn
        created, updated = await queries.upsert_recipients(session, [self._values(row) for row in ordered])
        outcome = Outcome(created=created, updated=updated, unchanged=len(rows) - created - updated)
        devices = self._devices(rows)
        if devices:
            outcome.devices = await queries.upsert_devices(session, devices)
        choices = _choices(ordered)
        if choices:
            outcome.choices, outcome.older_choices = await queries.upsert_choices(session, choices)
        return outcome

    def _values(self, row: Row) -> dict[str, Any]:
        values: dict[str, Any] = {"id": row.id, **row.texts}
        if "email" in values:
            values["email_ref"] = self._ref(Channel.EMAIL, values["email"])
        if "phone" in values:
            values["phone_ref"] = self._ref(Channel.SMS, values["phone"])
        if row.attributes:
            values["attributes"] = row.attributes
        if row.emptied:
            values["emptied"] = row.emptied
        if row.removed:
            values["removed"] = row.removed
        return values

    def _ref(self, channel: Channel, address: str) -> str:
        """As PostgreSQL reads bytes."""
        return f"\\x{normalised_ref(self._hash_key, channel, address).hex()}"

    def _devices(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """A token that stands in the file twice belongs to the last one: a phone has one user."""
        by_token = {device.token: (row.id, device) for row in rows for device in row.devices}
        return [
            {
                "recipient_id": recipient_id,
                "id": device.id,
                "token": device.token,
                "token_ref": self._ref(Channel.PUSH, device.token),
                "platform": device.platform,
            }
            for recipient_id, device in sorted(by_token.values(), key=lambda item: (item[0], item[1].id))
        ]


def _choices(rows: Sequence[Row]) -> list[dict[str, Any]]:
    return [
        {
            "recipient_id": row.id,
            "category": choice.category,
            "channel": choice.channel.value,
            "opted_in": choice.opted_in,
            "source": choice.source,
            "time": choice.time.isoformat(),
        }
        for row in rows
        for choice in sorted(row.choices, key=lambda choice: (choice.category, choice.channel))
    ]
