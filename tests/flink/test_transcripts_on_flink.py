"""The transcripts of the law, played by the job's operators, standing and restored behind every entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.flink.player import Player

from eventide.plan import Input, Plan, WindowedAggregate
from eventide.runners.flink.gaps import gaps_of
from eventide.testing.laws import Columns
from eventide.testing.reference import Entry, Idle, Query
from eventide.testing.transcripts import COLUMNS, Heard, read_transcript

GAPS = ("empty_behind_a_heartbeat", "empty_corrected", "empty_of_a_key_known_late", "empty_with_early_results")
TRANSCRIPTS = sorted((Path(__file__).resolve().parents[1] / "transcripts").glob("*.yaml"))


@pytest.mark.parametrize("restored", [False, True], ids=["stands", "restored"])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript_is_played_as_it_is_written(player: Player, path: Path, restored: bool) -> None:
    def by_flink(query: Query, entries: Sequence[Entry], logs: Sequence[str]) -> Heard:
        restarts = [(place, 1) for place in range(len(entries))] if restored else []
        answer = player.play(_plan(query, entries), entries, logs, restarts=restarts)
        named = {name: [(row["log"], row["offset"]) for row in answer[name]] for name in ("late", "dead_letters")}
        return Heard(answer["results"], named["late"], named["dead_letters"])

    transcript = read_transcript(path)
    told = [gap for gap in gaps_of(_plan(transcript.query, transcript.entries)) if gap.where == "window"]
    assert bool(told) == (path.stem in GAPS), told
    if not told:
        assert transcript.differences(by_flink) == []


def _plan(query: Query, entries: Sequence[Entry]) -> Plan:
    aggregate = WindowedAggregate(
        query.keys, query.window, query.aggregates, query.lateness, query.early, query.fill_empty
    )
    idle = any(isinstance(one, Idle) for one in entries)
    event_time = replace(query.event_time, idle_after_us=10**15) if idle else query.event_time
    return Plan((Input(Columns(COLUMNS)),), event_time=event_time, aggregate=aggregate)
