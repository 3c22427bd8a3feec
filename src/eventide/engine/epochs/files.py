"""A checkpoint as files: Parquet or Arrow for frames, and a manifest in JSON that names and measures all of them.

Law: every bit of every file counts. The manifest carries the SHA-256 of each other file and, in its last field, of
itself, so a checkpoint in which anything was changed, cut off or mixed in is refused. Files that several checkpoints
refer to are marked as shared, and count for each of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any, Final, Literal

import msgspec
import polars as pl

from eventide.engine.aggregates import hashes_of, stack
from eventide.engine.epochs.checkpoint import Checkpoint, Span
from eventide.engine.epochs.fingerprint import Fingerprint
from eventide.engine.epochs.patches import Patch, behind, is_behind, patched
from eventide.engine.snapshot import Snapshot
from eventide.errors import CheckpointError

FORMAT: Final = 2
"""The format of state folders. Whoever raises it adds a reader for the old one and a kept folder to the tests. Format 1
has no shared files; a checkpoint without any is still written so.
"""

MANIFEST: Final = "manifest.json"
_PIECE_BYTES = 8 * 2**20
_PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_TAIL = b',"sha256":"%s"}\n'
_TAIL_BYTES = len(_TAIL % bytes(64))


class Part(msgspec.Struct, forbid_unknown_fields=False):
    """One file: which frame it holds, its length in bytes and its SHA-256.

    A frame may be of several files, in their order: the whole of an earlier one, then `runs` and `rows` of patches.
    `shared` files are not in the checkpoint's own folder.
    """

    frame: str
    rows: int
    bytes: int
    sha256: str
    kind: Literal["whole", "runs", "rows"] = "whole"
    shared: bool = False


class Ends(msgspec.Struct):
    """The range of a log."""

    start: dict[str, int | str | None]
    end: dict[str, int | str | None]


class Manifest(msgspec.Struct):
    """What the manifest says. Later versions may add fields with defaults, never change one."""

    format: int
    eventide: str
    polars: str
    hash: int
    run: str
    epoch: int
    finished: bool
    written_us: int
    marks: int
    plan: dict[str, Any]
    logs: dict[str, dict[str, Ends]]
    stands: dict[str, dict[str, int | str | None]]
    values: dict[str, Any]
    files: dict[str, Part]


def state_frames(checkpoint: Checkpoint) -> dict[str, pl.DataFrame]:
    """The frames of what a checkpoint remembers, by their names in files."""
    return {f"state.{name}": frame for name, frame in checkpoint.state.frames.items()}


def to_files(
    checkpoint: Checkpoint, version: str, shared: Mapping[str, Mapping[str, Part]] = {}
) -> Iterator[tuple[str, bytes]]:
    """The files of a checkpoint's own folder one after the other, the manifest last. `version` is that of the library
    that writes; `shared` are the files of the frames that are kept elsewhere, by frame.
    """
    frames = state_frames(checkpoint) | {f"rows.{name}": frame for name, frame in checkpoint.rows.items()}
    parts: dict[str, Part] = {}
    for number, (name, frame) in enumerate(frames.items()):
        if name in shared:
            parts |= shared[name]
            continue
        file, data, parts[file] = encoded(frame, name, f"{name if _PLAIN.fullmatch(name) else f'frame-{number}'}")
        yield file, data
    for file, data, part in files_of_pieces(checkpoint.state.pieces):
        parts[file] = part
        yield file, data
    manifest = Manifest(
        FORMAT if any(part.shared or part.kind != "whole" for part in parts.values()) else 1,
        version,
        pl.__version__,
        checkpoint.hash,
        checkpoint.run,
        checkpoint.epoch,
        checkpoint.finished,
        checkpoint.written_us,
        checkpoint.marks,
        msgspec.to_builtins(checkpoint.plan),
        {
            source: {log: Ends(dict(span.start), dict(span.end)) for log, span in logs.items()}
            for source, logs in checkpoint.logs.items()
        },
        {sink: dict(stand) for sink, stand in checkpoint.stands.items()},
        dict(checkpoint.state.values),
        parts,
    )
    yield MANIFEST, sealed(msgspec.json.encode(manifest))


def files_of_pieces(pieces: Iterable[Mapping[str, pl.DataFrame]]) -> Iterator[tuple[str, bytes, Part]]:
    """The files of frames that come in pieces: the first one of a frame is whole, each further one a patch that puts
    its rows behind those before.
    """
    rows: dict[str, int] = {}
    for number, (name, frame) in enumerate(_gathered(pieces)):
        stem, frame_name = f"piece-{number:06}", f"state.{name}"
        if name not in rows:
            yield encoded(frame, frame_name, stem)
        elif frame.height:
            file, data, part = encoded(behind(rows[name], frame.height), frame_name, f"{stem}-runs")
            yield file, data, msgspec.structs.replace(part, kind="runs")
            file, data, part = encoded(frame, frame_name, f"{stem}-rows")
            yield file, data, msgspec.structs.replace(part, kind="rows")
        rows[name] = rows.get(name, 0) + frame.height


def _gathered(pieces: Iterable[Mapping[str, pl.DataFrame]]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Small pieces of a frame together."""
    held: dict[str, list[pl.DataFrame]] = {}
    for piece in pieces:
        for name, frame in piece.items():
            held.setdefault(name, []).append(frame)
            if sum(one.estimated_size() for one in held[name]) >= _PIECE_BYTES:
                yield name, stack(held.pop(name))
    for name, frames in held.items():
        yield name, stack(frames)


