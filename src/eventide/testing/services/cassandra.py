"""Apache Cassandra, one node, from Maven. It needs Java 17.

Law: what was confirmed is on the disk first (the commit log is synced in groups), so started again on its folder it has
all of it, whatever stopped it.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path

from eventide.servers.maven import jars
from eventide.testing.services.service import OneProcess, Process, free_port, is_listening, own_folder, program

_VERSION = "5.0.8"
USER = "cassandra"
"""The first user of a guarded node, and the password."""

_ARTIFACTS = (f"org.apache.cassandra:cassandra-all:{_VERSION}",)
_BASE = """io lang lang.module lang.reflect math net nio util util.concurrent util.concurrent.atomic"""
_INTERNAL = """jdk.internal.loader jdk.internal.math jdk.internal.module jdk.internal.ref jdk.internal.reflect
jdk.internal.util.jar jdk.internal.misc sun.nio.ch"""
_OPENED = (
    *(f"java.base/java.{one}" for one in _BASE.split()),
    *(f"java.base/{one}" for one in _INTERNAL.split()),
    "jdk.management/com.sun.management.internal",
    "java.rmi/sun.rmi.transport",
    "java.rmi/sun.rmi.transport.tcp",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
)
_EXPORTED = (
    "java.base/jdk.internal.misc",
    "java.base/jdk.internal.ref",
    "java.base/sun.nio.ch",
    "java.base/java.lang.ref",
    "java.base/jdk.internal.util",
    "java.sql/java.sql",
    "java.management.rmi/com.sun.jmx.remote.internal.rmi",
    "java.rmi/sun.rmi.registry",
    "java.rmi/sun.rmi.server",
)
_JAVA = (
    *(f"--add-opens={one}=ALL-UNNAMED" for one in _OPENED),
    *(f"--add-exports={one}=ALL-UNNAMED" for one in _EXPORTED),
    "-Xms256m",
    "-Xmx256m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Djdk.attach.allowAttachSelf=true",
    "-Dcassandra-foreground=yes",
    "-Dcassandra.skip_wait_for_gossip_to_settle=0",
    "-Dcassandra.ring_delay_ms=0",
)
_SETTINGS = """cluster_name: eventide
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
commitlog_sync: group
commitlog_sync_group_window: 2ms
endpoint_snitch: SimpleSnitch
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "127.0.0.1:{storage}"}}]
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: {storage}
native_transport_port: {port}
commitlog_directory: {folder}/commitlog
data_file_directories: [{folder}/data]
saved_caches_directory: {folder}/saved_caches
hints_directory: {folder}/hints
cdc_raw_directory: {folder}/cdc
commitlog_segment_size: 16MiB
commitlog_total_space: 128MiB
memtable_heap_space: 32MiB
memtable_offheap_space: 64MiB
key_cache_size: 0MiB
file_cache_size: 32MiB
networking_cache_size: 16MiB
auto_snapshot: false
authenticator: {authenticator}
role_manager: CassandraRoleManager
"""
_LOGGING = """<configuration><appender name="OUT" class="ch.qos.logback.core.ConsoleAppender"><encoder>
<pattern>%level %logger{20} %msg%n</pattern></encoder></appender>
<root level="WARN"><appender-ref ref="OUT"/></root></configuration>
"""


@dataclass
class Cassandra(OneProcess):
    """A node. With `guarded` it lets in who has a password; the first user is `cassandra`, with that as password."""

    ends_by = signal.SIGKILL  # a farewell would take ten seconds and save nothing
    folder: Path = field(default_factory=lambda: own_folder("cassandra"))
    port: int = field(default_factory=free_port)
    name: str = "cassandra"
    guarded: bool = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def _answers(self) -> bool:
        """True when a client can work; the first user is there a moment after the node began to listen."""
        if not is_listening(self.port) or not self.guarded:
            return is_listening(self.port)
        from eventide.connectors.cassandra.config import Address, connect, driver

        cassandra = driver()
        try:
            connect(Address((("127.0.0.1", self.port),), *[USER] * 2), "ONE").cluster.shutdown()
        except (cassandra.cluster.NoHostAvailable, cassandra.DriverException):
            return False
        return True

    def _prepared(self) -> Process:
        classpath = f"{jars(f'cassandra-{_VERSION}', _ARTIFACTS)}/*"
        self.folder.mkdir(parents=True, exist_ok=True)
        settings = _SETTINGS.format(
            folder=self.folder,
            port=self.port,
            storage=free_port(),
            authenticator="PasswordAuthenticator" if self.guarded else "AllowAllAuthenticator",
        )
        (self.folder / "cassandra.yaml").write_text(settings)
        (self.folder / "logback.xml").write_text(_LOGGING)
        own = (
            f"-Dcassandra.config=file://{self.folder}/cassandra.yaml",
            f"-Dcassandra.storagedir={self.folder}",
            f"-Dlogback.configurationFile={self.folder}/logback.xml",
            f"-Dcassandra.superuser_setup_delay_ms={0 if self.guarded else -1}",
        )
        main = "org.apache.cassandra.service.CassandraDaemon"
        command = [program("java", "openjdk-17-jre-headless"), *_JAVA, *own, main]
        return Process(self.name, self.folder, command, {"CLASSPATH": classpath})
