"""Delta Lake as a sink: rows and the epoch's number in one commit.

Law: the table's own record of application transactions says for each run and output which epoch is in it. Two writers
of one run cannot both commit: Delta refuses the second. On a disk of this machine a commit is synced before it counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING

import polars as pl

from eventide.connectors.delta.config import check_path, is_installed, library, storage_options
from eventide.connectors.delta.local import OURS, local_table
from eventide.connectors.kinds import check_kinds
from eventide.connectors.lakes import RETRACT, LakeEpochs, LakeWriter, Shape, told
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Stand, Writer, is_remote
from eventide.plan.given import path_of

if TYPE_CHECKING:
    from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties

_PATIENCE = "30s"
"""How long the library asks a store again that does not answer."""

_TRIES = 5
_BROKEN_OFF = re.compile(r"Error (performing (?!.*after \d+ retries)|getting \w+ response body).* HTTP error")
"""What the library says of a request that it does not make again, and of an answer that ended too soon; of other
requests it says how often it made them."""

_MET = "Concurrent transaction"
"""What it says when somebody has committed the epoch: itself, where an answer was lost and it asked a store again."""

_CHECKPOINT_EVERY = "100"


@dataclass(frozen=True, slots=True)
class Delta:
    """A Delta table in a folder or a store."""

    path: str

    def __post_init__(self) -> None:
        check_path(self.path)

    @property
    def name(self) -> str:
        return f"delta table {self.path}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "delta"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        return LakeWriter(DeltaRows(self, Shape(columns, tuple(identity))))

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return LakeEpochs(DeltaRows(self, Shape.of(opening)))


class DeltaRows:
    """The rows of an output in a Delta table, which is made when the first rows come."""

    def __init__(self, sink: Delta, shape: Shape) -> None:
        self._delta = library(SinkError)
        self._sink = sink
        self._shape = shape
        self._options = storage_options(sink.path) | ({"retry_timeout": _PATIENCE} if is_remote(sink.path) else {})
        self._application = f"eventide/{shape.run}/{shape.output}"
        self._local = local_table(sink.path)

    def stand(self) -> Stand:
        return {} if self._local is None or self._local.sure is None else {"version": self._local.sure}

    def mend(self, stand: Stand) -> None:
        local, version = self._local, stand.get("version")
        if local is None:
            return
        if version is not None:
            self._told(lambda: local.mend(int(version), self._application))
        self._told(local.sync)

    def epoch(self) -> int:
        found = -1

        def look() -> None:
            nonlocal found
            table = self._table()
            version = None if table is None else table.transaction_version(self._application)
            found = -1 if version is None else version

        for left in reversed(range(_TRIES)):
            try:
                self._told(look)
                break
            except SinkError as fault:
                if not left or _BROKEN_OFF.search(str(fault)) is None:
                    raise
        return found

    def put(self, rows: pl.DataFrame, epoch: int | None) -> None:
        made = self._shape.rows(rows, epoch)
        self._commits(lambda: self._upsert(made, epoch) if self._shape.identity else self._append(made, epoch), epoch)

    def take_back(self, epoch: int) -> None:
        self._commits(lambda: self._take_back(epoch), epoch)

    def _commits(self, work: Callable[[], object], epoch: int | None) -> None:
        """Work that commits an epoch. A connection that broke off under the commit says nothing of what became of it,
        so the library does not try it again; the table can be asked.
        """
        broken = False
        for left in reversed(range(_TRIES)):
            try:
                self._told(work)
                break
            except SinkError as fault:
                broken = broken or _BROKEN_OFF.search(str(fault)) is not None
                perhaps = broken or (self._local is None and _MET in str(fault))
                if epoch is None or not perhaps:
                    raise
                if self.epoch() == epoch:
                    break
                if not left or not broken:
                    raise
        self._told(self._last)

    def _last(self) -> None:
        """Make sure of the commit, then of a checkpoint when one is due, and only then forget old commits."""
        table = None if self._local is None else self._table()
        if self._local is None or table is None:
            return
        self._local.sync()
        told = table.metadata().configuration
        if table.version() and not table.version() % int(told.get("delta.checkpointInterval") or _CHECKPOINT_EVERY):
            table.create_checkpoint()
            self._local.sync_checkpoint()
            if told.get("delta.enableExpiredLogCleanup") != "false":
                table.cleanup_metadata()

    def _take_back(self, epoch: int) -> None:
        table = self._table()
        if table is None:
            return
        commit = self._commit(epoch)
        if self._shape.identity:
            self._write(self._shape.empty(), commit)
        else:
            # the name of a run is made of letters and digits only
            later = f"_run = '{self._shape.run}' AND _epoch > {int(epoch)}"
            table.delete(later, commit_properties=commit, post_commithook_properties=self._hooks())

    def _table(self) -> DeltaTable | None:
        made = self._delta.DeltaTable
        if not made.is_deltatable(self._sink.path, storage_options=self._options):
            return None
        return made(self._sink.path, storage_options=self._options)  # type: ignore[no-any-return]  # found by its name

    def _commit(self, epoch: int | None) -> CommitProperties | None:
        if epoch is None:
            return None
        done = self._delta.Transaction(self._application, epoch)
        made: CommitProperties = self._delta.CommitProperties({OURS: self._application}, app_transactions=[done])
        return made

    def _hooks(self) -> PostCommitHookProperties | None:
        """On a disk of this machine the library makes no checkpoint, and forgets no commit, that is not sure."""
        hooks = self._delta.PostCommitHookProperties
        return None if self._local is None else hooks(create_checkpoint=False, cleanup_expired_logs=False)

    def _append(self, rows: pl.DataFrame, epoch: int | None) -> None:
        self._write(rows, self._commit(epoch))

    def _write(self, rows: pl.DataFrame, commit: CommitProperties | None) -> None:
        if self._local is not None:
            self._local.make_folder()
        self._delta.write_deltalake(
            self._sink.path,
            rows,
            mode="append",
            storage_options=self._options,
            commit_properties=commit,
            post_commithook_properties=self._hooks(),
        )

    def _upsert(self, rows: pl.DataFrame, epoch: int | None) -> None:
        table = self._table()
        if table is None:
            self._write(rows.clear(), None if epoch is None else self._commit(epoch - 1))
            table = self._table()
            assert table is not None
        names = [_quoted(name) for name in self._shape.identity]
        same = " AND ".join(f"(t.{name} IS NOT DISTINCT FROM s.{name})" for name in names)
        merge = table.merge(
            rows,
            same,
            source_alias="s",
            target_alias="t",
            streamed_exec=False,
            commit_properties=self._commit(epoch),
            post_commithook_properties=self._hooks(),
        )
        if "op" in rows.columns:
            kept = f"s.op <> '{RETRACT}'"
            merge = merge.when_matched_delete(f"s.op = '{RETRACT}'")
            merge.when_matched_update_all(kept).when_not_matched_insert_all(kept).execute()
        else:
            merge.when_matched_update_all().when_not_matched_insert_all().execute()

    def _told(self, work: Callable[[], object]) -> None:
        told(self._sink.name, work, (self._delta.exceptions.DeltaError, OSError, ValueError))


def _quoted(name: str) -> str:
    """A name as SQL writes it, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def write_delta(path: str | PathLike[str]) -> Delta:
    """A sink that keeps the last row of each window in a Delta table, in a folder or at an address such as
    `s3://bucket/doses` (keys from the usual AWS environment).

    Results are merged by keys and window, retracted rows deleted; outputs without identity (`late`, `dead_letters`)
    are appended, with a state folder with the columns `_run` and `_epoch`. A table that is not there is made.
    `docs/connectors/delta.md` has the types.

    >>> write_delta("lake/doses").name
    'delta table lake/doses'
    """
    check_kinds(write_delta, locals())
    return Delta(path_of(path))
