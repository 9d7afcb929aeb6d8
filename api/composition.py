"""Everything the API process is made of, opened and closed in order."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from activities.temporal import connect
from api.console.sign_ins import SignIns
from api.context import ApiContext
from api.links import Links
from api.receipt_sweep import sweeping
from api.temporal_workflows import TemporalWorkflows
from bridge.kafka_settings import kafka_config
from bridge.producer import EventProducer
from notifications.addresses import require_hash_key
from notifications.campaigns.accounts import Accounts
from notifications.catalogue.store import CatalogueStore
from notifications.database import create_engine, create_sessions
from notifications.events.intent import Interpreter
from notifications.ledger import Ledger
from notifications.profiles.source import build_profile_source
from notifications.providers.reporting import build_receipt_sources
from notifications.receipts import Receipts
from notifications.schema_check import check_schema
from notifications.settings import Settings
from notifications.unsubscribe import UnsubscribeLinks

DELIVERY_SECONDS = 10.0  # how long a request waits for the broker


@asynccontextmanager
async def open_context(settings: Settings) -> AsyncIterator[ApiContext]:
    """Postgres has to answer now; Temporal and Kafka may come later, `/readyz` tells.

    Raises:
        ValueError: a setting is missing or wrong; names it.
        StaleSchemaError: the database is not migrated.
        sqlalchemy.exc.OperationalError: Postgres does not answer.

    """
    hash_key = require_hash_key(settings.hash_key)
    kafka = kafka_config(os.environ)
    async with AsyncExitStack() as stack:
        engine = create_engine(settings.database_url, pool_size=settings.database_pool_size)
        stack.push_async_callback(engine.dispose)
        await check_schema(engine)
        sessions = create_sessions(engine)
        profiles = build_profile_source(settings, sessions)
        stack.push_async_callback(profiles.close)
        workflows = TemporalWorkflows(await connect(lazy=True))
        receipt_sources = build_receipt_sources(settings)
        for source in receipt_sources.values():
            stack.push_async_callback(source.close)
        await stack.enter_async_context(sweeping(Receipts(sessions), workflows))
        yield ApiContext(
            settings=settings,
            sessions=sessions,
            catalogue=CatalogueStore(sessions),
            interpreter=Interpreter(),
            ledger=Ledger(sessions, process=f"api-{socket.gethostname()}-{os.getpid()}"),
            profiles=profiles,
            publisher=await stack.enter_async_context(EventProducer(kafka, delivery_timeout=DELIVERY_SECONDS)),
            workflows=workflows,
            links=Links.of(settings),
            hash_key=hash_key,
            unsubscribe=UnsubscribeLinks.of(settings, hash_key),
            accounts=Accounts(sessions),
            sign_ins=SignIns.of(settings),
            receipt_sources=receipt_sources,
        )
