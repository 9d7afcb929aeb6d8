"""`KAFKA_*` variables as librdkafka properties: KAFKA_BOOTSTRAP_SERVERS is `bootstrap.servers`, and so on."""

from collections.abc import Mapping
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from notifications.settings import SettingsError

_PREFIX = "KAFKA_"
_UNDERSCORED = {"log.level": "log_level"}  # librdkafka's one property without a dot

_OBJECTS = frozenset({"logger", "error.cb", "stats.cb", "throttle.cb", "oauth.cb", "on.delivery"})  # no text can be one
_INCOMPLETE = "Failed to create producer"  # the property is right, but needs others beside it

# What "nothing lost, nothing twice" rests on, and names that are fixed.
_OURS = frozenset(
    {"group.id", "enable.auto.commit", "enable.auto.offset.store", "enable.idempotence", "transactional.id"}
)
_CONSUMER_ONLY = (
    *("group.", "session.timeout.ms", "heartbeat.interval.ms", "max.poll.interval.ms", "partition.assignment."),
    *("fetch.", "queued.", "auto.", "isolation.level", "check.crcs", "enable.partition.eof", "max.partition.fetch."),
    *("coordinator.query.", "consume.", "offset."),
)
_PRODUCER_ONLY = (
    *("acks", "request.required.acks", "request.timeout.ms", "linger.ms", "queue.buffering.", "batch.", "retries"),
    *("compression.", "delivery.timeout.ms", "message.timeout.ms", "message.send.", "sticky.", "partitioner"),
    *("delivery.report.", "transaction.", "enable.gapless."),
)
# With `group.protocol=consumer` (KIP-848) the broker owns these and librdkafka refuses them.
_CLASSIC_ONLY = ("session.timeout.ms", "heartbeat.interval.ms", "partition.assignment.strategy", "group.protocol.type")

log = structlog.get_logger()


def kafka_config(environ: Mapping[str, str]) -> dict[str, Any]:
    """The properties for every client of the process; an unknown name such as KAFKA_HOME is warned of and ignored.

    Raises:
        SettingsError: no broker is named, or librdkafka refuses a value; names the variable.

    """
    config: dict[str, Any] = {}
    for variable in sorted(environ):
        value = environ[variable]
        if not variable.startswith(_PREFIX) or not value:
            continue
        dotted = variable.removeprefix(_PREFIX).lower().replace("_", ".")
        name = _UNDERSCORED.get(dotted, dotted)
        if name in _OURS:
            log.warning("kafka.setting_ignored", variable=variable, reason="fixed by Tidings")
        elif _is_known(variable, name, value):
            config[name] = value
        else:
            log.warning("kafka.setting_ignored", variable=variable, reason="not a librdkafka property")
    if "bootstrap.servers" not in config:
        message = (
            "KAFKA_BOOTSTRAP_SERVERS is not set: run `python -m tidings dev`, or point it at your Kafka (host:port)"
        )
        raise SettingsError(message)
    refusal = _refusal(producer_config(config))
    if refusal is not None:
        message = f"librdkafka refuses the KAFKA_* settings together: {refusal}"
        raise SettingsError(message)
    return config


def _is_known(variable: str, name: str, value: str) -> bool:
    """Ask librdkafka itself; making a client that never connects takes half a millisecond."""
    if name in _OBJECTS:
        return False
    refusal = _refusal({name: value})
    if refusal is None or refusal.startswith(_INCOMPLETE):
        return True
    if refusal.startswith("No such configuration property"):
        return False
    message = f"{variable} has a value that librdkafka refuses: {refusal}"
    raise SettingsError(message)


def _refusal(settings: Mapping[str, Any]) -> str | None:
    try:
        Producer({**settings, "log_level": 0})
    except KafkaException as error:
        cause: KafkaError = error.args[0]
        return cause.str().strip()
    return None


def consumer_config(config: Mapping[str, Any], group: str) -> dict[str, Any]:
    """For one consumer group. `group.protocol` switches the whole set: `classic` (the default) or `consumer`."""
    given = {name: value for name, value in config.items() if not name.startswith(_PRODUCER_ONLY)}
    defaults: dict[str, Any] = {
        "auto.offset.reset": "earliest",  # a new group must not pass over what waits
        "group.protocol": "classic",
        "max.poll.interval.ms": 300_000,
        "queued.min.messages": 1_000,
        "queued.max.messages.kbytes": 16_384,
        "fetch.wait.max.ms": 50,
    }
    merged = defaults | given
    if str(merged["group.protocol"]).lower() == "consumer":
        for name in _CLASSIC_ONLY:
            if merged.pop(name, None) is not None:
                log.warning(
                    "kafka.setting_ignored", variable=name, reason="the broker sets it with this group.protocol"
                )
    else:
        merged.setdefault("partition.assignment.strategy", "cooperative-sticky")
    return merged | {"group.id": group, "enable.auto.commit": False, "enable.auto.offset.store": False}


def producer_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """For the producer: idempotent, and without the wait that saves requests at the cost of latency."""
    given = {name: value for name, value in config.items() if not name.startswith(_CONSUMER_ONLY)}
    return {"linger.ms": 2, **given, "enable.idempotence": True}
