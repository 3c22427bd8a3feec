"""What windows of late held: how many events were in them when their rows went out, and how many came behind that.

Law: events are counted in blocks, whose ends are places in the stream that no cut moves. Where the share of events that
come too late has changed, what was counted before the change is forgotten.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

FIRST_EVENTS: Final = 1_000
BLOCK_EVENTS_LEAST: Final = 50
BLOCK_EVENTS_MOST: Final = 5_000
BLOCKS: Final = 256
"""A block is this part of the events so far, within the bounds above."""

SAME_SIZE: Final = 5
SIDE_BLOCKS_LEAST: Final = 5
DELTA: Final = 0.002
PRIOR_EVENTS: Final = 25
"""So many events of windows in general stand beside those of a class."""

_PPM: Final = 1_000_000
Counts = dict[int, int]


class Bucket(msgspec.Struct):
    """Blocks counted together: their events that came too late, in parts of a million of all, as a sum and a sum of
    squares over the blocks; by class of windows the events `present` when their rows went out and those `lost`.
    """

    blocks: int = 0
    events: int = 0
    rates: int = 0
    squares: int = 0
    present: Counts = {}
    lost: Counts = {}

    def close(self) -> None:
        """All events of a block were counted: it has a rate."""
        rate = sum(self.lost.values()) * _PPM // max(self.events, 1)
        self.blocks, self.rates, self.squares = 1, rate, rate * rate

    def with_(self, other: Bucket) -> Bucket:
        """Both together."""
        return Bucket(
            self.blocks + other.blocks,
            self.events + other.events,
            self.rates + other.rates,
            self.squares + other.squares,
            _sum(self.present, other.present),
            _sum(self.lost, other.lost),
        )


@dataclass
class Recent:
    """The blocks since the last change, oldest first and older ones together: at most `SAME_SIZE` buckets of a size,
    each size twice the one before; `block` is the one being counted.

    After Bifet and Gavalda, Learning from time-changing data with adaptive windowing (ADWIN), 2007: where two halves of
    the blocks differ by more than chance explains, the older half is dropped. Chance is taken from the spread of the
    blocks' rates, since events that come too late come in batches.
    """

    buckets: list[Bucket] = field(default_factory=list)
    block: Bucket = field(default_factory=Bucket)
    events: int = 0

    def ends(self, rows: int) -> list[int]:
        """Where blocks end among the next rows."""
        ends, end = [], _length(self.events - self.block.events) - self.block.events
        while end <= rows:
            ends.append(end)
            end += _length(self.events + end)
        return ends

    def pass_(self, rows: int) -> None:
        """So many events went by."""
        self.events += rows
        self.block.events += rows

    def count(self, present: Mapping[int, int], lost: Mapping[int, int]) -> None:
        """Events by the class of their window."""
        self.block.present, self.block.lost = _sum(self.block.present, present), _sum(self.block.lost, lost)

    def fold(self) -> None:
        """The block is over."""
        self.block.close()
        self.buckets.append(self.block)
        self.block = Bucket()
        self._merge()
        while (change := self._change()) is not None:
            del self.buckets[: change + 1]

    def _merge(self) -> None:
        """The oldest two of a size become one where there are too many."""
        size = 1
        while True:
            same = [place for place, bucket in enumerate(self.buckets) if bucket.blocks == size]
            if len(same) > SAME_SIZE:
                first, second = same[0], same[1]
                self.buckets[first] = self.buckets[first].with_(self.buckets.pop(second))
            elif self.buckets[0].blocks <= size:
                return
            size *= 2

    def _change(self) -> int | None:
        """The last bucket in front of the clearest change; None where there is none."""
        number = sum(bucket.blocks for bucket in self.buckets)
        total = sum(bucket.rates for bucket in self.buckets)
        spread = number * sum(bucket.squares for bucket in self.buckets) - total * total
        if spread <= 0:
            return None
        doubt = 2 * math.log(2 * math.log(max(number, math.e)) / DELTA) * spread / number**2
        before = rates = 0
        found, clearest = None, 1.0
        for place, bucket in enumerate(self.buckets[:-1]):
            before, rates = before + bucket.blocks, rates + bucket.rates
            behind = number - before
            if min(before, behind) >= SIDE_BLOCKS_LEAST:
                apart = abs(rates / before - (total - rates) / behind)
                clear = apart / math.sqrt(doubt * (1 / before + 1 / behind))
                if clear > clearest:
                    found, clearest = place, clear
        return found

    def shares(self) -> Shares:
        """What is expected by class of windows."""
        present: Counts = {}
        lost: Counts = {}
        for bucket in self.buckets:
            present, lost = _sum(present, bucket.present), _sum(lost, bucket.lost)
        known = self.events - self.block.events >= FIRST_EVENTS
        return Shares(present, lost) if known and present else Shares({}, {})

    def dump(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "events": self.events,
            "buckets": [msgspec.to_builtins(bucket, str_keys=True) for bucket in self.buckets],
            "block": msgspec.to_builtins(self.block, str_keys=True),
        }

    @classmethod
    def load(cls, values: Mapping[str, Any]) -> Recent:
        """Plain values back."""
        buckets = msgspec.convert(values["buckets"], list[Bucket], strict=False)
        return cls(buckets, msgspec.convert(values["block"], Bucket, strict=False), int(values["events"]))


@dataclass(frozen=True)
class Shares:
    """Events by class of windows: `present` when their rows went out, and `lost`."""

    present: Counts
    lost: Counts

    def of(self, number: int) -> float | None:
        """The share that a window of a class is expected to hold; None while nothing is known."""
        if not self.present:
            return None
        there, gone = sum(self.present.values()), sum(self.lost.values())
        general = (gone + 0.5) / (there + gone + 1)
        lost, present = self.lost.get(number, 0), self.present.get(number, 0)
        return 1 - (lost + PRIOR_EVENTS * general) / (present + lost + PRIOR_EVENTS)


def _length(events: int) -> int:
    return max(BLOCK_EVENTS_LEAST, min(events // BLOCKS, BLOCK_EVENTS_MOST))


def _sum(one: Mapping[int, int], other: Mapping[int, int]) -> Counts:
    return {number: one.get(number, 0) + other.get(number, 0) for number in sorted({*one, *other})}
