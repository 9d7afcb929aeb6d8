"""The collaborators of one process, built by hand in api/composition.py and handed to the routes by the lifespan."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypedDict

from fastapi import Depends, Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.collaborators import CatalogueSource, Publisher, Workflows
from api.console.sign_ins import SignIns
from api.links import Links
from notifications.campaigns.accounts import Accounts
from notifications.database import Sessions, transaction
from notifications.events.intent import Interpreter
from notifications.ledger import Ledger
from notifications.profiles.profile import ProfileSource
from notifications.providers.reporting import ReceiptSource
from notifications.settings import Settings
from notifications.unsubscribe import UnsubscribeLinks


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiContext:
    """`hash_key` keys the hashes that stand for addresses. `closing` is set when the process is asked to stop."""

    settings: Settings
    sessions: Sessions
    catalogue: CatalogueSource
    interpreter: Interpreter
    ledger: Ledger
    profiles: ProfileSource
    publisher: Publisher
    workflows: Workflows
    links: Links
    hash_key: bytes
    unsubscribe: UnsubscribeLinks
    accounts: Accounts
    sign_ins: SignIns
    receipt_sources: Mapping[str, ReceiptSource] = field(default_factory=dict)
    closing: asyncio.Event = field(default_factory=asyncio.Event)


class State(TypedDict):
    """What the lifespan yields; `request.state` has it."""

    context: ApiContext


def _context(request: Request) -> ApiContext:
    context: ApiContext = request.state.context
    return context


Context = Annotated[ApiContext, Depends(_context)]


async def _session(context: Context) -> AsyncIterator[AsyncSession]:
    async with transaction(context.sessions) as session:
        yield session


# `function`: committed before the answer leaves, so that no success is told that was not kept.
Session = Annotated[AsyncSession, Depends(_session, scope="function")]
