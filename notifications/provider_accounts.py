"""The provider accounts as an operator sees them: which there are, what state each is in, pause and resume."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlmodel.ext.asyncio.session import AsyncSession

from notifications.queries import providers as sql
from notifications.settings import Settings
from notifications.statuses import Channel
from notifications.tables import ProviderState


class AccountState(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"  # by an operator: its messages wait, and their budgets stand still
    OPEN = "open"  # the breaker, after outages in a row: messages wait or go elsewhere, and one at a time probes


@dataclass(frozen=True, slots=True)
class Account:
    """One provider on one channel.

    `place` is its rank of preference, from 1; None: it is not in the settings. `failures` are outages in a row,
    `failure` the code of the last one, `opened_at` is when they opened the breaker.
    """

    provider: str
    channel: Channel
    place: int | None
    state: AccountState
    paused_at: datetime | None = None
    paused_by: str | None = None
    pause_reason: str | None = None
    opened_at: datetime | None = None
    failures: int = 0
    failure: str | None = None


class UnknownProviderError(ValueError):
    """No such provider; the text names those there are."""


class ProviderAccounts:
    """Of one transaction."""

    def __init__(self, session: AsyncSession, settings: Settings) -> None:
        self._session = session
        self._settings = settings

    async def all(self) -> list[Account]:
        """Those in the settings by channel and preference, then those that only the database remembers."""
        rows = {(Channel(row.channel), row.provider): row for row in await sql.states(self._session)}
        places = {
            (channel, name): place
            for channel in Channel
            for place, name in enumerate(self._settings.providers_of(channel), start=1)
        }
        return [_account(key, places, rows.get(key)) for key in [*places, *(rows.keys() - places.keys())]]

    async def pause(
        self, provider: str, *, channel: Channel | None = None, paused_by: str, reason: str | None = None
    ) -> list[Account]:
        """Pause it, on all its channels unless one is named; twice is the same as once.

        Raises:
            UnknownProviderError: there is none of that name (on that channel).

        """
        channels = await self._channels(provider, channel)
        await sql.pause(self._session, provider, channels, paused_by=paused_by, reason=reason)
        return await self._of(provider)

    async def resume(self, provider: str, *, channel: Channel | None = None) -> list[Account]:
        """Let its messages go on: each looks again at the time it was given, at most 5 minutes from now.

        Raises:
            UnknownProviderError: there is none of that name (on that channel).

        """
        await sql.resume(self._session, provider, await self._channels(provider, channel))
        return await self._of(provider)

    async def _of(self, provider: str) -> list[Account]:
        return [account for account in await self.all() if account.provider == provider]

    async def _channels(self, provider: str, channel: Channel | None) -> list[Channel]:
        accounts = await self.all()
        found = [each.channel for each in accounts if each.provider == provider and channel in {None, each.channel}]
        if not found:
            known = ", ".join(f"{each.provider} ({each.channel})" for each in accounts)
            where = "" if channel is None else f" on {channel}"
            raise UnknownProviderError(f"no provider {provider!r}{where}: there is {known}")
        return found


def _account(key: tuple[Channel, str], places: Mapping[tuple[Channel, str], int], row: ProviderState | None) -> Account:
    channel, provider = key
    if row is None:
        return Account(provider, channel, places.get(key), AccountState.RUNNING)
    is_paused = row.paused_at is not None and row.resumed_at is None
    state = AccountState.RUNNING if row.open_until is None else AccountState.OPEN
    return Account(
        provider,
        channel,
        places.get(key),
        AccountState.PAUSED if is_paused else state,
        paused_at=row.paused_at if is_paused else None,
        paused_by=row.paused_by if is_paused else None,
        pause_reason=row.pause_reason if is_paused else None,
        opened_at=row.opened_at,
        failures=row.failures,
        failure=row.reason,
    )