def hash_sample() -> int:
    """What this version's hashes make of fixed values: distinct counts in a state depend on them. Before decision 0034
    they were those of the installed Polars.
    """
    values = (pl.Series(["eventide"]), pl.Series([7], dtype=pl.Int64), pl.Series([0.1]))
    return int(hashes_of(pl.concat([hashes_of(one) for one in values]))[0])


def sealed(tree: bytes) -> bytes:
    """A JSON object with its own SHA-256 as its last field."""
    body = tree[:-1]
    return body + _TAIL % hashlib.sha256(body).hexdigest().encode()


def unsealed(data: bytes) -> bytes:
    """The object that was sealed; raises `CheckpointError` when a bit of it is not as it was."""
    body, tail = data[:-_TAIL_BYTES], data[-_TAIL_BYTES:]
    if tail != _TAIL % hashlib.sha256(body).hexdigest().encode():
        raise CheckpointError("it is damaged or cut off")
    return body + b"}"


def manifest_of(data: bytes) -> Manifest:
    """The manifest of its file. Raises `CheckpointError` when it is damaged or of a later version."""
    try:
        tree = msgspec.json.decode(unsealed(data))
        if tree.get("format") not in (1, FORMAT):
            raise CheckpointError(
                f"it was written by Eventide {tree.get('eventide')} in format {tree.get('format')!r}, this version "
                f"reads {FORMAT}: use the version that wrote it, or a later one"
            )
        return msgspec.convert(tree, Manifest)
    except (msgspec.DecodeError, msgspec.ValidationError) as fault:
        raise CheckpointError(f"it cannot be read: {fault}") from None


def frames_of(manifest: Manifest, read: Callable[[str], bytes]) -> dict[str, pl.DataFrame]:
    """The frames that a manifest names, by their names. `read` gives one of its files."""
    found: dict[str, bytes] = {}
    for file, part in manifest.files.items():
        try:
            data = read(file)
        except FileNotFoundError:
            raise CheckpointError(f"{file} is missing") from None
        if len(data) != part.bytes:
            raise CheckpointError(f"{file} has {len(data):,} bytes, the manifest says {part.bytes:,}")
        if hashlib.sha256(data).hexdigest() != part.sha256:
            raise CheckpointError(f"{file} is not the one that was written: its checksum differs")
        found[file] = data
    grown: dict[str, list[pl.DataFrame]] = {}
    runs: dict[str, pl.DataFrame] = {}
    for file, part in manifest.files.items():
        frame = _decoded(file, found.pop(file))
        match part.kind:
            case "whole":
                grown[part.frame] = [frame]
            case "runs":
                runs[part.frame] = frame
            case "rows":
                patch, before = Patch(runs.pop(part.frame), frame), grown[part.frame]
                if is_behind(patch.runs, sum(one.height for one in before)):
                    before.append(frame)
                else:
                    grown[part.frame] = [patched(_one(before), patch)]
    return {name: _one(several) for name, several in grown.items()}


def _one(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat(frames, how="vertical", rechunk=True) if len(frames) > 1 else frames[0]


def from_files(manifest: Manifest, read: Callable[[str], bytes]) -> Checkpoint:
    """The checkpoint of a manifest and the files beside it."""
    frames = frames_of(manifest, read)
    logs = {
        source: {log: Span(one.start, one.end) for log, one in logs.items()} for source, logs in manifest.logs.items()
    }
    return Checkpoint(
        manifest.run,
        manifest.epoch,
        msgspec.convert(manifest.plan, Fingerprint),
        logs,
        Snapshot(manifest.values, _part(frames, "state.")),
        _part(frames, "rows."),
        manifest.stands,
        manifest.marks,
        manifest.finished,
        manifest.written_us,
        manifest.hash,
    )


def _part(frames: Mapping[str, pl.DataFrame], prefix: str) -> dict[str, pl.DataFrame]:
    return {name[len(prefix) :]: frame for name, frame in frames.items() if name.startswith(prefix)}


def encoded(frame: pl.DataFrame, name: str, stem: str) -> tuple[str, bytes, Part]:
    """A file's name, bytes and place in the manifest. `name` is the frame's, `stem` the file's without its ending."""
    data, suffix = _encoded(frame)
    return f"{stem}.{suffix}", data, Part(name, frame.height, len(data), hashlib.sha256(data).hexdigest())


def _encoded(frame: pl.DataFrame) -> tuple[bytes, str]:
    """The bytes of a frame: Parquet, which any tool reads, where it keeps the types; Arrow where it might not."""
    made = BytesIO()
    if frame.width and all(map(_in_parquet, frame.dtypes)):
        frame.write_parquet(made, compression="lz4", statistics=False)
        return made.getvalue(), "parquet"
    frame.write_ipc(made, compression="lz4")
    return made.getvalue(), "arrow"


def _decoded(file: str, data: bytes) -> pl.DataFrame:
    return pl.read_parquet(BytesIO(data)) if file.endswith(".parquet") else pl.read_ipc(BytesIO(data))


def _in_parquet(dtype: pl.DataType) -> bool:
    match dtype:
        case pl.List(inner=pl.DataType() as inner):
            return _in_parquet(inner)
        case pl.Struct(fields=fields):
            return bool(fields) and all(isinstance(one.dtype, pl.DataType) and _in_parquet(one.dtype) for one in fields)
        case pl.Datetime(time_unit="us"):
            return True
        case _:
            return isinstance(dtype, pl.Int64 | pl.Int32 | pl.UInt64 | pl.UInt32 | pl.Float64 | pl.String | pl.Boolean)
