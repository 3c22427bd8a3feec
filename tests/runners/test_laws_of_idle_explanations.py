"""Explanations agree with a run in which logs fall silent and come back, with clocks for logs and for keys."""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.examples import examples
from tests.runners.test_explain import START, Hand, Row, source, sums, us

import eventide as et
from eventide.engine.outputs import Outputs
from eventide.engine.pipeline import Pipeline
from eventide.engine.snapshot import Snapshot
from eventide.plan import LATE
from eventide.testing.laws import rows_of

LOGS = ("one", "two")
STEP = st.tuples(st.sampled_from(LOGS), st.sampled_from(["a", "a", "b", "idle", "idle"]), st.integers(-90, 240))


class Watched(Hand):
    """A pipeline read by hand, whose outputs are looked at."""

    def __init__(self, stream: et.Stream) -> None:
        super().__init__(stream)
        self.late: dict[tuple[str, int], int] = {}

    def take(self, log: str) -> None:
        number, reader = self.readers[log]
        batch = reader.read(1)
        assert batch is not None
        self.note(self.pipeline.process(batch, number))

    def saved(self) -> Snapshot:
        return Snapshot.from_files(self.pipeline.snapshot().to_files())

    def restart(self) -> None:
        saved, self.pipeline = self.saved(), Pipeline.of(self.stream.plan)
        self.pipeline.restore(saved)

    def note(self, outputs: Outputs) -> None:
        for row in rows_of(outputs.get(LATE, [])):
            self.late[row["_log"], row["_offset"]] = row["watermark"]


@settings(max_examples=examples(20), deadline=None, phases=(Phase.explicit, Phase.generate))
@given(st.lists(STEP, min_size=4, max_size=24), st.sampled_from(["log", "key"]), st.sampled_from(["0s", "3m"]))
def test_law_every_event_has_the_fate_and_the_watermark_of_the_run(
    steps: list[tuple[str, str, int]], clock: str, lateness: str
) -> None:
    rows: dict[str, list[Row]] = {log: [] for log in LOGS}
    for number, (log, device, step) in enumerate(steps):
        if device != "idle":
            at = max(number * 60 + step, 0)
            rows[log].append((device, f"{at // 60}:{at % 60}", f"{number}:00", 1.0))
    logs = [log for log in LOGS if rows[log]]
    if not logs:
        return
    one, *more = (source(rows[log], log) for log in logs)
    whose = "log" if clock == "log" else et.per_key("device", cap="2h")
    hand = Watched(sums(one.union(*more) if more else one, lateness=lateness, clock=whose, max_future=None))
    for number, (log, device, _) in enumerate(steps):
        if number % 3 == 2:
            hand.restart()
        if device != "idle":
            hand.take(log)
        elif log in logs:
            hand.note(hand.pipeline.declare_idle(log))
    asked = et.inspect(hand.stream, hand.saved())
    told = [asked.explain_event(log=log, offset=offset) for log in logs for offset in range(len(rows[log]))]
    total = hand.pipeline.accounting.total
    assert [sum(found.fate == fate for found in told) for fate in ("on time", "corrected", "late")] == [
        total.on_time,
        total.corrected,
        total.late,
    ]
    assert {(found.log, found.offset): found.watermark_us for found in told if found.fate == "late"} == hand.late


def test_an_event_behind_what_its_keys_windows_had_closed_by_is_late_because_of_idleness() -> None:
    away: list[Row] = [("a", "1:00", "0:00", 1.0), ("b", "3:00", "19:30", 1.0), ("a", "4:00", "19:30", 1.0)]
    stays: list[Row] = [("a", "19:00", "19:00", 1.0)]
    hand = Watched(sums(source(stays, "stays").union(source(away, "away")), clock=et.per_key("device", cap="1h")))
    hand.take("away")
    hand.pipeline.declare_idle("away")
    hand.take("stays")  # a's windows close up to 18:50, by its own clock; those of b do not
    hand.take("away")
    hand.take("away")
    found = hand.asked().explain_event(log="away", offset=2)
    assert (found.fate, found.watermark_us, found.mover) == ("late", us("18:50"), None)
    assert found.rule.startswith("idleness")
    assert hand.asked().explain_event(log="away", offset=1).fate == "on time"
    hand.pipeline.declare_idle("stays")
    hand.pipeline.declare_idle("away")
    assert hand.asked().explain(key="a", at=START).watermark_us == us("18:50")
