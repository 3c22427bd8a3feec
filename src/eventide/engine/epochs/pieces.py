"""Large frames of checkpoints, written as what changed: files that several checkpoints refer to.

Law: a file is written once and never changed. After so many patches a frame is written whole again, so that the oldest
checkpoint that is kept and the newest need not share one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

from eventide.engine.epochs.checkpoint import Checkpoint
from eventide.engine.epochs.files import Part, encoded, state_frames
from eventide.engine.epochs.patches import difference, fits, patched

_UNORDERED = frozenset({"slices", "partly", "sessions"})
"""Frames, by the last part of their names, whose rows the engine itself merges in no order."""

LARGE_BYTES = 1 << 20
"""Frames from this size in memory on are written as what changed."""

PATCHES_MOST = 9
"""So many patches follow a whole frame."""


@dataclass(frozen=True)
class Chain:
    """A frame as the last checkpoint has it, and the files that make it. `hopeless` when too much of it changed."""

    frame: pl.DataFrame
    files: Mapping[str, Part]
    hopeless: bool = False


@dataclass
class Pieces:
    """The chains of the last checkpoint, and how many checkpoints ago the first file of them was written. Where it is
    not `enabled` no frame is held, and each checkpoint is whole.
    """

    large_bytes: int = LARGE_BYTES
    patches_most: int = PATCHES_MOST
    enabled: bool = True
    chains: Mapping[str, Chain] = field(default_factory=dict)
    age: int = 0

    def planned(self, checkpoint: Checkpoint) -> Planned:
        """What the next checkpoint writes and refers to. It counts only when `written` is told so."""
        whole = self.age >= self.patches_most
        made = Planned({}, {}, 0 if whole or not self.chains else self.age + 1)
        for number, (name, frame) in enumerate(state_frames(checkpoint).items()):
            if self.enabled and frame.estimated_size() >= self.large_bytes and fits(frame):
                before = None if whole else self.chains.get(name)
                chain, data = _next(frame, name, f"{checkpoint.epoch:08}-{number}", before)
                made.chains[name] = chain
                made.files.update(data)
        return made

    def written(self, planned: Planned) -> None:
        """The checkpoint that was planned is whole on the disk."""
        self.chains, self.age = planned.chains, planned.age

    def forget(self) -> None:
        """It is not known what is on the disk: the next checkpoint is whole."""
        self.chains, self.age = {}, 0


@dataclass(frozen=True)
class Planned:
    """Chains of a checkpoint that is about to be written, and the files that are new."""

    chains: dict[str, Chain]
    files: dict[str, bytes]
    age: int

    @property
    def shared(self) -> dict[str, Mapping[str, Part]]:
        """The files of each frame."""
        return {name: chain.files for name, chain in self.chains.items()}


def _next(frame: pl.DataFrame, name: str, stem: str, before: Chain | None) -> tuple[Chain, dict[str, bytes]]:
    """The chain of a frame, and its new files: a patch where that is much smaller than the frame, else the whole.
    Where it was not, nothing is compared any more until the next whole checkpoint.
    """
    if before is not None and not before.hopeless:
        ordered = name.rpartition(".")[2] not in _UNORDERED
        patch = difference(before.frame, frame, ordered=ordered)
        if patch is not None and patch.rows.height + patch.runs.height // 2 < frame.height // 2:
            if not patch.rows.height and patch.runs.height == 1 and frame.height == before.frame.height:
                return before, {}
            runs, runs_data, runs_part = encoded(patch.runs, name, f"{stem}-runs")
            rows, rows_data, rows_part = encoded(patch.rows, name, f"{stem}-rows")
            files = {**before.files, runs: _shared(runs_part, "runs"), rows: _shared(rows_part, "rows")}
            if sum(part.bytes for part in files.values()) < 2 * _whole_bytes(before):
                made = frame if ordered else patched(before.frame, patch)
                return Chain(made, files), {runs: runs_data, rows: rows_data}
    file, data, part = encoded(frame, name, stem)
    return Chain(frame, {file: _shared(part, "whole")}, hopeless=before is not None), {file: data}


def _shared(part: Part, kind: Literal["whole", "runs", "rows"]) -> Part:
    return Part(part.frame, part.rows, part.bytes, part.sha256, kind, shared=True)


def _whole_bytes(chain: Chain) -> int:
    return next(part.bytes for part in chain.files.values() if part.kind == "whole")
