"""An object store as a disk: whole puts, fresh looks, and a lock that is lent."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from eventide.flow import Address, Head, place_of
from eventide.flow.lease import Lease
from eventide.flow.objects import ObjectDisk, object_disk
from eventide.testing import TestClock
from eventide.testing.services.s3 import S3

LEASE_US = 600_000


def opened(address: str, lease_us: int = LEASE_US) -> ObjectDisk:
    return object_disk(Address(address), lease_us)


def test_files_and_folders_are_as_on_a_disk(bucket: str) -> None:
    disk, root = opened(bucket), Address(bucket)
    assert disk.names(root / "a") == []
    assert disk.size(root / "a" / "one") is None
    with pytest.raises(FileNotFoundError):
        disk.read(root / "a" / "one")
    disk.write(root / "a" / "one", b"first")
    disk.publish(root / "a" / "deep" / "two", "ü\n".encode())
    opened(bucket).write(root / "a" / "three [1]*", b"")
    assert disk.names(root / "a") == ["deep", "one", "three [1]*"]
    assert disk.names(root) == ["a"]
    assert (disk.size(root / "a" / "one"), disk.size(root / "a" / "three [1]*"), disk.size(root / "a")) == (5, 0, None)
    assert disk.read(root / "a" / "deep" / "two").decode() == "ü\n"
    disk.publish(root / "a" / "one", b"+", Head(root / "a" / "one", 3))
    assert disk.read(root / "a" / "one") == b"fir+"
    with pytest.raises(OSError, match="has only 4 of 5 bytes"):
        disk.write(root / "a" / "one", b"+", Head(root / "a" / "one", 5))
    disk.remove(root / "a" / "nothing")
    disk.remove(root / "a" / "three [1]*")
    disk.remove(root / "a")
    assert disk.names(root) == []


def test_what_another_client_put_or_removed_is_seen_at_once(bucket: str) -> None:
    one, other, path = opened(bucket), opened(bucket), Address(bucket) / "f" / "x"
    assert one.names(path.parent) == []
    other.write(path, b"1")
    assert (one.names(path.parent), one.size(path)) == (["x"], 1)
    other.write(path, b"22")
    assert one.size(path) == 2
    other.remove(path)
    assert (one.names(path.parent), one.size(path)) == ([], None)


def test_one_holder_at_a_time_and_the_next_one_at_once_after_it(bucket: str) -> None:
    lock = Address(bucket) / "lock"
    with opened(bucket).hold(lock, "first") as holder:
        assert holder is None
        with opened(bucket).hold(lock, "second") as found:
            assert found == "first"
    told: list[str] = []
    third = opened(bucket)
    third.say = told.append
    with third.hold(lock, "third") as holder:
        assert holder is None
    assert told == [], "a lock that was given back is not waited for"
    assert third.names(lock) == ["00000002"]


def dead(disk: ObjectDisk, lock: Path) -> Lease:
    """A holder whose process has stopped: nothing renews its lease."""
    lease = Lease(disk, lock, "stopped", LEASE_US, TestClock(0), print)
    assert lease.take() is None
    assert lease._thread is not None
    lease._over.set()
    lease._thread.join()
    disk._leases.append(lease)
    return lease


def test_a_killed_holder_is_waited_for_as_long_as_its_lease_and_told(bucket: str) -> None:
    lock = Address(bucket) / "lock"
    told: list[str] = []
    dead(opened(bucket), lock)
    disk = opened(bucket)
    disk.say = told.append
    with disk.hold(lock, "next") as holder:
        assert holder is None
    assert len(told) == 1
    assert "was not given back by stopped" in told[0]


def test_a_holder_that_slept_through_its_lease_writes_nothing_any_more(bucket: str) -> None:
    lock, file = Address(bucket) / "lock", Address(bucket) / "file"
    sleeper = opened(bucket)
    lease = dead(sleeper, lock)
    sleeper.write(file, b"sleeper")
    with opened(bucket).hold(lock, "next") as holder:
        assert holder is None
        assert isinstance(lease.clock, TestClock)
        lease.clock.time_us += LEASE_US
        with pytest.raises(OSError, match="another run has taken .* over"):
            sleeper.write(file, b"late")
        with pytest.raises(OSError, match="another run has taken .* over"):
            sleeper.remove(file)
    assert sleeper.read(file) == b"sleeper"


def test_a_holder_that_slept_and_was_not_missed_goes_on(bucket: str) -> None:
    disk = opened(bucket)
    lease = dead(disk, Address(bucket) / "lock")
    assert isinstance(lease.clock, TestClock)
    lease.clock.time_us += 100 * LEASE_US
    disk.write(Address(bucket) / "file", b"x")
    assert disk.read(Address(bucket) / "file") == b"x"


def test_of_many_that_come_at_once_one_gets_the_lock(bucket: str) -> None:
    lock = Address(bucket) / "lock"
    dead(opened(bucket), lock)
    start, all_in = threading.Barrier(5, timeout=60), threading.Barrier(5, timeout=60)
    found: list[str | None] = []

    def attempt(number: int) -> None:
        disk = opened(bucket, 6 * LEASE_US)
        disk.say = lambda text: None
        start.wait()
        with disk.hold(lock, f"holder {number}") as holder:
            found.append(holder)
            all_in.wait()

    threads = [threading.Thread(target=attempt, args=[number]) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(holder is None for holder in found) == [False] * 4 + [True]


def test_addresses_with_secrets_or_without_a_bucket_are_refused() -> None:
    for address in ("s3://key:secret@bucket/x", "s3://key@bucket/x"):
        with pytest.raises(ValueError, match="leave them out") as told:
            place_of(address)
        assert "secret@" not in str(told.value)
    with pytest.raises(ValueError, match="not an address"):
        place_of("s3:///x")
    with pytest.raises(ValueError, match="nothing that is installed can read|Protocol not known"):
        place_of("gopher://host/x")


def test_a_server_that_is_away_is_an_error_of_the_system(monkeypatch: pytest.MonkeyPatch, s3: S3) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(OSError, match="127.0.0.1:9"):
        opened("s3://bucket").write(Address("s3://bucket/x"), b"")
