"""A worker process: started by the main process with the number of its end of a wire.

Law: it answers each question once, in order, and ends when the wire does.
"""

from __future__ import annotations

import signal
import socket
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from eventide.engine.aggregates import LOG_NAME, lower
from eventide.engine.clocks import Progress
from eventide.engine.clocks.travel import unpacked
from eventide.engine.memory import Memory
from eventide.engine.steps.judged import Judged
from eventide.engine.steps.paged import Windows
from eventide.engine.steps.windows import Kind, kind_of
from eventide.engine.workers.wire import BrokenOff, Message, receive, send
from eventide.plan.codec import aggregate_from

Frames = dict[str, pl.DataFrame]


@dataclass
class _Keys:
    """How many keys there are; what they are is known in the main process only."""

    size: int = 0


@dataclass
class _Desk:
    """The windows of this process, made by the first question."""

    keys: _Keys
    kind: Kind
    windows: Windows
    memory: Memory | None = None

    @classmethod
    def of(cls, asked: Message) -> _Desk:
        query = aggregate_from(asked.values["query"])
        keys = _Keys()
        aggregates, _ = lower(query.aggregates, dict(asked.frames["schema"].schema))
        limit, folder = asked.values.get("memory"), asked.values.get("folder")
        memory = None if limit is None else Memory(int(limit), None if folder is None else Path(folder))
        kind = kind_of(query, keys, aggregates.state, memory, by_key=bool(asked.values.get("by_key")))
        return cls(keys, kind, kind.make(), memory)

    def close(self) -> None:
        """Leave nothing on the disk."""
        if self.memory is not None:
            self.memory.close()

    def answer(self, asked: Message) -> Message:
        match asked.kind:
            case "batch" | "progress":
                return _told(asked, self._judged(asked))
            case "snapshot":
                state = {f"state.{name}": frame for name, frame in self.windows.snapshot().items()}
                return Message(asked.number, "state", {}, state)
            case "restore":
                self.windows.restore({name.removeprefix("state."): frame for name, frame in asked.frames.items()})
                self._settle()
                return Message(asked.number, "done")
            case other:
                raise ValueError(f"{other!r} is not a question")

    def _judged(self, asked: Message) -> Judged:
        values = asked.values
        self.keys.size = int(values["size"])
        if self.kind.top is not None:
            self.kind.top.begin(values["top"], asked.frames.get("rises"))
        progress = unpacked(values, asked.frames)
        judged = self._worked(asked, progress)
        self._settle()
        return judged

    def _settle(self) -> None:
        if self.memory is not None:
            self.memory.settle()

    def _worked(self, asked: Message, progress: Progress) -> Judged:
        values = asked.values
        if asked.kind == "progress":
            return Judged(self.windows.on_progress(progress))
        rows = asked.frames["rows"]
        if values["one_log"] is not None:
            rows = rows.with_columns(pl.lit(values["one_log"]).alias(LOG_NAME))
        return self.windows.on_batch(values["log"], rows, progress)


def _told(asked: Message, judged: Judged) -> Message:
    frames = {f"due.{number}": due for number, due in enumerate(judged.results)}
    if judged.late.height:
        frames["late"] = judged.late
    return Message(asked.number, "judged", {"on_time": judged.on_time, "corrected": judged.corrected}, frames)


def work(wire: socket.socket) -> None:
    """Answer until the wire ends."""
    desk: _Desk | None = None
    while True:
        try:
            asked = receive(wire)
        except BrokenOff:
            if desk is not None:
                desk.close()
            return
        try:
            if asked.kind == "windows":
                if desk is not None:
                    desk.close()
                desk = _Desk.of(asked)
                told = Message(asked.number, "done")
            else:
                assert desk is not None
                told = desk.answer(asked)
        except Exception:  # whatever it is, the main process says it and stops
            told = Message(asked.number, "fault", {"text": traceback.format_exc()})
        send(wire, told)


def main() -> None:
    """Take the wire that the main process has passed on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with socket.socket(fileno=int(sys.argv[1])) as wire:
        try:
            work(wire)
        except BrokenOff:
            return


if __name__ == "__main__":
    main()
