"""Whether the servers have what Tidings needs. Used for servers that the user gave, and by `doctor`."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # public, though not in its __all__
    AdminClient,
    ConfigResource,
)
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from typing_extensions import override

from activities.temporal import SEARCH_ATTRIBUTES, connect
from devstack.temporal import attribute_type, registered_attributes
from notifications.database import create_engine
from notifications.durations import format_duration
from notifications.schema_check import StaleSchemaError, check_schema

_KAFKA_SECONDS = 10
_CONFIG_SECONDS = 4
_TEMPORAL_SECONDS = 10
_LONGEST_MILLISECONDS = 100 * 365 * 86_400_000


@dataclass(frozen=True)
class Problem:
    """What is wrong, and a command that mends it."""

    what: str
    mend: str

    @override
    def __str__(self) -> str:
        return f"{self.what}; mend it with: {self.mend}"


async def database_problem(url: SecretStr | None) -> Problem | None:
    """Whether PostgreSQL answers and has the schema of this code."""
    try:
        engine = create_engine(url)
    except ValueError as error:
        return Problem(str(error), "export TIDINGS_DATABASE_URL=postgresql://user:password@host:5432/database")
    try:
        await check_schema(engine)
    except StaleSchemaError as error:
        return Problem(str(error).rpartition(":")[0], "python -m tidings migrate")
    except (SQLAlchemyError, OSError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()
        return Problem(
            f"PostgreSQL does not answer: {reason[0] if reason else type(error).__name__}",
            "start it, or correct TIDINGS_DATABASE_URL",
        )
    finally:
        await engine.dispose()
    return None


async def temporal_problem() -> Problem | None:
    """Whether Temporal answers, with its namespace and our search attributes, as the SDK's environment says."""
    try:
        client = await asyncio.wait_for(connect(), _TEMPORAL_SECONDS)
    except (RuntimeError, TimeoutError) as error:
        reason = str(error).splitlines() or ["no answer in time"]
        return Problem(f"Temporal does not answer: {reason[0]}", "start it, or correct TEMPORAL_ADDRESS")
    return await namespace_problem(client)


async def namespace_problem(client: Client) -> Problem | None:
    """Whether the client's namespace exists and knows our search attributes."""
    try:
        missing = {key.name for key in SEARCH_ATTRIBUTES} - await registered_attributes(client)
    except RPCError as error:
        if error.status != RPCStatusCode.NOT_FOUND:
            return Problem(f"Temporal refuses: {error.message}", "check TEMPORAL_NAMESPACE, TLS and API key")
        return Problem(
            f"the namespace {client.namespace!r} does not exist",
            f"temporal operator namespace create --namespace {client.namespace} --retention 7d",
        )
    if not missing:
        return None
    flags = " ".join(
        f"--name {key.name} --type {attribute_type(key)}" for key in SEARCH_ATTRIBUTES if key.name in missing
    )
    return Problem(
        f"search attributes are not registered: {', '.join(sorted(missing))}",
        f"temporal operator search-attribute create --namespace {client.namespace} {flags}",
    )


def _topics_of(config: Mapping[str, Any], timeout_seconds: float) -> set[str]:
    return set(AdminClient(dict(config)).list_topics(timeout=timeout_seconds).topics)


async def kafka_problem(
    config: Mapping[str, Any], topics: Collection[str], *, partitions: int, timeout_seconds: float = _KAFKA_SECONDS
) -> Problem | None:
    """Whether the brokers answer and have our topics; `config` is librdkafka's."""
    server = str(config.get("bootstrap.servers", ""))
    try:
        # librdkafka would write each failing connection to the terminal as well.
        missing = sorted(set(topics) - await asyncio.to_thread(_topics_of, {**config, "log_level": 0}, timeout_seconds))
    except KafkaException as error:
        reason = error.args[0].str() if error.args else "no answer"
        return Problem(
            f"Kafka does not answer at {server or 'any address'}: {reason}",
            "start it, or correct KAFKA_BOOTSTRAP_SERVERS",
        )
    if not missing:
        return None
    commands = [
        f"kafka-topics.sh --bootstrap-server {server} --create --topic {topic} --partitions {partitions}"
        for topic in missing
    ]
    return Problem(f"topics are missing: {', '.join(missing)}", " && ".join(commands))


def _retention_of(config: Mapping[str, Any], topics: Collection[str]) -> dict[str, timedelta | None]:
    """How long each topic keeps its records; None: for ever. Topics of which the broker does not tell are left out."""
    wanted = [ConfigResource(ConfigResource.Type.TOPIC, topic) for topic in topics]
    admin = AdminClient({**config, "log_level": 0})  # answers nothing once it is gone
    found: dict[str, timedelta | None] = {}
    for resource, answer in admin.describe_configs(wanted, request_timeout=_CONFIG_SECONDS).items():
        try:
            entries = answer.result(timeout=_CONFIG_SECONDS + 1)
        except (KafkaException, TimeoutError):
            continue
        milliseconds = int(entries["retention.ms"].value)
        forever = milliseconds < 0 or entries["cleanup.policy"].value == "compact"
        found[resource.name] = None if forever else timedelta(milliseconds=min(milliseconds, _LONGEST_MILLISECONDS))
    return found


async def retention_problem(
    config: Mapping[str, Any], topics: Collection[str], ledger: timedelta | None
) -> Problem | None:
    """Whether a topic keeps records for longer than the ledger recognises their repeats."""
    if ledger is None:
        return None
    kept = await asyncio.to_thread(_retention_of, config, topics)
    longer = {topic: period for topic, period in sorted(kept.items()) if period is None or period >= ledger}
    if not longer:
        return None
    said = ", ".join(
        f"{topic} ({format_duration(period) if period else 'for ever'})" for topic, period in longer.items()
    )
    return Problem(
        f"topics keep records for longer than the ledger remembers ({format_duration(ledger)}): {said}",
        f"kafka-configs.sh --bootstrap-server {config.get('bootstrap.servers', '')} --alter --entity-type topics"
        f" --entity-name {next(iter(longer))} --add-config retention.ms=604800000, or raise TIDINGS_RETENTION__LEDGER",
    )
