"""The local Kafka: one broker that is its own controller (KRaft), run from the jars of `jars.xml`."""

import base64
import logging
import socket
import subprocess
import uuid
from pathlib import Path

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from cinelake.errors import ServiceError
from cinelake.settings import Settings
from cinelake.stack.jars import check_java, kafka_jars
from cinelake.stack.ports import HOST
from cinelake.stack.process import Launch
from cinelake.stack.service import Service
from cinelake.stack.state import StackState, stack_folder
from ingestion.topics import OLDEST_MESSAGE_MS

# The ceiling; with two topics of a few partitions the heap stays far below it.
HEAP = ("-Xms64m", "-Xmx512m")
JVM = (
    *HEAP,
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
)

FIRST_COMPILER = "-XX:TieredStopAtLevel=1"
"""For a command that ends before the second one has much to show."""

PROPERTIES = """\
# Written by `cinelake up`; changes made here are lost.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}

# A mistyped topic is an error, not a new topic.
auto.create.topics.enable=false
# As the topics have it, for those that an earlier version made.
log.message.timestamp.before.max.ms={oldest}
# What the API accepted stays until someone decides otherwise; so do the places where readers stopped.
log.retention.hours=-1
log.retention.bytes=-1
offsets.retention.minutes=2147483647

# One broker: there is no second copy of anything, and no other member of a group to wait for.
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# After a kill the broker may register again only when its old session has ended: 9 seconds by default.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000

# A quarter of the heap is the default: too much to compact a catalogue of movies.
log.cleaner.dedupe.buffer.size=33554432
"""


def prepare(settings: Settings, state: StackState) -> Launch:
    """Write the broker's properties and, the first time, format its data folder.

    Raises:
        SettingError: There is no Java 17 or 21.
        ServiceError: The jars were not fetched, or the folder cannot be formatted.
    """
    stack = stack_folder(settings.home)
    folder = stack / "kafka"
    data = folder / "data"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    properties = folder / "server.properties"
    properties.write_text(
        PROPERTIES.format(
            host=HOST,
            port=state.port("kafka"),
            controller=state.port("kafka_controller"),
            data=data,
            oldest=OLDEST_MESSAGE_MS,
        )
    )
    java, libraries = str(check_java()), ["-cp", ":".join(map(str, kafka_jars()))]
    if not (data / "meta.properties").exists():
        _format([java, *JVM, FIRST_COMPILER, *libraries], properties)
    flags = [*JVM, *settings.kafka_java_options.split()]
    broker = [java, *flags, *libraries, "kafka.Kafka", str(properties)]
    return Launch(broker, log=KAFKA.log(stack), folder=folder)


def _format(java: list[str], properties: Path) -> None:
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    # The option's value is glued to it, as an id may begin with a dash.
    tool = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(properties)]
    done = subprocess.run(
        [*java, *tool, "--ignore-formatted"], capture_output=True, check=False, text=True
    )
    if done.returncode != 0:
        raise ServiceError(
            f"Kafka's data folder cannot be formatted.\n{(done.stdout + done.stderr)[-500:]}",
            "See that the disk of CINELAKE_HOME has room and may be written, then run `cinelake up` again.",
        )


def endpoint(settings: Settings) -> str:
    """The bootstrap servers."""
    return settings.kafka


def problem(settings: Settings) -> str | None:
    """What is wrong with the broker, None when it answers."""
    host, _, port = settings.kafka.split(",")[0].rpartition(":")
    try:
        # Cheaper and quieter than the client, while nobody listens.
        socket.create_connection((host, int(port)), timeout=3).close()
        return None if _brokers(settings.kafka) else "no broker has registered yet"
    except (KafkaError, OSError) as error:
        return f"no answer from {settings.kafka}: {error}"


def _brokers(servers: str) -> int:
    logger = logging.getLogger("kafka")
    level = logger.level
    # A refused connection is what a health check is there to find out: no news for the terminal.
    logger.setLevel(logging.CRITICAL)
    try:
        admin = KafkaAdminClient(bootstrap_servers=servers.split(","), request_timeout_ms=5000)
        try:
            return len(admin.describe_cluster()["brokers"])
        finally:
            admin.close()
    finally:
        logger.setLevel(level)


KAFKA = Service(
    name="kafka",
    variable="KAFKA_BOOTSTRAP_SERVERS",
    ports=("kafka", "kafka_controller"),
    prepare=prepare,
    endpoint=endpoint,
    problem=problem,
)
