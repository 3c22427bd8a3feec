"""Transcripts of the law, played by the reference and by the embedded engine in every manner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from eventide.errors import EventideError
from eventide.testing.laws import Manner
from eventide.testing.reference import Entry, Query
from eventide.testing.transcripts import Heard, Runner, by_engine, by_reference, read_transcript

FOLDER = Path(__file__).resolve().parents[1] / "transcripts"
TRANSCRIPTS = sorted(FOLDER.glob("*.yaml"))
RUNNERS: dict[str, Runner] = {
    "reference": by_reference,
    "engine": by_engine,
    "engine, row by row": partial(by_engine, manner=Manner((1,))),
    "engine, restarted": partial(by_engine, manner=Manner((2, 1), 3, frozenset({0, 2, 3}))),
}


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_a_transcript_is_played_as_it_is_written(path: Path, runner: str) -> None:
    assert read_transcript(path).differences(RUNNERS[runner]) == []


def test_what_a_runner_leaves_out_adds_or_changes_is_said() -> None:
    transcript = read_transcript(FOLDER / "on_time_and_late.yaml")

    def silent(query: Query, entries: Sequence[Entry], logs: Sequence[str]) -> Heard:
        heard = by_reference(query, entries, logs)
        return replace(heard, results=heard.results[1:], late=[])

    said = transcript.differences(silent)
    assert any("expect: missing" in line for line in said)
    assert any("late: missing {'log': 'one', 'offset': 4}" in line for line in said)

    def loud(query: Query, entries: Sequence[Entry], logs: Sequence[str]) -> Heard:
        heard = by_reference(query, entries, logs)
        return replace(heard, dead=[("one", 0)], results=[{**row, "n": 7} for row in heard.results])

    said = transcript.differences(loud)
    assert any("expect: unexpected" in line and "'n': 7" in line for line in said)
    assert any("dead: unexpected {'log': 'one', 'offset': 0}" in line for line in said)


@pytest.mark.parametrize("step", ["{at: soon}", "{at: 1, y: 2}", "{log: three, at: 1}", "{idle: one, at: 1}"])
def test_a_step_that_cannot_be_read_is_named(step: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(
        f"title: odd\nquery: {{event_time: {{strategy: ascending}}, window: {{tumbling: 1s}}}}\nsteps: [{step}]\n"
    )
    with pytest.raises(EventideError, match=r"odd\.yaml is no transcript"):
        read_transcript(path)
