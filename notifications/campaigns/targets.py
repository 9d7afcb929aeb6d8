"""Whom a campaign would reach: how many, on which channel, why not the others, and how long it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.audiences.audience import Audience
from notifications.audiences.store import size_of, source_of
from notifications.catalogue.definition import Category, ConsentDefault
from notifications.database import execute
from notifications.masking import mask
from notifications.queries import targets as queries
from notifications.statuses import Channel, SkipReason

SAMPLE = 10


@dataclass(frozen=True, slots=True)
class SampleTarget:
    """Somebody who would be written to; `address` is masked."""

    recipient_id: str
    device_id: str | None
    address: str
    locale: str | None


@dataclass(frozen=True, slots=True)
class Reach:
    """`targeted` messages (push: one for each device) = `to_send` + the sum over `skipped`."""

    targeted: int
    to_send: int
    skipped: Mapping[SkipReason, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """`recipients` are distinct; `seconds` is how long the campaign takes at its rate, None without one."""

    recipients: int
    channel: Channel
    reach: Reach
    other_channels: Mapping[Channel, Reach]
    sample: tuple[SampleTarget, ...]
    seconds: float | None


def consent_parameters(category: str, default: ConsentDefault, channel: Channel) -> dict[str, Any]:
    """What `queries.targets` asks for besides the audience."""
    return {
        "channel": channel,
        "category": category,
        "required": default is ConsentDefault.REQUIRED,
        "default_opted_in": default is ConsentDefault.OPTED_IN,
    }


async def dry_run(
    session: AsyncSession,
    audience: Audience,
    channel: Channel,
    category: Category,
    *,
    per_second: float | None = None,
    other_channels: bool = False,
    now: datetime | None = None,
) -> DryRun:
    """Look at the audience as it is now; writes nothing.

    Raises:
        UnknownAudienceError: the saved audience is not there.

    """
    source = await source_of(session, audience, now or datetime.now(UTC))
    await execute(session, queries.READ_WHOLE_TABLES)
    size = await size_of(session, source) if channel is Channel.PUSH else None
    reach = await _reach(session, source, channel, category)
    others = [other for other in Channel if other_channels and other is not channel]
    return DryRun(
        recipients=reach.targeted if size is None else size.named,
        channel=channel,
        reach=reach,
        other_channels={other: await _reach(session, source, other, category) for other in others},
        sample=await _sample(session, source, channel, category),
        seconds=reach.to_send / per_second if per_second else None,
    )


async def _reach(session: AsyncSession, source: queries.Source, channel: Channel, category: Category) -> Reach:
    parameters = source.parameters | consent_parameters(category.name, category.default, channel)
    rows = (await execute(session, queries.reach(source, channel), parameters)).all()
    counts = {row.skip: int(row.messages) for row in rows}
    skipped = {reason: counts[reason] for reason in SkipReason if reason in counts}
    return Reach(sum(counts.values()), counts.get(None, 0), skipped)


async def _sample(
    session: AsyncSession, source: queries.Source, channel: Channel, category: Category
) -> tuple[SampleTarget, ...]:
    parameters = source.parameters | consent_parameters(category.name, category.default, channel) | {"limit": SAMPLE}
    rows = (await execute(session, queries.sample(source, channel), parameters)).all()
    return tuple(SampleTarget(row.recipient_id, row.device_id, mask(channel, row.address), row.locale) for row in rows)
