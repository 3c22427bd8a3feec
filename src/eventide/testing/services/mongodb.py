"""What speaks MongoDB's protocol: mongo-java-server with its H2 back end, from Maven. It needs Java 17.

Law: it is a stand-in, since no package holds MongoDB itself: it shows that calls are well-formed and what they lead to,
not how MongoDB does it. Started again on its folder it has what it had when it was stopped in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from eventide.servers.maven import jars
from eventide.testing.services.service import OneProcess, Process, free_port, own_folder, program

_VERSION = "1.47.0"
_ARTIFACTS = (f"de.bwaldvogel:mongo-java-server-h2-backend:{_VERSION}", "org.slf4j:slf4j-nop:1.7.36")
_JAVA = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# its own versions end before the oldest one that the client speaks to
_MAIN = """import de.bwaldvogel.mongo.*;
import java.util.List;

public class Stand {
    record Version(List<Integer> numbers, int wire) implements MongoVersion {
        public List<Integer> getVersionArray() { return numbers; }
        public int getWireVersion() { return wire; }
    }

    public static void main(String[] given) {
        MongoBackend backend = new de.bwaldvogel.mongo.backend.h2.H2Backend(given[1]);
        backend.version(new Version(List.of(4, 4, 0), 9));
        MongoServer server = new MongoServer(backend);
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
        server.bind("127.0.0.1", Integer.parseInt(given[0]));
    }
}
"""


@dataclass
class MongoDb(OneProcess):
    """A server without users, with data in a file."""

    folder: Path = field(default_factory=lambda: own_folder("mongodb"))
    port: int = field(default_factory=free_port)
    name: str = "mongodb"

    @property
    def address(self) -> str:
        return f"mongodb://127.0.0.1:{self.port}"

    def _prepared(self) -> Process:
        classpath = f"{jars(f'mongo-java-server-{_VERSION}', _ARTIFACTS)}/*"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "Stand.java").write_text(_MAIN)
        java = program("java", "openjdk-17-jdk-headless")
        command = [java, *_JAVA, "Stand.java", str(self.port), str(self.folder / "data.mv")]
        return Process(self.name, self.folder, command, {"CLASSPATH": classpath})

    def _answers(self) -> bool:
        from pymongo import MongoClient
        from pymongo.errors import PyMongoError

        try:
            with MongoClient[dict[str, object]](self.address, serverSelectionTimeoutMS=1_000) as client:
                return bool(client.admin.command("ping")["ok"])
        except PyMongoError:
            return False
