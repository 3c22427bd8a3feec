"""The statements of a job for people to read.

Law: what is shown is what runs; where the job itself does something between two statements, a comment says what.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from eventide.runners.flink import sql


def readable(tree: Mapping[str, Any], outputs: Sequence[Mapping[str, Any]]) -> str:
    """The statements of a job in their order, each with what it is for."""
    parts: list[str] = []
    for one in _sources(tree):
        intake = sql.name(one["intake"])
        parts += [
            f"-- the source {one['name']}: records as they stand",
            f"{one['ddl']};",
            "-- each record with its log, offset and arrival",
            f"{one['query']};",
            f"-- here the job reads records: columns, log, offset and arrival are the table {intake}",
        ]
        if one["select"] is not None:
            parts += ["-- row-wise steps; a row that a filter leaves out is marked and counted", f"{one['select']};"]
    if (steps := tree.get("join", {}).get("select")) is not None:
        parts += ["-- here the job has the doors of both sides and the join: the table `joined`"]
        parts += ["-- row-wise steps of joined rows", f"{steps};"]
    what = "the doors of both sides, the join" if "join" in tree else "the door"
    parts.append(
        f"-- here the job has {what} and the windows: they make the tables `results`, `late` and `dead_letters`"
    )
    if not outputs:
        parts.append("-- no sink: `run` keeps what a bounded input gives")
    for output in outputs:
        parts += ["-- a sink", f"{output['ddl']};"]
        if "lines" in output:
            parts.append(_written(output["lines"]))
        parts.append(f"{output['insert']};")
    return "\n\n".join(parts) + "\n"


def _sources(tree: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from tree["sources"]
    for side in tree.get("join", {}).get("sides", ()):
        yield from side["sources"]


def _written(lines: Mapping[str, Any]) -> str:
    """What the job does where it writes the records of a sink itself."""
    said = f"-- here the job writes each row of `results` as JSON, the table {sql.name(lines['view'])}:\n"
    said += f"--   `record` has {', '.join(lines['columns'])}"
    return said + (f"\n--   `key` has {', '.join(lines['key'])}" if lines["key"] else "")
