"""Other engines' answers, played by the job's operators: the cases that the embedded engine plays too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.flink.player import Player

from eventide.instants import END_OF_TIME
from eventide.semantics.eventtime import EventTime, punctuated
from eventide.testing.play import plan_of
from eventide.testing.reference import Entry, Event, Heartbeat, Idle

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"
WINDOWS: list[dict[str, Any]] = json.loads((SHARED / "windows.json").read_text())["cases"]
MERGES: list[dict[str, Any]] = json.loads((SHARED / "watermark_merge.json").read_text())["cases"]
PROBES = 60
_PLAIN = {"window": {"type": "tumbling", "size": 1}}
PROBE = replace(
    plan_of(_PLAIN), event_time=EventTime("at", punctuated("marker"), idle_after_us=10**15, max_future_us=None)
)


@pytest.mark.parametrize("restored", [False, True], ids=["stands", "restored"])
@pytest.mark.parametrize("case", WINDOWS, ids=lambda case: str(case["id"]))
def test_windows_answer_as_flink_does(player: Player, case: dict[str, Any], restored: bool) -> None:
    entries = list(_entries(case["steps"]))
    restarts = [(place, 1 + place % 3) for place in range(len(entries))] if restored else []
    answer = player.play(plan_of(case), entries, ["case"], restarts=restarts)
    wanted = [row for step in case["steps"] if step["op"] == "expect" for row in step["rows"]]
    assert _shown(answer["results"]) == Counter((row["key"], row["start"], row["end"], row["value"]) for row in wanted)
    if "expect_late" in case:
        found = {(entry.log, entry.offset): entry.row for entry in entries if isinstance(entry, Event)}
        late = Counter(_event(found[one["log"], one["offset"]]) for one in answer["late"])
        assert late == Counter((one["key"], one["value"], one["ts"]) for one in case["expect_late"])


@pytest.mark.parametrize("case", MERGES, ids=lambda case: str(case["id"]))
def test_watermarks_of_several_inputs_merge_as_flink_does(player: Player, case: dict[str, Any]) -> None:
    """Seen by probes: one event in each window of one instant, which comes out when the watermark has passed it."""
    logs = [str(channel) for channel in range(case["channels"])]
    entries: list[Entry] = [
        Event("0", at, {"key": "probe", "value": 1, "at": at, "marker": None}) for at in range(PROBES)
    ]
    reached = -1
    for step in case["steps"]:
        log = str(step.get("channel"))
        match step["op"]:
            case "input_watermark":
                entries.append(Heartbeat(log, int(step["ts"]) + 1))
            case "input_idle":
                entries.append(Idle(log))
            case "input_active":
                entries.append(Heartbeat(log, 0))
            case "expect_output":
                reached = max([reached, *(one["watermark"] for one in step["outputs"] if "watermark" in one)])
                passed = {row["window_start"] for row in player.play(PROBE, entries, logs)["results"]}
                assert passed == set(range(reached + 1))


def _entries(steps: Sequence[Mapping[str, Any]]) -> list[Entry]:
    made: list[Entry] = []
    for step in steps:
        if step["op"] == "event":
            row = {"key": step["key"], "value": step["value"], "at": step["ts"], "marker": None}
            made.append(Event("case", len(made), row))
        elif step["op"] == "watermark":
            made.append(Heartbeat("case", min(int(step["ts"]) + 1, END_OF_TIME)))
    return made


def _shown(rows: Sequence[Mapping[str, Any]]) -> Counter[tuple[object, ...]]:
    """The rows that Flink has too: it neither takes back rows nor says that a window is closed for good."""
    told = {
        (row["key"], row["window_start"], row["window_end"], row["revision"]): row["value"]
        for row in rows
        if row["op"] == "upsert"
    }
    return Counter((key, start, end, value) for (key, start, end, _), value in told.items())


def _event(row: Mapping[str, Any]) -> tuple[object, ...]:
    return row["key"], row["value"], row["at"]
