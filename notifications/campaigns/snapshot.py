"""The snapshot: whom a campaign is sent to, written into the ledger once, block by block.

A block is one transaction with the cursor that says how far it came. Killed at any point, the next call goes on; two
at once take turns by the campaign's lock.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row
from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.addresses import address_ref
from notifications.audiences.audience import parse_audience
from notifications.audiences.store import source_of
from notifications.campaigns.targets import consent_parameters
from notifications.catalogue.definition import ConsentDefault
from notifications.database import Sessions, execute, transaction
from notifications.queries import snapshot as queries
from notifications.queries.targets import Source, unhashed
from notifications.statuses import CampaignState, Channel

BLOCK = 5_000  # recipients that one transaction looks at; so long a command waits for the campaign's lock
RANGE_SIZE = 2_048  # messages that one activity sends; their epoch is a row


class CampaignUnreadyError(ValueError):
    """The campaign cannot be prepared as it is: it was never launched, or what it names is gone."""


@dataclass(frozen=True, slots=True)
class Block:
    """`rows` were written; `done`: nothing is left to write, because everybody is, or because the campaign ended."""

    rows: int
    done: bool


@dataclass(frozen=True, slots=True)
class _Cut:
    """The next recipients of an audience; `upto` is the last one's id, None: all that are left."""

    source: Source
    upto: str | None
    is_last: bool


class Snapshot:
    """One per process; `hash_key` is for addresses that nobody has hashed yet."""

    def __init__(self, sessions: Sessions, hash_key: bytes, *, block: int = BLOCK) -> None:
        self._sessions = sessions
        self._hash_key = hash_key
        self._block = block

    async def prepare_block(self, campaign_id: UUID) -> Block:
        """Write the next block.

        Raises:
            CampaignUnreadyError: the campaign cannot be prepared; trying again does not help.
            UnknownAudienceError: its saved audience is gone; trying again does not help.

        """
        async with transaction(self._sessions) as session:
            await execute(session, queries.PLAN_EACH_BLOCK)
            campaign = (await execute(session, queries.LOCK, {"id": campaign_id})).one_or_none()
            if campaign is None:
                raise CampaignUnreadyError(f"no campaign {campaign_id}")
            if campaign.prepared_at is not None or CampaignState(campaign.state).is_final:
                return Block(0, done=True)
            message = await _message(session, campaign)
            block = await self._write(session, campaign, message)
        if block.rows and (block.done or message["last_seq"] == 0):
            await self._analyze()
        return block

    async def _write(self, session: AsyncSession, campaign: Row[Any], message: Mapping[str, Any]) -> Block:
        channel, last_seq = Channel(campaign.channel), message["last_seq"]
        cut = await self._cut(session, campaign)
        await self._fill_refs(session, cut.source, channel)
        statement = queries.insert(cut.source, channel)
        rows = (await execute(session, statement, {**message, **cut.source.parameters})).rowcount
        if campaign.outcomes == "all":
            await execute(session, queries.TELL_SKIPPED, {"id": campaign.id, "last_seq": last_seq})
        people = rows
        if channel is Channel.PUSH:  # one message for each device
            people = (await execute(session, queries.PEOPLE, {"id": campaign.id, "last_seq": last_seq})).scalar_one()
        if cut.is_last:
            parameters = {"id": campaign.id, "last_seq": last_seq + rows, "size": RANGE_SIZE, "people": people}
            await execute(session, queries.FINISH, parameters)
        else:
            await execute(session, queries.ADVANCE, {"id": campaign.id, "upto": cut.upto, "people": people})
        return Block(rows, done=cut.is_last)

    async def _cut(self, session: AsyncSession, campaign: Row[Any]) -> _Cut:
        source = await source_of(session, parse_audience(campaign.audience), campaign.starts_at)
        after = campaign.prepared_to or ""  # no id is empty
        if source.ids is None:
            return _Cut(source.between(after, None), None, is_last=True)
        parameters = source.parameters | {"after": after, "limit": self._block}
        found = (await execute(session, queries.bound(source), parameters)).one()
        return _Cut(source.between(after, found.upto), found.upto, is_last=found.ids < self._block)

    async def _fill_refs(self, session: AsyncSession, source: Source, channel: Channel) -> None:
        """Hash what was written before addresses were kept with their hashes."""
        rows = (await execute(session, unhashed(source, channel), source.parameters)).all()
        if not rows:
            return
        found = await asyncio.to_thread(self._hashed, rows, channel)  # thousands of phone numbers take half a second
        await execute(session, queries.KEEP_REFS[channel], {"found": orjson.dumps(found).decode()})

    def _hashed(self, rows: Sequence[Row[Any]], channel: Channel) -> list[dict[str, str]]:
        return [
            {
                "recipient_id": row.recipient_id,
                "device_id": row.device_id,
                "address": row.address,
                "ref": address_ref(self._hash_key, channel, row.address).hex(),
            }
            for row in rows
        ]

    async def _analyze(self) -> None:
        """Statistics know the campaign from its first block on, and as a whole (performance, not correctness)."""
        async with self._sessions() as session:
            connection = await session.connection(execution_options={"isolation_level": "AUTOCOMMIT"})
            await connection.exec_driver_sql(queries.ANALYZE)


async def _message(session: AsyncSession, campaign: Row[Any]) -> dict[str, Any]:
    """What all its messages have in common, and the number of the last one."""
    if campaign.state == CampaignState.DRAFT or campaign.starts_at is None or campaign.expires_at is None:
        raise CampaignUnreadyError("the campaign was not launched")
    pinned = {"definition": campaign.template, "definition_version": campaign.template_version}
    key = {"id": campaign.id, "category": campaign.category, **pinned}
    facts = (await execute(session, queries.FACTS, key)).one()
    if facts.default_locale is None:
        raise CampaignUnreadyError("the campaign's template is not published in the version that launch took")
    if facts.consent_default is None:
        raise CampaignUnreadyError(f"the category {campaign.category} is not published any more")
    default = ConsentDefault(facts.consent_default)
    return {
        **consent_parameters(campaign.category, default, Channel(campaign.channel)),
        **key,
        "last_seq": facts.last_seq,
        "default_locale": facts.default_locale,
        "type": campaign.type,
        "duplicates": campaign.duplicates,
        "retry_for": campaign.retry_for,
        "expires_at": campaign.expires_at,
        "starts_at": campaign.starts_at,
    }
