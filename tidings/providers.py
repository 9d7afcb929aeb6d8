"""`python -m tidings providers list|pause|resume`: stop sending through a provider, and begin again."""

import asyncio
import json
from enum import StrEnum
from typing import Annotated

import typer
from rich.text import Text

from api.schemas.providers import ProviderList, ProviderView
from notifications.database import transaction
from notifications.provider_accounts import Account, AccountState, ProviderAccounts
from notifications.settings import Settings, load_settings
from notifications.statuses import Channel
from tidings.answers import console
from tidings.surroundings import CommandError, failing_in_one_line, open_sessions


class Action(StrEnum):
    LIST = "list"
    PAUSE = "pause"
    RESUME = "resume"


def providers(
    action: Annotated[Action, typer.Argument(help="What to do.")] = Action.LIST,
    name: Annotated[str | None, typer.Argument(help="The provider, as in the settings: smtp, fcm, ...")] = None,
    channel: Annotated[Channel | None, typer.Option("--channel", help="Only on this channel.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for other operators.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the accounts as JSON.")] = False,
) -> None:
    """Show the provider accounts, pause one, or resume it.

    While one is paused its messages wait; nothing fails, and the time does not count as retrying.
    """
    with failing_in_one_line():
        accounts = asyncio.run(_act(load_settings(), action, name, channel, reason))
    if as_json:
        document = ProviderList(items=[ProviderView.of(account) for account in accounts])
        typer.echo(json.dumps(document.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        _show(accounts)


async def _act(
    settings: Settings, action: Action, name: str | None, channel: Channel | None, reason: str | None
) -> list[Account]:
    async with open_sessions(settings) as sessions, transaction(sessions) as session:
        accounts = ProviderAccounts(session, settings)
        if action is Action.LIST:
            return await accounts.all()
        if name is None:
            raise CommandError(f"name the provider: python -m tidings providers {action} smtp")
        if action is Action.PAUSE:
            return await accounts.pause(name, channel=channel, paused_by="command line", reason=reason)
        return await accounts.resume(name, channel=channel)


def _show(accounts: list[Account]) -> None:
    out = console()
    width = max(len(account.provider) for account in accounts)
    for account in accounts:
        place = f"{account.place}." if account.place is not None else "-"
        style = "green" if account.state is AccountState.RUNNING else "yellow"
        head = f"{account.channel:<9} {place:<3} {account.provider:<{width}} "
        out.print(Text.assemble(head, (account.state, style), _since(account)))


def _since(account: Account) -> str:
    if account.state is AccountState.OPEN:
        return f" since {account.opened_at:%Y-%m-%d %H:%M:%S}: {account.failures} outages in a row ({account.failure})"
    if account.paused_at is None:
        return ""
    reason = f": {account.pause_reason}" if account.pause_reason else ""
    return f" since {account.paused_at:%Y-%m-%d %H:%M:%S} by {account.paused_by}{reason}"
