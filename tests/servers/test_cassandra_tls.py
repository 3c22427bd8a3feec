"""Cassandra by TLS: a node is asked who it is, here by a door that takes the encryption off in front of a real node."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import eventide as et
from eventide.connectors.cassandra import sink as sink_module
from eventide.connectors.cassandra.config import Cluster, connect
from eventide.connectors.codec import sink_from, sink_to
from eventide.errors import SinkError
from eventide.testing.services.cassandra import USER, Cassandra


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    public, private = folder / f"{name}.pem", folder / f"{name}.key"
    public.write_bytes(built.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return public, private


@contextmanager
def encrypted(node_port: int, public: Path, private: Path) -> Iterator[int]:
    """The port of a door that speaks TLS in front of a node that does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(public, private)
    door = socket.create_server(("127.0.0.1", 0))

    def let_in() -> None:
        while True:
            try:
                plain, _ = door.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(plain,), daemon=True).start()

    def serve(plain: socket.socket) -> None:
        try:
            inside = context.wrap_socket(plain, server_side=True)
        except OSError:  # whoever knocked did not trust us
            plain.close()
            return
        with inside, socket.create_connection(("127.0.0.1", node_port)) as node:
            back = threading.Thread(target=pass_on, args=(node, inside), daemon=True)
            back.start()
            pass_on(inside, node)
            back.join()

    def pass_on(here: socket.socket, there: socket.socket) -> None:
        try:
            while data := here.recv(65_536):
                there.sendall(data)
        except OSError:
            pass
        for one in (here, there):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    threading.Thread(target=let_in, daemon=True).start()
    try:
        yield int(door.getsockname()[1])
    finally:
        door.close()


def test_rows_reach_a_node_that_proves_who_it_is(
    cassandra: Cassandra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, private = certificate(tmp_path, "node")
    with encrypted(cassandra.port, public, private) as port:
        monkeypatch.setenv("TLS_NODES", f"{USER}:{USER}@127.0.0.1:{port}")
        session = connect(Cluster(env="TLS_NODES", tls=str(public)).address(), "ONE")
        session.execute(
            "CREATE KEYSPACE IF NOT EXISTS tls WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}"
        )
        rows = [{"k": "a", "at": 0}, {"k": "a", "at": 1}]
        stream = et.from_rows(rows, schema={"k": str, "at": et.Instant}).event_time("at", et.bounded("1s"))
        sink = et.write_cassandra("counts", keyspace="tls", env="TLS_NODES", create=True, tls=str(public))
        stream.group_by("k").window(et.tumbling("1s")).agg(n=et.count()).write(sink).run(show=False)
        assert [(row.k, row.n) for row in session.execute("SELECT k, n FROM tls.counts")] == [("a", 2)]
        session.cluster.shutdown()


def test_a_node_with_another_certificate_gets_no_password(
    cassandra: Cassandra, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    public, private = certificate(tmp_path, "impostor")
    trusted, _ = certificate(tmp_path, "node")
    monkeypatch.setattr(sink_module, "_WAITS_S", (0.01,))
    with encrypted(cassandra.port, public, private) as port:
        monkeypatch.setenv("TLS_NODES", f"{USER}:{USER}@127.0.0.1:{port}")
        stream = et.from_rows([{"k": "a"}], schema={"k": str})
        sink = et.write_cassandra("counts", keyspace="tls", env="TLS_NODES", create=True, tls=str(trusted))
        with pytest.raises(SinkError, match=r"(?i)certificate"):
            stream.write(sink).run(show=False)


def test_a_file_without_certificates_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = tmp_path / "nothing.pem"
    monkeypatch.setenv("TLS_NODES", "127.0.0.1")
    with pytest.raises(SinkError, match=r"nothing\.pem"):
        connect(Cluster(env="TLS_NODES", tls=str(nothing)).address(), "ONE")


def test_a_plan_keeps_how_nodes_prove_who_they_are() -> None:
    for tls in (False, True, "ca.pem"):
        sink = et.write_cassandra("counts", keyspace="air", hosts="127.0.0.1", tls=tls)
        assert sink_from(sink_to(sink)) == sink
