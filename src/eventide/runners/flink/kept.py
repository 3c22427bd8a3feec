"""Outputs that no sink takes: they come back as frames, by way of a folder that the cluster and this program both see.

Law: what a bounded run keeps is what the embedded engine keeps, in the same types; the folder is gone afterwards.
"""

from __future__ import annotations

import ipaddress
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import polars as pl

from eventide.connectors.files.sinks import FileSink
from eventide.errors import PlanError
from eventide.plan import Plan, Write

_ZONE = r"(Z|[+-]\d\d:?\d\d)$"


@dataclass(frozen=True)
class Kept:
    """The outputs that are kept: their columns, and the folder with a folder for each."""

    folder: Path | None
    schemas: Mapping[str, Mapping[str, pl.DataType]]

    def frames(self) -> dict[str, pl.DataFrame]:
        """The outputs as frames, in the order of windows and keys."""
        return {name: read_rows(self._of(name), columns) for name, columns in self.schemas.items()}

    def added_to(self, plan: Plan) -> Plan:
        """The plan with a sink for each kept output."""
        writes = tuple(Write(name, FileSink(f"{self._of(name)}/", "ndjson")) for name in self.schemas)
        return replace(plan, writes=(*plan.writes, *writes))

    def remove(self) -> None:
        """Take the folder away."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _of(self, name: str) -> Path:
        assert self.folder is not None
        return self.folder / name


def keeping(plan: Plan, url: str, schemas: Mapping[str, Mapping[str, pl.DataType]], shared: Path | None) -> Kept:
    """Which outputs of a plan are kept, and where: those without a sink, when the input ends by itself and there is a
    folder that both sides see. Raises `PlanError` when results would go nowhere.
    """
    written = {write.output for write in plan.writes}
    names = [name for name in plan.outputs if name not in written]
    bounded = all(one.source.bounded for one in plan.inputs)
    here = is_here(url)
    if not names or not bounded or not (here or shared):
        if not plan.writes:
            raise PlanError.of("run", *_nowhere(bounded))
        return Kept(None, {})
    if shared is not None and not shared.is_dir():
        raise PlanError.of("run", f"results_folder={str(shared)!r} is no folder", "Make it, where both machines see it")
    folder = Path(tempfile.mkdtemp(prefix="eventide-flink-", dir=shared))
    folder.chmod(0o755 if shared is None else 0o777)  # the cluster may run as another user
    for name in names:
        (folder / name).mkdir()
    return Kept(folder, {name: schemas[name] for name in names})


def _nowhere(bounded: bool) -> tuple[str, str]:
    if bounded:
        return (
            "the cluster is on another machine, and no output has a sink",
            "Send outputs to sinks with .write(...), or give results_folder=, a folder that both machines see",
        )
    return (
        "the input never ends and no output has a sink, so nobody would see a result",
        "Send outputs to sinks with .write(...)",
    )


def is_here(url: str) -> bool:
    """True when an address is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def read_rows(folder: Path, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """The rows of a folder of NDJSON files as a frame with these columns."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size and _is_shown(path)]
    if not files:
        return pl.DataFrame(schema=dict(columns))
    raw = {name: _written(dtype) for name, dtype in columns.items()}
    frames = [pl.read_ndjson(path, schema=raw) for path in files]
    made = pl.concat(frames).select(_restored(name, dtype) for name, dtype in columns.items())
    order = [name for name in ("window_end", "window_start", *columns, "revision") if name in made.columns]
    sortable = [name for name in dict.fromkeys(order) if not columns[name].is_nested()]
    return made.sort(sortable, maintain_order=True)


def _is_shown(path: Path) -> bool:
    return not path.name.startswith((".", "_"))


def _written(dtype: pl.DataType) -> pl.DataType:
    """The type that a column has in JSON."""
    if isinstance(dtype, pl.Datetime | pl.Date | pl.Decimal | pl.Float64 | pl.Float32):
        return pl.String()
    if isinstance(dtype, pl.Duration):
        return pl.Int64()
    return dtype


def _restored(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column of JSON in its own type."""
    text = pl.col(name)
    if isinstance(dtype, pl.Datetime):
        plain = text.str.replace(_ZONE, "").str.replace("T", " ", literal=True)
        return plain.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="us").dt.replace_time_zone("UTC").alias(name)
    if isinstance(dtype, pl.Float64 | pl.Float32):
        return text.cast(dtype).alias(name)
    if isinstance(dtype, pl.Duration):
        return text.cast(pl.Duration("us")).alias(name)
    return text.cast(dtype).alias(name)


@contextmanager
def cleared(kept: Kept) -> Iterator[None]:
    """Take the folder away when what follows fails."""
    try:
        yield
    except BaseException:
        kept.remove()
        raise


def unkept(plan: Plan, kept: Kept) -> Sequence[str]:
    """The outputs that are neither written nor kept: their rows are counted and go nowhere."""
    written = {write.output for write in plan.writes}
    return [name for name in plan.outputs if name not in written and name not in kept.schemas]
