"""The link of tests: what passes is whole, and each fault is what its name says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from eventide.testing.link import Link


class Echo:
    """A server that says back what it is told, and remembers it."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self._changed = threading.Condition()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                one, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(one,), daemon=True).start()

    def _answer(self, one: socket.socket) -> None:
        with one:
            try:
                while data := one.recv(2**16):
                    with self._changed:
                        self.heard += data
                        self._changed.notify_all()
                    one.sendall(data)
            except OSError:
                return

    def wait(self, size: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= size, 20)

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        self._thread.join()


@pytest.fixture
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture
def link(echo: Echo) -> Iterator[Link]:
    with Link(echo.port) as made:
        yield made


def client(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=20)


def whole(one: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += one.recv(2**16) or pytest.fail(f"only {len(found)} of {size} bytes came")
    return found


def test_what_passes_is_whole_in_order_and_ends_when_a_side_ends(link: Link) -> None:
    data = bytes(range(256)) * 20_000
    with client(link) as one:
        sending = threading.Thread(target=one.sendall, args=(data,))
        sending.start()
        assert whole(one, len(data)) == data
        sending.join()
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""
    assert link.passed_bytes == 2 * len(data)


def test_a_link_that_is_cut_breaks_what_is_open_and_lets_nobody_in(link: Link) -> None:
    with client(link) as one:
        one.sendall(b"a")
        assert whole(one, 1) == b"a"
        link.cut()
        with pytest.raises(ConnectionResetError):
            one.recv(1)
        with pytest.raises(ConnectionRefusedError):
            client(link)
    link.heal()
    with client(link) as one:
        one.sendall(b"b")
        assert whole(one, 1) == b"b"


def test_a_link_that_is_reset_breaks_what_is_open_and_lets_others_in(link: Link) -> None:
    with client(link) as one:
        one.sendall(b"a")
        assert whole(one, 1) == b"a"
        link.reset()
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    with client(link) as one:
        one.sendall(b"b")
        assert whole(one, 1) == b"b"


def test_a_link_that_is_held_keeps_what_is_said_until_it_heals(link: Link, echo: Echo) -> None:
    with client(link) as one:
        link.hold()
        one.sendall(b"abc")
        assert not echo.heard
        link.heal()
        assert whole(one, 3) == b"abc"


def test_answers_alone_can_be_lost(link: Link, echo: Echo) -> None:
    with client(link) as one:
        link.hold(answers_only=True)
        one.sendall(b"abc")
        echo.wait(3)
        link.reset()
        with pytest.raises(ConnectionResetError):
            one.recv(1)
    assert bytes(echo.heard) == b"abc"


def test_a_slow_link_takes_its_time(link: Link) -> None:
    """A chunk of 64 KiB waits for as long as the rate says: 2.5 MB at 25 MB/s take a tenth of a second, twice."""
    from time import perf_counter_ns

    data = b"x" * 2_500_000
    with client(link) as one:
        link.slow(25_000_000)
        begun = perf_counter_ns()
        sending = threading.Thread(target=one.sendall, args=(data,))
        sending.start()
        assert whole(one, len(data)) == data
        sending.join()
        assert perf_counter_ns() - begun > 100_000_000


def test_a_server_that_is_away_shows_as_a_connection_that_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Link(port) as link, client(link) as one:
        assert one.recv(1) == b""
