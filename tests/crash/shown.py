"""What a run has left for readers: files with their bytes, tables with their rows, what servers show.

Law: run numbers are left out, and behind a topic, which a broker may cut anywhere, epochs too.
"""

from __future__ import annotations

from pathlib import Path

import duckdb
from deltalake import DeltaTable
from tests.crash.stage import Stage, catalog


def output(stage: Stage, job: str) -> dict[str, object]:
    """Every file below `out` with its bytes; of tables in files their rows in order; and what servers show."""
    source, _, sink = job.rpartition("-")
    by_epoch = not source
    found = stage.systems.shown(stage.names, by_epoch)
    out = stage.folder / "out"
    match sink:
        case "delta":
            return found | _delta(out, by_epoch)
        case "iceberg":
            return found | _iceberg(stage.folder, by_epoch)
        case "duckdb":
            return found | _duckdb(out / "r.duckdb", by_epoch)
        case _:
            return found | _files(out, by_epoch)


def _files(out: Path, by_epoch: bool) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name, content = str(path.relative_to(out)), path.read_bytes()
        if path.name.startswith("part-") and not by_epoch:
            name = str(path.parent.relative_to(out))
            head, _, rows = content.partition(b"\n")
            before = found.get(name, head + b"\n")
            assert isinstance(before, bytes)
            content = before + rows
        found[name] = content
    return found


def _hidden(by_epoch: bool) -> set[str]:
    return {"run", "_run"} if by_epoch else {"run", "_run", "_epoch", "epoch"}


def _duckdb(path: Path, by_epoch: bool) -> dict[str, object]:
    with duckdb.connect(str(path), read_only=True) as connection:
        names = [row[0] for row in connection.execute("SHOW TABLES").fetchall()]
        tables: dict[str, object] = {}
        for name in names:
            described = connection.execute(f'DESCRIBE "{name}"').fetchall()
            columns = [row[0] for row in described if row[0] not in _hidden(by_epoch)]
            shown = ", ".join(f'"{column}"::VARCHAR' for column in columns)
            tables[name] = (columns, connection.execute(f'SELECT {shown} FROM "{name}" ORDER BY ALL').fetchall())
        return tables


def _delta(out: Path, by_epoch: bool) -> dict[str, object]:
    tables = {path.name: DeltaTable(str(path)).to_pyarrow_table() for path in sorted(out.iterdir())}
    return {name: _ordered(table.to_pylist(), by_epoch) for name, table in tables.items()}


def _iceberg(folder: Path, by_epoch: bool) -> dict[str, object]:
    from pyiceberg.catalog.sql import SqlCatalog

    names = {name.rpartition("__")[2].lower(): value for name, value in catalog(folder).items()}
    opened = SqlCatalog("lake", **names)
    try:
        tables = {".".join(name): opened.load_table(name) for name in opened.list_tables("air")}
        return {name: _ordered(table.scan().to_arrow().to_pylist(), by_epoch) for name, table in tables.items()}
    finally:
        opened.close()


def _ordered(rows: list[dict[str, object]], by_epoch: bool) -> list[str]:
    hidden = _hidden(by_epoch)
    return sorted(str({name: value for name, value in row.items() if name not in hidden}) for row in rows)
