"""MongoDB as a sink: documents are replaced and deleted one by one, by `_id`, each with a stamp that only grows.

Law: the identity of a row is its `_id`, so no index can be missing; a document is replaced only by one whose stamp is
not smaller. The collection `_eventide_epochs` says for each run and output which epoch was begun and which is whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import polars as pl

from eventide.connectors.kinds import check_kinds
from eventide.connectors.mongodb.config import Deployment, driver, is_installed
from eventide.connectors.stores import Changes, Noted, StoreEpochs, by_commit, held, opening_of, parts
from eventide.errors import SinkError
from eventide.flow import EpochWriter, Opening, Writer

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

    from eventide.connectors.mongodb.rows import Instants

_EPOCHS = "_eventide_epochs"
_PATIENCE_S = 30
_WAITS_S = (0.1, 0.2, 0.5, 1, 2, 4, 8, 8, 8)
_DOCUMENT_MOST_BYTES = 16 * 2**20
_DUPLICATE = 11000
_REFUSED = (13, 18, 8000)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class MongoCollection:
    """A collection of a MongoDB deployment."""

    deployment: Deployment
    database: str
    collection: str
    instants: Instants = "date"

    def __post_init__(self) -> None:
        for where, name in (("database", self.database), ("collection", self.collection)):
            if not name or name.startswith(("$", "system.")) or any(mark in name for mark in '$\0/\\ "'):
                raise ValueError(f"{where}={name!r} is no name in MongoDB: leave out spaces, quotes, slashes and $")
        if "." in self.database:
            raise ValueError(f"database={self.database!r} is no name in MongoDB: leave out the dot")
        if self.instants not in ("date", "microseconds"):
            raise ValueError(f'instants={self.instants!r} is unknown: use "date" or "microseconds"')

    @property
    def name(self) -> str:
        return f"mongodb collection {self.database}.{self.collection}"

    @property
    def missing_extra(self) -> str | None:
        """The extra of Eventide that has to be installed for it."""
        return None if is_installed() else "mongodb"

    def open(self, output: str, columns: Mapping[str, pl.DataType], identity: Sequence[str]) -> Writer:
        opening = opening_of(output, columns, identity)
        return by_commit(MongoStore(self, opening), opening)

    def open_epochs(self, opening: Opening) -> EpochWriter:
        return StoreEpochs(MongoStore(self, opening), opening)


class MongoStore:
    """A collection, reached by a client that is made when it is needed, and made again when it broke."""

    def __init__(self, sink: MongoCollection, opening: Opening) -> None:
        driver()
        self._sink = sink
        self._opening = opening
        self._key = {"target": sink.collection, "run": opening.run, "output": opening.output}
        self._client: MongoClient[dict[str, Any]] | None = None

    def prepare(self) -> Noted:
        from eventide.connectors.mongodb.rows import check_names

        check_names(held(self._opening.columns, self._opening.identity))

        def work(client: MongoClient[dict[str, Any]]) -> Noted:
            self._check_kind(client)
            found = list(self._at(client, _EPOCHS).find({"_id.target": self._sink.collection}))
            mine = [one["epoch"] for one in found if one["_id"] == self._key and "epoch" in one]
            return Noted(max(mine, default=-1), max((one.get("stamp", 0) for one in found), default=0))

        return self._do(work)

    def _check_kind(self, client: MongoClient[dict[str, Any]]) -> None:
        """See that documents of the collection can be replaced one by one."""
        wanted = {"name": self._sink.collection}
        for one in client[self._sink.database].list_collections(filter=wanted):
            kind = "capped" if one.get("options", {}).get("capped") else one.get("type", "collection")
            if kind != "collection":
                raise SinkError(
                    f"{self._sink.name} is of the kind {kind}, whose documents cannot be replaced: use a plain one"
                )

    def _at(self, client: MongoClient[dict[str, Any]], name: str) -> Collection[dict[str, Any]]:
        from pymongo import WriteConcern

        confirmed = WriteConcern(w="majority", j=True)
        return client[self._sink.database].get_collection(name, write_concern=confirmed)

    def begin(self, epoch: int, stamp: int) -> None:
        self._note({"epoch": epoch, "stamp": stamp})

    def end(self, epoch: int, stamp: int) -> None:
        self._note({"whole": epoch, "stamp": stamp})

    def _note(self, values: Mapping[str, int]) -> None:
        from bson import Int64
        from pymongo.errors import DuplicateKeyError

        change = {"$set": {name: Int64(value) for name, value in values.items()}}

        def work(client: MongoClient[dict[str, Any]]) -> None:
            notes = self._at(client, _EPOCHS)
            try:
                notes.update_one({"_id": self._key}, change, upsert=True)
            except DuplicateKeyError:  # an attempt whose answer was lost has come to its end after all
                notes.update_one({"_id": self._key}, change)

        self._do(work)

    def put(self, changes: Changes, stamp: int) -> None:
        from pymongo import DeleteOne, ReplaceOne

        from eventide.connectors.mongodb.rows import STAMP, documents, ids

        identity = self._opening.identity
        not_newer = {STAMP: {"$lte": stamp}}
        for part in parts(changes.kept):
            if part.estimated_size() > _DOCUMENT_MOST_BYTES:  # some servers would close the connection without a word
                raise SinkError(f"a row is larger than 16 MiB, which {self._sink.name} does not take")
            made = documents(part, identity, stamp, self._sink.instants)
            self._write([ReplaceOne({"_id": one["_id"], **not_newer}, one, upsert=True) for one in made])
        for part in parts(changes.gone):
            self._write([DeleteOne({"_id": key, **not_newer}) for key in ids(part, identity)])

    def _write(self, requests: list[Any]) -> None:
        from pymongo.errors import BulkWriteError

        def work(client: MongoClient[dict[str, Any]]) -> None:
            try:
                self._at(client, self._sink.collection).bulk_write(requests, ordered=False)
            except BulkWriteError as fault:
                _see_that_only_newer_stayed(fault.details)

        self._do(work)

    def take_back(self, epochs: range, stamp: int) -> None:
        from eventide.connectors.mongodb.rows import prefix

        run, output = self._opening.run, self._opening.output
        between = {"$gte": prefix(run, output, epochs.start), "$lt": prefix(run, output, epochs.stop)}
        self._do(lambda client: self._at(client, self._sink.collection).delete_many({"_id": between}))

    def _do(self, work: Callable[[MongoClient[dict[str, Any]]], _T]) -> _T:
        """Do work; while the server is away it is tried again, about half a minute long. Work may be done again."""
        from pymongo.errors import AutoReconnect, DocumentTooLarge, OperationFailure, PyMongoError, WriteConcernError

        away_since: float | None = None
        for wait_s in (*_WAITS_S, None):
            try:
                self._client = self._client or self._sink.deployment.connect()
                return work(self._client)
            except (AutoReconnect, WriteConcernError) as fault:
                self.close()
                away_since = time.monotonic() if away_since is None else away_since
                if (
                    wait_s is None or time.monotonic() - away_since > _PATIENCE_S
                ):  # looking for a server takes time, too
                    raise SinkError(
                        f"cannot write to {self._sink.name}: {_plain(fault)}. Check that the server runs, its address, "
                        "and that a majority of the replica set is there"
                    ) from None
            except OperationFailure as fault:
                if fault.code in _REFUSED:
                    raise SinkError(
                        "MongoDB does not let us in: check user and password, and that the user may write to the "
                        f"database {self._sink.database}"
                    ) from None
                raise SinkError(f"cannot write to {self._sink.name}: {_plain(fault)}") from None
            except DocumentTooLarge:
                raise SinkError(f"a row is larger than 16 MiB, which {self._sink.name} does not take") from None
            except PyMongoError as fault:
                raise SinkError(f"cannot write to {self._sink.name}: {_plain(fault)}") from None
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def _see_that_only_newer_stayed(details: Mapping[str, Any]) -> None:
    """A row that was not replaced because a newer one is there shows as a second row with its `_id`: so it shall be."""
    from pymongo.errors import OperationFailure, WriteConcernError

    for one in details.get("writeErrors", ()):
        by_id = one["keyPattern"] == {"_id": 1} if "keyPattern" in one else "_id" in str(one.get("errmsg"))
        if one.get("code") != _DUPLICATE or not by_id:
            raise OperationFailure(str(one.get("errmsg")), one.get("code"))
    for one in details.get("writeConcernErrors", ()):
        raise WriteConcernError(str(one.get("errmsg")), one.get("code"))


def _plain(fault: BaseException) -> str:
    """What the server or the client said, on one line, without the long list of what it knows about servers."""
    return " ".join(str(fault).split(", Timeout:")[0].split()) or type(fault).__name__


def write_mongodb(
    collection: str,
    *,
    database: str,
    address: str | None = None,
    env: str | None = None,
    instants: Instants = "date",
) -> MongoCollection:
    """A sink that keeps the last row of each window in a collection of MongoDB 5 or later.

    MongoDB is named by `address`, a connection string without a user, or by `env`, the environment variable that holds
    a whole one. Results are replaced by keys and window, which are their `_id`, retracted rows deleted; outputs without
    identity (`late`, `dead_letters`) are appended. `instants` are dates, in milliseconds, or whole `"microseconds"`;
    in `_id` they always are the latter. `docs/connectors/mongodb.md` has the types.

    >>> write_mongodb("doses", database="air", address="mongodb://127.0.0.1").name
    'mongodb collection air.doses'
    """
    check_kinds(write_mongodb, locals())
    return MongoCollection(Deployment(address, env), database, collection, instants)
