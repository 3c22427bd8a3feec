"""A snapshot: everything that a pipeline remembers, as plain values and frames.

Law: the values fit into JSON and the frames into Arrow files, so a snapshot can be read without Eventide.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol, runtime_checkable

import msgspec
import polars as pl

from eventide.errors import CheckpointError

_FORMAT = 1


@runtime_checkable
class InPieces(Protocol):
    """A state that can be saved without being whole in memory."""

    def pieces(self) -> Iterator[dict[str, pl.DataFrame]]:
        """The frames of its snapshot in parts. It must not change until all were taken."""


def under(prefix: str, pieces: Iterable[Mapping[str, pl.DataFrame]]) -> Iterator[dict[str, pl.DataFrame]]:
    """Pieces with longer names."""
    for piece in pieces:
        yield {f"{prefix}{name}": frame for name, frame in piece.items()}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Plain values and named frames. `pieces` are further frames in parts, to be had once: those of one name, one
    after the other, are one frame.
    """

    values: Mapping[str, Any]
    frames: Mapping[str, pl.DataFrame]
    pieces: Iterable[Mapping[str, pl.DataFrame]] = ()

    def part(self, prefix: str) -> dict[str, pl.DataFrame]:
        """The frames whose names begin with a prefix, without it."""
        return {name[len(prefix) :]: frame for name, frame in self.frames.items() if name.startswith(prefix)}

    def to_files(self) -> dict[str, bytes]:
        """The snapshot as files: `manifest.json` and one Arrow file a frame."""
        files: dict[str, bytes] = {}
        for name, frame in self.frames.items():
            buffer = BytesIO()
            frame.write_ipc(buffer)
            files[f"{name}.arrow"] = buffer.getvalue()
        manifest = {"format": _FORMAT, "values": self.values, "frames": sorted(self.frames)}
        return {"manifest.json": msgspec.json.encode(manifest), **files}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Snapshot:
        """The snapshot that `to_files` made."""
        try:
            manifest = msgspec.json.decode(files["manifest.json"])
        except (KeyError, msgspec.DecodeError) as fault:
            raise CheckpointError(f"the manifest cannot be read ({fault}): use an earlier snapshot") from None
        if manifest.get("format") != _FORMAT:
            raise CheckpointError(
                f"the snapshot has format {manifest.get('format')!r}, this version reads {_FORMAT}: "
                "use the version that wrote it"
            )
        frames = {name: pl.read_ipc(BytesIO(files[f"{name}.arrow"])) for name in manifest["frames"]}
        return cls(manifest["values"], frames)
