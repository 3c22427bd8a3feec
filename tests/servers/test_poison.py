"""Poison in files and messages, read by a process of its own: each costs itself, memory stays bounded, the rest is read."""

from __future__ import annotations

import gzip
import json
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from confluent_kafka import Producer
from tests.servers.conftest import Topics

from eventide.connectors.registry.client import Answers
from eventide.connectors.registry.config import Registry
from eventide.testing.services.apicurio import Apicurio
from eventide.testing.services.kafka import Kafka

MIB = 2**20
LARGE = 100 * MIB
BOMB = 512 * MIB
DEEP = 1_000_000
READS = """
import json, resource, sys
import eventide as et
resource.setrlimit(resource.RLIMIT_DATA, ({limit}, {limit}))
out = ({stream}).run(show=False)
letters = out.dead_letters.sort("_log", "_offset").select("_offset", "reason", "raw")
print(json.dumps({{
    "rows": out.results.sort("n").get_column("n").to_list(),
    "letters": [[offset, reason, len(raw or "")] for offset, reason, raw in letters.rows()],
    "balance": out.accounting.total.closes,
    "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
}}))
"""
IDLE = "et.from_rows([{'k': 'a', 'n': 1}], schema={'k': str, 'n': int})"


def read(stream: str, limit: int) -> dict[str, Any]:
    """What a process of its own makes of a stream, with no more data than the limit."""
    command = [sys.executable, "-c", READS.format(stream=stream, limit=limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2_000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["balance"]
    assert all(length <= 10_000 for _, _, length in found["letters"])
    return found


@pytest.fixture(scope="module")
def idle_peak() -> int:
    """What a run takes that reads next to nothing."""
    return int(read(IDLE, 4 * 2**30)["peak"])


def ndjson() -> Iterator[bytes]:
    yield b'{"k": "a", "n": 1}\n{"k": "'
    yield from [b"x" * MIB] * (LARGE // MIB)
    yield b'", "n": 2}\n' + b"[" * DEEP + b'\n{"k": "\xff", "n": 3}\n\0\0\n' + b'{"a":' * DEEP + b"\n"
    yield b'{"n": 1e999999, "k": "b"}\n{"n": ' + b"9" * MIB + b'}\n{"k": "z", "n": 9}\n'


def csv_lines() -> Iterator[bytes]:
    yield b'k,n\na,1\n"'
    yield from [b"x" * (MIB - 1) + b"\n"] * 40
    yield b"b," + b"9" * LARGE + b"\n"
    yield b"," * DEEP + b"\nz,9\n"


NDJSON_LETTERS = {
    1: "longer than 16,777,216 bytes",
    2: "nested deeper than 200 levels",
    3: "not UTF-8 text",
    4: "not JSON",
    5: "nested deeper than 200 levels",
    6: "not a whole number",
    7: "not a whole number",
}


def test_poison_lines_of_a_file_cost_themselves(tmp_path: Path, idle_peak: int) -> None:
    path = tmp_path / "poison.ndjson"
    with path.open("wb") as file:
        file.writelines(ndjson())
    found = read(f"et.read_ndjson({str(path)!r}, schema={{'k': str, 'n': int}})", 2**30)
    assert found["rows"] == [1, 9]
    assert {offset for offset, _, _ in found["letters"]} == set(NDJSON_LETTERS)
    assert all(NDJSON_LETTERS[offset] in reason for offset, reason, _ in found["letters"])
    assert found["peak"] - idle_peak < 200 * MIB


def test_a_quote_that_is_never_closed_and_a_value_of_100_mib_cost_their_lines(tmp_path: Path, idle_peak: int) -> None:
    path = tmp_path / "poison.csv"
    with path.open("wb") as file:
        file.writelines(csv_lines())
    found = read(f"et.read_csv({str(path)!r}, schema={{'k': str, 'n': int}})", 2**30)
    assert found["rows"] == [1, 9]
    assert len(found["letters"]) == 42
    assert found["peak"] - idle_peak < 300 * MIB


def gzipped(path: Path, pieces: Iterator[bytes]) -> None:
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(pieces)


def zstd(path: Path, pieces: Iterator[bytes]) -> None:
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as writer:
        for piece in pieces:
            writer.write(piece)


@pytest.mark.parametrize(("name", "pack"), [("bomb.ndjson.gz", gzipped), ("bomb.ndjson.zst", zstd)])
def test_a_compression_bomb_is_one_line_too_long(
    name: str, pack: Callable[[Path, Iterator[bytes]], None], tmp_path: Path, idle_peak: int
) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"k": "a", "n": 1}\n'
        yield from [b"[" * MIB] * (BOMB // MIB)
        yield b'\n{"k": "z", "n": 9}\n'

    pack(tmp_path / name, pieces())
    assert (tmp_path / name).stat().st_size < BOMB / 100
    found = read(f"et.read_ndjson({str(tmp_path / name)!r}, schema={{'k': str, 'n': int}})", 2**30)
    assert found["rows"] == [1, 9]
    assert [reason for _, reason, _ in found["letters"]] == ["longer than 16,777,216 bytes"]
    # a piece of 2 KiB of zstd can stand for 90 MiB
    assert found["peak"] - idle_peak < 250 * MIB


@pytest.fixture(scope="module")
def filled(kafka: Kafka, topics: Topics) -> Callable[..., str]:
    """Makes a topic of large messages; compressed ones are sent as Kafka's own gzip."""

    def fill(*values: bytes, compression: str = "none") -> str:
        topic = topics.make(max_message_bytes=str(128 * MIB))
        settings: dict[str, Any] = {"bootstrap.servers": kafka.address, "message.max.bytes": 127 * MIB, "log_level": 0}
        producer = Producer({**settings, "compression.type": compression})
        for value in values:
            producer.produce(topic, value)
            assert producer.flush(60) == 0
        return topic

    return fill


def test_poison_messages_of_kafka_cost_themselves(kafka: Kafka, filled: Callable[..., str], idle_peak: int) -> None:
    good = b'{"k": "a", "n": 1}'
    values = (good, b'{"k": "' + b"x" * (LARGE - 20) + b'"}', b"[" * DEEP, b"\xff\xfe", b"", good)
    topic = filled(*values, compression="gzip")
    read_it = f"et.read_kafka({topic!r}, servers={kafka.address!r}, schema={{'k': str, 'n': int}}, bounded=True)"
    found = read(read_it, 3 * 2**30)
    assert found["rows"] == [1, 1]
    assert [(offset, reason[:30]) for offset, reason, _ in found["letters"]] == [
        (1, "longer than 16,777,216 bytes"),
        (2, "not JSON that can be read: nes"),
        (3, "not UTF-8 text"),
        (4, "the message is empty"),
    ]
    # the client library holds a message as it came, as it is unpacked, and as Python has it
    assert found["peak"] - idle_peak < 5 * LARGE


def test_poison_in_avro_costs_itself(
    kafka: Kafka, apicurio: Apicurio, filled: Callable[..., str], idle_peak: int
) -> None:
    fields = [
        {"name": "k", "type": "string"},
        {"name": "n", "type": "long"},
        {"name": "l", "type": {"type": "array", "items": "int"}},
    ]
    schema = json.dumps({"type": "record", "name": "R", "fields": fields})
    number = Answers(Registry(apicurio.address)).registered("poison-avro", schema, "AVRO", make=True)
    head = struct.pack(">bI", 0, number)
    huge = b"\xfe" * 8 + b"\x7f"  # as a length or a count: more than any memory holds
    topic = filled(
        head + b"\x02a\x02\x00",
        head + b"x" * (20 * MIB),
        head + huge + b"x",
        head + b"\x02a\x02" + huge + b"\x00" * 1_000,
        b"[" * DEEP,
        head + b"\x02z\x12\x00",
    )
    form = f"et.avro_format({apicurio.address!r}, subject='poison-avro')"
    stream = f"et.read_kafka({topic!r}, servers={kafka.address!r}, schema={{'k': str, 'n': int}}, format={form}, bounded=True)"
    found = read(stream, 3 * 2**30)
    assert found["rows"] == [1, 9]
    reasons = [reason for _, reason, _ in found["letters"]]
    assert reasons[0] == "longer than 16,777,216 bytes"
    assert [reason.split(":")[0] for reason in reasons[1:3]] == [f"not Avro of schema {number}"] * 2
    assert reasons[3].startswith("not in the wire format")
    assert found["peak"] - idle_peak < 350 * MIB
