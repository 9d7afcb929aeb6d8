"""What is done to our own servers before the applications start. Servers that the user gave are only looked at."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError

from devstack.recipients import load_recipients
from devstack.state import ROOT
from notifications.catalogue.problems import CatalogueError
from notifications.catalogue.publish import apply_folder
from notifications.catalogue.watch import watch
from notifications.database import Sessions, create_engine, create_sessions
from notifications.migrations import migrate

CATALOGUE = ROOT / "catalogue"
_TOPIC_SECONDS = 30


class Database:
    """Our own database: schema, catalogue and example recipients, of which a persisted one has some already."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(SecretStr(url), pool_size=4)
        self.sessions: Sessions = create_sessions(self._engine)

    async def migrate(self) -> None:
        await migrate(self._engine)

    async def load_recipients(self) -> None:
        await load_recipients(self.sessions)

    async def apply_catalogue(self, say: Callable[[str], None], folder: Path = CATALOGUE) -> None:
        """Publish the folder and say what is new; its mistakes are told, to be mended while the stack runs."""
        try:
            report = await apply_folder(folder, self.sessions)
        except CatalogueError as error:
            for problem in error.problems:
                say(str(problem))
            return
        changes = [change for change in report.changes if change.action != "unchanged"]
        for change in changes:
            say(
                f"{change.kind} {change.name}: {change.action}" + (f", version {change.version}" * bool(change.version))
            )

    async def follow_catalogue(self, say: Callable[[str], None], folder: Path = CATALOGUE) -> None:
        """Publish the folder after each change in it, until cancelled; not while the database is away."""

        async def apply() -> None:
            try:
                await self.apply_catalogue(say, folder)
            except SQLAlchemyError as error:
                say(f"not published, the database does not answer ({type(error).__name__}): save it again")

        await watch(folder, apply)

    async def close(self) -> None:
        await self._engine.dispose()


def _create(bootstrap: str, topics: Sequence[str], partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = [NewTopic(topic, num_partitions=partitions, replication_factor=1) for topic in topics]
    for created in admin.create_topics(wanted, request_timeout=_TOPIC_SECONDS).values():
        try:
            created.result(_TOPIC_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise


async def create_topics(bootstrap: str, topics: Sequence[str], partitions: int) -> None:
    """Create those that a broker of our own does not have yet.

    Raises:
        confluent_kafka.KafkaException: the broker refuses.

    """
    await asyncio.to_thread(_create, bootstrap, topics, partitions)
