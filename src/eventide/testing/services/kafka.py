"""Apache Kafka, one node in KRaft mode, from Maven. It needs Java 17.

Law: started again on its folder it has all that it had confirmed, whatever stopped it; messages of any age stay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from eventide.servers.maven import jars
from eventide.testing.services.service import OneProcess, Process, free_port, own_folder, program

_VERSION = "4.3.0"
_ARTIFACTS = (f"org.apache.kafka:kafka_2.13:{_VERSION}", "org.slf4j:slf4j-simple:1.7.36")
_JAVA = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)
_CLUSTER = "AAAAAAAAAAAAAAAAAAAAAQ"
_DIRECTORY = "ZXZlbnRpZGUtdGVzdGluZw"  # the lowest ones are Kafka's own
_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},LINKED://127.0.0.1:{linked},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port},LINKED://127.0.0.1:{through}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,LINKED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms={session_ms}
broker.heartbeat.interval.ms=200
auto.create.topics.enable=false
log.retention.ms=-1
message.max.bytes=134217728
replica.fetch.max.bytes=134217728
"""


@dataclass
class Kafka(OneProcess):
    """A Kafka broker with its controller. `through` is the port of a link to `linked`, a port of the broker's: clients
    that come by the link are told to stay on it. `session_ms` is for how long the controller waits for a broker that
    says nothing: little where it is killed and started again, much where the machine is busy.
    """

    folder: Path = field(default_factory=lambda: own_folder("kafka"))
    port: int = field(default_factory=free_port)
    name: str = "kafka"
    linked: int = field(default_factory=free_port)
    through: int | None = None
    session_ms: int = 2_000

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _prepared(self) -> Process:
        classpath = f"{jars(f'kafka-{_VERSION}', _ARTIFACTS)}/*"
        data = self.folder / "data"
        data.mkdir(parents=True, exist_ok=True)
        # what Kafka's own format tool writes, without a second Java for it
        named = f"version=1\nnode.id=1\ncluster.id={_CLUSTER}\ndirectory.id={_DIRECTORY}\n"
        (data / "meta.properties").write_text(named)
        ports = {"port": self.port, "linked": self.linked, "through": self.through or self.linked}
        settings = _PROPERTIES.format(**ports, controller=free_port(), folder=self.folder, session_ms=self.session_ms)
        (self.folder / "server.properties").write_text(settings)
        command = [program("java", "openjdk-17-jre-headless"), *_JAVA, "kafka.Kafka", "server.properties"]
        return Process(self.name, self.folder, command, {"CLASSPATH": classpath})

    def _answers(self) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        quiet: dict[str, str | int | float | bool] = {"bootstrap.servers": self.address, "log_level": 0}
        try:
            return bool(AdminClient(quiet).list_topics(timeout=1).brokers)
        except KafkaException:
            return False
