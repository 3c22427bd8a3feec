"""Flink from packages: which jars a cluster consists of, and how its Java processes have to be started.

Law: every version is named here and nowhere else; a cluster's jars never mix with those of the user's environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from eventide.servers.maven import jars
from eventide.servers.process import program

FLINK = "2.3.0"
_CONNECTORS = (
    "org.apache.flink:flink-connector-base:2.3.0",  # named, or the JDBC connector brings an older one
    "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2",
    "org.apache.flink:flink-connector-jdbc-core:4.0.0-2.0",
    "org.apache.flink:flink-connector-jdbc-postgres:4.0.0-2.0",
    "org.postgresql:postgresql:42.7.8",
)
_PARTS = (
    *("runtime", "clients", "streaming-java", "connector-files", "csv", "json", "sql-parquet", "rpc-akka-loader"),
    *("runtime-web", "table-api-java-uber", "table-planner-loader", "table-runtime", "statebackend-rocksdb"),
)
_LOGGING = ("org.apache.logging.log4j:log4j-slf4j-impl:2.25.2", "org.apache.logging.log4j:log4j-core:2.25.2")
ARTIFACTS = (*(f"org.apache.flink:flink-{part}:{FLINK}" for part in _PARTS), *_CONNECTORS, *_LOGGING)
"""All that a cluster loads: the planner's loader must stand alone, without the planner beside it."""

JOB_MANAGER = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
TASK_MANAGER = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"

_EXPORTS = (
    "java.rmi/sun.rmi.registry",
    *(f"jdk.compiler/com.sun.tools.javac.{part}" for part in ("api", "file", "parser", "tree", "util")),
    "java.security.jgss/sun.security.krb5",
)
_OPENS = (
    *("java.lang", "java.net", "java.io", "java.nio", "sun.nio.ch", "java.lang.reflect", "java.text", "java.time"),
    *("java.util", "java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks"),
)
_PATIENT = "-Dpekko.remote.classic.startup-timeout=120s"
"""On a busy machine the usual 10 s are too short, and Flink's own setting for it (pekko.startup-timeout) has no effect:
it goes by a name that Pekko does not read.
"""


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of a TaskManager in megabytes. Without Flink's start scripts every part must be set, or it ends with
    a bare IllegalArgumentException.
    """

    framework: int = 128
    task: int = 1024
    managed: int = 512
    network: int = 128
    metaspace: int = 256
    overhead: int = 192

    def settings(self) -> dict[str, str]:
        """The parts as Flink's settings."""
        named = {
            "framework.heap.size": self.framework,
            "framework.off-heap.size": self.framework,
            "task.heap.size": self.task,
            "task.off-heap.size": 0,
            "network.min": self.network,
            "network.max": self.network,
            "managed.size": self.managed,
            "jvm-metaspace.size": self.metaspace,
            "jvm-overhead.min": self.overhead,
            "jvm-overhead.max": self.overhead,
        }
        return {f"taskmanager.memory.{name}": f"{size}m" for name, size in named.items()}

    def options(self) -> tuple[str, ...]:
        """The parts as options of Java."""
        heap = self.framework + self.task
        direct = self.framework + self.network
        return (
            f"-Xms{heap}m",
            f"-Xmx{heap}m",
            f"-XX:MaxDirectMemorySize={direct}m",
            f"-XX:MaxMetaspaceSize={self.metaspace}m",
        )


def classpath() -> str:
    """The class path of a cluster; the jars are fetched the first time."""
    return f"{library()}/*"


def library() -> Path:
    """The folder of the cluster's jars; fetched the first time (about 250 MB). Another list is another folder."""
    return jars(f"flink-{FLINK}-{crc32(' '.join(ARTIFACTS).encode()):08x}", ARTIFACTS)


def java(*options: str) -> list[str]:
    """How a process of Flink begins."""
    exports = (f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORTS)
    opens = (f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPENS)
    return [program("java", "openjdk-17-jre-headless"), *exports, *opens, _PATIENT, *options]
