"""`KAFKA_*` variables become librdkafka properties, and group.protocol switches a whole set."""

import pytest
from confluent_kafka import Consumer, Producer
from structlog.testing import capture_logs

from bridge.kafka_settings import consumer_config, kafka_config, producer_config

_BROKER = {"KAFKA_BOOTSTRAP_SERVERS": "kafka.example:9092"}


def test_names_become_properties() -> None:
    secured = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISMS": "PLAIN", "KAFKA_SASL_USERNAME": "u"}
    environ = {**_BROKER, **secured, "KAFKA_SASL_PASSWORD": "p", "KAFKA_LOG_LEVEL": "3", "HOME": "/root", "KAFKA_X": ""}
    assert kafka_config(environ) == {
        "bootstrap.servers": "kafka.example:9092",
        "security.protocol": "SASL_SSL",
        "sasl.mechanisms": "PLAIN",
        "sasl.username": "u",
        "sasl.password": "p",
        "log_level": "3",
    }


@pytest.mark.parametrize("name", ["KAFKA_HOME", "KAFKA_LOGGER", "KAFKA_ERROR_CB", "KAFKA_GROUP_ID", "KAFKA_VERSION"])
def test_other_names_are_ignored_with_one_warning_each(name: str) -> None:
    with capture_logs() as logs:
        assert kafka_config({**_BROKER, name: "x"}) == {"bootstrap.servers": "kafka.example:9092"}
    assert [(entry["log_level"], entry["variable"]) for entry in logs] == [("warning", name)]


def test_without_a_broker_the_message_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="KAFKA_BOOTSTRAP_SERVERS is not set: run"):
        kafka_config({})


def test_a_refused_value_names_its_variable() -> None:
    with pytest.raises(ValueError, match="KAFKA_SESSION_TIMEOUT_MS has a value that librdkafka refuses"):
        kafka_config({**_BROKER, "KAFKA_SESSION_TIMEOUT_MS": "soon"})


def test_settings_that_need_others_are_refused_together() -> None:
    with pytest.raises(ValueError, match=r"librdkafka refuses the KAFKA_.* settings together"):
        kafka_config({**_BROKER, "KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_MECHANISMS": "PLAIN"})


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_each_group_protocol_gets_a_set_that_librdkafka_takes(protocol: str) -> None:
    given = {
        "bootstrap.servers": "127.0.0.1:1",
        "group.protocol": protocol,
        "session.timeout.ms": 6000,
        "heartbeat.interval.ms": 500,
        "acks": "all",
        "group.instance.id": "pod-1",
    }
    config = consumer_config(given, "tidings-urgent")
    assert ("session.timeout.ms" in config) is (protocol == "classic")
    assert config["enable.auto.commit"] is False
    assert "acks" not in config
    Consumer(config).close()


def test_the_producer_is_idempotent_whatever_is_set() -> None:
    config = producer_config(
        {"bootstrap.servers": "127.0.0.1:1", "enable.idempotence": False, "session.timeout.ms": 6000, "linger.ms": 7}
    )
    assert config == {"bootstrap.servers": "127.0.0.1:1", "linger.ms": 7, "enable.idempotence": True}
    Producer(config)
